"""A broken relay, for a negative control: it discards messages that the broker has not acknowledged.

    python -m tests.support.forgetful_relay KIND --instance NAME [--only PART] …

This is `causeway serve` with this single difference.
"""

from __future__ import annotations

import sys

from deploy.serve import serve
from shared.core.errors import Unavailable
from shared.delivery.loops import StreamRelay
from shared.instance import streams
from shared.messaging import relay
from shared.messaging.streams import Lane
from tests.support.faults import serving_arguments
from tests.support.messaging_memory import chain_at

_DONE = """
UPDATE stream SET sent = $3, acked = $3, audit_acked = $3, kept_above = $3, kept_chain = $4, moved_at = now()
WHERE peer = $1 AND lane = $2
"""
#: Otherwise the comparison with the peer's holdings would send the messages again.
_FORGET = "UPDATE track SET is_erased = true WHERE peer = $1 AND side = 2 AND track = ANY($2::uuid[])"


class ForgetfulRelay(StreamRelay):
    """Marks messages as read by all readers if the broker does not answer, so none is sent again."""

    async def append_next(self, peer: str, lane: Lane) -> bool:
        async with self._scopes.read() as tx:
            batch = await relay.load_next(tx, peer, lane)
        try:
            return await super().append_next(peer, lane)
        except Unavailable:
            if batch is not None:
                await self._forget(peer, lane, batch)
            raise

    async def _forget(self, peer: str, lane: Lane, batch: relay.Append) -> None:
        last = batch.records[-1]
        subjects = [
            message.subject
            for segment in {id(each.segment): each.segment for each in batch.records}.values()
            for message in segment.messages
        ]
        chain = chain_at(last.segment, last.place.number)
        async with self._scopes.database.transaction() as session:
            await session.driver.execute(_DONE, peer, int(lane), last.place.number, chain)
            await session.driver.execute(_FORGET, peer, subjects)


def main() -> int:
    given = serving_arguments().parse_args()
    assert streams.StreamRelay is StreamRelay
    setattr(streams, "StreamRelay", ForgetfulRelay)  # noqa: B010 - the wiring is not meant to be changed
    return serve(given.kind, given.instance, given.only)


if __name__ == "__main__":
    sys.exit(main())
