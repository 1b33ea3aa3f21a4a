"""The loops of one instance over the store in memory, and a log in memory that fails on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from shared.delivery.gate import SendGate
from shared.delivery.loops import RelayOptions, StreamRelay
from shared.delivery.sending import ScopeFactory
from shared.messaging.ports import AppendPosition, MessageDraft, PlacedRecord
from shared.messaging.scope import Scope
from shared.messaging.segments import RecordBytes, Segment
from shared.messaging.sending import finish
from shared.messaging.streams import Lane, Pair, WireRole
from tests.shared.messaging.rooms import HERE, NOW, PEER, Room
from tests.shared.platform.builders import KEY
from tests.support.manual_clock import ManualClock
from tests.support.messaging_memory import MemoryTx

TOPIC = UUID(int=7)
QUICK = RelayOptions(poll_s=0.01, look_s=0.001, back_off_s=0.01, refused_s=0.01, clock_check_s=0.02)


@dataclass
class MemoryScopes:
    """`ScopeFactory` over a room."""

    room: Room
    instance: str = HERE
    failures: list[Exception] = field(default_factory=list)
    finished: list[Segment] = field(default_factory=list)
    check_session: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def open(self, *, is_check: bool = False) -> AsyncIterator[Scope]:
        if self.failures:
            raise self.failures.pop(0)
        with self.room.db.transaction() as tx:
            scope = self.room.scope()
            scope.tx = tx
            yield scope
        self.finished += scope.finished

    @asynccontextmanager
    async def read(self) -> AsyncIterator[MemoryTx]:
        with self.room.db.transaction() as tx:
            yield tx


@dataclass
class MemoryLog:
    """A log that stores message ids by peer and lane. `shut`: the error that an append to a peer raises."""

    broker_clock: ManualClock
    held: dict[tuple[str, Lane], list[bytes]] = field(default_factory=dict)
    acks: list[str] = field(default_factory=list)
    shut: dict[str, Exception] = field(default_factory=dict)

    async def append(self, topic: Pair, lane: Lane, records: Sequence[PlacedRecord]) -> AppendPosition:
        if topic.addressee in self.shut:
            raise self.shut[topic.addressee]
        held = self.held.setdefault((topic.addressee, lane), [])
        held += [record.record.value for record in records]
        return AppendPosition(TOPIC, len(held) - len(records), len(held), self.broker_clock.now())

    async def append_bytes(self, topic: Pair, lane: Lane, records: Sequence[RecordBytes]) -> AppendPosition:
        if topic.addressee in self.shut:
            raise self.shut[topic.addressee]
        self.acks.append(topic.addressee)
        end = len(self.held.get((topic.addressee, lane), ()))
        return AppendPosition(TOPIC, end, end, self.broker_clock.now())


@dataclass
class Streams:
    """A relay over a room. `documents`: the reason for distrusting the documents, or ""."""

    options: RelayOptions = QUICK
    documents: Callable[[], str] = lambda: ""

    def __post_init__(self) -> None:
        self.room = Room()
        self.clock, self.broker_clock = ManualClock(NOW), ManualClock(NOW)
        self.log = MemoryLog(self.broker_clock)
        self.scopes = MemoryScopes(self.room)
        self.relay = StreamRelay(
            cast(ScopeFactory, self.scopes),
            cast(Any, self.log),
            key=KEY,
            peers=list,
            clock=self.clock,
            gate=SendGate(self.documents),
            options=self.options,
        )

    def at_work(self) -> AbstractAsyncContextManager[None]:
        return at_work(self.relay.run())

    async def send(self, role: WireRole, *, peer: str = PEER, count: int = 1, is_p0: bool = False) -> list[bytes]:
        """Send messages, each in a transaction of its own; return their values."""
        before = set(self.room.composed)
        for number in range(count):
            async with self.scopes.open() as scope:
                scope.send(MessageDraft(peer, role, str(role), scope.new_id(), ("body", number), is_p0))
                await finish(scope)
        self.relay.wake()
        new = [message_id for message_id in self.room.composed if message_id not in before]
        return [each.bytes for each in new if self.room.composed[each] and isinstance(self.room.composed[each], tuple)]

    def hand_over(self) -> None:
        """Hand the segments of all transactions so far to the relay, as their commits do."""
        segments, self.scopes.finished = self.scopes.finished, []
        self.relay.hand_over(segments)

    def held(self, lane: Lane = Lane.ORDINARY, *, peer: str = PEER) -> list[bytes]:
        """Return the values of the features' messages that a stream's partition holds."""
        ours = {each.bytes for each, body in self.room.composed.items() if isinstance(body, tuple)}
        return [value for value in self.log.held.get((peer, lane), ()) if value in ours]


@asynccontextmanager
async def at_work(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a part beside what the caller does, and end it."""
    running = asyncio.create_task(work)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
