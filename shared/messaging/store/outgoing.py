"""Own streams in PostgreSQL: a row a pair, and a row a lane that a send locks and moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.messaging.segments import Segment
from shared.messaging.store.segments import SEGMENT, bind_segments
from shared.messaging.store.session import Tables, list_assignments, superseded
from shared.messaging.streams import LANES, Lane, Outgoing, OutgoingLane, Pair, Place, Probe, Reader, Source, SourceLane
from shared.runtime.database.columns import Columns, Statement, insert, join
from shared.runtime.database.transactions import Session, take_parts


class _PairRow(NamedTuple):
    peer: str
    incarnation: UUID
    is_audited: bool
    probe_pause_s: int
    probe_nonce: UUID | None
    probe_sent_at: datetime | None
    probe_urgent_last: int | None
    probe_ordinary_last: int | None
    probe_urgent_acked: int | None
    probe_ordinary_acked: int | None
    probe_urgent_audit_acked: int | None
    probe_ordinary_audit_acked: int | None
    awaited_at: datetime | None
    resync_nonce: UUID | None
    recipient_opened_at: datetime | None
    audit_opened_at: datetime | None
    recipient_heard_at: datetime | None
    audit_heard_at: datetime | None
    is_limited: bool
    source_count: int


class _StreamRow(NamedTuple):
    peer: str
    lane: int
    incarnation: UUID
    chain: bytes
    kept_chain: bytes
    moved_at: datetime
    last: int
    sent: int
    acked: int
    audit_acked: int
    kept_above: int
    is_full: bool
    returned_to: int | None
    returned_at: datetime | None
    copy_above: int | None
    p0_last: int


class _SourceRow(NamedTuple):
    peer: str
    position: int
    incarnation: UUID
    urgent_carried: int
    urgent_last: int
    urgent_chain: bytes
    urgent_p0_last: int
    ordinary_carried: int
    ordinary_last: int
    ordinary_chain: bytes
    ordinary_p0_last: int


_PAIR: Columns[_PairRow] = Columns.of(_PairRow)
_STREAM: Columns[_StreamRow] = Columns.of(_StreamRow, lane="smallint")
_SOURCE: Columns[_SourceRow] = Columns.of(_SourceRow)

_STREAM_NAMES: Final = ", ".join(f"s.{name}" for name in _STREAM.sql_types)
_PAIR_NAMES: Final = ", ".join(f"p.{name}" for name in _PAIR.sql_types if name not in _STREAM.sql_types)
_SELECT: Final = f"SELECT {_STREAM_NAMES}, {_PAIR_NAMES} FROM stream_pair AS p JOIN stream AS s USING (peer)"
_LIST: Final = f"{_SELECT} ORDER BY s.peer, s.lane"
_LOAD: Final = f"{_SELECT} WHERE p.peer = ANY($1::text[]) ORDER BY s.peer, s.lane"
_LOAD_LOCKED: Final = f"{_LOAD} FOR NO KEY UPDATE"
_SOURCES: Final = "SELECT * FROM stream_source WHERE peer = ANY($1::text[]) ORDER BY peer, position"
_ADD_PAIRS = insert("stream_pair", _PAIR, end="ON CONFLICT DO NOTHING RETURNING peer")
_ADD_STREAMS = insert("stream", _STREAM)
_DROP_SOURCES: Final = "DELETE FROM stream_source WHERE peer = ANY($1::text[])"
_ADD_SOURCES = insert("stream_source", _SOURCE)
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
WHERE peer = $1 AND lane = $2 AND sent BETWEEN $3 AND $5 AND incarnation = $4 RETURNING lane
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
        self._streams: dict[tuple[str, int], _StreamRow] = {}
        self._sources: dict[str, list[_SourceRow]] = {}

    async def load_outgoing(self, peers: Sequence[str] | None, *, lock: bool) -> dict[str, Outgoing]:
        """Return the streams to these peers, or to all."""
        if peers is None:
            rows = await self._driver.fetch(f"{_LIST} FOR NO KEY UPDATE" if lock else _LIST)
        else:
            rows = await self._driver.fetch(_LOAD_LOCKED if lock else _LOAD, peers)
        for row in rows:
            self._pairs[row["peer"]] = _PairRow(*(row[name] for name in _PairRow._fields))
            self._streams[row["peer"], row["lane"]] = _StreamRow(*(row[name] for name in _StreamRow._fields))
            self._sources[row["peer"]] = []
        # After the lock, and by a statement of its own: one statement would not see rows of a lock that it waited for.
        if carried := sorted({row["peer"] for row in rows if row["source_count"]}):
            for row in await self._driver.fetch(_SOURCES, carried):
                self._sources[row["peer"]].append(_SourceRow(*(row[name] for name in _SourceRow._fields)))
        return {row["peer"]: self._parse(row["peer"]) for row in rows if row["lane"] == Lane.URGENT}

    async def save_outgoing(self, outgoing: Sequence[Outgoing], segments: Sequence[Segment] = ()) -> None:
        """Store the rows that differ from the stored ones, and add segments.

        Raise `Unavailable("messaging_superseded")` if another transaction has added the same pair.
        """
        pairs = [_format_pair(each) for each in outgoing]
        streams = [row for each in outgoing for row in _format_streams(each)]
        await self._add_pairs([row for row in pairs if row.peer not in self._pairs], streams)
        await self._save_sources(outgoing)
        pairs = [row for row in pairs if row != self._pairs[row.peer]]
        streams = [row for row in streams if row != self._streams[row.peer, row.lane]]
        if pairs or streams or segments:
            bound = _SAVE.bind(pairs=_PAIR.rows(pairs), streams=_STREAM.rows(streams), segments=bind_segments(segments))
            await self._driver.execute(*join(take_parts(self._driver), *bound))
        self._pairs |= {row.peer: row for row in pairs}
        self._streams |= {(row.peer, row.lane): row for row in streams}

    async def move_sent(self, peer: str, place: Place, *, sent_before: int, at: datetime) -> bool:
        """Move the relay's pointer of a stream, if it has not gone back below `sent_before` in this incarnation."""
        arguments = peer, int(place.lane), sent_before, place.incarnation, place.number, at
        return bool(await self._driver.fetch(_MOVE_SENT, *arguments))

    async def load_known(self, peer: str) -> frozenset[UUID]:
        rows = await self._driver.fetch(_KNOWN, self.own, peer)
        return frozenset(row["incarnation"] for row in rows)

    async def add_known(self, peer: str, incarnation: UUID) -> None:
        await self._driver.execute(_ADD_KNOWN, self.own, peer, incarnation)

    async def _add_pairs(self, pairs: Sequence[_PairRow], streams: Sequence[_StreamRow]) -> None:
        if not pairs:
            return
        added = await self._driver.fetch(*_ADD_PAIRS.bind(rows=_PAIR.rows(pairs)))
        if len(added) < len(pairs):
            raise superseded()
        peers = {row.peer for row in pairs}
        new = [row for row in streams if row.peer in peers]
        await self._driver.execute(*_ADD_STREAMS.bind(rows=_STREAM.rows(new)))
        self._pairs |= {row.peer: row for row in pairs}
        self._streams |= {(row.peer, row.lane): row for row in new}

    async def _save_sources(self, outgoing: Sequence[Outgoing]) -> None:
        sources = {each.pair.addressee: _format_sources(each) for each in outgoing}
        changed = {peer: rows for peer, rows in sources.items() if rows != self._sources.get(peer, [])}
        if changed:
            await self._driver.execute(_DROP_SOURCES, list(changed))
            rows = [row for each in changed.values() for row in each]
            await self._driver.execute(*_ADD_SOURCES.bind(rows=_SOURCE.rows(rows)))
            self._sources |= changed

    def _parse(self, peer: str) -> Outgoing:
        row = self._pairs[peer]
        urgent, ordinary = (_parse_lane(self._streams[peer, lane]) for lane in LANES)
        opened = {Reader.RECIPIENT: row.recipient_opened_at, Reader.AUDIT: row.audit_opened_at}
        heard = {Reader.RECIPIENT: row.recipient_heard_at, Reader.AUDIT: row.audit_heard_at}
        return Outgoing(
            pair=Pair(self.own, peer),
            incarnation=row.incarnation,
            lanes=(urgent, ordinary),
            is_audited=row.is_audited,
            probe_pause_s=row.probe_pause_s,
            probe=_parse_probe(row),
            awaited_since=row.awaited_at,
            resync_nonce=row.resync_nonce,
            opened_at={reader: at for reader, at in opened.items() if at is not None},
            heard_at={reader: at for reader, at in heard.items() if at is not None},
            is_limited=row.is_limited,
            sources=[_parse_source(source) for source in self._sources[peer]],
        )


