"""What becomes of items after they were answered: rows of the table in `shared.exchange.acts`.

A check moves nothing of the origin's own track: what it makes of a notice is what all that was said of its items does
(`shared.exchange.items.fold`), the same on both sides.
"""

from __future__ import annotations

from typing import Final

from shared.contracts import checks, registry
from shared.exchange.act import Act, Cause, Move, Offered, Subject, Track
from shared.kernel.authority import Role
from shared.vocabulary.answers import AnswerState, ItemsFold
from shared.vocabulary.code import Code
from shared.vocabulary.routing import Disposition

_ACTORS: Final = frozenset({Role.ANALYST, Role.MACHINE})
_OPEN: Final = frozenset({Offered.OPEN.value})
#: What was issued of a referral runs on when another hotline has it.
_ISSUED: Final = (Disposition.ROUTED.value, Offered.TRANSFERRED.value)
_ACTED: Final = frozenset({AnswerState.IN_PART.value, AnswerState.ACTIONED.value, AnswerState.REAPPEARED.value})
_AGAIN: Final = (Move(_ACTED, AnswerState.REAPPEARED.value, frozenset[Code]({ItemsFold.REAPPEARED})),)

ORIGINS: Final = (
    Act(
        "check",
        Subject.REFERRAL,
        Track.OFFER,
        Cause.PERSON,
        _ACTORS,
        tuple(Move(frozenset({state}), state) for state in _ISSUED),
        takes=checks.ItemChecks,
    ),
)
PROVIDERS: Final = (
    Act(
        "check",
        Subject.NOTICE,
        Track.OFFER,
        Cause.ACT,
        frozenset({Role.SERVICE}),
        (Move(_OPEN, Offered.OPEN.value),),
        message=registry.ITEMS_CHECKED,
    ),
    Act(
        "reinstate",
        Subject.NOTICE,
        Track.ANSWER,
        Cause.PERSON,
        _ACTORS,
        _AGAIN,
        _OPEN,
        registry.NOTICE_REINSTATED,
        checks.Reinstatement,
    ),
)
