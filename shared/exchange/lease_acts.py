"""The rows of leases: which officer of an agency has a case. They move nothing of it, and nobody else is told.

A lease is for a term and keeps others of the agency from acting on the case until that is over, never longer.
"""

from __future__ import annotations

from typing import Final

from shared.contracts import leases
from shared.contracts.base import Contract
from shared.exchange.act import Act, Cause, Move, Offered, Subject, Track
from shared.kernel.authority import Role
from shared.vocabulary.answers import AnswerState

_ACTORS: Final = frozenset({Role.ANALYST, Role.MACHINE})
_OPEN: Final = frozenset({Offered.OPEN.value})
#: Nothing is left to work on once it is answered for good.
_STAYS: Final = tuple(
    Move(frozenset({state.value}), state.value)
    for state in (AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.ONGOING)
)


def _of_lease(name: str, takes: type[Contract]) -> Act:
    return Act(name, Subject.CASE, Track.ANSWER, Cause.PERSON, _ACTORS, _STAYS, _OPEN, takes=takes)


LEASE_ACTS: Final[tuple[Act, ...]] = (_of_lease("claim", leases.Claim), _of_lease("hand_over", leases.HandOver))
