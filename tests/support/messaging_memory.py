"""An in-memory store of messaging: transactions that commit or roll back, and snapshots.

Stored values are never changed: `load_…` returns copies and `save_…` stores copies. So a snapshot copies tables only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from shared.messaging import ports, streams
from shared.messaging.exceptions import OpenException, Outcome, OutcomeKind
from shared.messaging.ports import OpenOutcome, OperatorLine, PeerResync
from shared.messaging.segments import Segment

Table = dict[Any, Any]


def chain_at(segment: Segment, number: int) -> bytes:
    """Return the chain after this number, which lies in the segment or just before it."""
    taken = segment.messages[: number - segment.first + 1]
    return streams.extend_chain(segment.chain_before, (message.digest for message in taken))


MESSAGING = (*("outgoing", "known", "segments", "incoming", "exceptions", "open_outcomes"), *("resync", "lines"))
_MISSING = object()
#: All fields in order. A copy made with them takes a third of the time of `dataclasses.replace`.
_OUTGOING_FIELDS, _INCOMING_FIELDS = (
    attrgetter(*each.__slots__) for each in (streams.OutgoingLane, streams.IncomingLane)
)


class MemoryDatabase:
    """Tables of messaging, and of the features that use it, by name."""

    def __init__(self, *tables: str) -> None:
        self.tables: dict[str, Table] = {name: {} for name in (*MESSAGING, *tables)}

    def snapshot(self) -> dict[str, Table]:
        return {name: dict(table) for name, table in self.tables.items()}

    def restore(self, snapshot: dict[str, Table]) -> None:
        self.tables = {name: dict(table) for name, table in snapshot.items()}

    @contextmanager
    def transaction(self) -> Iterator[MemoryTx]:
        """Open a transaction. An exception rolls it back."""
        tx = MemoryTx(self)
        try:
            yield tx
        except BaseException:
            tx.roll_back()
            raise


class MemoryTx:
    """The tables of messaging within one transaction in memory. `on_segments` receives each added segment.

    Streams are saved only if this transaction has locked them, or has added them.
    """

    def __init__(self, database: MemoryDatabase) -> None:
        self.tables = database.tables
        self.undo: list[tuple[Table, object, object]] = []
        self.locked: set[str | streams.Pair] = set()
        self.on_segments: Callable[[Sequence[Segment]], None] | None = None

    def put(self, table: str, key: object, value: object) -> None:
        rows = self.tables[table]
        self.undo.append((rows, key, rows.get(key, _MISSING)))
        rows[key] = value

    def remove(self, table: str, key: object) -> None:
        rows = self.tables[table]
        if key in rows:
            self.undo.append((rows, key, rows.pop(key)))

    def roll_back(self, mark: int = 0) -> None:
        for rows, key, before in reversed(self.undo[mark:]):
            if before is _MISSING:
                rows.pop(key, None)
            else:
                rows[key] = before
        del self.undo[mark:]

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        mark = len(self.undo)
        try:
            yield
        except Exception:
            self.roll_back(mark)
            raise

    # Own streams.
    async def load_outgoing(self, peers: Sequence[str] | None, *, lock: bool) -> dict[str, streams.Outgoing]:
        rows = self.tables["outgoing"]
        if lock:
            self.locked.update(rows if peers is None else peers)
        return {peer: copy_outgoing(rows[peer]) for peer in (sorted(rows) if peers is None else peers) if peer in rows}

    async def save_outgoing(self, outgoing: Sequence[streams.Outgoing], segments: Sequence[Segment] = ()) -> None:
        for each in outgoing:
            assert each.pair.addressee in self.locked or each.pair.addressee not in self.tables["outgoing"]
            self.locked.add(each.pair.addressee)
            self.put("outgoing", each.pair.addressee, copy_outgoing(each))
        self._add_segments(segments)

    async def move_sent(
        self, peer: str, place: streams.StreamPlace, *, sent_before: int, since: datetime | None, at: datetime
    ) -> bool:
        outgoing = (await self.load_outgoing([peer], lock=True))[peer]
        own = outgoing.lanes[place.lane]
        if outgoing.incarnation != place.incarnation or not sent_before <= own.sent <= place.number:
            return False
        if since is not None and own.returned_at is not None and own.returned_at > since:
            return False
        own.sent, own.moved_at = place.number, at
        await self.save_outgoing([outgoing])
        return True

    async def load_known(self, peer: str) -> frozenset[UUID]:
        return self.tables["known"].get(peer, frozenset())

    async def add_known(self, peer: str, incarnation: UUID) -> None:
        self.put("known", peer, await self.load_known(peer) | {incarnation})

    # Segments: a tuple by peer, incarnation and lane, in order.
    def _add_segments(self, segments: Sequence[Segment]) -> None:
        if self.on_segments is not None:
            self.on_segments(segments)
        for each in segments:
            key = each.pair.addressee, each.incarnation, each.lane
            self.put("segments", key, (*self.tables["segments"].get(key, ()), each))

    async def list_segments(
        self, peer: str, incarnation: UUID, lane: streams.Lane, *, above: int, messages_max: int
    ) -> list[Segment]:
        found: list[Segment] = []
        count = 0
        for each in self.tables["segments"].get((peer, incarnation, lane), ()):
            if each.last > above:
                count += len(each.messages)
                if found and count > messages_max:
                    break
                found.append(each)
        return found

    async def find_chain(self, peer: str, incarnation: UUID, lane: streams.Lane, *, number: int) -> bytes | None:
        for each in self.tables["segments"].get((peer, incarnation, lane), ()):
            if each.first - 1 <= number <= each.last:
                return chain_at(each, number)
        return None

    async def drop_segments(self, peer: str, incarnation: UUID, lane: streams.Lane, *, through: int) -> None:
        key = peer, incarnation, lane
        before = self.tables["segments"].get(key, ())
        kept = tuple(each for each in before if each.last > through)
        if not kept:
            self.remove("segments", key)
        elif len(kept) < len(before):
            self.put("segments", key, kept)

    # Streams of others.
    async def load_incoming(self, pair: streams.Pair, *, lock: bool) -> streams.Incoming:
        if lock:
            self.locked.add(pair)
        found = self.tables["incoming"].get(pair)
        read = streams.Incoming(pair) if found is None else copy_incoming(found)
        counts, sizes = [0, 0], [0, 0]
        for row in self.tables["exceptions"].values():
            if row.taken.writer == pair.writer:
                counts[row.taken.place.lane] += 1
                sizes[row.taken.place.lane] += len(row.taken.record)
        read.exception_counts, read.exception_bytes = (counts[0], counts[1]), (sizes[0], sizes[1])
        return read

    async def list_incoming(self) -> list[streams.Incoming]:
        return [await self.load_incoming(pair, lock=False) for pair in sorted(self.tables["incoming"])]

    async def save_incoming(self, incoming: streams.Incoming) -> None:
        assert incoming.pair in self.locked or incoming.pair not in self.tables["incoming"]
        self.put("incoming", incoming.pair, copy_incoming(incoming))

    # Exceptions for messages of others.
    async def add_exceptions(self, rows: Sequence[OpenException]) -> None:
        for row in rows:
            self.put("exceptions", (row.taken.writer, row.taken.named.message_id), row)

    async def list_exceptions(
        self,
        *,
        writer: str | None = None,
        message_ids: Sequence[UUID] | None = None,
        subjects: Sequence[UUID] | None = None,
        kinds: Collection[OutcomeKind] | None = None,
        after: tuple[datetime, UUID] | None = None,
        rows_max: int = 1000,
    ) -> list[OpenException]:
        rows = [
            row
            for row in self.tables["exceptions"].values()
            if (writer is None or row.taken.writer == writer)
            and (message_ids is None or row.taken.named.message_id in message_ids)
            and (subjects is None or row.taken.named.subject in subjects)
            and (kinds is None or row.outcome.kind in kinds)
            and (after is None or _position(row) > after)
        ]
        return sorted(rows, key=_position)[:rows_max] if len(rows) > 1 else rows

    async def change_exception(self, writer: str, message_id: UUID, outcome: Outcome) -> None:
        row = self.tables["exceptions"].get((writer, message_id))
        if row is not None:
            self.put("exceptions", (writer, message_id), replace(row, outcome=outcome))

    async def end_exceptions(self, writer: str, message_ids: Sequence[UUID]) -> None:
        for message_id in message_ids:
            self.remove("exceptions", (writer, message_id))

    # Own messages that others hold as exceptions.
    async def put_open_outcomes(self, peer: str, rows: Sequence[OpenOutcome]) -> None:
        open_count = sum(key[0] == peer for key in self.tables["open_outcomes"])
        for row in rows[: ports.OPEN_OUTCOMES_MAX - open_count]:
            self.put("open_outcomes", (row.peer, row.message_id), row)

    async def end_open_outcomes(self, peer: str, message_ids: Sequence[UUID]) -> None:
        for message_id in message_ids:
            self.remove("open_outcomes", (peer, message_id))

    async def replace_open_outcomes(self, peer: str, rows: Sequence[OpenOutcome]) -> None:
        for key in [key for key in self.tables["open_outcomes"] if key[0] == peer]:
            self.remove("open_outcomes", key)
        await self.put_open_outcomes(peer, rows)

    async def list_open_outcomes(self, peer: str) -> list[OpenOutcome]:
        return sorted((row for row in self.tables["open_outcomes"].values() if row.peer == peer), key=_message_id)

    # Resync and the operator's list.
    async def load_resync(self, peer: str) -> PeerResync:
        found: PeerResync | None = self.tables["resync"].get(peer)
        return found or PeerResync(peer)

    async def save_resync(self, resync: PeerResync) -> None:
        self.put("resync", resync.peer, resync)

    async def add_operator_lines(self, lines: Sequence[OperatorLine]) -> None:
        for peer in {line.peer: None for line in lines}:
            open_count = sum(line.peer == peer for line in self.tables["lines"])
            for line in ports.bound_lines(lines, peer, open_count=open_count):
                if line not in self.tables["lines"]:
                    self.put("lines", line, None)

    async def list_operator_lines(self) -> list[OperatorLine]:
        return list(self.tables["lines"])


def _position(row: OpenException) -> tuple[datetime, UUID]:
    return row.since, row.taken.named.message_id


def _message_id(row: OpenOutcome) -> UUID:
    return row.message_id


def copy_outgoing(own: streams.Outgoing) -> streams.Outgoing:
    """Return a copy that shares no mutable object."""
    urgent, ordinary = (streams.OutgoingLane(*_OUTGOING_FIELDS(lane)) for lane in own.lanes)
    return streams.Outgoing(
        own.pair,
        own.incarnation,
        (urgent, ordinary),
        own.is_audited,
        own.probe_pause_s,
        own.probe,
        own.awaited_since,
        own.resync_nonce,
        dict(own.opened_at),
        own.is_limited,
        [_copy_source(source) for source in own.sources],
        dict(own.heard_at),
    )


def _copy_source(source: streams.Source) -> streams.Source:
    urgent, ordinary = (streams.SourceLane(lane.position, lane.last, lane.chain, lane.p0_last) for lane in source.lanes)
    return streams.Source(source.incarnation, (urgent, ordinary))


def copy_incoming(read: streams.Incoming) -> streams.Incoming:
    """Return a copy that shares no mutable object."""
    urgent, ordinary = (streams.IncomingLane(*_INCOMING_FIELDS(lane)) for lane in read.lanes)
    return streams.Incoming(
        read.pair,
        read.incarnation,
        (urgent, ordinary),
        dict(read.closed),
        read.dropped_closed,
        read.missed,
        read.owes_ack,
        read.is_urgent,
        read.echo,
        read.acked_at,
        read.entered_since,
        read.entered_count,
    )
