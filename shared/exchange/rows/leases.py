"""The rows of leases: which officer of an agency has a case. They move nothing of it, and nobody else is told.

A lease is for a term and keeps others of the agency from acting on the case until that is over, never longer.
"""

from __future__ import annotations

from typing import Final

from shared.contracts import holds
from shared.contracts.base import Contract
from shared.exchange.act import ACTORS, OPEN, WORKED_ON, Act, Cause, Subject, Track, stays

#: Nothing is left to work on once it is answered for good.
_STAYS: Final = stays(*WORKED_ON[Subject.CASE])


def _of_lease(name: str, takes: type[Contract]) -> Act:
    return Act(name, Subject.CASE, Track.ANSWER, Cause.PERSON, ACTORS, _STAYS, OPEN, takes=takes)


ROWS: Final[tuple[Act, ...]] = (_of_lease("claim", holds.Claim), _of_lease("hand_over", holds.HandOver))
