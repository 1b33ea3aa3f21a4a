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
from shared.envelope.headers import Envelope
from shared.exchange.message import Received, Record
from shared.kernel.errors import CausewayError, Unavailable
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.post.arrivals import Arrival, Superseded
from shared.runtime.post.awaiting import Room
from shared.runtime.post.consumer import Composers, Consumer
from shared.runtime.post.ports import Unit
from shared.runtime.post.relay import Relay, RelaySettings
from shared.runtime.post.stamping import sign_unnumbered
from shared.runtime.post.turns import TalkSettings
from shared.vocabulary.answers import ReceiptOutcome
from tests.simulation.accepting import Knowledge
from tests.simulation.broker import LateWriter
from tests.simulation.cheap import Key, opened
from tests.simulation.places import INSTANCES
from tests.simulation.reading import Reader, topics_of
from tests.simulation.writing import Statements
from tests.support.memory_arrivals import WITHDRAWING, Keeping
from tests.support.memory_cursors import MemoryCursors
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_stores import Fault, MemoryDatabase, MemoryInbox, State

if TYPE_CHECKING:
    from tests.simulation.world import World

KEYS = {name: Key(bytes(range(n, 32 + n))) for n, name in enumerate((INSTANCES[0], "", *INSTANCES[1:]))}
RELAY = RelaySettings(batch_rows_max=7, poll_s=20.0)
#: Less often than really: it looks with a transaction each time.
TALK = TalkSettings(poll_s=9.0)
#: How long after a restore an instance has begun anew, said its marks and heard those of others, at the latest.
HEARD_S = 120.0
_STATED = frozenset(message.type for message in ALL if message.family in STATED_BY_INSTANCES)
_READS = frozenset({"lanes", "work", "due"})
#: So little that some of what waits must wait with its sender.
ROOM = Room(rows_max=2)
TAKE_UP_S = 5.0
#: How long a slot waits for news until it asks for its leases again, and how long these last.
IDLE_S = 10.0
LEASE_S = 25.0


