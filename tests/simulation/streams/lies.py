"""False acknowledgements, as a hostile peer sends them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.messaging.acks import Ack, LaneAck
from shared.messaging.streams import LANES

if TYPE_CHECKING:
    from tests.simulation.streams.world import World


def lie(world: World, ack: Ack) -> Ack:
    """Return an acknowledgement with false content."""
    rng = world.rng
    draw, owner = rng.random(), world.nodes[ack.pair.writer].db.tables["outgoing"].get(ack.reader)
    nonce = ack.nonce or world.new_id()
    urgent, ordinary = ack.lanes
    if draw < 0.2:
        return replace(ack, nonce=nonce, incarnation=world.new_id())
    if draw < 0.5:
        lanes = [LaneAck(rng.randint(0, 30), rng.randbytes(32), rng.random() < 0.2, rng.random() < 0.6) for _ in LANES]
    elif draw < 0.6:
        return replace(ack, nonce=nonce, closed=owner.incarnation if owner else None)
    elif draw < 0.9:
        lanes = [
            said._replace(through=rng.randint(0, said.through) * (rng.random() < 0.5), is_full=False, has_gap=True)
            for said in ack.lanes
        ]
    else:
        lanes = [said._replace(is_full=True, has_gap=False) for said in (urgent, ordinary)]
    return replace(ack, nonce=nonce, lanes=(lanes[0], lanes[1]))
