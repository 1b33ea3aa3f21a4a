"""A scope over the store in memory for tests of one instance, with subjects that only record calls."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, TakenMessage
from shared.messaging.ports import DayDigest, MessageDraft, OwnTrack, Side, SubjectHolding
from shared.messaging.resync import digest_days, expect_holding
from shared.messaging.scope import Scope
from shared.messaging.segments import NewMessages, OutgoingMessage, RecordBytes
from shared.messaging.streams import Lane, Outgoing, Pair, WireRole
from tests.support.messaging_memory import MemoryDatabase, MemoryTx

Result = TypeVar("Result")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = NOW.date()
HERE, PEER, AUDIT = "a.example", "b.example", "audit.example"


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("waited")


def digest_of(message_id: UUID) -> bytes:
    return hashlib.sha256(message_id.bytes).digest()


@dataclass
class Room:
    """One instance: its database, its given subjects, and the calls that messaging made."""

    db: MemoryDatabase = field(default_factory=MemoryDatabase)
    now: datetime = NOW
    last_id: int = 1000
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    own: dict[tuple[Side, UUID], OwnTrack] = field(default_factory=dict)
    held: dict[tuple[Side, UUID], SubjectHolding] = field(default_factory=dict)
    erased: set[UUID] = field(default_factory=set)
    closed: set[UUID] = field(default_factory=set)
    outcome_of: Callable[[NamedMessage], OutcomeKind] = lambda _: OutcomeKind.APPLIED
    composed: dict[UUID, Any] = field(default_factory=dict)
    taken: list[UUID] = field(default_factory=list)
    #: The days whose own tracks were loaded; digests to state instead; errors that outcomes raise on receipt.
    loaded: list[date] = field(default_factory=list)
    days: list[DayDigest] | None = None
    failures: list[Exception] = field(default_factory=list)
    #: How often the database was found restored.
    restores: int = 0

    def new_id(self) -> UUID:
        self.last_id += 1
        return UUID(int=self.last_id)

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def scope(self) -> Scope:
        tx = MemoryTx(self.db)
        return Scope(HERE, AUDIT, tx, self, self, self, self.new_id, self.now, on_restore=self.note_restore)

    async def note_restore(self) -> None:
        self.restores += 1

    def outgoing(self, peer: str = PEER) -> Outgoing:
        return self.db.tables["outgoing"][peer]

    def bodies(self, peer: str = PEER, lane: Lane = Lane.URGENT) -> list[Any]:
        """Return the bodies of all messages in the present incarnation of a stream."""
        key = peer, self.outgoing(peer).incarnation, lane
        segments = self.db.tables["segments"].get(key, ())
        return [self.composed[message.message_id] for segment in segments for message in segment.messages]

    # Composer.
    def compose(self, pair: Pair, lanes: Mapping[Lane, Sequence[MessageDraft]]) -> list[NewMessages]:
        return [NewMessages(pair, lane, tuple(map(self._seal, drafts)), b"proof") for lane, drafts in lanes.items()]

    def _seal(self, draft: MessageDraft) -> OutgoingMessage:
        message_id = self.new_id()
        self.composed[message_id] = draft.body
        record = RecordBytes(b"", (), message_id.bytes)
        digest = digest_of(message_id)
        return OutgoingMessage(message_id, draft.role, draft.kind, draft.subject, digest, record, draft.is_p0)

    # Inbound.
    async def apply(self, scope: Scope, taken: Sequence[TakenMessage]) -> list[Outcome]:
        self.taken += [each.named.message_id for each in taken]
        return [Outcome(each.named, self.outcome_of(each.named)) for each in taken]

    def bytes_to_keep(self, taken: TakenMessage, outcome: Outcome) -> bytes:
        return taken.record

    async def heard(self, scope: Scope, peer: str, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        if self.failures:
            raise self.failures.pop(0)
        return outcomes

    # Subjects.
    def day_of(self, subject: UUID) -> date:
        return DAY

    def is_day_closed(self, subject: UUID) -> bool:
        return subject in self.closed

    async def list_held_days(self, side: Side, peer: str) -> list[DayDigest]:
        if self.days is not None:
            return self.days
        return digest_days([row for (of, _), row in self.held.items() if of is side], self.day_of)

    async def list_held(self, side: Side, peer: str, *, days: Collection[date]) -> list[SubjectHolding]:
        return [row for (of, _), row in self.held.items() if of is side]

    async def list_own_days(self, side: Side, peer: str) -> list[DayDigest]:
        rows = [expect_holding(track) for (of, _), track in self.own.items() if of is side]
        return digest_days([row for row in rows if row is not None], self.day_of)

    async def list_own(self, side: Side, peer: str, *, days: Collection[date]) -> list[OwnTrack]:
        self.loaded += days
        return [track for (of, _), track in self.own.items() if of is side]

    async def load_own(self, side: Side, peer: str, *, subjects: Collection[UUID]) -> dict[UUID, OwnTrack]:
        return {subject: track for (of, subject), track in self.own.items() if of is side and subject in subjects}

    async def find_erased(self, peer: str, subjects: Collection[UUID]) -> frozenset[UUID]:
        return frozenset(self.erased.intersection(subjects))

    def __getattr__(self, name: str) -> Any:
        """Return a function for any other method of `Subjects`, which records its call."""
        if name.startswith("_"):
            raise AttributeError(name)

        async def note(*arguments: Any) -> None:
            noted = arguments if name == "note_places" else map(_without_values, arguments)
            self.calls.append((name, *noted))

        return note


def state(subject: UUID, *, peer: str = PEER, is_p0: bool = False) -> MessageDraft:
    return MessageDraft(peer, WireRole.STATE, "state", subject, ("state", subject), is_p0)


def _without_values(argument: Any) -> Any:
    """Return the keys of a mapping, and anything else as it is."""
    return tuple(argument) if isinstance(argument, dict) else argument
