"""Own streams in PostgreSQL: a row for each pair, a row for each lane, which a send locks and moves, and segments.

Segments have one row for each transaction and stream, and one partition for each day.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import fields, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict

from shared.core.errors import Unavailable
from shared.messaging.segments import PackedMessages, Segment, pack_messages, parse_messages, split_digests
from shared.messaging.streams import (
    LANES,
    Lane,
    Outgoing,
    OutgoingLane,
    Pair,
    Probe,
    Reader,
    Source,
    StreamPlace,
    extend_chain,
)
from shared.platform.database.columns import BoundRows, Columns, Row, Statement, insert, join
from shared.platform.database.transactions import Session, take_parts


class Tables:
    """The open transaction of the instance `own`."""

    def __init__(self, session: Session, own: str) -> None:
        self.session = session
        self._driver = session.driver
        self.own = own
        #: Writers whose pair is locked, and of whose messages none is an exception here.
        self._without_exceptions: set[str] = set()
        #: The open lines on the operator's list by peer, as this transaction counted them once and added to them.
        self._line_counts: dict[str, int] = {}

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        return self.session.savepoint()


def list_assignments(columns: Columns[Row], source: str, *, without: Sequence[str]) -> str:
    """Return the list of an `UPDATE … SET` from a relation with these columns."""
    return ", ".join(f'"{name}" = {source}."{name}"' for name in columns.sql_types if name not in without)


def superseded() -> Unavailable:
    """Return the error for a row that another transaction has written since it was read."""
    return Unavailable("messaging_superseded", "another transaction has written the same stream")


#: The columns of a segment that are not fields of `Segment`.
_PACKED: Final = {"peer": "text", "count": "bigint", "message_ids": "bytea", "digests": "bytea", "content": "bytea"}
SEGMENT: Final[Columns[Segment]] = Columns.of(
    Segment, without=("pair", "messages", "packed"), lane="smallint", **_PACKED
)

#: The first row may begin below the number. No row is empty, so at most one row per message is read.
_LIST_SEGMENTS: Final = """
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
        rows = await self._driver.fetch(_LIST_SEGMENTS, peer, incarnation, lane, above, messages_max)
        return [_parse_segment(self.own, row) for row in rows]

    async def find_chain(self, peer: str, incarnation: UUID, lane: Lane, *, number: int) -> bytes | None:
        row = await self._driver.fetchrow(_CHAIN, peer, incarnation, lane, number)
        if row is None or row["first"] + row["count"] <= number:
            return None
        return extend_chain(row["chain_before"], split_digests(row["digests"]))

    async def drop_segments(self, peer: str, incarnation: UUID, lane: Lane, *, through: int) -> None:
        await self._driver.execute(_DROP, peer, incarnation, lane, through)


def bind_segments(segments: Sequence[Segment]) -> BoundRows[Segment]:
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


def _parse_segment(own: str, row: asyncpg.Record) -> Segment:
    messages = parse_messages(PackedMessages(row["message_ids"], row["digests"], row["content"]))
    place = row["incarnation"], Lane(row["lane"]), row["first"], row["chain_before"]
    return Segment(Pair(own, row["peer"]), *place, messages, row["proof"], row["day"])


class _PairState(BaseModel):
    """The members of `Outgoing` that change seldom, as `stream_pair` has them: JSON, with bytes in hexadecimal."""

    model_config = ConfigDict(from_attributes=True, ser_json_bytes="hex", val_json_bytes="hex")

    is_audited: bool
    probe_pause_s: int
    probe: Probe | None = None
    awaited_since: datetime | None = None
    resync_nonce: UUID | None = None
    opened_at: dict[Reader, datetime] = {}
    is_limited: bool = False
    sources: list[Source] = []
    heard_at: dict[Reader, datetime] = {}


class _PairRow(NamedTuple):
    peer: str
    incarnation: UUID
    state: str


class _Stream(NamedTuple):
    """A row of `stream`."""

    peer: str
    lane: Lane
    incarnation: UUID
    own: OutgoingLane


_PAIR: Columns[_PairRow] = Columns.of(_PairRow)
_STREAM: Columns[OutgoingLane] = Columns.of(OutgoingLane, peer="text", lane="smallint", incarnation="uuid")

_SELECT: Final = "SELECT s.*, p.state FROM stream_pair AS p JOIN stream AS s USING (peer)"
_LIST: Final = f"{_SELECT} ORDER BY s.peer, s.lane"
_LOAD: Final = f"{_SELECT} WHERE p.peer = ANY($1::text[]) ORDER BY s.peer, s.lane"
_LOAD_LOCKED: Final = f"{_LOAD} FOR NO KEY UPDATE"
_ADD_PAIRS = insert("stream_pair", _PAIR, end="ON CONFLICT DO NOTHING RETURNING peer")
_ADD_STREAMS = insert("stream", _STREAM)
#: One statement for a send: streams move, and segments are added. A send leaves `pairs` empty.
_SAVE = Statement(
    f"""
WITH pairs_saved AS (
    UPDATE stream_pair AS p SET {list_assignments(_PAIR, "pairs", without=["peer"])}
    FROM {{pairs}} WHERE p.peer = pairs.peer
), streams_saved AS (
    UPDATE stream AS s SET {list_assignments(_STREAM, "streams", without=["peer", "lane"])}
    FROM {{streams}} WHERE s.peer = streams.peer AND s.lane = streams.lane
)
INSERT INTO segment ({{segments.names}}) SELECT {{segments.values}} FROM {{segments}}
""",
    pairs=_PAIR,
    streams=_STREAM,
    segments=SEGMENT,
)
_MOVE_SENT: Final = """
UPDATE stream SET sent = $5, moved_at = $6
WHERE peer = $1 AND lane = $2 AND sent BETWEEN $3 AND $5 AND incarnation = $4 AND coalesce(returned_at <= $7, true)
RETURNING lane
"""
_KNOWN: Final = "SELECT incarnation FROM incarnation WHERE writer = $1 AND addressee = $2"
_ADD_KNOWN: Final = (
    "INSERT INTO incarnation (writer, addressee, incarnation) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
)


