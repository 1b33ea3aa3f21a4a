"""What an agency's officers are refused among themselves, and what agencies are refused between each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final[Mapping[str, Why]] = {
    "agency_not_entitled": Why(
        "the law in force does not let the other agency be told what this one was sent",
        "decline the case, and its origin files it for whom it concerns",
    ),
    "agency_unknown": Why(
        "the directory has no such other agency, or it is of another world (sandbox or live)",
        "name another agency of the directory by its id",
    ),
    "case_claimed": Why(
        "another officer of the agency has the case for a term that is not over",
        "wait until claimed_until, or have it handed over: causeway case hand-over",
    ),
    "contact_names_nobody": Why(
        "an origin told an agency of another one, and named none, or the agency itself",
        "its origin's operator sees why; nothing is to be done at the agency",
    ),
    "contact_not_agreed": Why(
        "an origin told an agency of another one, and one of the two has not opted in by its annex in the directory",
        "its origin suggests contact to agencies that have opted in, and of these alone; nothing is to be done here",
    ),
    "officer_unknown": Why(
        "the case is to be handed over to nobody of the party who acts on cases, or not any more",
        "their opaque id, as `claimed_by` shows it; name nobody, and anybody may claim it",
    ),
    "passed_on_before": Why(
        "the case came from another agency, which had it from its origin: it is passed on once",
        "decline it, and its origin files it for whom it concerns",
    ),
    "case_not_claimed": Why("nobody has the case, so nobody can hand it over", "claim it: causeway case claim"),
}
