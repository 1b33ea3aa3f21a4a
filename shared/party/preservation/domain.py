"""What a preservation is to either of its two parties, what they may ask and say, and what is shown of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from pydantic import Field

from shared.contracts.answers import Answer, TrackNumber
from shared.contracts.base import Contract, Day, ErrorCode, Flag, Instant, JsonObject, NextCursor, PartyId, Uuid
from shared.contracts.preservation_api import PreservationRecord, PreservationTerms
from shared.exchange.act import Act, PreservationState, Track
from shared.exchange.clocks import Clocked, Happened
from shared.exchange.message import Received
from shared.exchange.preservation import (
    ASK,
    BEGINS,
    BEGUN,
    acted,
    check_told_day,
    clock_steps,
    row_of,
    shown_state,
    told,
)
from shared.exchange.states import Standing
from shared.guard import kept_locator
from shared.guard.edition import own
from shared.kernel.clock import coarse
from shared.kernel.errors import Refused
from shared.routing.ageing import is_in_force
from shared.routing.directory_index import DirectoryIndex, PartyEntry
from shared.routing.policy_index import PolicyIndex
from shared.vocabulary.preservation import PreservationKind, PreservationTerm
from shared.vocabulary.routing import Instrument, PartyKind, PartyStatus

#: A preservation is known by its id and by which of its parties looks.
PreservationKey = tuple[UUID, str]
#: How far the other side may be ahead of what has come: the act before is waited for.
ACT_AWAITED: Final = "act_awaited"
#: Below it everybody is: an instrument of the whole world.
_WORLD: Final = "BLOC-WLD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preservation:
    """One preservation as `party` has it; `counterpart` is the other of the two.

    `acts` is how many acts the party has done itself, `told` the number of the newest that the other has.
    """

    preservation_id: UUID
    party: str
    counterpart: str
    exercise: bool
    standing: Standing
    kind: PreservationKind
    instrument: Instrument
    term: PreservationTerm | None
    until: date | None
    acts: int = 0
    told: int = 0
    #: Whether its locations are gone.
    erased: bool = False

    @property
    def state(self) -> str:
        return shown_state(self.standing)

    def acted(self, row: Act, said: Contract | None) -> Preservation:
        """After the party's own act. Raises `Refused("state_forbids")`."""
        return replace(self, standing=acted(row, self.standing, said), acts=self.acts + 1)

    def was_told(self, row: Act, said: Answer) -> Preservation:
        """After an act of the other side. Raises `Refused`: `act_awaited`, `preservation_repeated`, as `told` does."""
        if said.number <= self.told:
            raise Refused("preservation_repeated")
        if said.number > self.told + 1:
            raise Refused(ACT_AWAITED)
        return replace(self, standing=told(row, self.standing, said), told=said.number)

    def clocked(self, track: Track, sent_at: datetime) -> Clocked:
        """What clocks see of it; `track` is the one that its party writes, `sent_at` when it was asked."""
        asks = track is Track.OFFER
        agency, provider = (self.party, self.counterpart) if asks else (self.counterpart, self.party)
        return Clocked(
            edge_id=self.preservation_id,
            party=self.party,
            subject=self.preservation_id,
            told_by=self.preservation_id,
            origin=agency,
            recipient=provider,
            purpose="",
            rules=(),
            acknowledge_h=None,
            act_h=None,
            begun_at=coarse(sent_at),
            instrument=self.instrument.value,
            begins=BEGINS[self.kind].value,
        )

    def happened(self, row: Act, before: Preservation, *, number: int, told_at: datetime) -> list[Happened]:
        """What an act that has led here does to clocks: what its agency says does nothing."""
        if row.track is not Track.ANSWER:
            return []
        answers = before.standing.answer, self.standing.answer
        steps = clock_steps(self.kind, *answers, number=number, told_at=told_at)
        return [Happened.by(self.party, self.preservation_id, self.counterpart, step=step) for step in steps]


def begun(
    preservation_id: UUID, terms: PreservationTerms, *, party: str, counterpart: str, exercise: bool
) -> Preservation:
    """A fresh one, as either side has it: nobody has counted an act of its own yet."""
    return Preservation(
        preservation_id=preservation_id,
        party=party,
        counterpart=counterpart,
        exercise=exercise,
        standing=BEGUN,
        kind=terms.kind,
        instrument=terms.instrument,
        term=terms.term,
        until=terms.until,
    )


def received(message: Received, known: Preservation | None, *, track: Track) -> Preservation:
    """What a message of the other side makes of it; `track` is the one that this side writes.

    Raises `Refused` with the code that the sender is told.
    """
    row, clear = row_of(message.message), message.clear
    if row is None or row.track is track:
        raise Refused("message_not_for_this_side")
    assert isinstance(clear, Answer)
    check_told_day(clear, message.sent_at)
    if row is ASK:
        return _asked(message, known)
    if known is None:
        raise Refused(ACT_AWAITED)
    if known.counterpart != message.sender:
        # Only its two parties may speak of it: for anybody else it is not there.
        raise Refused("preservation_unknown")
    return known.was_told(row, clear)


