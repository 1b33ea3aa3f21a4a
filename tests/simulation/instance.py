"""One instance of the simulated installation: a database that stays, and processes that crash and begin again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from shared.contracts.registry import ALL, STATED_BY_INSTANCES
from shared.envelope.headers import decode_headers
from shared.envelope.keys import SigningKey
from shared.exchange.message import Record
from shared.exchange.needs import NeedKind
from shared.exchange.topics import inbox_prefix
from shared.kernel.errors import Unavailable
from shared.runtime.post.arrivals import Cursor, Step, Superseded
from shared.runtime.post.awaiting import Room
from shared.runtime.post.consumer import Composers, Consumer
from shared.runtime.post.ports import Unit
from shared.runtime.post.relay import Relay, RelaySettings
from shared.runtime.post.stamping import sign_unnumbered
from shared.runtime.post.turns import TalkSettings
from shared.vocabulary.answers import ReceiptOutcome
from tests.simulation.broker import LateWriter
from tests.simulation.desks import AGENCIES, HOTLINE
from tests.simulation.talking import statements
from tests.support.memory_arrivals import Keeping
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_stores import Fault, MemoryDatabase, MemoryInbox, State

if TYPE_CHECKING:
    from tests.simulation.world import World

KEYS = {HOTLINE: SigningKey(bytes(range(32))), AGENCIES: SigningKey(bytes(range(1, 33)))}
RELAY = RelaySettings(batch_rows_max=7, poll_s=20.0)
#: Less often than really: it looks with a transaction each time.
TALK = TalkSettings(poll_s=7.0)
_STATED = frozenset(message.type.encode() for message in ALL if message.family in STATED_BY_INSTANCES)
_READS = frozenset({"lanes", "work", "due"})
#: So little that some of what waits must wait with its sender.
ROOM = Room(rows_max=2)
TAKE_UP_S = 5.0


class Instance:
    """One service instance: a database that stays, and two processes that come and go."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.database = MemoryDatabase(self._step, instance=name, key=KEYS[name], outbox_type=world.parts.outbox)
        self.database.new_epoch = world.new_id
        self.desk = world.parts.desk(self.database, world.writer)
        self._stating = statements(name, world.clock, world.writer)
        #: Epochs of which the database no longer knows the last number.
        self.forgotten: set[UUID] = set()
        self.down_until_s = 0.0
        self.news = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._relays: list[Relay] = []

    def start(self) -> None:
        parts = (("relay", self.run_relay), ("consumer", self.run_consumer))
        self._keepers = [self.world.spawn(self._keep_up(part, main)) for part, main in parts]

    def crash(self, part: str) -> None:
        """Kill a process wherever it is. It starts anew after a while."""
        self.world.trace.note("crash", self.name, part, self.world.loop.virtual_s)
        if part in self._running:
            self._running[part].cancel()

    def forget(self, state: State, back: int) -> None:
        """Set the counters of what parties send back by so much, but not behind what is still held."""
        held: dict[UUID, int] = {}
        for row in state.outbox.values():
            held[row.message.epoch] = max(held.get(row.message.epoch, 0), row.message.sequence)
        for pair, counter in state.counters.items():
            if all("." in name for name in pair[:2]):
                state.counters[pair] = counter._replace(last=max(held.get(counter.epoch, 0), counter.last - back))
                self.forgotten.add(counter.epoch)
        # What was loaded again knows of no mark that it had not given the numbers for.
        for key, (mark, last) in state.marks.items():
            _, (_, _, epoch) = key
            known = next((each for each in state.counters.values() if each.epoch == epoch), None)
            if known is not None:
                state.marks[key] = mark, min(last, known.last)

    async def act(self, name: str, change: Callable[[State], None]) -> None:
        """What a client does: repeat the request until it is answered."""
        while True:
            try:
                async with self.database.transaction(name) as state:
                    change(state)
                break
            except Unavailable:
                await asyncio.sleep(0.5)
        self.wake()

    def wake(self) -> None:
        for relay in self._relays:
            relay.wake()

    async def mend(self) -> None:
        """The service's code is mended, and its operator wants all that was parked: its senders hold it still."""
        self.desk.mended = True

        def ask(state: State) -> None:
            for id_, row in state.inbox.items():
                if row.outcome is ReceiptOutcome.PARKED:
                    state.inbox[id_] = replace(row, asked=True, wanted_at=None)

        await self.act("ask", ask)

    def is_at_rest(self) -> bool:
        """Whether nothing is on its way."""
        state = self.database.state
        return not state.outbox and not state.awaiting and not self.lag()

    def lag(self) -> int:
        """Records of this instance's topics that were not consumed."""
        places = [place for place in self.world.log.partitions if place[0].startswith(inbox_prefix(self.name))]
        return sum(len(self.world.log.partitions[place]) - self._cursor(place).following for place in places)

    def _cursor(self, place: tuple[str, int]) -> Cursor:
        """Where it stands in this life of the topic; at its first record where it has not begun."""
        topic_id = UUID(int=self.world.log.generation + 1)
        held = self.database.state.cursors.get(place)
        return held if held is not None and held.topic_id == topic_id else Cursor(*place, topic_id, 0)

    async def _keep_up(self, part: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            task = self.world.spawn(main())
            self._running[part] = task
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                if not task.done():
                    task.cancel()
                    raise
            await asyncio.sleep(self.world.random.uniform(0.1, 20.0))

    async def run_relay(self) -> None:
        world = self.world
        writer = LateWriter(
            world.log, instance=self.name, step=self._broker_step, prefix=lambda count: world.random.randint(0, count)
        )
        lanes = world.parts.lanes(self.database)
        sign = partial(sign_unnumbered, epoch=world.new_id(), instance=self.name, key=KEYS[self.name])
        relay = world.parts.relay(lanes, writer, clock=world.clock, sign=sign, settings=RELAY)
        talk = world.parts.speaker(
            self._inbox(), self._stating, peers=self._peers, say=relay.say, holding=self.desk, settings=TALK
        )
        self._relays.append(relay)
        try:
            async with asyncio.TaskGroup() as parts:
                parts.create_task(relay.run())
                parts.create_task(talk.run())
        finally:
            self._relays.remove(relay)

    async def run_consumer(self) -> None:
        """What the bus does: hand over batches with the steps over them, and have taken up what has waited."""
        world = self.world
        consumer = world.parts.consumer(
            self._inbox(),
            self.desk,
            accept=world.parts.acceptor(self._knows, world.law_changes_at),
            composers=Composers(
                lambda to, entries: world.writer.receipts(self.name, to, entries),
                lambda parked: world.writer.parked(self.name, parked),
            ),
            conversation=world.parts.talk(self._stating, peers=self._peers, holding=self.desk),
            clock=world.clock,
        )
        taking_up = world.spawn(self._take_up(consumer))
        try:
            while True:
                self.news.clear()
                if batch := self._fetch():
                    await self._broker_wait()
                    await self._consume(consumer, batch)
                elif not self._fetch():
                    await self.news.wait()
        finally:
            taking_up.cancel()

    def _inbox(self) -> MemoryInbox:
        keeping = Keeping(lambda need: need.kind is NeedKind.DOCUMENT and self._knows(int(need.what)), ROOM)
        return self.world.parts.inbox(self.database, wake=self.wake, keeping=keeping)

    def _knows(self, document: int) -> bool:
        return self.world.loop.virtual_s >= self.world.document_known_s[document]

    def _peers(self, unit: Unit) -> MemoryPeers:
        state: State = unit.connection
        return MemoryPeers(self.database, state)

    async def _consume(self, consumer: Consumer, batch: Sequence[Record]) -> None:
        try:
            steps = await self._steps(batch)
            if self.world.parts.moves_early:
                async with self.database.transaction("cursor") as state:
                    state.cursors |= {(step.after.topic, step.after.partition): step.after for step in steps}
                self._check(batch)
                steps = []
            await consumer.consume(batch, steps)
            self._check(batch)
        except Superseded:
            return
        except Unavailable:
            await asyncio.sleep(2.0)

    async def _take_up(self, consumer: Consumer) -> None:
        while True:
            await asyncio.sleep(TAKE_UP_S)
            if self.database.state.awaiting:
                with suppress(Unavailable):
                    await consumer.take_up()

    async def _steps(self, batch: Sequence[Record]) -> list[Step]:
        """The steps over a batch; of a topic of another life than its cursor's, from its first record."""
        cursors = {
            place: self._cursor(place) for place in dict.fromkeys((each.topic, each.partition) for each in batch)
        }
        if fresh := {place: each for place, each in cursors.items() if self.database.state.cursors.get(place) != each}:
            async with self.database.transaction("cursor") as state:
                state.cursors |= fresh
        last = {(record.topic, record.partition): record.offset for record in batch}
        return [Step(cursor.following, replace(cursor, following=last[place] + 1)) for place, cursor in cursors.items()]

    def _fetch(self) -> list[Record]:
        """Some records of some partitions, each partition's in order."""
        chance = self.world.random
        places = sorted(place for place in self.world.log.partitions if place[0].startswith(inbox_prefix(self.name)))
        chance.shuffle(places)
        batch: list[Record] = []
        for place in places:
            waiting = self.world.log.partitions[place][self._cursor(place).following :]
            batch += waiting[: chance.randint(1, 9)]
        return batch

    def _check(self, batch: Sequence[Record]) -> None:
        """The cursors stand behind the batch: everything of it must be there."""
        self.world.broken += [f"{self.name}: passed before durable" for record in batch if not self._holds(record)]

    def _holds(self, record: Record) -> bool:
        """Whether the record has left a durable trace: in the inbox or in quarantine.

        Of what is stated by instances its number is the trace, and of what has no number there is none. Of one whose
        number was given out before, that other message is it; of junk, a row that counts.
        """
        state = self.database.state
        headers = dict(record.headers)
        if headers.get("ce_type") in _STATED:
            stated = decode_headers(record.headers, record.value or b"").attributes
            if stated.sequence == 0:
                return True
            numbers = state.pairs.get((stated.sender, stated.recipient, stated.epoch))
            return numbers is not None and stated.sequence not in numbers.holes and stated.sequence <= numbers.high
        message_id = (headers.get("ce_id") or b"").decode("ascii", "replace")
        known = {str(id_) for id_ in state.inbox}
        junk = any(same.startswith(f"{record.topic} ") for same in state.quarantine)
        number = b" ".join(headers.get(f"ce_{name}") or b"" for name in ("sender", "recipient", "epoch", "sequence"))
        taken = {" ".join(map(str, each)).encode() for each in state.numbered}
        return message_id in known or junk or number in taken

    async def _broker_wait(self) -> None:
        if (left_s := self.world.broker_down_until_s - self.world.loop.virtual_s) > 0:
            await asyncio.sleep(left_s)

    async def _step(self, name: str) -> Fault:
        world = self.world
        if world.loop.virtual_s < self.down_until_s:
            await asyncio.sleep(0.1)
            return Fault.FAILS
        return Fault.NONE if world.calm and name in _READS else await self._fault(name)

    async def _broker_step(self, name: str) -> Fault:
        if self.world.loop.virtual_s < self.world.broker_down_until_s:
            await asyncio.sleep(1.0)
            return Fault.FAILS
        return await self._fault(name)

    async def _fault(self, name: str) -> Fault:
        """Take a little time, in which anything may happen, perhaps die, perhaps fail."""
        world = self.world
        chance = world.random
        if not world.calm and chance.random() < world.crash_rate:
            part = "consumer" if name in ("unit", "cursor", "due") else "relay"
            world.loop.call_later(chance.choice((0.0, 0.001, 0.01)), self.crash, part)
        if name not in _READS:
            await asyncio.sleep(chance.choice((0.0, 0.001, 0.02)))
        fault = Fault.NONE
        if not world.calm and chance.random() < world.fault_rate:
            fault = chance.choice((Fault.FAILS, Fault.FAILS_BUT_PERSISTED))
        if name not in _READS or fault is not Fault.NONE:
            world.trace.note(self.name, name, fault.value, world.loop.virtual_s)
        return fault