def _format_pair(outgoing: Outgoing) -> _PairRow:
    probe = outgoing.probe
    last, acked, audit_acked = (None, None, None) if probe is None else (probe.last, probe.acked, probe.audit_acked)
    none = (None, None)
    return _PairRow._make(
        (
            outgoing.pair.addressee,
            outgoing.incarnation,
            outgoing.is_audited,
            outgoing.probe_pause_s,
            probe and probe.nonce,
            probe and probe.sent_at,
            *(last or none),
            *(acked or none),
            *(audit_acked or none),
            outgoing.awaited_since,
            outgoing.resync_nonce,
            outgoing.opened_at.get(Reader.RECIPIENT),
            outgoing.opened_at.get(Reader.AUDIT),
            outgoing.heard_at.get(Reader.RECIPIENT),
            outgoing.heard_at.get(Reader.AUDIT),
            outgoing.is_limited,
            len(outgoing.sources),
        )
    )


def _parse_probe(row: _PairRow) -> Probe | None:
    if row.probe_nonce is None or row.probe_sent_at is None:
        return None
    last = _both(row.probe_urgent_last, row.probe_ordinary_last) or (0, 0)
    acked = _both(row.probe_urgent_acked, row.probe_ordinary_acked)
    return Probe(
        row.probe_nonce,
        row.probe_sent_at,
        last,
        acked,
        _both(row.probe_urgent_audit_acked, row.probe_ordinary_audit_acked),
    )


def _both(urgent: int | None, ordinary: int | None) -> tuple[int, int] | None:
    return None if urgent is None or ordinary is None else (urgent, ordinary)


def _format_streams(outgoing: Outgoing) -> list[_StreamRow]:
    names = _StreamRow._fields[3:]
    return [
        _StreamRow(outgoing.pair.addressee, lane, outgoing.incarnation, *(getattr(own, name) for name in names))
        for lane, own in zip(LANES, outgoing.lanes, strict=True)
    ]


def _parse_lane(row: _StreamRow) -> OutgoingLane:
    return OutgoingLane(*row[3:])


def _format_sources(outgoing: Outgoing) -> list[_SourceRow]:
    return [
        _SourceRow._make((outgoing.pair.addressee, position, source.incarnation, *_format_lanes(source)))
        for position, source in enumerate(outgoing.sources)
    ]


def _format_lanes(source: Source) -> Iterator[object]:
    for lane in source.lanes:
        yield from (lane.position, lane.last, lane.chain, lane.p0_last)


def _parse_source(row: _SourceRow) -> Source:
    return Source(row.incarnation, (SourceLane(*row[3:7]), SourceLane(*row[7:])))