def _asked(message: Received, known: Preservation | None) -> Preservation:
    if known is not None:
        raise Refused("preservation_exists")
    if not isinstance(message.sealed, PreservationRecord):
        raise Refused("locations_missing")
    assert isinstance(message.clear, PreservationTerms)
    between = {"party": message.recipient, "counterpart": message.sender}
    return replace(begun(UUID(message.subject), message.clear, **between, exercise=message.exercise), told=1)


def one_spelling(record: PreservationRecord) -> PreservationRecord:
    """The record with each location in its one spelling, each once."""
    locations = dict.fromkeys(kept_locator(each, own()) for each in record.locations)
    return record.model_copy(update={"locations": tuple(locations)})


def check_may_ask(
    agency: str, provider: str, terms: PreservationTerms, *, directory: DirectoryIndex, policy: PolicyIndex, on: date
) -> PartyEntry:
    """The provider's entry, where this agency may ask it under this instrument on that day.

    By the directory the provider is there, and not suspended, and both are exercising or neither. By the policy the
    instrument is in force, and the agency below its jurisdiction: that is its mandate. Raises `Refused`:
    `recipient_unknown`, `recipient_suspended`, `exercise_mismatch`, `instrument_unknown`, `instrument_not_yours`.
    """
    asks, asked = directory.party(agency), directory.party(provider)
    if asks is None or asked is None or asked.kind != PartyKind.INDUSTRY:
        raise Refused("recipient_unknown", "a provider of the directory", field="/provider")
    if PartyStatus.SUSPENDED in (asks.status, asked.status):
        raise Refused("recipient_suspended", "the directory has suspended a party", field="/provider", status=409)
    if (asks.status == PartyStatus.SANDBOX) != (asked.status == PartyStatus.SANDBOX):
        raise Refused(
            "exercise_mismatch", "sandbox parties ask sandbox parties, live ones live ones", field="/provider"
        )
    jurisdiction = _jurisdiction(terms.instrument, policy, on)
    if jurisdiction not in (_WORLD, *directory.nodes(asks.jurisdictions, on)):
        raise Refused("instrument_not_yours", "an instrument of your own jurisdiction", field="/instrument")
    return asked


def _jurisdiction(instrument: Instrument, policy: PolicyIndex, on: date) -> str:
    entry = policy.instruments.get(instrument)
    if entry is not None and is_in_force(entry, on):
        jurisdiction: str = entry["jurisdiction"]
        return jurisdiction
    raise Refused("instrument_unknown", "one that the policy lists, in force today", field="/instrument")


#: Notices that one request may match, as they are shown.
MATCHED_MAX = 100


class Warned(StrEnum):
    """What an officer is told beside the answer. `hold_stands`: asking betrays the interest that a hold keeps quiet."""

    HOLD_STANDS = "hold_stands"


class PreservationAsk(PreservationRecord, PreservationTerms):
    """What an agency asks of which provider. Locations and the reference of the order reach the provider alone."""

    provider: PartyId


class PreservationMoved(Contract):
    """The state that the act has led to. The other side will be told."""

    preservation_id: Uuid
    state: PreservationState


class PreservationAsked(PreservationMoved):
    """The request is durable here, and will be sent. `warnings` are for the officer to weigh."""

    warnings: tuple[Warned, ...] = ()


class ShownPreservation(Contract):
    """One preservation: who asked whom for what, and where it stands.

    `code` is why the other side's instance refused the newest of your acts that it has refused: it has not come there.
    """

    preservation_id: Uuid
    counterpart: PartyId
    exercise: Flag
    state: PreservationState
    kind: PreservationKind
    instrument: Instrument
    term: PreservationTerm | None
    until: Day | None
    asked_at: Instant
    code: ErrorCode | None = None


class PreservationPage(Contract):
    """Preservations, newest first, without what is sealed."""

    items: tuple[ShownPreservation, ...]
    next: NextCursor


class PreservationAct(Contract):
    """One act as it was done, by whose track, with its own words and the state that it led to."""

    by: PartyId
    name: str
    number: TrackNumber
    state: PreservationState
    said: JsonObject
    at: Instant


class MatchedItem(Contract):
    """An item of a notice that lies at one of the locations."""

    notice_id: Uuid
    n: int


class LookedPreservation(ShownPreservation):
    """A preservation with each act, oldest first. What is sealed stays closed."""

    timeline: tuple[PreservationAct, ...]


class OpenedPreservation(ShownPreservation):
    """A preservation with its locations, and each act, oldest first. `matches`: a provider's own notices there."""

    record: PreservationRecord | None
    timeline: tuple[PreservationAct, ...]
    matches: Annotated[tuple[MatchedItem, ...], Field(max_length=MATCHED_MAX)] = ()


class Done(NamedTuple):
    """One act, as a timeline keeps it: `track` is its writer's, `said` its words in the clear, in JSON.

    `state` is what it has led to. `message_id` is what tells it to the other side, of an act of the party's own.
    """

    preservation_id: UUID
    party: str
    track: str
    number: int
    name: str
    state: str
    said: str
    at: datetime
    message_id: UUID | None = None
