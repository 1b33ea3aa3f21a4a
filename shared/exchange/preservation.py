"""What both sides of a preservation make of its acts, and what a hold may ask for. Pure.

A standing moves by its writer's acts, and by nothing else. Clocks run of it as of an edge from the agency to the
provider, by the instrument that it was asked under. Whoever acts looks at both tracks as it knows them; whoever is told
checks the act against its copy of that track alone: so acts that cross on their way are kept.

A windowed edge is planned: it gets no letter until it was looked whether somebody holds it, in the transaction that
mints the notice. Each such notice leaves in a slot of ten minutes, held or not: its time says neither when its referral
was filed, nor that anything has waited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from shared.contracts.base import Contract
from shared.contracts.preservation_api import ExtensionTerms, PreservationAnswering, PreservationTerms
from shared.contracts.registry import MessageType
from shared.exchange.act import WORKED_ON, Act, Subject, Track, any_of
from shared.exchange.states import Standing, rows_of, says, shown
from shared.kernel.authority import state_forbids
from shared.kernel.clock import EPOCH, coarse
from shared.kernel.errors import Refused
from shared.routing.clocks import ClockedEdge, Did, Step
from shared.vocabulary.law import ClockDue, ClockEvent, StopCause
from shared.vocabulary.preservation import PreservationAnswer, PreservationKind

#: How far from the act that asks for it a hold may end, where the policy does not say.
HOLD_MAX_H: Final = 336
#: By how much the clocks of an agency and an origin may differ.
TOLERANCE: Final = timedelta(minutes=5)
#: The agencies that may hold: those that have not said that the case is not theirs, or that it is over.
MAY_HOLD: Final = any_of(*WORKED_ON[Subject.CASE])
_SLOTS_AN_HOUR: Final = 6


@dataclass(frozen=True, slots=True)
class Hours:
    """How long an hour of a hold window lasts here: shorter in a development stack alone.

    `length` is that of an issue slot, where it is not a sixth of such an hour.
    """

    hour: timedelta = timedelta(hours=1)
    length: timedelta | None = None

    def ends(self, at: datetime, hours: int) -> datetime:
        """When a window of so many hours ends that begins at `at`."""
        return at + hours * self.hour

    def slot(self, at: datetime) -> datetime:
        """The first issue slot that is not before `at`, by the same grid for everybody."""
        return EPOCH + -(-(at - EPOCH) // self.slot_length) * self.slot_length

    @property
    def slot_length(self) -> timedelta:
        return self.length or self.hour / _SLOTS_AN_HOUR

    def begun(self, at: datetime) -> datetime:
        """The last issue slot that is not after `at`."""
        length = self.hour / _SLOTS_AN_HOUR
        return EPOCH + (at - EPOCH) // length * length

    def issue_at(
        self, window_ends: datetime, now: datetime, *, held_until: datetime | None = None, cleared: bool = False
    ) -> datetime:
        """In which slot a planned notice is issued.

        `held_until` is the end of the last hold that is in force; `cleared` tells whether nobody else is left who might
        still hold it: for whoever might, the window lasts as long as it would without a hold.
        """
        looked = now if cleared else max(window_ends, now)
        return self.slot(looked if held_until is None else max(held_until, looked))


def cleared(agencies: Mapping[str, str], no_objection: Iterable[str]) -> bool:
    """Whether every agency that may hold has said that it does not. `agencies`: what each has answered so far."""
    return {name for name, answer in agencies.items() if answer in MAY_HOLD} <= {*no_objection}


def hold_max(policy: Mapping[str, Any]) -> timedelta:
    """How far from the act that asks for it a hold may end, by this policy."""
    return timedelta(hours=policy.get("hold_max_h") or HOLD_MAX_H)


def check_bound(not_after: datetime, at: datetime, longest: timedelta) -> None:
    """Raises `Refused`: `hold_over` for an end that has passed, `hold_beyond_bound` for one that is too far away."""
    if not_after <= at:
        raise Refused("hold_over", "its end must be in the future", field="/not_after")
    if not_after > at + longest:
        hours = longest // timedelta(hours=1)
        raise Refused("hold_beyond_bound", f"at most {hours} hours from now; it can be extended", field="/not_after")


_ROWS: Final = {row.message: row for row in rows_of(Subject.PRESERVATION)}
ASK: Final = next(row for row in rows_of(Subject.PRESERVATION) if row.name == "submit")
#: What an agency's request begins in, at both ends.
BEGUN: Final = Standing(ASK.moves[0].to, PreservationAnswer.NONE.value)
#: What a request is to clocks.
BEGINS: Final[Mapping[PreservationKind, ClockEvent]] = {
    PreservationKind.PRESERVE: ClockEvent.PRESERVATION_SERVED,
    PreservationKind.PRODUCE: ClockEvent.PRODUCTION_ORDERED,
}
#: What the provider says when nothing is kept, or nothing any more.
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
    """The row that a message tells of; None for a message of another family."""
    return _ROWS.get(message)


def acted(row: Act, standing: Standing, said: Contract | None) -> Standing:
    """The standing after the party's own act. Raises `Refused("state_forbids")` where it may not come."""
    other = standing.answer if row.track is Track.OFFER else standing.offered
    following = None if row.needs and other not in row.needs else _moved(row, standing, said)
    if following is None:
        raise state_forbids()
    return following


