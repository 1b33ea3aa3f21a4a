"""Preservation rules for both sides, and the rules of holds. Pure.

A standing moves only by acts of the writer of each track. The clocks of a preservation run as for an edge from the
agency to the provider, by the instrument that the request cites. A party checks its own act against both tracks as it
knows them. It checks an act of the other side only against its copy of that track, so acts that cross are accepted.

An edge with a hold window is planned: its message is written only after a check for holds, in the transaction that
creates the notice. Each such notice is issued in a slot of ten minutes, held or not. Its time therefore does not reveal
when its referral was submitted, or whether a hold delayed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from shared.core.acts.act import WORKED_ON, Act, Subject, Track, any_of
from shared.core.acts.states import TrackState, rows_of, says, shown
from shared.core.authority import state_forbids
from shared.core.clock import EPOCH, coarse
from shared.core.contracts.base import Contract
from shared.core.contracts.preservation_api import ExtensionTerms, PreservationAnswering, PreservationTerms
from shared.core.contracts.registry import MessageType
from shared.core.errors import Refused
from shared.core.routing.clocks import ClockedEdge, Effect, Step
from shared.core.vocabulary.law import ClockDue, ClockEvent, StopCause
from shared.core.vocabulary.preservation import PreservationAnswer, PreservationKind

#: Maximum hours from the act that requests a hold to the end of the hold, if the policy does not set it.
HOLD_MAX_H: Final = 336
#: Maximum difference between the clocks of an agency and an origin.
TOLERANCE: Final = timedelta(minutes=5)
#: The answers with which an agency may request a hold: it has neither declined nor closed the case.
MAY_HOLD: Final = any_of(*WORKED_ON[Subject.CASE])
_SLOTS_AN_HOUR: Final = 6


@dataclass(frozen=True, slots=True)
class Hours:
    """The length of a policy hour for hold windows; shorter only in a development stack.

    `length` is the length of an issue slot, if it is not a sixth of such an hour.
    """

    hour: timedelta = timedelta(hours=1)
    length: timedelta | None = None

    def ends(self, at: datetime, hours: int) -> datetime:
        """Return the end of a window of this many hours that begins at `at`."""
        return at + hours * self.hour

    def slot(self, at: datetime) -> datetime:
        """Return the first issue slot that is not before `at`. All parties use the same grid."""
        return EPOCH + -(-(at - EPOCH) // self.slot_length) * self.slot_length

    @property
    def slot_length(self) -> timedelta:
        return self.length or self.hour / _SLOTS_AN_HOUR

    def begun(self, at: datetime) -> datetime:
        """Return the last issue slot that is not after `at`."""
        length = self.hour / _SLOTS_AN_HOUR
        return EPOCH + (at - EPOCH) // length * length

    def issue_at(
        self, window_ends: datetime, now: datetime, *, held_until: datetime | None = None, cleared: bool = False
    ) -> datetime:
        """Return the slot in which a planned notice is issued.

        `held_until` is the end of the last hold in force. `cleared`: no agency is left that could still request a hold.
        Otherwise the window lasts its full time, with or without a hold.
        """
        looked = now if cleared else max(window_ends, now)
        return self.slot(looked if held_until is None else max(held_until, looked))


def cleared(agencies: Mapping[str, str], no_objection: Iterable[str]) -> bool:
    """Return whether every agency that may hold has stated no objection.

    `agencies` maps each to its answer so far.
    """
    return {name for name, answer in agencies.items() if answer in MAY_HOLD} <= {*no_objection}


def hours_of(policy: Mapping[str, Any], slot: timedelta | None = None) -> Hours:
    """Return the length of an hour that all parties compute with by this policy, and of an issue slot."""
    return Hours(timedelta(seconds=policy.get("hour_s") or 3600), slot)


def hold_max(policy: Mapping[str, Any]) -> timedelta:
    """Return the maximum time from the act that requests a hold to the end of the hold, by this policy."""
    return timedelta(hours=policy.get("hold_max_h") or HOLD_MAX_H)


def check_bound(not_after: datetime, at: datetime, longest: timedelta) -> None:
    """Check the end of a hold.

    Raises `Refused`: `hold_over` for a past end, `hold_beyond_bound` if too far away.
    """
    if not_after <= at:
        raise Refused("hold_over", "its end must be in the future", field="/not_after")
    if not_after > at + longest:
        hours = longest // timedelta(hours=1)
        raise Refused("hold_beyond_bound", f"at most {hours} hours from now; extend it later", field="/not_after")


_ROWS: Final = {row.message: row for row in rows_of(Subject.PRESERVATION)}
ASK: Final = next(row for row in rows_of(Subject.PRESERVATION) if row.name == "submit")
#: The first standing of an agency's request, at both ends.
BEGUN: Final = TrackState(ASK.moves[0].to, PreservationAnswer.NONE.value)
#: The clock event of each kind of request.
BEGINS: Final[Mapping[PreservationKind, ClockEvent]] = {
    PreservationKind.PRESERVE: ClockEvent.PRESERVATION_SERVED,
    PreservationKind.PRODUCE: ClockEvent.PRODUCTION_ORDERED,
}
#: Answers of a provider that preserves no data, or no longer does.
_OVER: Final = frozenset(
    {
        PreservationAnswer.REFUSED,
        PreservationAnswer.NOT_POSSIBLE,
        PreservationAnswer.TOO_LATE,
        PreservationAnswer.ENDED,
        PreservationAnswer.WITHDRAWAL_ACKNOWLEDGED,
    }
)


def row_of(message: MessageType) -> Act | None:
    """Return the row of a message, or None for a message of another family."""
    return _ROWS.get(message)


def acted(row: Act, standing: TrackState, said: Contract | None) -> TrackState:
    """Return the standing after the party's own act.

    Raises `Refused("state_forbids")` if it is not possible.
    """
    other = standing.answer if row.track is Track.OFFER else standing.offered
    following = None if row.needs and other not in row.needs else _moved(row, standing, said)
    if following is None:
        raise state_forbids()
    return following


def told(row: Act, standing: TrackState, said: Contract) -> TrackState:
    """Return the standing after an act of the other side. Raises `Refused("preservation_out_of_order")`."""
    following = _moved(row, standing, said)
    if following is None:
        raise Refused("preservation_out_of_order")
    return following


def check_day(said: Contract | None, on: date, *, field: str = "/until") -> None:
    """Check that the stated day is not before the day `on`, by UTC. Raises `Refused("day_over")`."""
    if not isinstance(said, PreservationTerms | ExtensionTerms | PreservationAnswering):
        return
    if said.until is not None and said.until < on:
        raise Refused("day_over", "the day has passed: name today or a later day, by UTC", field=field)


def check_told_day(said: Contract, sent_at: datetime) -> None:
    """Check the day that the other side has stated. Its clock may be slow. Raises `Refused("day_over")`."""
    check_day(said, (sent_at - TOLERANCE).date())


def shown_state(standing: TrackState) -> str:
    """Return the state that both sides see."""
    return shown(Subject.PRESERVATION, standing)


def preserved(agency: str, provider: str, instrument: str) -> ClockedEdge:
    """Return a preservation as an edge for clocks. Rules and deadlines of the routing do not apply."""
    return ClockedEdge((), agency, provider, ClockEvent.PRESERVATION_SERVED, {}, instrument)


def clock_steps(
    kind: PreservationKind, before: str, answer: str, *, number: int, told_at: datetime
) -> tuple[Step, ...]:
    """Return the effect of the provider's act `number` on clocks, by its answers before and after.

    Same at both ends. If a correction says that the data is preserved, a whole term starts from then on.
    """
    at = coarse(told_at)
    if answer in _OVER:
        return tuple(Step(at, Effect.DOES, due, number) for due in (ClockDue.DATA, ClockDue.END_OF_PRESERVATION))
    if before in _OVER:
        return (Step(at, Effect.STARTS, BEGINS[kind], number),)
    if answer == PreservationAnswer.EXTENDED:
        stops = Step(at, Effect.STOPS, StopCause.EXTENDED, number)
        return stops, Step(at, Effect.STARTS, ClockEvent.PRESERVATION_EXTENDED, number)
    return ()


def _moved(row: Act, standing: TrackState, said: Contract | None) -> TrackState | None:
    own = standing.offered if row.track is Track.OFFER else standing.answer
    for move in row.moves:
        if own in move.before and says(move, said):
            to = {"offered": move.to} if row.track is Track.OFFER else {"answer": move.to}
            return standing._replace(**to)
    return None
