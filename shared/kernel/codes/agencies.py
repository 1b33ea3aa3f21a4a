"""What an agency's officers are refused among themselves, and what agencies are refused between each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final[Mapping[str, Why]] = {
    "case_claimed": Why(
        "another officer of the agency has the case for a term that is not over",
        "wait until claimed_until, or have it handed over: causeway case hand-over",
    ),
    "case_not_claimed": Why("nobody has the case, so nobody can hand it over", "claim it: causeway case claim"),
}
