"""The relay: append the next segments of a stream, then move its pointer.

A crash between the two steps appends them twice, with the same bytes: readers drop the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.messaging.ports import AppendPosition, Log, PlacedRecord
from shared.messaging.segments import Segment
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import LANES, Lane, Pair, StreamPlace

#: Messages of one append.
APPENDED_MAX: Final = 500


@dataclass(slots=True)
class AppendWatch:
    """The expected ends of the partitions that this process writes.

    An append below the expected offset, or under another topic id, shows that the partition lost its end.
    """

    ends: dict[tuple[Pair, Lane], tuple[UUID, int]] = field(default_factory=dict)

    def note(self, topic: Pair, lane: Lane, at: AppendPosition) -> bool:
        """Note an append; return whether the partition has lost records before it."""
        before = self.ends.get((topic, lane))
        self.ends[topic, lane] = at.topic_id, at.end
        return before is not None and (before[0] != at.topic_id or at.offset < before[1])


#: Bytes of one stream's messages that wait in memory for their append. The database has all of them.
HANDED_BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(slots=True)
class _WaitingSegments:
    """The segments of one stream that wait, by their first number, and the bytes of their messages."""

    segments: dict[int, Segment] = field(default_factory=dict)
    byte_count: int = 0


@dataclass(slots=True)
class HandedSegments:
    """Segments that this process has committed and not yet appended: no append reads them from the database.

    `appended`: by stream, the place of its last append. The next segment must follow it; otherwise it is read from the
    database.
    """

    appended: dict[tuple[str, Lane], StreamPlace] = field(default_factory=dict)
    _waiting: dict[tuple[str, Lane], _WaitingSegments] = field(default_factory=dict)

    def add(self, segment: Segment) -> Sequence[Lane]:
        """Add a committed segment; return the lanes that may have an append due. Commits are reported in any order.

        At the beginning of an incarnation both lanes are due: a reader enters it by its first urgent record.
        """
        stream = segment.pair.addressee, segment.lane
        last = self.appended.get(stream)
        is_begun = last is not None and last.incarnation == segment.incarnation
        if last is not None and is_begun and segment.last <= last.number:
            return ()
        waiting = self._waiting.setdefault(stream, _WaitingSegments())
        waiting.segments[segment.first] = replace(segment, packed=None)
        waiting.byte_count += _count_bytes(segment)
        if waiting.byte_count > HANDED_BYTES_MAX:
            self._waiting[stream] = _WaitingSegments()
        return (segment.lane,) if is_begun else LANES

    def take(self, peer: str, lane: Lane, now: datetime) -> Append | None:
        """Return the segments that follow the last append, or None. If none follows it, all are dropped."""
        last, waiting = self.appended.get((peer, lane)), self._waiting.pop((peer, lane), None)
        if last is None or waiting is None:
            return None
        taken: list[Segment] = []
        number, count = last.number, 0
        while count < APPENDED_MAX and (segment := waiting.segments.pop(number + 1, None)) is not None:
            if segment.incarnation != last.incarnation:
                break
            taken.append(segment)
            number, count = segment.last, count + len(segment.messages)
        if taken and waiting.segments:
            waiting.byte_count -= sum(map(_count_bytes, taken))
            self._waiting[peer, lane] = waiting
        return Append(taken[0].pair, lane, list_records(taken, above=0), last.number, now) if taken else None

    def has_more(self, peer: str, lane: Lane) -> bool:
        """Return whether segments of a stream wait."""
        return (peer, lane) in self._waiting

    def forget(self, peer: str, lane: Lane) -> None:
        """Drop the waiting segments of a stream, so that its next append reads from the database."""
        self.appended.pop((peer, lane), None)
        self._waiting.pop((peer, lane), None)


def _count_bytes(segment: Segment) -> int:
    return sum([len(message.record.value) for message in segment.messages])


class Append(NamedTuple):
    """Records for one partition. `sent_before` is the stream's pointer when they were read.

    `since`: the time at which the first record after the pointer was handed over. Only handed records are noted late.
    """

    topic: Pair
    lane: Lane
    records: list[PlacedRecord]
    sent_before: int
    since: datetime | None = None


async def load_next(tx: PostgresMessagingTx, peer: str, lane: Lane) -> Append | None:
    """Return the next records of a stream that the relay has not appended, or None."""
    outgoing = (await tx.load_outgoing([peer], lock=False)).get(peer)
    if outgoing is None or outgoing.lanes[lane].sent >= outgoing.lanes[lane].last:
        return None
    sent = outgoing.lanes[lane].sent
    segments = await tx.list_segments(peer, outgoing.incarnation, lane, above=sent, messages_max=APPENDED_MAX)
    return Append(outgoing.pair, lane, list_records(segments, above=sent), sent)


async def load_copies(tx: PostgresMessagingTx, peer: str, lane: Lane, *, audit: str) -> Append | None:
    """Return copies of messages that audit lacks, up to the last one that was appended, or None."""
    outgoing = (await tx.load_outgoing([peer], lock=False)).get(peer)
    above = None if outgoing is None else outgoing.lanes[lane].copy_above
    if outgoing is None or above is None:
        return None
    segments = await tx.list_segments(peer, outgoing.incarnation, lane, above=above, messages_max=APPENDED_MAX)
    sent = outgoing.lanes[lane].sent
    copies = [each for each in list_records(segments, above=above) if each.place.number <= sent]
    return Append(Pair(outgoing.pair.writer, audit), Lane.ORDINARY, copies, sent)


def list_records(segments: Sequence[Segment], *, above: int) -> list[PlacedRecord]:
    """Return the records of these segments with numbers above `above`."""
    return [
        PlacedRecord(segment, StreamPlace(segment.incarnation, segment.lane, number), message.record)
        for segment in segments
        for number, message in enumerate(segment.messages, segment.first)
        if number > above
    ]


async def append(log: Log, watch: AppendWatch, batch: Append) -> bool:
    """Append records; return whether the partition has lost records before them."""
    if not batch.records:
        return False
    return watch.note(batch.topic, batch.lane, await log.append(batch.topic, batch.lane, batch.records))


async def note_appended(tx: PostgresMessagingTx, batch: Append, *, has_lost: bool, now: datetime) -> bool:
    """Move the pointer of the stream to the last appended record; return whether it was moved.

    If the stream went back meanwhile, or has another incarnation, the pointer stays. If the partition lost records,
    the stream goes back to the last acknowledged number.
    """
    peer = batch.topic.addressee
    place = batch.records[-1].place
    is_moved = await tx.move_sent(peer, place, sent_before=batch.sent_before, since=batch.since, at=now)
    if has_lost:
        await note_lost_end(tx, peer, batch.lane)
    return is_moved and not has_lost


async def note_copied(tx: PostgresMessagingTx, peer: str, lane: Lane, *, batch: Append) -> None:
    """Note copies for audit, which end at the last message that was appended."""
    outgoing = (await tx.load_outgoing([peer], lock=True))[peer]
    own = outgoing.lanes[lane]
    last = batch.records[-1].place if batch.records else None
    is_rest = last is not None and last.incarnation == outgoing.incarnation and last.number < own.sent
    own.copy_above = last.number if is_rest and last is not None else None
    await tx.save_outgoing([outgoing])


async def note_lost_end(tx: PostgresMessagingTx, peer: str, lane: Lane) -> None:
    """Go back to the last acknowledged number, because an append showed that the partition lost records."""
    found = await tx.load_outgoing([peer], lock=True)
    for outgoing in found.values():
        own = outgoing.lanes[lane]
        own.sent = min(own.sent, max(own.acked, own.kept_above))  # if more is lacking, the next probe shows it
        await tx.save_outgoing([outgoing])
