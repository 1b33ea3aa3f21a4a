"""How a process of the simulation reads its topics: what `shared.runtime.kafka.bus` does, over the broker in memory.

Cursors, proofs of places and steps are the real ones (`Places`); here is only when it looks, seeks and fetches.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from shared.exchange.topics import inbox_prefix
from shared.runtime.kafka.places import News, Places
from shared.runtime.post.arrivals import Cursor, Step
from shared.runtime.post.ports import Coordinate

if TYPE_CHECKING:
    from tests.simulation.instance import Instance
    from tests.simulation.world import World

#: How often it is asked which topics there are, who leads them and where they end.
LOOK_S = 2.0
#: So many records of a topic at most come at once.
FETCHED_MAX = 9


class Reader:
    """Where one process stands in the topics that are leased to it."""

    def __init__(self, world: World, instance: Instance) -> None:
        self._world = world
        self._instance = instance
        self._found: dict[str, tuple[UUID, int]] = {}
        self._places = Places([])
        self._positions: dict[str, int] = {}
        self._looked_s = -LOOK_S

    async def look(self, leased: Collection[str]) -> None:
        """See what has become of the topics, every `LOOK_S`. Raises `Unavailable`."""
        now_s = self._world.loop.virtual_s
        if now_s - self._looked_s < LOOK_S:
            return
        topics = self._world.log.topics
        found = {name: (topics[name].topic_id, topics[name].leader_epoch) for name in sorted(leased) if name in topics}
        if {name: id_ for name, (id_, _) in found.items()} != {name: id_ for name, (id_, _) in self._found.items()}:
            await self._go_to(found)
        elif found != self._found:
            self._found = found
            self._places.doubt()
            self.seek()
        for where, place in self._places.items():
            if where.topic not in topics or topics[where.topic].end < place.cursor.following:
                await self.read_again(where)
        self._looked_s = now_s

    def batch(self) -> News:
        """Some records of some topics, each topic's in order."""
        chance, topics = self._world.random, self._world.log.topics
        names = sorted(self._positions)
        chance.shuffle(names)
        records = []
        for name in names:
            # A place may be known still of a topic that is to be looked for anew.
            if name in topics and name in self._found and topics[name].topic_id == self._found[name][0]:
                # Where its place lies before what is there, a client begins with the first that is.
                found = topics[name].since(self._positions[name])[: chance.randint(1, FETCHED_MAX)]
                self._positions[name] = found[-1].offset + 1 if found else self._positions[name]
                records += found
        return self._places.news(records)

    def moved(self, steps: list[Step]) -> None:
        self._places.moved(steps)

    def begin_again(self) -> None:
        """Another process has moved a cursor: go by what it has noted."""
        self._found, self._positions, self._looked_s = {}, {}, -LOOK_S

    def seek(self) -> None:
        """Back to where each place is."""
        self._positions = {where.topic: place.read_from for where, place in self._places.items()}

    async def read_again(self, where: Coordinate) -> None:
        """Its last record is not there any more: from the first on, once there is a topic again."""
        if where.topic not in self._world.log.topics:
            self.begin_again()
            return
        before = dict(self._places.items())[where].cursor
        after = Cursor(*where, before.topic_id, self._world.log.topics[where.topic].first)
        if await self._set_back(before, after):
            self._places.put(after)
            self.seek()

    async def _go_to(self, found: dict[str, tuple[UUID, int]]) -> None:
        cursors: list[Cursor] = []
        for name, (topic_id, _) in found.items():
            if name not in self._world.log.topics:  # gone while the one before was set back
                self.begin_again()
                return
            before = self._instance.database.state.cursors.get((name, 0))
            first = self._world.log.topics[name].first
            if before is None or before.topic_id != topic_id or before.following < first:
                cursors.append(after := Cursor(name, 0, topic_id, first))
                if not await self._set_back(before, after):
                    return
            else:
                cursors.append(before)
        self._found, self._places = found, Places(cursors)
        self.seek()

    async def _set_back(self, before: Cursor | None, after: Cursor) -> bool:
        place = (after.topic, after.partition)
        async with self._instance.database.transaction("cursor") as state:
            if state.cursors.get(place) == before:
                state.cursors[place] = after
                return True
        self.begin_again()
        return False


def topics_of(world: World, instance: str) -> list[str]:
    """The topics that an instance reads."""
    return sorted(name for name in world.log.topics if name.startswith(inbox_prefix(instance)))
