"""What happens in one run: who files what, and what fails. Faults that meet hurt most, so they crowd."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from shared.exchange.topics import inbox_prefix, inbox_topic
from tests.simulation.broker import is_numbered
from tests.simulation.places import AGENCIES, AGENCY_NAMES, HOTLINE
from tests.simulation.writing import Edge

if TYPE_CHECKING:
    from tests.simulation.instance import Instance
    from tests.simulation.world import World

CHAOS_S = 600.0


def plan(world: World) -> list[Coroutine[Any, Any, None]]:
    """Everything that will happen; each waits for its time."""
    chance, happen = world.random, _Happenings(world)
    happenings = [happen.referral() for _ in range(chance.randint(2, 5))]
    for name, counts in world.theme.happens.items():
        happenings += [getattr(happen, name)() for _ in range(chance.choice(counts))]
    return happenings


class _Happenings:
    """One of each."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.random

    async def referral(self) -> None:
        """One is filed, amended and perhaps withdrawn, and answered meanwhile."""
        chance, world = self._chance, self._world
        referral_id = world.new_id()
        agencies = chance.sample(AGENCY_NAMES, chance.randint(1, 2))
        edges = [
            Edge(world.new_id(), referral_id, agency, chance.choice((0, 0, 1, 2)), chance.random() < 0.05)
            for agency in agencies
        ]
        answers = [world.spawn(self._answers(referral_id, agency)) for agency in agencies]
        await self._later()
        hotline = world.instances[HOTLINE]
        await hotline.act("file", lambda state: hotline.desk.file(state, referral_id, edges))
        for _ in range(chance.choice((0, 0, 1, 2))):
            await self._soon()
            document = chance.choice((0, 0, 1, 2))
            await hotline.act("amend", partial(hotline.desk.amend, referral_id=referral_id, document=document))
        if chance.random() < 0.5:
            await self._soon()
            await hotline.act("withdraw", lambda state: hotline.desk.withdraw(state, referral_id))
        for each in answers:
            await each

    async def _answers(self, referral_id: UUID, agency: str) -> None:
        """What an agency says by itself, wherever it is served by then."""
        for _ in range(self._chance.choice(self._world.theme.answers)):
            await asyncio.sleep(self._chance.uniform(0, CHAOS_S * 0.6))
            for instance in list(self._world.instances.values())[1:]:
                await instance.act("answer", partial(instance.desk.answer, referral_id=referral_id, agency=agency))

    async def crash(self) -> None:
        await self._later()
        self._any().crash(self._chance.choice(("relay", "consumer")))

    async def broker_outage(self) -> None:
        await self._later()
        self._world.broker_down_until_s = self._world.loop.virtual_s + self._chance.choice((2.0, 30.0, 400.0))

    async def database_outage(self) -> None:
        await self._later()
        self._any().down_until_s = self._world.loop.virtual_s + self._chance.choice((1.0, 20.0, 90.0))

    async def lost_disk(self) -> None:
        await self._later()
        self._world.trace.note("disk lost", self._world.loop.virtual_s)
        self._world.log.lose_everything()

    async def lost_records(self) -> None:
        await self._later()
        self._world.log.lose_some()

    async def refilled(self) -> None:
        """The end of a topic is lost before its reader looks, which cannot, and other records have its offsets."""
        await self._later()
        instance, now_s = self._any(), self._world.loop.virtual_s
        instance.down_until_s = max(instance.down_until_s, now_s + 60)
        await asyncio.sleep(self._chance.uniform(1, 60))
        self._world.log.refill_some(inbox_prefix(instance.name))

    async def redelivery(self) -> None:
        """A topic is read again from somewhere before."""
        await self._later()
        instance = self._any()
        cursors = instance.database.state.cursors
        for place, cursor in sorted(cursors.items()):
            cursors[place] = replace(cursor, following=self._chance.randint(0, cursor.following), tail=None)
        instance.crash("consumer")

    async def repetition(self) -> None:
        """Some records are written again, perhaps long after: in some runs marks too."""
        await self._later()
        log = self._world.log
        held = [record for name in sorted(log.topics) for record in log.topics[name].records]
        held = [record for record in held if self._world.marks_again or is_numbered(record)]
        for record in self._chance.sample(held, min(len(held), self._chance.randint(1, 4))):
            log.repeat(record)

    async def rival(self) -> None:
        """For a while two processes believe that they are the one: a lock or a session outlived its holder."""
        await self._later()
        instance = self._any()
        task = self._world.spawn(self._chance.choice((instance.run_relay, instance.run_consumer))())
        await asyncio.sleep(self._chance.uniform(1, 120))
        task.cancel()

    async def numbers_forgotten(self) -> None:
        """A counter goes back, as when a dump is loaded again: the database is the same, and cannot tell."""
        await self._later()
        instance, back = self._any(), self._chance.randint(1, 3)
        await instance.act("forget", lambda state: instance.forget(state, back))

    async def restored(self) -> None:
        """A database is set back to what it was a while ago."""
        await self._later()
        instance = self._any()
        before = instance.database.state.copy()
        await asyncio.sleep(self._chance.uniform(5, 150))
        await instance.restore(before)

    async def restored_after_retention(self) -> None:
        """A database is set back to what it was, and retention has passed most of what it has read."""
        await self._later()
        instance = self._any()
        before = instance.database.state.copy()
        await asyncio.sleep(self._chance.uniform(20, 150))
        for (name, _), cursor in instance.database.state.cursors.items():
            self._world.log.lose_read(name, cursor)
        await instance.restore(before)

    async def audit_away(self) -> None:
        await self._later()
        self._world.auditor.away_until_s = self._world.loop.virtual_s + self._chance.choice((60.0, 200.0))

    async def audit_restored(self) -> None:
        """Audit's database is set back to what it was a while ago."""
        await self._later()
        before = self._world.auditor.copy()
        await asyncio.sleep(self._chance.uniform(5, 120))
        self._world.trace.note("audit restored")
        self._world.auditor.restore(before)

    async def junk(self) -> None:
        await self._later()
        topic = inbox_topic(*self._chance.sample((HOTLINE, AGENCIES), 2))
        self._world.log.hold(topic, b"junk", (("ce_id", b"\xff"),), b"{")

    def _any(self) -> Instance:
        return self._chance.choice(list(self._world.instances.values()))

    async def _later(self) -> None:
        """Wait for the time of a happening. Most crowd around a few moments."""
        chance = self._chance
        crowded_s = chance.choice(self._world.moments_s)
        crowded_s += chance.choice((0.0, chance.uniform(0, 0.05), chance.uniform(0, 5)))
        await asyncio.sleep(crowded_s if chance.random() < 0.7 else chance.uniform(0, CHAOS_S))

    async def _soon(self) -> None:
        await asyncio.sleep(self._chance.choice((0.0, 0.05, 1.0, self._chance.uniform(0, 120))))
