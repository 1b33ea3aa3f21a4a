"""The rows of holds: what an agency says to the origin of a case of its, and what that says back.

They move nothing of the case: each leads to where the case stands. What becomes of a hold stands beside the case, at
both, and is one fold of these acts (`shared.exchange.holds`).
"""

from __future__ import annotations

from typing import Final

from shared.contracts import holds, registry
from shared.contracts.base import Contract
from shared.contracts.registry import MessageType
from shared.exchange.act import ACTORS, OPEN, PERSONS, SERVICE, WORKED_ON, Act, Cause, Offered, Subject, Track, stays
from shared.vocabulary.routing import Disposition

#: Whoever has declined a case or closed it has nothing to hold for.
_STAYS: Final = stays(*WORKED_ON[Subject.CASE])
#: An answer to a hold may cross a withdrawal, or follow one: `lapsed`.
_STANDS: Final = stays(Offered.OPEN, Offered.WITHDRAWN)


def _by_agency(name: str, message: MessageType, takes: type[Contract] | None = None) -> Act:
    return Act(name, Subject.CASE, Track.ANSWER, Cause.PERSON, ACTORS, _STAYS, OPEN, message, takes)


def _by_origin(name: str, message: MessageType) -> Act:
    return Act(name, Subject.CASE, Track.OFFER, Cause.ACT, SERVICE, _STANDS, message=message)


def _overriding(name: str, takes: type[Contract]) -> Act:
    """What a person of the origin does with a hold, and another one confirms: its referral stays where it stands."""
    return Act(name, Subject.REFERRAL, Track.OFFER, Cause.SECOND_PERSON, PERSONS, stays(*Disposition), takes=takes)


ROWS: Final[tuple[Act, ...]] = (
    _by_agency("place_hold", registry.HOLD_PLACED, holds.HoldRequest),
    _by_agency("extend_hold", registry.HOLD_EXTENDED, holds.HoldExtension),
    _by_agency("release_hold", registry.HOLD_RELEASED),
    _by_agency("no_objection", registry.NO_OBJECTION),
    _by_origin("hold_activated", registry.HOLD_ACTIVATED),
    _by_origin("hold_too_late", registry.HOLD_TOO_LATE),
    _by_origin("hold_ended", registry.HOLD_ENDED),
    _overriding("propose_override", holds.Overriding),
    _overriding("confirm_override", holds.Confirming),
)
#: What an agency says without moving its case.
STAYING: Final = frozenset(row.message for row in ROWS if row.message is not None and row.track is Track.ANSWER)
