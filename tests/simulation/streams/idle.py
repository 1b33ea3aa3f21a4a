"""Fast checks that nothing is due, since a run spends most of its time at rest.

They read stored rows without a transaction. The random part of a run never uses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.messaging.acks import find_ack_turn
from shared.messaging.streams import LANES, Incoming, Lane, Outgoing, Pair
from tests.support.messaging_memory import MemoryDatabase

if TYPE_CHECKING:
    from tests.simulation.streams.node import Node
    from tests.simulation.streams.world import World


def has_unsent(node: Node, peer: str, lane: Lane) -> bool:
    own: Outgoing | None = node.db.tables["outgoing"].get(peer)
    return own is not None and own.lanes[lane].sent < own.lanes[lane].last


def has_unread(world: World, db: MemoryDatabase, pair: Pair, *, lane: Lane) -> bool:
    partition = world.partitions[pair, lane]
    read: Incoming | None = db.tables["incoming"].get(pair)
    if read is None:
        return bool(partition.records)
    at = read.lanes[lane]
    return at.is_stopped or (at.topic_id, at.next_offset) != (partition.topic_id, partition.end)


def owes_ack(world: World, db: MemoryDatabase, pair: Pair, *, own: Outgoing | None) -> bool:
    read = db.tables["incoming"].get(pair) or Incoming(pair)
    return find_ack_turn(read, own, world.now) is not None


def needs_tending(node: Node, peer: str) -> bool:
    own: Outgoing | None = node.db.tables["outgoing"].get(peer)
    resync = node.db.tables["resync"].get(peer)
    if resync is not None and resync.nonce is not None:
        return True
    if own is None:
        return False
    is_purged = all(own.lowest_acked(lane) <= own.lanes[lane].kept_above for lane in LANES)
    is_copied = all(lane.copy_above is None for lane in own.lanes)
    return own.is_limited or bool(own.sources) or not is_purged or not is_copied
