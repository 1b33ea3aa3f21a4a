"""Why something may not be said of an item, and what whoever says it does about that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final[Mapping[str, Why]] = {
    "assessment_final": Why(
        "an item was found to be baseline or not illegal, or somebody has acted on it",
        "leave it: only `national` is overruled, and only before the first action",
    ),
    "assessment_missing": Why(
        "something was done about an item that was not assessed", "say first what it is; or that it is unavailable"
    ),
    "assessment_or_action": Why(
        "a finding says neither what an item is nor what was done, or both", "say each in an entry of its own"
    ),
    "checks_exhausted": Why(
        "a notice's items were looked at as often as is kept",
        "withdraw the referral, and file it anew if it must go on",
    ),
    "item_never_gone": Why(
        "nobody has said of an item that it was gone", "say `up`: what was said to be gone reappears by itself"
    ),
    "item_not_acted_on": Why(
        "an item is to be reinstated that was not acted on in its round",
        "causeway inbox notice ID shows what was said of which item",
    ),
    "item_rounds_exhausted": Why(
        "an item has reappeared or was reinstated as often as it may", "withdraw the referral, and file it anew"
    ),
    "reason_needed": Why(
        "`not_illegal` or `unavailable` has no reason, or something else has one",
        "docs/answers.md lists the 21 reasons, and what has one",
    ),
}