def told(row: Act, standing: Standing, said: Contract) -> Standing:
    """The standing after an act of the other side. Raises `Refused("preservation_out_of_order")`."""
    following = _moved(row, standing, said)
    if following is None:
        raise Refused("preservation_out_of_order")
    return following


def check_day(said: Contract | None, on: date, *, field: str = "/until") -> None:
    """What is said is until a day that has not passed on the day `on`, by UTC. Raises `Refused("day_over")`."""
    if not isinstance(said, PreservationTerms | ExtensionTerms | PreservationAnswering):
        return
    if said.until is not None and said.until < on:
        raise Refused("day_over", "the day has passed: name today, by UTC, or a later one", field=field)


def check_told_day(said: Contract, sent_at: datetime) -> None:
    """Check the day that the other side has named, whose clock may be slow. Raises `Refused("day_over")`."""
    check_day(said, (sent_at - TOLERANCE).date())


def shown_state(standing: Standing) -> str:
    """What both sides are shown of it."""
    return shown(Subject.PRESERVATION, standing)


def preserved(agency: str, provider: str, instrument: str) -> ClockedEdge:
    """A preservation as clocks look at it: neither rules nor deadlines of the routing count."""
    return ClockedEdge((), agency, provider, ClockEvent.PRESERVATION_SERVED, {}, instrument)


def clock_steps(
    kind: PreservationKind, before: str, answer: str, *, number: int, told_at: datetime
) -> tuple[Step, ...]:
    """What the provider's act of this number, which has led from one answer to another, does to clocks: alike at both.

    What is kept after all, corrected, is kept for a whole term from then on: until then nothing was.
    """
    at = coarse(told_at)
    if answer in _OVER:
        return tuple(Step(at, Did.DOES, due, number) for due in (ClockDue.DATA, ClockDue.END_OF_PRESERVATION))
    if before in _OVER:
        return (Step(at, Did.STARTS, BEGINS[kind], number),)
    if answer == PreservationAnswer.EXTENDED:
        stops = Step(at, Did.STOPS, StopCause.EXTENDED, number)
        return stops, Step(at, Did.STARTS, ClockEvent.PRESERVATION_EXTENDED, number)
    return ()


def _moved(row: Act, standing: Standing, said: Contract | None) -> Standing | None:
    own = standing.offered if row.track is Track.OFFER else standing.answer
    for move in row.moves:
        if own in move.before and says(move, said):
            to = {"offered": move.to} if row.track is Track.OFFER else {"answer": move.to}
            return standing._replace(**to)
    return None
