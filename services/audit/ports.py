"""What audit's use cases need from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, NamedTuple, Protocol
from uuid import UUID

from pydantic import Field

from services.audit.domain.accounts import Accounts
from services.audit.domain.entries import Entry, EntryKind, Read
from services.audit.domain.partitions import Life, PartitionStatus
from services.audit.domain.proof import KeptProof, Place
from shared.contracts.base import (
    ActorId,
    Contract,
    Digest,
    ErrorCode,
    Flag,
    Instant,
    JsonObject,
    NextCursor,
    PartyId,
    RuleId,
    Uuid,
)
from shared.contracts.facts import TopicName
from shared.kernel.errors import Refused
from shared.messaging.streams import Incoming
from shared.vocabulary.answers import ReceiptOutcome

#: What is looked for where no period is said.
DAYS: Final = 30
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Partition:
    """What is asked of one partition: entries from an offset on, in one life of its topic, else the newest."""

    topic: str
    partition: int
    from_offset: int
    topic_id: UUID | None


class KeptEntry(Contract):
    """What audit keeps of one record: where it is, what it claims, whether its sender's proof held then.

    A topic that was deleted and made again has another `topic_id`. `problem` says why a record is not verified, what
    is wrong with what it states, or why a statement that is `not_entitled` does not count: its sender signed it, and
    it was not its sender's to make.
    `incarnation`, `lane` (0 urgent, 1 ordinary) and `number` are the place of a message in the streams of its two
    instances; None for a record without a number. `detail` is what a fact states: a decision with its facts and what
    was not sent, or a refusal. `rules` are there where a decided fact speaks of the message. `outcome` and `code` are
    those that the recipient's instance reported; a message that it has taken without a report is `applied`.
    """

    position: Count
    at: Instant
    topic: str
    topic_id: Uuid
    partition: Count
    offset: Count
    kind: EntryKind
    type: str | None
    subject: str | None
    sender: str | None
    recipient: str | None
    incarnation: UUID | None
    lane: Count | None
    number: Count | None
    message_id: Uuid | None
    digest: Digest
    verified: Flag
    problem: ErrorCode | None
    exercise: Flag | None
    detail: JsonObject | None
    rules: tuple[RuleId, ...]
    outcome: ReceiptOutcome | None
    code: ErrorCode | None


class Flow(Contract):
    """All messages of one referral, in the order of the broker's time."""

    referral_id: Uuid
    messages: Annotated[tuple[KeptEntry, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Sought:
    """A search for flows: by a party and a period, or by the id of a referral, a notice or a message.

    The period is that of the origin's first decision, and for a recipient that of the first message to it. `reference`
    is the id; a search by it ignores the rest.
    """

    party: str | None
    since: datetime
    until: datetime
    reference: UUID | None = None

    @classmethod
    def of(
        cls, party: str | None, reference: UUID | None, *, since: date | None, until: date | None, now: datetime
    ) -> Sought:
        """As it is asked for: by whole days, UTC, `until` the last of them; the last 30 days where none begins.

        Raises `Refused("period_empty")`.
        """
        if since is not None and until is not None and until < since:
            raise Refused("period_empty", "since is a day of until or before it", field="/query/until", status=400)
        begins = now - timedelta(days=DAYS) if since is None else datetime.combine(since, time(), UTC)
        ends = now if until is None else datetime.combine(until + timedelta(days=1), time(), UTC)
        return cls(party, begins, ends, reference)


class FoundFlow(Contract):
    """A referral by what audit knows of it: who filed it, when it was decided first, who was sent it."""

    referral_id: Uuid
    origin: PartyId | None
    decided_at: Instant
    recipients: tuple[PartyId, ...]


class FoundFlows(Contract):
    """A page of them, the newest first."""

    items: tuple[FoundFlow, ...]
    next: NextCursor


class NotedLook(Contract):
    """One look of an auditor's organisation: at what, why, when, and by which of its people, under an opaque name."""

    actor: ActorId | None = None
    what: str
    purpose: str
    at: Instant


class NotedLooks(Contract):
    """What an organisation has looked at, newest first."""

    items: tuple[NotedLook, ...]
    next: NextCursor


class AccountsPage(Contract):
    """The newest accounts, or those before the cursor, as far as they are one's to see; None where there are none."""

    accounts: Accounts | None
    next: NextCursor


class EntryPage(Contract):
    """Entries of one partition, in the order of their offsets; and the ids of its topic's lives, the newest last."""

    topic_ids: tuple[Uuid, ...]
    items: tuple[KeptEntry, ...]


class TopicState(Contract):
    """How audit stands to one partition of a topic, since when, and what was lost of it so far.

    `topic_id` and `next_offset` are left out before the first reading. `losses`: how often the topic no longer held
    what audit had not read. `holes`: numbers of this stream that its writer has stated and audit has not seen.
    """

    topic: TopicName
    partition: Count
    state: PartitionStatus
    since: Instant
    topic_id: UUID | None = None
    next_offset: Count | None = None
    losses: Count
    holes: Count


class TopicStates(Contract):
    """Every partition that audit reads, or should read; the troubled first."""

    items: tuple[TopicState, ...]


class FlowRead(NamedTuple):
    """All of a flow, and the positions of what is `seen`: of pairs with a party in scope, or stated about one."""

    messages: list[KeptEntry]
    seen: frozenset[int]


class EntryTransaction(Protocol):
    """One transaction of the reader: the positions in all streams, and what is kept with them, whole or not at all."""

    @property
    def messaging(self) -> object:
        """The streams of all pairs, as audit has read them."""
        ...

    async def append(self, read: Read) -> None:
        """Keep a batch. What is kept already stays, and is counted once.

        Another record where one was kept is kept beside it, and an entry `conflict` names both.
        """
        ...

    async def begin(self, losses: Sequence[Entry], lives: Sequence[Life]) -> None:
        """Keep losses, and the lives of topics that are read from now on."""
        ...


class Entries(Protocol):
    """The entries, append-only. One process at a time appends: who holds the reader's lease."""

    def transaction(self) -> AbstractAsyncContextManager[EntryTransaction]:
        """Open a transaction of the reader."""
        ...

    async def incoming(self) -> list[Incoming]:
        """How far the streams of every pair were read."""
        ...

    async def flow(self, referral_id: UUID, *, exercise: bool, parties: frozenset[str] | None = None) -> FlowRead:
        """Everything that belongs to one referral of this world, in order of broker time."""
        ...

    async def proof(self, place: Place) -> KeptProof | None:
        """The proof that a record came with; None where it had none."""
        ...

    async def find(
        self,
        sought: Sought,
        *,
        exercise: bool,
        limit: int,
        parties: frozenset[str] | None = None,
        cursor: str | None = None,
    ) -> FoundFlows:
        """Referrals of this world, the newest first; with `parties`, by pairs with one of these and no others.

        Raises `Refused("cursor_invalid")`.
        """
        ...

    async def topic_ids(self, topic: str) -> list[UUID]:
        """The ids of a topic's lives that were read, the newest last."""
        ...

    async def page(
        self,
        place: Partition,
        topic_id: UUID,
        *,
        exercise: bool,
        limit: int,
        parties: frozenset[str] | None = None,
    ) -> list[KeptEntry]:
        """Entries of one partition, in order, without those of the other world; with `parties`, of or about these."""
        ...

    async def note_reading(self, auditor: str, purpose: str, what: str, *, actor: str | None = None) -> None:
        """Keep who looked at what, and why: of whose organisation, and by which opaque name."""
        ...

    async def looks(
        self,
        auditor: str,
        *,
        exercise: bool,
        cursor: str | None,
        limit: int,
        parties: frozenset[str] | None = None,
    ) -> NotedLooks:
        """What this auditor's organisation has looked at, newest first; with `parties`, what names no other flow."""
        ...


class Partitions(Protocol):
    """What is known of the topics that audit reads, for those who ask."""

    async def note(self, states: Mapping[tuple[str, int], PartitionStatus]) -> None:
        """Keep how audit stands to each partition; `since` moves only where that is news. Others are forgotten."""
        ...

    async def states(self) -> list[TopicState]:
        """All that were noted, the troubled first."""
        ...

    async def noted(self) -> Mapping[tuple[str, int], PartitionStatus]:
        """How audit stood to each partition when that was noted last."""
        ...

    async def with_holes(self) -> frozenset[tuple[str, int]]:
        """The partitions of whose stream audit misses numbers."""
        ...


class Reconciliations(Protocol):
    """What the operator's tool has found and kept here. Audit adds nothing to it."""

    async def page(self, cursor: str | None) -> AccountsPage:
        """The newest, or the one before the cursor. Raises `Refused("cursor_invalid")`."""
        ...
