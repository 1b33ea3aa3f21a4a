"""Preservations at either of their two parties: the states, the checks of requests and answers, the views. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from pydantic import Field

from shared.core.acts.act import Act, PreservationState, Track
from shared.core.acts.states import TrackState
from shared.core.clock import coarse
from shared.core.contracts.answers import Answer, TrackNumber
from shared.core.contracts.base import Contract, Day, ErrorCode, Flag, Instant, JsonObject, NextCursor, PartyId, Uuid
from shared.core.contracts.preservation_api import LOCATIONS_MAX, PreservationRecord, PreservationTerms
from shared.core.errors import Refused
from shared.core.guard import kept_locator, read_each
from shared.core.guard.edition import own
from shared.core.protocol.clocks import EdgeClock, EdgeStep
from shared.core.protocol.message import Received
from shared.core.protocol.preservation import (
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
from shared.core.routing.ageing import is_in_force
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.preservation import PreservationKind, PreservationTerm
from shared.core.vocabulary.routing import Instrument, PartyKind, PartyStatus

#: The key of a preservation: its id, and the party whose row it is.
PreservationKey = tuple[UUID, str]
#: The code for an act of the other side that arrives before the preceding one. It waits until that one has arrived.
ACT_AWAITED: Final = "act_awaited"
#: The jurisdiction of worldwide instruments. It includes all parties.
_WORLD: Final = "BLOC-WLD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preservation:
    """One preservation at `party`, which is one of its two sides; `counterpart` is the other.

    `acts` counts the acts of the party itself. `last_counterpart_act` is the number of the newest act of the
    counterpart.
    """

    preservation_id: UUID
    party: str
    counterpart: str
    exercise: bool
    standing: TrackState
    kind: PreservationKind
    instrument: Instrument
    term: PreservationTerm | None
    until: date | None
    acts: int = 0
    last_counterpart_act: int = 0
    #: Its locations were erased.
    erased: bool = False

    @property
    def state(self) -> str:
        return shown_state(self.standing)

    def apply_act(self, row: Act, said: Contract | None) -> Preservation:
        """Return the preservation after the party's own act. Raises `Refused("state_forbids")`."""
        return replace(self, standing=acted(row, self.standing, said), acts=self.acts + 1)

    def was_told(self, row: Act, said: Answer) -> Preservation:
        """Return the preservation after an act of the other side.

        Raises `Refused` with `act_awaited` or `preservation_repeated`, and as `told` does.
        """
        if said.number <= self.last_counterpart_act:
            raise Refused("preservation_repeated")
        if said.number > self.last_counterpart_act + 1:
            raise Refused(ACT_AWAITED)
        return replace(self, standing=told(row, self.standing, said), last_counterpart_act=said.number)

    def clocked(self, track: Track, sent_at: datetime) -> EdgeClock:
        """Return its data for clocks; `track` is the track of its party, `sent_at` the time of the request."""
        asks = track is Track.OFFER
        agency, provider = (self.party, self.counterpart) if asks else (self.counterpart, self.party)
        return EdgeClock(
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
            started_at=coarse(sent_at),
            instrument=self.instrument.value,
            start_event=BEGINS[self.kind].value,
        )

    def happened(self, row: Act, before: Preservation, *, number: int, told_at: datetime) -> list[EdgeStep]:
        """Return the clock steps of the act that led to this state. Acts of the agency cause none."""
        if row.track is not Track.ANSWER:
            return []
        answers = before.standing.answer, self.standing.answer
        steps = clock_steps(self.kind, *answers, number=number, told_at=told_at)
        return [EdgeStep.by(self.party, self.preservation_id, self.counterpart, step=step) for step in steps]


