"""Own segments in PostgreSQL: one row a transaction and stream, a partition a day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from shared.messaging.segment_bytes import pack_messages, parse_messages, split_digests
from shared.messaging.segments import PackedMessages, Segment
from shared.messaging.store.session import Tables
from shared.messaging.streams import Lane, Pair, extend_chain
from shared.runtime.database.columns import Bound, Columns

#: What of a segment's columns is no field of it.
_PACKED: Final = {"peer": "text", "count": "bigint", "message_ids": "bytea", "digests": "bytea", "content": "bytea"}
SEGMENT: Final[Columns[Segment]] = Columns.of(
    Segment, without=("pair", "messages", "packed"), lane="smallint", **_PACKED
)

#: The first row may begin below the number. At most one row a message is read: no row is empty.
_LIST: Final = """
SELECT * FROM (
    SELECT s.*, sum(count) OVER (ORDER BY first) AS total FROM (
        SELECT * FROM segment
        WHERE peer = $1 AND incarnation = $2 AND lane = $3::smallint AND first + count > $4::bigint + 1
          AND first >= coalesce((
            SELECT max(first) FROM segment
            WHERE peer = $1 AND incarnation = $2 AND lane = $3::smallint AND first <= $4::bigint + 1), 0)
        ORDER BY first LIMIT $5
    ) AS s
) AS s WHERE total <= $5 OR total = count ORDER BY first
"""
#: The segment of the next number states its chain as well.
_CHAIN: Final = """
SELECT first, count, chain_before, substring(digests FOR (32 * ($4::bigint - first + 1))::integer) AS digests
FROM segment WHERE peer = $1 AND incarnation = $2 AND lane = $3::smallint AND first <= $4::bigint + 1
ORDER BY first DESC LIMIT 1
"""
_DROP: Final = """
DELETE FROM segment
WHERE peer = $1 AND incarnation = $2 AND lane = $3::smallint AND first <= $4::bigint AND first + count - 1 <= $4::bigint
"""


class SegmentTables(Tables):
    """The segments of own streams."""

    async def list_segments(
        self, peer: str, incarnation: UUID, lane: Lane, *, above: int, messages_max: int
    ) -> list[Segment]:
        rows = await self._driver.fetch(_LIST, peer, incarnation, lane, above, messages_max)
        return [_parse(self.own, row) for row in rows]

    async def find_chain(self, peer: str, incarnation: UUID, lane: Lane, *, number: int) -> bytes | None:
        row = await self._driver.fetchrow(_CHAIN, peer, incarnation, lane, number)
        if row is None or row["first"] + row["count"] <= number:
            return None
        return extend_chain(row["chain_before"], split_digests(row["digests"]))

    async def drop_segments(self, peer: str, incarnation: UUID, lane: Lane, *, through: int) -> None:
        await self._driver.execute(_DROP, peer, incarnation, lane, through)


def bind_segments(segments: Sequence[Segment]) -> Bound[Segment]:
    """Bind segments as the rows of an insert."""
    packed = [segment.packed or pack_messages(segment.messages) for segment in segments]
    return SEGMENT.rows(
        segments,
        peer=[segment.pair.addressee for segment in segments],
        count=[len(segment.messages) for segment in segments],
        message_ids=[each.message_ids for each in packed],
        digests=[each.digests for each in packed],
        content=[each.content for each in packed],
    )


def _parse(own: str, row: asyncpg.Record) -> Segment:
    return Segment(
        pair=Pair(own, row["peer"]),
        incarnation=row["incarnation"],
        lane=Lane(row["lane"]),
        first=row["first"],
        chain_before=row["chain_before"],
        messages=parse_messages(PackedMessages(row["message_ids"], row["digests"], row["content"])),
        proof=row["proof"],
        day=row["day"],
    )
