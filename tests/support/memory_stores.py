"""The stores and the log in memory. One conformance suite holds them to the real ones (`tests/conformance`).

Transactions are serialised and roll back. Every durable step first asks `step` whether it fails; it may also fail after
it was done, as a commit does whose answer is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar
from uuid import UUID
from zlib import crc32

from shared.contracts.registry import STATED_BY_INSTANCES
from shared.envelope.keys import SigningKey
from shared.exchange.message import Draft, Record
from shared.exchange.record_table import SIGN_AGAIN
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.post.arrivals import Cursor, Parked
from shared.runtime.post.ports import (
    RESEND_WAIT_MAX,
    SIGNED_AGAIN_MAX,
    OutboxRow,
    Settled,
    Settlement,
)
from shared.runtime.post.stamping import Counter, Pair, counts_by_pair, stamp_rows, wire
from shared.vocabulary.answers import ReceiptOutcome
from tests.support.memory_arrivals import Keeping, Kept, MemoryArrivals, Numbers, Row, due_of


class Fault(Enum):
    """What becomes of one durable step."""

    NONE = "none"
    FAILS = "fails"
    FAILS_BUT_PERSISTED = "fails_but_persisted"


Step = Callable[[str], Awaitable[Fault]]


async def calm(name: str) -> Fault:
    """Nothing fails, and nothing else runs in between."""
    return Fault.NONE


@dataclass(frozen=True, slots=True)
class Sent:
    """A receipted message, as the sender keeps it."""

    row: OutboxRow
    digest: str
    outcome: ReceiptOutcome
    code: str | None


@dataclass(slots=True)
class State:
    """Everything one instance's database holds. `effects` is the service's own, whatever it is."""

    next_id: int = 1
    outbox: dict[int, OutboxRow] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)
    sent_at: dict[int, datetime] = field(default_factory=dict)
    counters: dict[Pair, Counter] = field(default_factory=dict)
    #: Which database gave out the last number of each pair, and the epochs of which no more is given out.
    lives: dict[Pair, int] = field(default_factory=dict)
    ended: dict[UUID, None] = field(default_factory=dict)
    closed: dict[tuple[str, str, UUID], int] = field(default_factory=dict)
    signed_again: dict[tuple[UUID, str, str], None] = field(default_factory=dict)
    sent: dict[UUID, Sent] = field(default_factory=dict)
    inbox: dict[UUID, Row] = field(default_factory=dict)
    numbered: dict[tuple[str, str, UUID, int], UUID] = field(default_factory=dict)
    pairs: dict[tuple[str, str, UUID], Numbers] = field(default_factory=dict)
    gone: dict[tuple[str, str, UUID, int, int], UUID | None] = field(default_factory=dict)
    awaiting: dict[UUID, Kept] = field(default_factory=dict)
    cursors: dict[tuple[str, int], Cursor] = field(default_factory=dict)
    #: The first of those that are alike, and how many came.
    quarantine: dict[str, tuple[Parked, int]] = field(default_factory=dict)
    effects: dict[Any, Any] = field(default_factory=dict)

    def copy(self) -> State:
        copies: dict[str, Any] = {name: dict(getattr(self, name)) for name in self.__slots__ if name != "next_id"}
        return State(self.next_id, **copies)


class MemoryDatabase:
    """One instance's database. What a transaction did is there when it ended well, and not otherwise."""

    def __init__(self, step: Step = calm) -> None:
        self.state = State()
        #: Another number stands for another database: what a restore begins.
        self.life = 1
        self.new_epoch = uuid7
        self._step = step
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self, name: str) -> AsyncIterator[State]:
        async with self._lock:
            changed = self.state.copy()
            yield changed
            fault = await self._step(name)
            if fault is Fault.FAILS:
                raise Unavailable("database_unavailable")
            self.state = changed  # committed: before, nobody else sees anything of it
        if fault is Fault.FAILS_BUT_PERSISTED:
            raise Unavailable("database_unavailable")

    async def read(self, name: str) -> State:
        if await self._step(name) is not Fault.NONE:
            raise Unavailable("database_unavailable")
        return self.state

    def enqueue(self, state: State, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            state.outbox[state.next_id] = OutboxRow(state.next_id, draft, None)
            state.next_id += 1


class MemoryOutbox:
    """The relay's side, over a `MemoryDatabase`."""

    def __init__(self, database: MemoryDatabase, *, instance: str, key: SigningKey) -> None:
        self._database = database
        self._instance = instance
        self._key = key

    async def unsent(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        state = await self._database.read("unsent")
        rows = [row for id_, row in state.outbox.items() if row.stamp and id_ not in state.sent_at]
        return [row for row in rows if row.draft.topic not in without][:limit]

    async def unstamped(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        state = await self._database.read("unstamped")
        firsts: dict[tuple[str, str], OutboxRow] = {}
        for row in state.outbox.values():
            firsts.setdefault((row.draft.subject, row.draft.recipient), row)
        return [row for row in firsts.values() if row.stamp is None and row.draft.topic not in without][:limit]

    async def stamp(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        async with self._database.transaction("stamp") as state:
            if not self.are_as_read(state, rows):
                raise Unavailable("outbox_contended")
            for pair, count in counts_by_pair(rows).items():
                self.count_on(state, pair, count)
            stamped, digests = stamp_rows(rows, state.counters, instance=self._instance, key=self._key)
            state.outbox |= {row.outbox_id: row for row in stamped}
            state.digests |= {row.outbox_id: digest for row, digest in zip(stamped, digests, strict=True)}
        return stamped

    def count_on(self, state: State, pair: Pair, count: int) -> None:
        """Move a pair's counter on, in a new epoch where the old one has ended."""
        counter = state.counters.get(pair)
        if counter is None or counter.epoch in state.ended or state.lives[pair] != self._database.life:
            if counter is not None:
                state.closed[*pair, counter.epoch] = counter.last
            counter = Counter(self._database.new_epoch(), 0, counter.epoch if counter else None)
        state.counters[pair] = counter._replace(last=counter.last + count)
        state.lives[pair] = self._database.life

    def are_as_read(self, state: State, rows: Sequence[OutboxRow]) -> bool:
        """Whether nobody has stamped or removed one of the rows since they were read."""
        return all(state.outbox.get(row.outbox_id) == row for row in rows)

    async def unreceipted(self, sent_before: datetime, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        state = await self._database.read("unreceipted")
        due = [
            row
            for id_, row in state.outbox.items()
            if (sent_at := state.sent_at.get(id_)) is not None
            and sent_at + min(sent_at - row.draft.created_at, RESEND_WAIT_MAX) < sent_before
        ]
        return [row for row in due if row.draft.topic not in without][:limit]

    async def mark_sent(self, rows: Sequence[OutboxRow], at: datetime) -> None:
        async with self._database.transaction("mark_sent") as state:
            for row in rows:
                if row.draft.message.family in STATED_BY_INSTANCES:
                    state.outbox.pop(row.outbox_id, None)
                elif row.outbox_id in state.outbox:
                    state.sent_at[row.outbox_id] = at


#: What settles a message, as `shared.runtime.post.outbox` has it.
_SETTLING = frozenset({ReceiptOutcome.APPLIED, ReceiptOutcome.REFUSED, ReceiptOutcome.PARKED})


class MemoryUnit(MemoryArrivals):
    """One transaction of a consumed batch. `connection` is the state: a handler writes its effects there."""

    signs_again_max = SIGNED_AGAIN_MAX

    def __init__(self, database: MemoryDatabase, state: State, keeping: Keeping) -> None:
        super().__init__(state, keeping)
        self._database = database

    async def enqueue(self, drafts: Sequence[Draft]) -> None:
        self._database.enqueue(self.connection, drafts)

    async def settle(self, settlements: Sequence[Settlement]) -> Settled:
        taken: dict[UUID, Settlement] = {}
        unmatched: list[Settlement] = []
        ids = {row.draft.message_id: id_ for id_, row in self.connection.outbox.items()}
        for each in settlements:
            if each.outcome not in _SETTLING:
                continue
            if (id_ := ids.get(each.message_id)) is not None and id_ in self.connection.outbox:
                row, digest = self.connection.outbox[id_], self.connection.digests.get(id_)
                if (row.draft.recipient_instance, digest) == (each.by, each.digest):
                    before = sum(message_id == each.message_id for message_id, _, _ in self.connection.signed_again)
                    if each.code == SIGN_AGAIN and before < self.signs_again_max:
                        self._sign_again(row, each)
                        continue
                    del self.connection.outbox[id_]
                    self.connection.sent[each.message_id] = Sent(row, each.digest, each.outcome, each.code)
                    taken[each.message_id] = each
                    continue
            if (each.message_id, each.digest, each.by) in self.connection.signed_again:
                continue
            sent = self.connection.sent.get(each.message_id)
            if sent is None or (sent.row.draft.recipient_instance, sent.digest) != (each.by, each.digest):
                unmatched.append(each)
            elif sent.outcome is ReceiptOutcome.PARKED and each.outcome is not ReceiptOutcome.PARKED:
                self.connection.sent[each.message_id] = replace(sent, outcome=each.outcome, code=each.code)
                taken[each.message_id] = each
        return Settled(list(taken.values()), unmatched)

    def _sign_again(self, row: OutboxRow, refused: Settlement) -> None:
        state = self.connection
        assert row.stamp is not None
        state.ended[row.stamp.epoch] = None
        state.signed_again[refused.message_id, refused.digest, refused.by] = None
        state.outbox[row.outbox_id] = replace(row, stamp=None)
        del state.digests[row.outbox_id]
        state.sent_at.pop(row.outbox_id, None)


class MemoryInbox:
    """Opens units over a `MemoryDatabase`. `wake` is called after each commit."""

    unit_type: type[MemoryUnit] = MemoryUnit

    def __init__(
        self, database: MemoryDatabase, *, wake: Callable[[], None] = lambda: None, keeping: Keeping | None = None
    ) -> None:
        self._database = database
        self._wake = wake
        self._keeping = keeping or Keeping()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[MemoryUnit]:
        async with self._database.transaction("unit") as state:
            yield self.unit_type(self._database, state, self._keeping)
        self._wake()

    async def due(self, limit: int) -> list[Record]:
        return due_of(await self._database.read("due"), self._keeping, limit)


class MemoryLog:
    """A broker: topics with partitions, records in order, the broker's own time. Its disk can be lost."""

    def __init__(self, clock: Clock, *, partitions: int = 1) -> None:
        self.partitions: dict[tuple[str, int], list[Record]] = {}
        self.generation = 0
        self._clock = clock
        self._count = partitions

    def place_of(self, row: OutboxRow) -> tuple[str, int]:
        return row.draft.topic, crc32(row.draft.subject.encode()) % self._count

    def append(self, row: OutboxRow, instance: str) -> None:
        """Append one row as Kafka would hold it."""
        topic, partition = self.place_of(row)
        held = self.partitions.setdefault((topic, partition), [])
        headers = tuple(wire(row, instance))
        key = row.draft.subject.encode()
        held.append(Record(topic, partition, len(held), self._clock.now(), key, headers, row.draft.body))

    def lose_everything(self) -> None:
        """The disk is gone: every record, and where every group had read to."""
        self.partitions.clear()
        self.generation += 1


_Log = TypeVar("_Log", bound=MemoryLog)


class MemoryLogWriter(Generic[_Log]):
    """The relay's side of a `MemoryLog`. When it fails, a prefix of each partition's rows may be there."""

    def __init__(
        self,
        log: _Log,
        *,
        instance: str,
        step: Step = calm,
        prefix: Callable[[int], int] = lambda count: count,
    ) -> None:
        self.log = log
        self.instance = instance
        self._step = step
        self._prefix = prefix
        #: Topics that are not there.
        self.missing: frozenset[str] = frozenset()

    async def append(self, rows: Sequence[OutboxRow]) -> frozenset[str]:
        fault = await self._step("append")
        if fault is Fault.FAILS:
            raise Unavailable("broker_unavailable")
        by_place: dict[tuple[str, int], list[OutboxRow]] = {}
        for row in rows:
            if row.draft.topic not in self.missing:
                by_place.setdefault(self.log.place_of(row), []).append(row)
        for held in by_place.values():
            count = len(held) if fault is Fault.NONE else self._prefix(len(held))
            for row in held[:count]:
                self.log.append(row, self.instance)
        if fault is not Fault.NONE:
            raise Unavailable("broker_unavailable")
        return self.missing & {row.draft.topic for row in rows}


def outcomes_of(state: State) -> Mapping[UUID, ReceiptOutcome]:
    """What the inbox says became of each message."""
    return {message_id: row.outcome for message_id, row in state.inbox.items()}
