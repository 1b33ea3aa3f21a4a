"""What becomes of items after they were answered: rows of the table in `shared.exchange.acts`.

A check moves nothing of the origin's own track: what it makes of a notice is what all that was said of its items does
(`shared.exchange.items.fold`), the same on both sides.
"""

from __future__ import annotations

from typing import Final

from shared.contracts import answers, registry
from shared.exchange.act import ACTORS, ISSUED, OPEN, SERVICE, Act, Cause, Move, Offered, Subject, Track, any_of, stays
from shared.vocabulary.answers import AnswerState, ItemsFold
from shared.vocabulary.code import Code

_ACTED: Final = any_of(AnswerState.IN_PART, AnswerState.ACTIONED, AnswerState.REAPPEARED)
_AGAIN: Final = (Move(_ACTED, AnswerState.REAPPEARED.value, frozenset[Code]({ItemsFold.REAPPEARED})),)

ORIGINS: Final = (
    Act(
        "check",
        Subject.REFERRAL,
        Track.OFFER,
        Cause.PERSON,
        ACTORS,
        stays(*ISSUED),
        takes=answers.ItemChecks,
    ),
)
PROVIDERS: Final = (
    Act(
        "check",
        Subject.NOTICE,
        Track.OFFER,
        Cause.ACT,
        SERVICE,
        stays(Offered.OPEN),
        message=registry.ITEMS_CHECKED,
    ),
    Act(
        "reinstate",
        Subject.NOTICE,
        Track.ANSWER,
        Cause.PERSON,
        ACTORS,
        _AGAIN,
        OPEN,
        registry.NOTICE_REINSTATED,
        answers.Reinstatement,
    ),
)
