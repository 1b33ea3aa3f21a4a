"""What preservations need from outside, over domain types; and what is asked and shown of one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Protocol
from uuid import UUID

from pydantic import Field

from shared.contracts.answers import TrackNumber
from shared.contracts.base import Contract, Day, ErrorCode, Flag, Instant, JsonObject, NextCursor, PartyId, Uuid
from shared.contracts.facts import RecordRevealedClear
from shared.contracts.preserving import PreservationRecord, PreservationTerms
from shared.exchange.act import PreservationState, Track
from shared.exchange.clocks import Clocked, Happened
from shared.exchange.events import Event
from shared.exchange.message import Draft
from shared.kernel.authority import Authority, Role
from shared.party.preservation.domain import Preservation, PreservationKey
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.preservation import PreservationKind, PreservationTerm
from shared.vocabulary.routing import Instrument

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


@dataclass(frozen=True, slots=True)
class Done:
    """One act, as a timeline keeps it: `track` is its writer's, `said` its words in the clear, as JSON.

    `message_id` is what tells it to the other side, of an act of the party's own.
    """

    of: Preservation
    track: Track
    name: str
    number: int
    said: Mapping[str, object]
    at: datetime
    message_id: UUID | None = None


class Preservations(Protocol):
    """The preservations within one transaction, limited to the parties that it is bound to."""

    async def refused(self, codes: Mapping[UUID, str], by: Collection[str]) -> None:
        """Note acts as refused that these messages tell one of the parties `by`, with the codes."""
        ...

    async def find(self, ids: Sequence[UUID]) -> dict[PreservationKey, Preservation]:
        """What there is; absent and foreign ones are both simply not there."""
        ...

    async def lock(self, ids: Sequence[UUID]) -> dict[PreservationKey, Preservation]:
        """What there is, locked until this transaction has ended. For the instance itself only."""
        ...

    async def take_turns(self, asked: Iterable[tuple[str, PreservationRecord]]) -> None:
        """Before all else of a transaction that adds: wait until nobody removes or asks for what may lie there.

        Whoever removes it waits until this transaction has ended. `asked`: each fresh one's party, and its record.
        """
        ...

    async def add(self, preservation: Preservation, record: PreservationRecord, at: datetime) -> None:
        """Keep a fresh one, what is sealed under a data key of its own."""
        ...

    async def move(self, before: Preservation, after: Preservation) -> None:
        """Raises `Refused("state_forbids")` if it is no longer as it was."""
        ...

    async def keep(self, done: Sequence[Done]) -> None:
        """Append acts to timelines."""
        ...

    async def clock(self, begun: Sequence[Clocked], steps: Sequence[Happened]) -> None:
        """Keep what clocks look at."""
        ...

    async def note(self, events: Sequence[Event]) -> None: ...

    async def note_look(self, subject: UUID, opened: RecordRevealedClear, at: datetime) -> None: ...

    async def send(self, drafts: Sequence[Draft]) -> None: ...

    async def page(self, party: str, state: str | None, cursor: str | None, *, limit: int) -> PreservationPage: ...

    async def look(self, preservation_id: UUID) -> LookedPreservation:
        """One without what is sealed. Raises `Refused("not_found")` for absent and foreign ids alike."""
        ...

    async def show(self, preservation_id: UUID) -> OpenedPreservation:
        """One with what is sealed. Raises `Refused("not_found")` for absent and foreign ids alike."""
        ...


class Holds(Protocol):
    """Whether a hold of the agency's own stands on any of the locations."""

    async def stand(self, party: str, record: PreservationRecord) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Who acts, when, on what; `track` is the one that this service's parties write."""

    party: str
    role: Role
    actor: str
    track: Track
    authority: Authority
    preservations: Preservations
    directory: DirectoryIndex
    at: datetime
