"""What a person does about a service's code or rule, in texts of ours: what a service writes is not repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: By the code of a problem.
CODES: Final[Mapping[str, str]] = {
    "not_found": "is it yours, and is this the service of your kind of party?",
    "unauthenticated": "the key is wrong or revoked, or its party is served elsewhere now: ask your operator for one",
    "forbidden": "the key's role may not: acts of persons take one issued with `causeway key issue --role analyst`",
    "parameter_invalid": "--help of the verb says what it may be",
    "state_forbids": "its state does not allow that, or no longer: show it first",
    "item_unknown": "causeway inbox notice ID shows the numbers of its items",
    "item_answer_contradicts": "an item is acted on, rejected or not yours, also beside what was said before",
    "close_reason_needs_closed": "--close-reason goes with closed, always, and with nothing else",
    "feed_began_anew": "is the --state file this party's? Then its numbers begin anew: remove it, and say --from 0",
    "webhook_url_refused": "https, a public name, port 443 or 8443: docs/webhooks.md says what else",
    "webhook_number_unknown": "causeway webhook list shows how far it is, and the last number of your feed",
    "webhooks_full": "causeway webhook remove ID, of one that you do not need",
    "case_is_kept": "a case that was accepted is kept: say --kept-class, --kept-basis and --kept-until",
    "exercise_mismatch": "a party of the sandbox files exercises, a live party none: set exercise accordingly",
    "guard_rules_instant_in_future": "give a time that is over",
    "second_person_needed": "somebody else of yours, with a key of their own, has to look at it",
    "day_spent": "your day's budget is spent: it begins anew at 00:00 UTC; your operator can declare a larger one",
    "body_not_json": "look for a comma too many, a missing quote or brace, or an empty file",
    "body_not_object": "one referral is one object; several are a line each in a .jsonl file, for import",
}
#: By the rule that a field breaks.
RULES: Final[Mapping[str, str]] = {
    "enum": "not one of the codes that docs/api lists for it",
    "instant_form": "RFC 3339 with an offset, to the second, as 2026-03-15T12:00:00Z",
    "day_form": "a day, as 2026-03-15",
    "too_long": "more entries than docs/api allows",
    "too_short": "fewer entries than docs/api demands",
    "extra_forbidden": "a member that docs/api does not have there",
    "string_pattern_mismatch": "characters that are not allowed there: docs/api has the pattern",
}
