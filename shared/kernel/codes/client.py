"""What `causeway` says to a party before, or instead of, a service's answer."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "answer_malformed": Why("what is said of an item is not of its form", "--help has the form of each"),
    "answer_missing": Why("an answer says nothing", "say at least one word"),
    "api_key_malformed": Why("the key is not of the form of keys", "a key is cw_test_ or cw_live_ and 43 characters"),
    "api_key_missing": Why("no key is given", "causeway login keeps one; else give --key or set CAUSEWAY_API_KEY"),
    "ca_file_not_used": Why("a client of your own brings its own trust", "leave ca_file out, or the client"),
    "ca_file_unusable": Why("the file of certificates cannot be read", "name a readable file of certificates in PEM"),
    "cell_not_boolean": Why("a cell is neither true nor false", "true or false"),
    "cell_not_integer": Why("a cell is no whole number", "digits only"),
    "cells_do_not_match_columns": Why(
        "a row has more or fewer cells than the first line", "look for a comma or a quotation mark"
    ),
    "column_repeated": Why("a column stands twice", "name each column once"),
    "column_unknown": Why("a column has a name that none has", "docs/csv.md lists the columns"),
    "columns_missing": Why("the file has no first line with the names of its columns", "docs/csv.md lists the columns"),
    "csv_unreadable": Why(
        "the file is no CSV", "a quoted cell ends on its own line; a quotation mark inside is doubled"
    ),
    "entries_malformed": Why(
        "the file is neither a flow nor a page of entries", "name a file that `causeway flow --json` wrote"
    ),
    "file_empty": Why("the file has no referral", "a file with a referral in it: is it the right one?"),
    "file_format_unknown": Why("the name of the file says no format", "let it end in .csv, .jsonl or .json"),
    "file_unusable": Why(
        "the file cannot be read or written", "look at its name, its rights and the space on the disk"
    ),
    "keeping_malformed": Why("what is kept is not said whole", "say its class, what entitles to it, and until when"),
    "login_file_exposed": Why(
        "others of this machine can read the kept key", "chmod 600 the file, and have the key revoked"
    ),
    "login_file_malformed": Why("the file of `causeway login` is none", "causeway login writes it anew"),
    "not_utf8": Why("the file is not UTF-8", "save the file as UTF-8"),
    "one_referral_expected": Why("the file holds several referrals", "use import for a file of several"),
    "option_invalid": Why(
        "options of the call break a rule, alone or together",
        "each is listed with its rule; --help of the verb says what goes with what",
    ),
    "origin_has_no_rows": Why("every row of the file names another origin", "look at --origin"),
    "purpose_malformed": Why("the purpose is not of its form", "8 to 64 letters, digits, spaces and hyphens"),
    "row_malformed": Why("a line is not of the form of sampled rows", "origin, label and referral, and nothing else"),
    "server_not_trusted": Why(
        "the server's certificate does not verify; nothing was sent",
        "look at the address; for an authority of your own, name its certificates with --ca-file",
    ),
    "server_unreachable": Why(
        "no service answers at that address", "look at the address; the same call may be made again under the same key"
    ),
    "state_file_unreadable": Why("the file is none that --state wrote", "name another"),
    "state_unreadable": Why(
        "the state of the import cannot be read, or is of another file",
        "remove FILE.state to start over: nothing is created twice",
    ),
    "unexpected_answer": Why(
        "what answered is no service of Causeway", "look at the address: is there a proxy, or another path?"
    ),
    "url_malformed": Why("the address is no base address", "https://host[:port]"),
    "url_missing": Why("no service is named", "causeway login keeps one; else give --url or set CAUSEWAY_URL"),
    "url_not_https": Why(
        "plain http would show the key and what is filed to the network",
        "give an https address; http is for this machine alone",
    ),
    "webhook_secret_malformed": Why("the secret is not of its form", "whsec_ and the base64 of 24 to 64 bytes"),
    "webhook_secret_missing": Why("no secret is given", "give --secret or set CAUSEWAY_WEBHOOK_SECRET"),
    "world_mismatch": Why(
        "the auditor's key is of another world than these referrals",
        "a sandbox key looks at exercises, a live key at the rest",
    ),
}
