"""The stores and the log in memory. One conformance suite holds them to the real ones (`tests/conformance`).

Transactions are serialised and roll back. Every durable step first asks `step` whether it fails; it may also fail after
it was done, as a commit does whose answer is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile
from typing import Any, Generic, TypeVar
from uuid import UUID

from shared.contracts.delivery import TakenMark
from shared.envelope.keys import SigningKey
from shared.exchange.message import Draft, Record
from shared.exchange.topics import inbox_topic
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.post.arrivals import Cursor, Parked
from shared.runtime.post.ports import Appended, Outgoing, Settled, Settlement
from shared.runtime.post.stamping import Counter, Pair
from shared.vocabulary.answers import ReceiptOutcome
from tests.support.memory_arrivals import Keeping, Kept, MemoryArrivals, Numbers, Row, due_of
from tests.support.memory_outbox import Gathered, Held, Lane, MemoryOutbox, MemorySentBook, Numbered
from tests.support.memory_peers import Peer

KEY = SigningKey(bytes(range(32)))


class Fault(Enum):
    """What becomes of one durable step."""

    NONE = "none"
    FAILS = "fails"
    FAILS_BUT_PERSISTED = "fails_but_persisted"


Step = Callable[[str], Awaitable[Fault]]


async def calm(name: str) -> Fault:
    """Nothing fails, and nothing else runs in between."""
    return Fault.NONE


@dataclass(slots=True)
class State:
    """Everything one instance's database holds. `effects` is the service's own, whatever it is."""

    lanes: dict[str, Lane] = field(default_factory=dict)
    outbox: dict[UUID, Held] = field(default_factory=dict)
    settled: dict[UUID, Held] = field(default_factory=dict)
    counters: dict[Pair, Counter] = field(default_factory=dict)
    #: Which database gave out the last number of each pair, and which instance each epoch is sent to.
    lives: dict[Pair, int] = field(default_factory=dict)
    lane_of: dict[UUID, str] = field(default_factory=dict)
    closed: dict[Numbered, int] = field(default_factory=dict)
    marks: dict[tuple[str, Numbered], tuple[TakenMark, int]] = field(default_factory=dict)
    inbox: dict[UUID, Row] = field(default_factory=dict)
    numbered: dict[tuple[str, str, UUID, int], UUID] = field(default_factory=dict)
    pairs: dict[tuple[str, str, UUID], Numbers] = field(default_factory=dict)
    gone: dict[tuple[str, str, UUID, int, int], UUID | None] = field(default_factory=dict)
    awaiting: dict[UUID, Kept] = field(default_factory=dict)
    cursors: dict[tuple[str, int], Cursor] = field(default_factory=dict)
    peers: dict[str, Peer] = field(default_factory=dict)
    #: Which database it was when that was last asked.
    lived: dict[str, int] = field(default_factory=dict)
    #: The first of those that are alike, and how many came.
    quarantine: dict[str, tuple[Parked, int]] = field(default_factory=dict)
    effects: dict[Any, Any] = field(default_factory=dict)

    #: What the transaction does last.
    gathered: Gathered = field(default_factory=Gathered)

    @asynccontextmanager
    async def savepoint(self, error: type[Exception]) -> AsyncIterator[None]:
        """As a session's, but that what was done inside it stays."""
        yield

    def copy(self) -> State:
        names = [name for name in self.__slots__ if name != "gathered"]
        copies: dict[str, Any] = {name: dict(getattr(self, name)) for name in names}
        return State(**copies)


class MemoryDatabase:
    """One instance's database. What a transaction did is there when it ended well, and not otherwise."""

    def __init__(
        self,
        step: Step = calm,
        *,
        instance: str = "hotline",
        key: SigningKey = KEY,
        outbox_type: type[MemoryOutbox] = MemoryOutbox,
    ) -> None:
        self.state = State()
        self.instance = instance
        self.key = key
        #: Another number stands for another database: what a restore begins.
        self.life = 1
        #: Somebody else holds the relay's lease.
        self.relay_is_another = False
        self.new_epoch = uuid7
        self.outbox = outbox_type(self)
        self._step = step
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self, name: str) -> AsyncIterator[State]:
        async with self._lock:
            changed = self.state.copy()
            yield changed
            self.outbox.finish(changed, changed.gathered)
            changed.gathered = Gathered()
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

    async def restore(self, before: State) -> None:
        """It is what it was then, and another database than the one that has gone on since."""
        async with self._lock:
            self.state = before.copy()
            self.life += 1

    def enqueue(self, state: State, drafts: Sequence[Draft]) -> None:
        state.gathered.drafts.extend(drafts)


