"""The simulated installation: instances, a broker and databases that fail, and the plan of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from shared.exchange.topics import inbox_topic
from tests.simulation.broker import ChaoticLog
from tests.simulation.desks import AGENCIES, AGENCY_NAMES, HOTLINE, Edge, Writer
from tests.simulation.instance import Instance
from tests.simulation.loop import LoopClock, VirtualLoop
from tests.simulation.parts import Parts, Trace
from tests.simulation.talking import Auditor

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
CHAOS_S, SETTLED_S = 600.0, 4200.0
MARKS_EVERY_S = 60.0


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
