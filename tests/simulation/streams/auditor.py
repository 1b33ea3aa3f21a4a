"""Audit in the simulation: it reads every stream by the same rules, stores each number, and names losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from shared.messaging import reception, upkeep
from shared.messaging.exceptions import Outcome, OutcomeKind, TakenMessage
from shared.messaging.reception import ArrivedRecord
from shared.messaging.resync import Holdings
from shared.messaging.scope import Scope
from shared.messaging.streams import LANES, Lane, Pair
from tests.simulation.streams.node import drive
from tests.simulation.streams.partitions import AUDIT, Copy
from tests.support.messaging_memory import MemoryDatabase

if TYPE_CHECKING:
    from tests.simulation.streams.world import World

BATCH = 50


class Auditor:
    """`copies`: the chain at each number taken. `seen`: message ids, contents and acts. `losses`: by stream."""

    def __init__(self, world: World, peers: dict[str, tuple[str, ...]]) -> None:
        self.world = world
        self.pairs = [Pair(writer, reader) for writer, readers in peers.items() for reader in (*readers, AUDIT)]
        self.db = MemoryDatabase("copies", "seen", "losses")

    @contextmanager
    def transaction(self) -> Iterator[Scope]:
        with self.db.transaction() as tx:
            inbound = Inbound(self.world)
            subjects: object = None
            yield Scope(AUDIT, AUDIT, tx, subjects, inbound, self.world, self.world.new_id, self.world.now)  # type: ignore[arg-type]

    def read(self, pair: Pair, *, is_acking: bool = True) -> None:
        """Read both lanes of a pair to their ends, then acknowledge."""
        for lane in self.world.rng.sample(LANES, 2):
            while self._read_lane(pair, lane):
                pass
        if is_acking:
            self.ack(pair)

    def _read_lane(self, pair: Pair, lane: Lane) -> bool:
        partition = self.world.partitions[pair, lane]
        with self.transaction() as scope:
            incoming = drive(scope.tx.load_incoming(pair, lock=False))
            offset = incoming.seek(lane, partition.topic_id, first=partition.first, end=partition.end)
            records = partition.read(offset, BATCH)
            if not records:
                return False
            plain = [each._replace(content=None) if isinstance(each.content, Copy) else each for each in records]
            incoming = drive(scope.tx.load_incoming(pair, lock=True))
            drive(scope.inbound.apply(scope, reception.observe_batch(incoming, lane, plain)))
            drive(scope.tx.save_incoming(incoming))
            self._read_copies(scope, records)
        return True

    @staticmethod
    def _read_copies(scope: Scope, records: Sequence[ArrivedRecord]) -> None:
        by_pair: dict[Pair, list[ArrivedRecord]] = {}
        for each in records:
            if isinstance(each.content, Copy):
                by_pair.setdefault(each.content.pair, []).append(each._replace(content=each.content.arrived))
        for pair, copies in by_pair.items():
            incoming = drive(scope.tx.load_incoming(pair, lock=True))
            if taken := reception.observe_copies(incoming, copies):
                drive(scope.inbound.apply(scope, taken))
                drive(scope.tx.save_incoming(incoming))

    def ack(self, pair: Pair) -> None:
        with self.transaction() as scope:
            ack = drive(upkeep.give_ack(scope, pair))
        if ack is not None:
            self.world.log.put(Pair(AUDIT, pair.writer), Lane.URGENT, [ack])

    def names_loss(self, where: tuple[Pair, Lane, UUID, int]) -> bool:
        pair, lane, incarnation, number = where
        return number <= self.db.tables["losses"].get((pair, lane, incarnation), 0)


class Inbound:
    """Store each message with its chain, and read holdings that name the ends of closed incarnations."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def apply(self, scope: Scope, taken: Sequence[TakenMessage]) -> list[Outcome]:
        for each in taken:
            await self._store(scope, each)
        return [Outcome(each.named, OutcomeKind.APPLIED) for each in taken]

    async def _store(self, scope: Scope, each: TakenMessage) -> None:
        tx = scope.tx
        message = self.world.messages[each.named.message_id]
        pair, place = message.pair, each.place
        tx.put("copies", (pair, place.lane, place.incarnation, place.number), each.chain)
        named = each.named
        for item in (named.message_id, named.content, *named.acts):
            if item is not None:
                tx.put("seen", item, True)
        body = self.world.bodies[each.record]
        if isinstance(body, Holdings):
            about = Pair(pair.addressee, pair.writer)
            for closed in body.closed:
                for lane, end in zip(LANES, closed.lanes, strict=True):
                    own = tx.tables["copies"].get((about, lane, closed.incarnation, end.number))
                    # A reader left the incarnation at `end`. Audit has no such number, or another chain there.
                    if end.number and own != end.chain:
                        tx.put("losses", (about, lane, closed.incarnation), end.number)