class MemoryUnit(MemoryArrivals):
    """One transaction of a consumed batch. `connection` is the state: a handler writes its effects there."""

    def __init__(self, database: MemoryDatabase, state: State, keeping: Keeping) -> None:
        super().__init__(state, keeping)
        self._database = database

    async def enqueue(self, drafts: Sequence[Draft]) -> None:
        self._database.enqueue(self.connection, drafts)

    async def settle(self, settlements: Sequence[Settlement]) -> Settled:
        return self._database.outbox.settle(self.connection, settlements)

    @property
    def sent_book(self) -> MemorySentBook:
        return MemorySentBook(self._database.outbox, self.connection)


class MemoryInbox:
    """Opens units over a `MemoryDatabase`. `wake` is called after each commit that sends."""

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
            sends = state.gathered != Gathered()
        if sends:
            self._wake()

    async def due(self, limit: int) -> list[Record]:
        return due_of(await self._database.read("due"), self._keeping, limit)


@dataclass(slots=True)
class Topic:
    """One life of a topic of one partition. `first` is the offset of its first record: retention ends those before."""

    topic_id: UUID
    first: int = 0
    records: list[Record] = field(default_factory=list)
    #: It rises whenever its end may have been lost.
    leader_epoch: int = 0

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    def since(self, offset: int) -> list[Record]:
        """The records from this offset on."""
        return self.records[max(0, offset - self.first) :]

    def lose_tail(self, count: int) -> None:
        """Its last records are gone: what comes next takes their offsets."""
        del self.records[len(self.records) - count :]
        self.leader_epoch += 1

    def lose_head(self, count: int) -> None:
        """Retention has passed its first records."""
        del self.records[:count]
        self.first += count


class MemoryLog:
    """A broker: topics of one partition, records in order, the broker's own time. It may lose what it has."""

    def __init__(self, clock: Clock) -> None:
        self.topics: dict[str, Topic] = {}
        self._lives = 0
        self._clock = clock

    def records(self, topic: str) -> list[Record]:
        """What a topic holds; nothing where there is none."""
        return self.topics[topic].records if topic in self.topics else []

    def append(self, lane: str, record: Outgoing, instance: str) -> Record:
        """Append one record as Kafka would hold it."""
        return self.hold(inbox_topic(lane, instance), record.key, record.headers, record.value)

    def hold(self, name: str, key: bytes, headers: Sequence[tuple[str, bytes | None]], value: bytes) -> Record:
        """Append what may be no message."""
        if name not in self.topics:
            self._lives += 1
            self.topics[name] = Topic(UUID(int=self._lives))
        topic = self.topics[name]
        topic.records.append(Record(name, 0, topic.end, self._clock.now(), key, headers, value))
        return topic.records[-1]

    def lose_everything(self) -> None:
        """The disk is gone: every topic begins another life with its next record."""
        self.topics.clear()


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
        #: Lanes whose topics an operator must mend, with what a broker says; and values that no topic takes.
        self.shut: dict[str, str] = {}
        self.never_taken: frozenset[bytes] = frozenset()

    async def append(self, lane: str, records: Sequence[Outgoing], *, once: bool = False) -> Appended:
        fault = await self._step("append")
        if lane in self.shut:
            raise Unavailable(self.shut[lane])
        if fault is Fault.FAILS:
            raise Unavailable("broker_unavailable")
        together = list(takewhile(lambda record: record.value not in self.never_taken, records))
        if records and not together:
            raise Refused("record_too_large")
        count = len(together) if fault is Fault.NONE else self._prefix(len(together))
        held = [self.log.append(lane, record, self.instance) for record in together[:count]]
        if fault is not Fault.NONE:
            raise Unavailable("broker_unavailable")
        return Appended(count, held[0].offset, held[0].broker_time) if held else Appended(0, None, None)


def outcomes_of(state: State) -> Mapping[UUID, ReceiptOutcome]:
    """What the inbox says became of each message."""
    return {message_id: row.outcome for message_id, row in state.inbox.items()}
