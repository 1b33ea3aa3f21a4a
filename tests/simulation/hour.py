"""An hour without a broker, in virtual time: what is filed is decided once, and once more where the law has changed.

`python -m tests.simulation.hour --rate 100` files so many edges a second; exit code 1 if any is decided otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle
from typing import Final, cast
from uuid import UUID

from shared.contracts.registry import REFERRAL_OFFERED
from shared.exchange.topics import inbox_topic
from shared.runtime.post.relay import RelaySettings
from shared.runtime.post.turns import TalkSettings
from tests.simulation.accepting import TOLERANCE, Acceptor, Knowledge
from tests.simulation.cheap import opened
from tests.simulation.desks import Desk
from tests.simulation.instance import Instance
from tests.simulation.invariants import violations
from tests.simulation.loop import VirtualLoop
from tests.simulation.parts import Parts
from tests.simulation.places import AGENCIES, AGENCY_NAMES, HOTLINE, INSTANCES, Move
from tests.simulation.run import at_its_end, collect_seldom
from tests.simulation.themes import USUAL
from tests.simulation.world import World
from tests.simulation.writing import Edge, Offered, read_clear
from tests.support.memory_stores import State

#: The broker goes after so long, for an hour; the law changes half-way, or before all else.
BEFORE_S: Final = 600.0
AWAY_S: Final = 3600.0
CHANGES_S: Final = BEFORE_S + AWAY_S / 2
#: So long before that, the agencies' database is away: what was taken by the broker then is read after the hour.
UNREAD_S: Final = 300.0
FILED_S: Final = BEFORE_S + AWAY_S + 60.0
FILED_EVERY_S: Final = 5.0
SETTLED_S: Final = FILED_S + 4 * 3600.0
#: Batches are larger than the simulation's, into which more can come in between: so large for each edge a second.
BATCH: Final = 50
BATCH_MAX: Final = 500
#: How often marks are looked at, and how seldom a lane is tried at last: either reads all that is held.
TALK_S: Final = 20.0
BACK_OFF_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Told:
    """What became of the edges. `again`: how often one was decided once more, `concerned`: how many had to be.

    `unread` were taken before the broker went and read after it was back; `wrong` were decided too often, or not often
    enough; `copies` of messages were appended beside the first.
    """

    edges: int
    again: int
    concerned: int
    unread: int
    wrong: int
    copies: int
    violations: tuple[str, ...]


class SaysNothing(Desk):
    """An agency answers nothing."""

    def answer(self, state: State, referral_id: UUID, agency: str) -> None:
        state.effects["track", referral_id, agency] = 0


class HourAway(World):
    """Nothing fails but what is said above. One referral has one edge, to each agency in its turn."""

    def __init__(self, loop: VirtualLoop, parts: Parts, *, rate: float, law_changes: bool) -> None:
        """`rate` edges are filed a second; what comes within some seconds in one transaction."""
        self._changes_s = CHANGES_S if law_changes else -1.0
        super().__init__(0, loop, parts)
        self._rate = rate
        self._agencies = cycle(AGENCY_NAMES)
        self.theme, self.calm = USUAL, True

    def _installed(self) -> dict[str, Instance]:
        at_once, changes_at = self.at(0), self.at(self._changes_s)
        documents, move = dict.fromkeys(range(3), at_once), Move(None, {})
        return {
            name: Instance(
                self, name, knowledge=Knowledge(name, self.clock, documents, at_once, changes_at, move), slots=1
            )
            for name in INSTANCES[:2]
        }

    async def run(self) -> None:
        auditing = self.begin()
        self.loop.call_at(BEFORE_S - UNREAD_S, self._agencies_away)
        self.loop.call_at(BEFORE_S, self._broker_away)
        pause_s = max(FILED_EVERY_S, 1 / self._rate)
        while self.loop.virtual_s < FILED_S:
            await self._file(round(self._rate * pause_s))
            await asyncio.sleep(pause_s)
        await self.come_to_rest(SETTLED_S)
        auditing.cancel()

    def _agencies_away(self) -> None:
        self.instances[AGENCIES].down_until_s = BEFORE_S + 1

    def _broker_away(self) -> None:
        # What a process has in its hands it would still take: it begins anew.
        self.instances[AGENCIES].crash("consumer")
        self.broker_down_until_s = BEFORE_S + AWAY_S

    async def _file(self, count: int) -> None:
        hotline = self.instances[HOTLINE]
        edges = [Edge(self.new_id(), self.new_id(), next(self._agencies), 0, False) for _ in range(count)]
        await hotline.act("file", partial(_filed, hotline.desk, edges=edges))


def _filed(desk: Desk, state: State, *, edges: list[Edge]) -> None:
    for edge in edges:
        desk.file(state, edge.referral_id, [edge])


def without_a_broker(*, rate: float, law_changes: bool, acceptor: type[Acceptor] = Acceptor) -> Told:
    """Run the hour, and count."""
    batch = min(BATCH_MAX, max(BATCH, round(BATCH * rate)))
    relay = RelaySettings(batch_rows_max=batch, back_off_s_max=BACK_OFF_S)
    patches = {
        "tests.simulation.instance.RELAY": relay,
        "tests.simulation.instance.TALK": TalkSettings(poll_s=TALK_S),
        "tests.simulation.reading.FETCHED_MAX": batch,
    }
    parts = Parts(acceptor=acceptor, desk=SaysNothing, patches=patches)
    world = at_its_end(parts, lambda loop: HourAway(loop, parts, rate=rate, law_changes=law_changes))
    changes_at, away_at = world.at(CHANGES_S), world.at(BEFORE_S)
    effects = world.instances[HOTLINE].database.state.effects
    decided = Counter(edge.edge_id for key, edge in effects.items() if key[0] == "edge")
    first = _first_copies(world)
    held_back = {
        edge_id
        for edge_id, (decided_at, taken_at) in first.items()
        if decided_at < changes_at and taken_at > changes_at + TOLERANCE
    }
    concerned = held_back if law_changes else set()
    return Told(
        edges=len(decided),
        again=decided.total() - len(decided),
        concerned=len(concerned),
        unread=sum(away_at - timedelta(seconds=UNREAD_S) <= taken_at < away_at for _, taken_at in first.values()),
        wrong=sum(count != 1 + (edge_id in concerned) for edge_id, count in decided.items()),
        copies=world.log.numbered - sum(number > 0 for _, _, number in world.log.bytes_of),
        violations=tuple(violations(world)),
    )


def _first_copies(world: World) -> dict[UUID, tuple[datetime, datetime]]:
    """Of each edge that the broker has taken when it was decided first, and when that was taken."""
    first: dict[UUID, tuple[datetime, datetime]] = {}
    for record in world.log.records(inbox_topic(AGENCIES, HOTLINE)):
        envelope = opened(tuple(record.headers), record.value or b"")
        if envelope.attributes.type == REFERRAL_OFFERED.type:
            offer = cast(Offered, read_clear(REFERRAL_OFFERED, envelope.body))
            first.setdefault(offer.edge_id, (offer.decided_at, record.broker_time))
    return first


def main() -> int:
    """Run both hours, with and without another law; print what came out, and what it took."""
    options = argparse.ArgumentParser(prog="python -m tests.simulation.hour")
    options.add_argument("--rate", type=float, default=100.0, help="edges a second")
    rate = options.parse_args().rate
    collect_seldom()
    bad = 0
    begun = time.process_time()
    for law_changes in (False, True):
        told = without_a_broker(rate=rate, law_changes=law_changes)
        bad += told.wrong + len(told.violations)
        used, mib = time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        law = "another law half-way" if law_changes else "one law"
        print(
            f"hour away, {law}, {rate:g} edges a second: {told.edges} edges, {told.again} decided again, "
            f"{told.concerned} had to be, {told.wrong} otherwise, {told.unread} read later than the broker went, "
            f"{told.copies} copies, {len(told.violations)} promises broken; {used:.0f} s of CPU, {mib} MiB so far",
            flush=True,
        )
        for each in told.violations[:10]:
            print(f"  {each}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