class Instance:
    """One service instance: a database that stays, and two processes that come and go."""

    def __init__(self, world: World, name: str, *, knowledge: Knowledge, slots: int) -> None:
        self.world = world
        self.name = name
        self.knowledge = knowledge
        self.database = MemoryDatabase(self._step, instance=name, key=KEYS[name], outbox_type=world.parts.outbox)
        self.database.new_epoch = world.new_id
        self.desk = world.parts.desk(
            self.database, world.writer, directory=self.directory, release=lambda: world.random.choice((1, 1, 2))
        )
        self._stating = Statements(name, self.directory, world.clock, world.writer)
        self._slots = slots
        self._leases = MemoryCursors(lambda: self.database.state.cursors, world.clock.now, lease_s=LEASE_S)
        #: What the same bytes say, for all processes.
        self._read: dict[object, tuple[Envelope, Received]] = {}
        #: Epochs of which the database no longer knows the last number; of these, those that go on from there.
        self.forgotten: set[UUID] = set()
        self.set_back: set[UUID] = set()
        self.restored = False
        self.down_until_s = 0.0
        self.news = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._relays: list[Relay] = []

    def directory(self) -> DirectoryIndex:
        """The one in force, as far as it is known here."""
        now = self.world.clock.now()
        return self.knowledge.move.active(self.name, now, now=now)

    def start(self) -> None:
        parts = [("relay", self.run_relay), *((f"consumer {slot}", self.run_consumer) for slot in range(self._slots))]
        self._keepers = [self.world.spawn(self._keep_up(part, main)) for part, main in parts]
        self._keepers.append(self.world.spawn(self._follow()))

    def crash(self, part: str) -> None:
        """Kill a process wherever it is. It starts anew after a while."""
        self.world.trace.note("crash", self.name, part, self.world.loop.virtual_s)
        for running in [name for name in self._running if name.startswith(part)]:
            self._running[running].cancel()

    def forget(self, state: State, back: int) -> None:
        """Set the counters of what parties send back by so much, but not behind what is still held."""
        held: dict[UUID, int] = {}
        for row in state.outbox.values():
            held[row.message.epoch] = max(held.get(row.message.epoch, 0), row.message.sequence)
        for pair, counter in state.counters.items():
            if all("." in name for name in pair[:2]):
                state.counters[pair] = counter._replace(last=max(held.get(counter.epoch, 0), counter.last - back))
                self.forgotten.add(counter.epoch)
                self.set_back.add(counter.epoch)
        # What was loaded again knows of no mark that it had not given the numbers for.
        for key, (mark, last) in state.marks.items():
            _, (_, _, epoch) = key
            known = next((each for each in state.counters.values() if each.epoch == epoch), None)
            if known is not None:
                state.marks[key] = mark, min(last, known.last)

    async def restore(self, before: State) -> None:
        """Its database is set back to what it was, and its processes begin anew."""
        self.world.trace.note("restored", self.name, self.world.loop.virtual_s)
        for state in (self.database.state, before):
            self.forgotten |= {counter.epoch for counter in state.counters.values()}
        self.restored = True
        # Its state has nothing that is owed, since it has forgotten that: what others know it hears first.
        self.world.known_to_all_s = max(self.world.known_to_all_s, self.world.loop.virtual_s + HEARD_S)
        await self.database.restore(before)
        for part in ("relay", "consumer"):
            self.crash(part)

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
        """Whether nothing is on its way, nor owed: all that is held was told, and what is missing was issued anew.

        A number that is known and was not taken is asked for at the next marks: rest is after that.
        """
        state = self.database.state
        holes = any(numbers.holes for numbers in state.pairs.values())
        owes = any(row.word.stands for row in state.peers.values() if row.marked_spoken is not None)
        missing = any(key[0] == "missing" for key in state.effects)
        given_up = self.world.behind_gone()
        held, awaiting = state.outbox.keys() - given_up, state.awaiting.keys() - given_up
        return not (held or awaiting or owes or missing or holes or self.lag())

    def behind_gone(self) -> set[UUID]:
        """Acts that wait here, or with their sender, for one which both sides have given up.

        Only where one of them was restored: the gap waits, and what is gone is on both lists.
        """
        state = self.database.state
        gone = {pair[:2] for pair in state.gone}
        return {
            id_
            for id_, row in (state.inbox if gone else {}).items()
            if row.outcome in (ReceiptOutcome.WAITING, ReceiptOutcome.DEFERRED)
            and row.code == "act_awaited"
            and (row.arrival.sender, row.arrival.recipient) in gone
            and (self.restored or self.world.instances[row.arrival.sender_instance].restored)
        }

    def waits_in_vain(self) -> list[str]:
        """What is still open here although it was taken back."""
        inbox = self.database.state.inbox.values()
        taken_back = {
            (a.sender, a.recipient, a.subject) for a in (row.arrival for row in inbox) if a.type in WITHDRAWING
        }
        waits = [row.arrival for row in inbox if row.outcome in (ReceiptOutcome.WAITING, ReceiptOutcome.DEFERRED)]
        return [
            f"{self.name}: {each.message_id} waits, and was taken back"
            for each in waits
            if (each.sender, each.recipient, each.subject) in taken_back
        ]

    def lag(self) -> int:
        """Records of this instance's topics that were not consumed."""
        return sum(map(self.lag_of, topics_of(self.world, self.name)))

    def lag_of(self, name: str) -> int:
        topic, cursor = self.world.log.topics[name], self.database.state.cursors.get((name, 0))
        known = cursor is not None and cursor.topic_id == topic.topic_id and cursor.following <= topic.end
        return topic.end - (max(cursor.following, topic.first) if cursor is not None and known else topic.first)

    async def _follow(self) -> None:
        """What the origin's bus does at each new directory, and a few times after."""
        while True:
            await asyncio.sleep(10.0)
            missing = any(key[0] == "missing" for key in self.database.state.effects)
            if self.directory().moved or missing:
                with suppress(Unavailable):
                    async with self.database.transaction("follow") as state:
                        self.desk.follow(state)
                        self.desk.issue_missing(state)
                    self.wake()

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
            except Exception as error:
                self.world.broken.append(f"{self.name}: {part} has died of {error!r}")
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
        # Not a group of tasks: that ends them in the order of a set, which is that of their places in memory.
        parts = [asyncio.create_task(relay.run()), asyncio.create_task(talk.run())]
        try:
            await asyncio.gather(*parts)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            self._relays.remove(relay)

    async def run_consumer(self) -> None:
        """What the bus does: hand over batches with the steps over them, and have taken up what has waited."""
        world = self.world
        consumer = world.parts.consumer(
            self._inbox(),
            self.desk,
            accept=world.parts.acceptor(self.knowledge, self._read),
            composers=Composers(
                lambda to, entries: world.writer.receipts(self.name, to, entries),
                lambda parked: world.writer.parked(self.name, parked),
            ),
            conversation=world.parts.talk(self._stating, peers=self._peers, holding=self.desk),
            clock=world.clock,
        )
        reader, holder = Reader(world, self), world.new_id()
        taking_up = world.spawn(self._take_up(consumer))
        try:
            while True:
                self.news.clear()
                if not await self._consume(consumer, reader, holder):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(IDLE_S):
                            await self.news.wait()
        finally:
            taking_up.cancel()

    def _inbox(self) -> MemoryInbox:
        keeping = Keeping(self.knowledge.meets, ROOM)
        return self.world.parts.inbox(self.database, wake=self.wake, keeping=keeping)

    def _peers(self, unit: Unit) -> MemoryPeers:
        state: State = unit.connection
        return MemoryPeers(self.database, state)

    async def _consume(self, consumer: Consumer, reader: Reader, holder: UUID) -> bool:
        """Read on where this process reads; whether there was anything, or may be."""
        await self._broker_wait()
        try:
            await reader.look(await self._leases.lease(topics_of(self.world, self.name), holder=holder))
            news = reader.batch()
            for where in news.lost:
                await reader.read_again(where)
            if news.records:
                if self.world.parts.moves_early:
                    async with self.database.transaction("cursor") as state:
                        state.cursors |= {(each.after.topic, each.after.partition): each.after for each in news.steps}
                    self._check(news.records)
                await consumer.consume(news.records, () if self.world.parts.moves_early else news.steps)
                self._check(news.records)
                reader.moved(news.steps)
            return bool(news.records or news.lost)
        except Superseded:
            reader.begin_again()
        except Unavailable:
            reader.seek()
            await asyncio.sleep(2.0)
        return True

    async def _take_up(self, consumer: Consumer) -> None:
        while True:
            await asyncio.sleep(TAKE_UP_S)
            if self.database.state.awaiting:
                with suppress(Unavailable):
                    await consumer.take_up()

    def _check(self, batch: Sequence[Record]) -> None:
        """The cursors stand behind the batch: everything of it must be there."""
        self.world.broken += [f"{self.name}: passed before durable" for record in batch if not self._holds(record)]

    def _holds(self, record: Record) -> bool:
        """Whether the record has left a durable trace: in the inbox or in quarantine.

        Of what is stated by instances its number is the trace, and of what has no number there is none. Of one whose
        number was given out before, that other message is it; of junk, a row that counts.
        """
        state = self.database.state
        try:
            stated = opened(tuple(record.headers), record.value or b"").attributes
        except CausewayError:
            return any(same.startswith(f"{record.topic} ") for same in state.quarantine)
        pair = (stated.sender, stated.recipient, stated.epoch)
        if stated.type in _STATED:
            if stated.sequence == 0:
                return True
            numbers = state.pairs.get(pair)
            return numbers is not None and stated.sequence not in numbers.holes and stated.sequence <= numbers.high
        return stated.id in state.inbox or (*pair, stated.sequence) in state.numbered

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


def subject_of(arrival: Arrival) -> tuple[str, str, str]:
    return arrival.sender, arrival.recipient, arrival.subject