class OutgoingTables(Tables):
    """The own streams of an instance."""

    def __init__(self, session: Session, own: str) -> None:
        super().__init__(session, own)
        #: The rows that this transaction has loaded or saved, as they are stored.
        self._pairs: dict[str, _PairRow] = {}
        self._streams: dict[tuple[str, Lane], _Stream] = {}

    async def load_outgoing(self, peers: Sequence[str] | None, *, lock: bool) -> dict[str, Outgoing]:
        """Return the streams to these peers, or to all."""
        if peers is None:
            rows = await self._driver.fetch(f"{_LIST} FOR NO KEY UPDATE" if lock else _LIST)
        else:
            rows = await self._driver.fetch(_LOAD_LOCKED if lock else _LOAD, peers)
        for row in rows:
            peer, lane, incarnation = row["peer"], Lane(row["lane"]), row["incarnation"]
            self._pairs[peer] = _PairRow(peer, incarnation, row["state"])
            own = OutgoingLane(*(row[each.name] for each in fields(OutgoingLane)))
            self._streams[peer, lane] = _Stream(peer, lane, incarnation, own)
        return {row["peer"]: self._parse(row["peer"]) for row in rows if row["lane"] == Lane.URGENT}

    async def save_outgoing(self, outgoing: Sequence[Outgoing], segments: Sequence[Segment] = ()) -> None:
        """Store the rows that differ from the stored ones, and add segments.

        Raise `Unavailable("messaging_superseded")` if another transaction has added the same pair.
        """
        pairs = [_format_pair(each) for each in outgoing]
        streams = [row for each in outgoing for row in _format_streams(each)]
        await self._add_pairs([row for row in pairs if row.peer not in self._pairs], streams)
        pairs = [row for row in pairs if row != self._pairs[row.peer]]
        streams = [row for row in streams if row != self._streams[row.peer, row.lane]]
        if pairs or streams or segments:
            bound = _SAVE.bind(pairs=_PAIR.rows(pairs), streams=_bind(streams), segments=bind_segments(segments))
            await self._driver.execute(*join(take_parts(self._driver), *bound))
        self._note(pairs, streams)

    async def move_sent(
        self, peer: str, place: StreamPlace, *, sent_before: int, since: datetime | None, at: datetime
    ) -> bool:
        """Move the relay's pointer of a stream, if it has not gone back below `sent_before` in this incarnation.

        The pointer must not have gone back after `since` either, because it may since have returned to the same place.
        """
        arguments = peer, int(place.lane), sent_before, place.incarnation, place.number, at, since
        return bool(await self._driver.fetch(_MOVE_SENT, *arguments))

    async def load_known(self, peer: str) -> frozenset[UUID]:
        return frozenset(row["incarnation"] for row in await self._driver.fetch(_KNOWN, self.own, peer))

    async def add_known(self, peer: str, incarnation: UUID) -> None:
        await self._driver.execute(_ADD_KNOWN, self.own, peer, incarnation)

    async def _add_pairs(self, pairs: Sequence[_PairRow], streams: Sequence[_Stream]) -> None:
        if not pairs:
            return
        added = await self._driver.fetch(*_ADD_PAIRS.bind(rows=_PAIR.rows(pairs)))
        if len(added) < len(pairs):
            raise superseded()
        peers = {row.peer for row in pairs}
        new = [row for row in streams if row.peer in peers]
        await self._driver.execute(*_ADD_STREAMS.bind(rows=_bind(new)))
        self._note(pairs, new)

    def _note(self, pairs: Sequence[_PairRow], streams: Sequence[_Stream]) -> None:
        self._pairs |= {row.peer: row for row in pairs}
        self._streams |= {(row.peer, row.lane): row for row in streams}

    def _parse(self, peer: str) -> Outgoing:
        row = self._pairs[peer]
        urgent, ordinary = (replace(self._streams[peer, lane].own) for lane in LANES)
        state = _PairState.model_validate_json(row.state)
        return Outgoing(Pair(self.own, peer), row.incarnation, (urgent, ordinary), **dict(state))


def _format_pair(outgoing: Outgoing) -> _PairRow:
    state = _PairState.model_validate(outgoing).model_dump_json()
    return _PairRow(outgoing.pair.addressee, outgoing.incarnation, state)


def _format_streams(outgoing: Outgoing) -> list[_Stream]:
    peer, incarnation = outgoing.pair.addressee, outgoing.incarnation
    return [_Stream(peer, lane, incarnation, replace(own)) for lane, own in zip(LANES, outgoing.lanes, strict=True)]


def _bind(rows: Sequence[_Stream]) -> BoundRows[OutgoingLane]:
    return _STREAM.rows(
        [row.own for row in rows],
        peer=[row.peer for row in rows],
        lane=[row.lane for row in rows],
        incarnation=[row.incarnation for row in rows],
    )