def begun(
    preservation_id: UUID, terms: PreservationTerms, *, party: str, counterpart: str, exercise: bool
) -> Preservation:
    """Return a new preservation for either side, before any act is counted."""
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
    """Return the preservation after a message of the other side; `track` is the track of this side.

    Raises `Refused` with the code for the sender's receipt.
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
        # Only its two parties may act on it. Any other party gets the answer for an absent one.
        raise Refused("preservation_unknown")
    return known.was_told(row, clear)


def _asked(message: Received, known: Preservation | None) -> Preservation:
    if known is not None:
        raise Refused("preservation_exists")
    if not isinstance(message.sealed, PreservationRecord):
        raise Refused("locations_missing")
    assert isinstance(message.clear, PreservationTerms)
    between = {"party": message.recipient, "counterpart": message.sender}
    return replace(
        begun(message.subject_id, message.clear, **between, exercise=message.exercise), last_counterpart_act=1
    )


def one_spelling(record: PreservationRecord) -> PreservationRecord:
    """Return the record with each location once, in its canonical spelling. Raises as `read_each` does."""
    read = read_each(record.locations, lambda each: kept_locator(each, own()), "/locations/{}/value")
    return record.model_copy(update={"locations": tuple(dict.fromkeys(read))})


def check_may_ask(
    agency: str, provider: str, terms: PreservationTerms, *, directory: DirectoryIndex, policy: PolicyIndex, on: date
) -> PartyEntry:
    """Check that this agency may ask the provider under this instrument on that day. Return the provider's entry.

    By the directory, the provider exists, neither party is suspended, and both or neither are sandbox parties. By the
    policy, the instrument is in force, and the agency is within its jurisdiction: that is its mandate. Raises
    `Refused`: `recipient_unknown`, `recipient_suspended`, `exercise_mismatch`, `instrument_unknown`,
    `instrument_not_yours`.
    """
    requester, addressee = directory.party(agency), directory.party(provider)
    if requester is None or addressee is None or addressee.kind != PartyKind.INDUSTRY:
        raise Refused("recipient_unknown", "must be a provider in the directory", field="/provider")
    if PartyStatus.SUSPENDED in (requester.status, addressee.status):
        raise Refused("recipient_suspended", "one of the two parties is suspended", field="/provider", status=409)
    if (requester.status == PartyStatus.SANDBOX) != (addressee.status == PartyStatus.SANDBOX):
        raise Refused(
            "exercise_mismatch",
            "sandbox parties can ask only sandbox parties, and live parties only live ones",
            field="/provider",
        )
    jurisdiction = _jurisdiction(terms.instrument, policy, on)
    if jurisdiction not in (_WORLD, *directory.nodes(requester.jurisdictions, on)):
        raise Refused("instrument_not_yours", "must be an instrument of your own jurisdiction", field="/instrument")
    return addressee


def _jurisdiction(instrument: Instrument, policy: PolicyIndex, on: date) -> str:
    entry = policy.instruments.get(instrument)
    if entry is not None and is_in_force(entry, on):
        jurisdiction: str = entry["jurisdiction"]
        return jurisdiction
    raise Refused(
        "instrument_unknown", "must be an instrument of the policy that is in force today", field="/instrument"
    )


#: The most matching notice items that are shown for one request.
MATCHED_MAX = 100


class AskWarning(StrEnum):
    """Warnings to the officer with the answer.

    `hold_stands`: the agency has a hold there. The request reveals to the provider the interest that the hold conceals.
    """

    HOLD_STANDS = "hold_stands"


class PreservationAsk(PreservationRecord, PreservationTerms):
    """An agency's request to one provider. Only the provider can read the locations and the order reference."""

    provider: PartyId


class PreservationTransition(Contract):
    """The state after the act. A message informs the other side."""

    preservation_id: Uuid
    state: PreservationState


class AskResult(PreservationTransition):
    """The request is stored durably and will be sent. The officer decides about the `warnings`.

    `respelled` are the places, counted from 1, of locations that are stored in another spelling.
    """

    warnings: tuple[AskWarning, ...] = ()
    respelled: tuple[Annotated[int, Field(ge=1, le=LOCATIONS_MAX)], ...] = ()


class ShownPreservation(Contract):
    """One preservation: the counterpart, the terms of the request, and the state.

    `code` is set if the other side's instance has refused an act of yours: the reason for the newest such act. The
    refused act has no effect there.
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
    """Preservations, newest first, without their sealed parts."""

    items: tuple[ShownPreservation, ...]
    next: NextCursor


class PreservationAct(Contract):
    """One act: the party that did it, its words, and the state after it."""

    by: PartyId
    name: str
    number: TrackNumber
    state: PreservationState
    said: JsonObject
    at: Instant


class MatchedItem(Contract):
    """An item of a notice at one of the locations."""

    notice_id: Uuid
    n: int


class PreservationSummary(ShownPreservation):
    """A preservation with each act, oldest first, without its sealed part."""

    timeline: tuple[PreservationAct, ...]


class OpenedPreservation(ShownPreservation):
    """A preservation with its locations and each act, oldest first.

    `matches`, at providers only: open notices at these locations.
    """

    record: PreservationRecord | None
    timeline: tuple[PreservationAct, ...]
    matches: Annotated[tuple[MatchedItem, ...], Field(max_length=MATCHED_MAX)] = ()


class TimelineAct(NamedTuple):
    """One act in a timeline: `track` is that of its party, `details` its clear words in JSON, `state` the state after
    it.

    For the party's own acts, `message_id` is the message that carries the act to the other side.
    """

    preservation_id: UUID
    party: str
    track: str
    number: int
    name: str
    state: str
    details: str
    at: datetime
    message_id: UUID | None = None
