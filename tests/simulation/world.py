"""The simulated installation: processes that crash, a broker and databases that fail, and the plan of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from shared.contracts.registry import ALL, STATED_BY_INSTANCES
from shared.envelope.headers import decode_headers
from shared.envelope.keys import SigningKey
from shared.exchange.message import Record
from shared.exchange.needs import NeedKind
from shared.exchange.topics import inbox_prefix, inbox_topic
from shared.kernel.errors import Unavailable
from shared.runtime.post.arrivals import Cursor, Step, Superseded
from shared.runtime.post.awaiting import Room
from shared.runtime.post.consumer import Composers, Consumer
from shared.runtime.post.ports import Unit
from shared.runtime.post.relay import Relay, RelaySettings
from shared.runtime.post.stamping import sign_unnumbered
from shared.runtime.post.turns import TalkSettings
from shared.vocabulary.answers import ReceiptOutcome
from tests.simulation.broker import ChaoticLog, LateWriter
from tests.simulation.desks import AGENCIES, AGENCY_NAMES, HOTLINE, Edge, Writer
from tests.simulation.loop import LoopClock, VirtualLoop
from tests.simulation.parts import Parts, Trace
from tests.simulation.talking import Auditor, statements
from tests.support.memory_arrivals import Keeping
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_stores import Fault, MemoryDatabase, MemoryInbox, State

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
CHAOS_S, SETTLED_S = 600.0, 4200.0
KEYS = {HOTLINE: SigningKey(bytes(range(32))), AGENCIES: SigningKey(bytes(range(1, 33)))}
RELAY = RelaySettings(batch_rows_max=7, poll_s=20.0)
#: Less often than really: it looks with a transaction each time.
TALK = TalkSettings(poll_s=7.0)
MARKS_EVERY_S = 60.0
_STATED = frozenset(message.type.encode() for message in ALL if message.family in STATED_BY_INSTANCES)
_READS = frozenset({"lanes", "work", "due"})
#: So little that some of what waits must wait with its sender.
ROOM = Room(rows_max=2)
TAKE_UP_S = 5.0


class World:
    """Everything of one run. Chance comes from one seeded source, time from the loop."""

    def __init__(self, seed: int, loop: VirtualLoop, parts: Parts) -> None:
        self.random = Random(seed)
        self.trace = Trace()
        self.loop = loop
        self.clock = LoopClock(loop, START)
        self.parts = parts
        self.log = ChaoticLog(self)
        self.writer = Writer(self.clock, self.new_id)
        self.auditor = Auditor(self.log, self.writer)
        self.calm = False
        self.broken: list[str] = []
        self.broker_down_until_s = 0.0
        self.moments_s = [self.random.uniform(0, CHAOS_S * 0.9) for _ in range(self.random.randint(1, 3))]
        self.fault_rate = self.random.choice((0.0, 0.05, 0.1, 0.25))
        self.crash_rate = self.random.choice((0.0, 0.02, 0.05, 0.1))
        #: The law that decisions are made by changes once, perhaps in the middle of an outage.
        self.law_changes_at = START + timedelta(seconds=self.random.choice(self.moments_s) + self.random.uniform(0, 60))
        self.document_known_s = {number: self.random.uniform(0, CHAOS_S) if number else 0.0 for number in range(3)}
        self.instances = {name: Instance(self, name) for name in (HOTLINE, AGENCIES)}

    def new_id(self) -> UUID:
        """A UUIDv7 by the virtual clock and the seeded chance."""
        milliseconds = int(self.clock.now().timestamp() * 1000)
        bits = self.random.getrandbits(74)
        value = (milliseconds << 80) | (0x7 << 76) | ((bits >> 62) << 64) | (0b10 << 62) | (bits & ((1 << 62) - 1))
        return UUID(int=value)

    async def run(self) -> None:
        """Start everything, let the plan happen, then let it come to rest."""
        for instance in self.instances.values():
            instance.start()
        happenings = [asyncio.ensure_future(each) for each in self._plan()]
        await asyncio.sleep(CHAOS_S)
        self.calm = True
        for each in happenings:
            await each
        for instance in self.instances.values():
            await instance.mend()
        rested_s = 0
        while self.loop.virtual_s < SETTLED_S and rested_s < 3:
            await asyncio.sleep(1 if rested_s else 10)
            # Several times in a row: nothing is hidden in a batch that is just being consumed.
            rested_s = rested_s + 1 if self.at_rest() else 0

    def at_rest(self) -> bool:
        return all(each.is_at_rest() for each in self.instances.values())

    def spawn(self, main: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `main` beside everything else; it ends with the loop at the latest."""
        return self.loop.create_task(main)

    def _plan(self) -> list[Coroutine[Any, Any, None]]:
        chance = self.random
        plan: list[Coroutine[Any, Any, None]] = [self._referral() for _ in range(chance.randint(3, 8))]
        self._marking = self.spawn(self._marks())
        plan += [self._crash() for _ in range(chance.choice((0, 2, 4, 8)))]
        plan += [self._broker_outage() for _ in range(chance.choice((0, 1, 2, 2)))]
        plan += [self._database_outage() for _ in range(chance.choice((0, 0, 1, 2)))]
        plan += [self._lost_disk() for _ in range(chance.choice((0, 1, 1, 2)))]
        plan += [self._redelivery() for _ in range(chance.choice((0, 1, 2, 4)))]
        plan += [self._repetition() for _ in range(chance.choice((0, 1, 4)))]
        plan += [self._rival() for _ in range(chance.choice((0, 1, 2, 3)))]
        plan += [self._junk() for _ in range(chance.choice((0, 0, 2)))]
        plan += [self._numbers_forgotten() for _ in range(chance.choice((0, 0, 1, 2)))]
        return plan

    async def _later(self) -> None:
        """Wait for the time of a happening. Most crowd around a few moments: faults that meet hurt most."""
        chance = self.random
        crowded_s = chance.choice(self.moments_s) + chance.choice((0.0, chance.uniform(0, 0.05), chance.uniform(0, 5)))
        await asyncio.sleep(crowded_s if chance.random() < 0.7 else chance.uniform(0, CHAOS_S))

    async def _referral(self) -> None:
        chance = self.random
        referral_id = self.new_id()
        agencies = chance.sample(AGENCY_NAMES, chance.randint(1, 2))
        edges = [
            Edge(self.new_id(), referral_id, agency, chance.choice((0, 0, 1, 2)), chance.random() < 0.05)
            for agency in agencies
        ]
        await self._later()
        hotline = self.instances[HOTLINE]
        await hotline.act("file", lambda state: hotline.desk.file(state, referral_id, edges))
        for _ in range(chance.choice((0, 0, 1, 2))):
            await asyncio.sleep(chance.choice((0.0, 0.05, 1.0, chance.uniform(0, 120))))
            document = chance.choice((0, 0, 1, 2))
            await hotline.act("amend", partial(hotline.desk.amend, referral_id=referral_id, document=document))
        if chance.random() < 0.5:
            await asyncio.sleep(chance.choice((0.0, 0.05, 1.0, chance.uniform(0, 120))))
            await hotline.act("withdraw", lambda state: hotline.desk.withdraw(state, referral_id))

    async def _crash(self) -> None:
        await self._later()
        instance = self.instances[self.random.choice((HOTLINE, AGENCIES))]
        instance.crash(self.random.choice(("relay", "consumer")))

    async def _broker_outage(self) -> None:
        await self._later()
        self.broker_down_until_s = self.loop.virtual_s + self.random.choice((2.0, 30.0, 400.0, 400.0))

    async def _database_outage(self) -> None:
        await self._later()
        instance = self.instances[self.random.choice((HOTLINE, AGENCIES))]
        instance.down_until_s = self.loop.virtual_s + self.random.choice((1.0, 20.0, 90.0))

    async def _lost_disk(self) -> None:
        await self._later()
        self.trace.note("disk lost", self.loop.virtual_s)
        self.log.lose_everything()

    async def _redelivery(self) -> None:
        await self._later()
        instance = self.instances[self.random.choice((HOTLINE, AGENCIES))]
        cursors = instance.database.state.cursors
        for place, cursor in sorted(cursors.items()):
            cursors[place] = replace(cursor, following=self.random.randint(0, cursor.following))
        instance.crash("consumer")

    async def _repetition(self) -> None:
        await self._later()
        held = [record for place in sorted(self.log.partitions) for record in self.log.partitions[place]]
        if held:
            self.log.repeat(self.random.choice(held))

    async def _rival(self) -> None:
        """For a while two processes believe that they are the one: a lock or a session outlived its holder."""
        await self._later()
        instance = self.instances[self.random.choice((HOTLINE, AGENCIES))]
        task = self.spawn(self.random.choice((instance.run_relay, instance.run_consumer))())
        await asyncio.sleep(self.random.uniform(1, 120))
        task.cancel()

    async def _numbers_forgotten(self) -> None:
        """A counter goes back, as when a dump is loaded again: the database is the same, and cannot tell."""
        await self._later()
        instance = self.instances[self.random.choice((HOTLINE, AGENCIES))]
        back = self.random.randint(1, 3)
        await instance.act("forget", lambda state: instance.forget(state, back))

    async def _marks(self) -> None:
        """Again and again audit says to each which numbers it has seen."""
        while True:
            await asyncio.sleep(MARKS_EVERY_S)
            for name in self.instances if self.loop.virtual_s >= self.broker_down_until_s else ():
                self.auditor.say_marks(name)

    async def _junk(self) -> None:
        await self._later()
        topic = inbox_topic(*self.random.sample((HOTLINE, AGENCIES), 2))
        self.log.hold(topic, 0, b"junk", (("ce_id", b"\xff"),), b"{")


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
        relay = world.parts.relay(lanes, writer, clock=world.clock, speaker=sign, settings=RELAY)
        talk = world.parts.speaker(self._inbox(), self._stating, peers=self._peers, say=relay.say, settings=TALK)
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
            conversation=world.parts.talk(self._stating, peers=self._peers),
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
