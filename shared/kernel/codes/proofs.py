"""What a proof does not hold for: acceptances, evidence, webhooks, the log."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "acceptance_ahead": Why("the acceptance is dated later than it is checked", "set your clock"),
    "acceptance_malformed": Why("the file holds no signed acceptance", "name the file that submit or import wrote"),
    "body_mismatch": Why(
        "these are not the bytes that were accepted", "give the very bytes that were sent: FILE as it was filed"
    ),
    "consistency_not_proven": Why(
        "the later tree is not shown to continue the earlier one",
        "take the proof for these two sizes; if it stays, the log was changed",
    ),
    "consistency_sizes_impossible": Why(
        "no proof leads from a larger tree to a smaller", "give the earlier size first"
    ),
    "evidence_malformed": Why("the file holds no evidence", "name the file that `causeway notice evidence` wrote"),
    "hash_not_32_bytes": Why("a hash of the proof is not a SHA-256", "take the proof as it was given"),
    "inclusion_index_outside_tree": Why("the tree has no such entry", "compare the index with the size of the tree"),
    "inclusion_path_too_long": Why("the proof has more hashes than this tree", "take the proof for this size"),
    "inclusion_path_too_short": Why("the proof has fewer hashes than this tree", "take the proof for this size"),
    "instance_not_of_party": Why(
        "by this directory the instance never served the party", "take the directory of that time"
    ),
    "proof_of_later_release": Why("a later release has written it, in a form of its own", "check it with that release"),
    "statement_key_unknown": Why("the instance had no such key at that time", "take the directory of that time"),
    "statement_mismatch": Why(
        "the statement is about something else, or from elsewhere", "take statement and value from one file"
    ),
    "value_malformed": Why("the value is not in its one spelling", "take it as it was given"),
    "webhook_ahead": Why("the webhook is signed for a time that is ahead", "set your clock"),
    "webhook_headers_malformed": Why("the headers of the webhook are not of their form", "hand them on as they came"),
    "webhook_headers_missing": Why(
        "one of the three headers of the webhook is missing",
        "hand on webhook-id, webhook-timestamp and webhook-signature",
    ),
    "webhook_signature_invalid": Why(
        "the webhook is not signed under this secret, or was changed on its way",
        "hand on the very bytes; is the secret this webhook's?",
    ),
    "webhook_too_old": Why("the webhook was signed too long ago", "set your clock; else it is a repetition: refuse it"),
}
