"""What a body is refused for: its form, its limits, its alphabets, and what its values cost."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "body_byte_order_mark": Why("the body begins with a byte order mark", "send UTF-8 without a byte order mark"),
    "body_content_encoding": Why("the body is compressed", "send it without content encoding"),
    "body_content_type": Why("the body is not announced as JSON", "send Content-Type: application/json"),
    "body_invalid": Why(
        "what came is not what the schema of its type says", "compare it with the schema that docs/messages.md names"
    ),
    "body_key": Why("a name in the body is too long or not ASCII", "docs/api lists the names"),
    "body_key_repeated": Why("a name stands twice in one object", "each name once in an object"),
    "body_not_json": Why(
        "the body is not one JSON document", "look for a comma too many, a missing quote or brace, or an empty file"
    ),
    "body_not_object": Why(
        "the body is JSON, but no object",
        "one referral is one object; several are a line each in a .jsonl file, for import",
    ),
    "body_not_utf8": Why("the body is not UTF-8", "save or send it as UTF-8"),
    "body_number_not_integer": Why("a number has a fraction or an exponent, or is none", "integers only"),
    "body_number_too_long": Why("a number has more digits than any field takes", "at most 19 digits"),
    "body_string_not_text": Why("a text holds half a character (a lone surrogate)", "write whole characters"),
    "body_string_too_long": Why(
        "a text is longer than any field takes", "shorten it; docs/api has the length of each field"
    ),
    "body_too_deep": Why("the body is nested deeper than any schema", "docs/api has the form of each body"),
    "body_too_large": Why("the body is heavier than one call takes", "file in several calls"),
    "body_too_many_values": Why(
        "the body has more values than one referral takes", "file the items in several referrals"
    ),
    "body_too_slow": Why("the body did not come within its time", "send it at once, over a better line"),
    "data_key_unreadable": Why(
        "the key of a record does not open under the instance's",
        "the key that wrapped it is missing or was changed: give the instance all of its KEK",
    ),
    "guard_over_budget": Why(
        "the values cost more than a record may without a second person",
        "file the items in several referrals, or let somebody else of yours release it",
    ),
    "guard_over_ceiling": Why(
        "the values cost more than any record may",
        "leave out what is not needed to find it, or file the items in several referrals",
    ),
    "guard_refused": Why(
        "the sealed part of a message breaks a rule of the guard",
        "its sender looks at what it sent: no recipient stores it",
    ),
    "guard_rules_control_character": Why(
        "an address holds characters of control or direction", "write the address without them"
    ),
    "guard_rules_host": Why(
        "the host of an address is not ASCII or too long", "write it as browsers do, international names in punycode"
    ),
    "guard_rules_host_label": Why(
        "a label of the host has other characters than names have", "labels of letters, digits, - and _"
    ),
    "guard_rules_host_literal": Why("the address in the place of the host is none", "an IPv6 address in brackets"),
    "guard_rules_host_port": Why("the port is none", "a port between 1 and 65535"),
    "guard_rules_host_user": Why("the address has a user name or a password in it", "leave both out"),
    "guard_rules_instant_in_future": Why("a time is more than five minutes ahead", "give a time that is over"),
    "guard_rules_instant_too_early": Why("a time is before the year 2000", "look at the year"),
    "guard_rules_ip_not_a_host": Why("no host has this address", "an address that a host can have"),
    "guard_rules_ip_not_an_address": Why("the text is no IP address", "an IPv4 or IPv6 address"),
    "guard_rules_ip_not_canonical": Why("the address is not in its one spelling", "the canonical spelling of RFC 5952"),
    "guard_rules_not_canonical": Why(
        "the address is not in its one spelling", "the one spelling of an address (RFC 3986 §6.2)"
    ),
    "guard_rules_not_kept": Why(
        "what is to be kept whole of an address is not one of its parts",
        "leave out `uncut`, or name the part as docs/api has it",
    ),
    "protected_field_unreadable": Why(
        "a field in the database does not open under its key",
        "the key that wrapped it is missing or was changed: give the instance all of its KEK",
    ),
}
