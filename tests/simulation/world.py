"""The simulated installation: instances, audit, a broker and databases that fail; `plan` says what happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from tests.simulation.accepting import Knowledge
from tests.simulation.broker import ChaoticLog
from tests.simulation.instance import Instance
from tests.simulation.loop import LoopClock, VirtualLoop
from tests.simulation.parts import Parts, Trace
from tests.simulation.places import INSTANCES, Move
from tests.simulation.plan import plan
from tests.simulation.themes import THEMES
from tests.simulation.writing import Writer

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
CHAOS_S, SETTLED_S = 600.0, 4200.0
#: What comes late comes then, and before that it is silent for so long.
LATE_S, SILENCE_S = 1700.0, 300.0
#: So long after a directory has come to an instance what it moves was issued anew.
FOLLOWED_S = 30.0


class World:
    """Everything of one run. Chance comes from one seeded source, time from the loop."""

    def __init__(self, seed: int, loop: VirtualLoop, parts: Parts) -> None:
        self.random = chance = Random(seed)
        self.trace = Trace()
        self.loop = loop
        self.clock = LoopClock(loop, START)
        self.parts = parts
        self.log = ChaoticLog(self)
        self.writer = Writer(self.clock, self.new_id)
        self.calm = False
        self.broken: list[str] = []
        self.broker_down_until_s = 0.0
        self.theme = chance.choice(THEMES)
        self.moments_s = [chance.uniform(0, CHAOS_S * 0.9) for _ in range(chance.randint(1, 3))]
        if self.theme.law_changes_early:
            self.moments_s[0] = chance.uniform(0, 20)
        self.fault_rate = chance.choice((0.0, 0.05, 0.1, 0.25))
        self.crash_rate = chance.choice((0.0, 0.02, 0.05, 0.1))
        #: Whether marks are written again too, behind newer ones.
        self.marks_again = chance.random() < 0.3
        #: What comes only once everything else is over, in some runs.
        self.late_s = chance.choice((0.0, 0.0, LATE_S))
        self.auditor = parts.auditor(self)
        #: When everybody knows who has moved, and has looked at it.
        self.known_to_all_s = 0.0
        self.instances = self._installed()

    def _installed(self) -> dict[str, Instance]:
        chance = self.random
        # The law that decisions are made by changes once, perhaps in the middle of an outage.
        law_changes_s = self.moments_s[0] if self.theme.law_changes_early else chance.choice(self.moments_s)
        law_changes_at = self.at(law_changes_s + chance.uniform(0, 60))
        moves_s = None if chance.random() < 0.5 and not self.theme.moves else chance.uniform(60, CHAOS_S * 0.8)
        known = {name: self.at((moves_s or 0) + chance.choice((0, chance.uniform(-50, 200)))) for name in INSTANCES}
        move = Move(None if moves_s is None else self.at(moves_s), known)
        if moves_s is not None:
            self.known_to_all_s = (max(known.values()) - START).total_seconds() + FOLLOWED_S
        # A document comes to all at one time.
        late = {n: self.late_s if n == 2 else 0.0 for n in range(3)}
        documents = {n: self.at(late[n] or chance.uniform(0, CHAOS_S) if n else 0.0) for n in range(3)}
        installed = {}
        for name in INSTANCES if move.at else INSTANCES[:2]:
            upgraded_at = self.at(max(self.late_s, chance.uniform(0, CHAOS_S)))
            knowledge = Knowledge(name, self.clock, documents, upgraded_at, law_changes_at, move)
            installed[name] = Instance(self, name, knowledge=knowledge, slots=chance.choice((1, 1, 2)))
        return installed

    def at(self, after_s: float) -> datetime:
        return START + timedelta(seconds=after_s)

    def new_id(self) -> UUID:
        """A UUIDv7 by the virtual clock and the seeded chance."""
        milliseconds = int(self.clock.now().timestamp() * 1000)
        bits = self.random.getrandbits(74)
        value = (milliseconds << 80) | (0x7 << 76) | ((bits >> 62) << 64) | (0b10 << 62) | (bits & ((1 << 62) - 1))
        return UUID(int=value)

    async def run(self) -> None:
        """Start everything, let the plan happen, then let it come to rest."""
        auditing = self.begin()
        happenings = [asyncio.ensure_future(each) for each in plan(self)]
        await asyncio.sleep(CHAOS_S)
        self.calm = True
        for each in happenings:
            await each
        for instance in self.instances.values():
            await instance.mend()
        if self.late_s:
            await self._wait_in_silence()
        await self.come_to_rest(SETTLED_S)
        auditing.cancel()

    def begin(self) -> asyncio.Task[None]:
        """Start all instances and audit; the task of audit."""
        for instance in self.instances.values():
            instance.start()
        return self.spawn(self.auditor.run())

    async def come_to_rest(self, until_s: float) -> None:
        """Wait until nothing is on its way, but no longer than until then."""
        rested_s = 0
        while self.loop.virtual_s < until_s and rested_s < 3:
            await asyncio.sleep(1 if rested_s else 10)
            # Several times in a row: nothing is hidden in a batch that is just being consumed.
            rested_s = rested_s + 1 if self.at_rest() else 0

    async def _wait_in_silence(self) -> None:
        """What lacks something asks for nothing meanwhile, and is not sent again and again."""
        await asyncio.sleep(max(0.0, LATE_S - SILENCE_S - self.loop.virtual_s))
        before = self.log.numbered
        await asyncio.sleep(max(0.0, LATE_S - 1 - self.loop.virtual_s))
        if self.log.numbered > before:
            self.broken.append(f"restless: {self.log.numbered - before} records while everything waits")
        self.broken += [each for instance in self.instances.values() for each in instance.waits_in_vain()]

    def at_rest(self) -> bool:
        if self.loop.virtual_s < self.known_to_all_s:
            return False
        return self.auditor.idle() and all(each.is_at_rest() for each in self.instances.values())

    def behind_gone(self) -> set[UUID]:
        """Acts that wait for ever, behind one that nobody has any more."""
        return {id_ for instance in self.instances.values() for id_ in instance.behind_gone()}

    def spawn(self, main: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `main` beside everything else; it ends with the loop at the latest."""
        return self.loop.create_task(main)
