"""Statements that fill the tables of messaging, and the periodic queries of an instance there.

One recipient has acknowledged nothing, and a tenth is not even appended. One writer's subjects are all held here, and
one message in a hundred waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from shared.delivery import tracks
from shared.delivery.tracks import TrackKey, TrackSide
from shared.messaging.store import exceptions, incoming, outgoing
from shared.messaging.streams import Lane
from shared.platform.observability import metrics

INCARNATION: Final = UUID("01990000-0000-7000-8000-000000000000")
SLOW: Final = "law_enforcement"
WRITER: Final = "other"
#: Messages of one segment.
_TOGETHER: Final = 10
#: One message in this many waits.
_WAITS: Final = 100
#: The tables that grow with the number of submissions. Segments have a partition per day, and one for the rest.
LARGE: Final = frozenset({"segment", "segment_rest", "track", "exception"})


def sent(*, ago: str) -> Sequence[str]:
    """Return statements that fill the streams to one recipient: `{rows}` messages, segments of ten."""
    return (
        f"""
INSERT INTO stream_pair (peer, incarnation, state)
VALUES ('{SLOW}', '{INCARNATION}', '{{{{"is_audited":true,"probe_pause_s":60}}}}')
""",
        f"""
INSERT INTO stream (peer, lane, incarnation, last, chain, sent, moved_at, acked, audit_acked, kept_above, kept_chain,
                    is_full, p0_last)
SELECT '{SLOW}', lane, '{INCARNATION}', lane * {{rows}}, decode(repeat('ab', 32), 'hex'), lane * {{rows}} * 9 / 10,
       now(), 0, 0, 0, decode(repeat('ab', 32), 'hex'), false, 0
FROM generate_series(0, 1) AS lane
""",
        f"""
INSERT INTO segment (day, peer, incarnation, lane, first, count, chain_before, message_ids, digests, proof, content)
SELECT ({ago})::date, '{SLOW}', '{INCARNATION}', 1, (i - 1) * {_TOGETHER} + 1, {_TOGETHER},
       decode(repeat('ab', 32), 'hex'), decode(repeat('0199', {8 * _TOGETHER}), 'hex'),
       decode(repeat('cd', {32 * _TOGETHER}), 'hex'), decode(repeat('ef', 400), 'hex'),
       decode(repeat('ab', {{content}} * {_TOGETHER}), 'hex')
FROM generate_series(1, {{rows}} / {_TOGETHER}) AS i
""",
    )


def received(*, id_: str, party: str, ago: str) -> Sequence[str]:
    """Return statements that fill the tables for one writer: tracks with edges, its streams, and waiting messages."""
    return (
        f"""
INSERT INTO track (peer, side, track, subject, owner, recipient, track_acts, track_edges)
SELECT '{WRITER}', 0, {id_}, {id_}, {party}, 'us.example', ARRAY[gen_random_uuid()],
       jsonb_build_object({id_}, jsonb_build_array(1, repeat('ab', 32)))
FROM generate_series(1, {{rows}}) AS i
""",
        f"""
INSERT INTO receive_state (writer, addressee, incarnation, urgent_chain, urgent_through, urgent_next_offset,
                           urgent_is_stopped, urgent_has_gap, ordinary_chain, ordinary_through, ordinary_next_offset,
                           ordinary_is_stopped, ordinary_has_gap, owes_ack, is_urgent, entered_count, closed_count,
                           revision)
VALUES ('{WRITER}', 'us', '{INCARNATION}', decode(repeat('ab', 32), 'hex'), 0, 0, false, false,
        decode(repeat('ab', 32), 'hex'), {{rows}}, {{rows}}, false, false, false, false, 0, 0, 1)
""",
        f"""
INSERT INTO exception (message_id, writer, incarnation, lane, number, chain, role, kind, subject, acts, outcome, code,
                       record, "offset", broker_at, opened_at)
SELECT {id_}, '{WRITER}', '{INCARNATION}', 1, i, decode(repeat('ab', 32), 'hex'), 'answer', 'case_closed', {id_},
       ARRAY[gen_random_uuid()], 'waiting', 'act_missing', decode(repeat('ab', 900), 'hex'), i, {ago}, {ago}
FROM generate_series({_WAITS}, {{rows}}, {_WAITS}) AS i
""",
    )


#: Its name, the statement, its arguments, and the maximum of rows read.
_Asked = tuple[str, str, Sequence[object], int]


def of_sender(rows: int) -> Iterator[_Asked]:
    """Yield the queries of the relay and of readiness."""
    stream = SLOW, INCARNATION, int(Lane.ORDINARY)
    yield "readiness: how long the oldest waits", metrics._OLDEST, (), 16
    yield "the next segments to append", outgoing._LIST_SEGMENTS, (*stream, rows * 9 // 10, 500), 600
    yield "the chain after a number", outgoing._CHAIN, (*stream, rows // 2), 4


def of_recipient(one: UUID, rows: int) -> Iterator[_Asked]:
    """Yield the queries of the consumer besides those for arriving messages. It counts the messages that wait."""
    statement, *keys = tracks._LOAD.bind(keys=tracks._KEY.rows([TrackKey(WRITER, TrackSide.HELD, one)]))
    yield "the track of a message", statement, keys, 4
    yield "the streams of a writer", incoming._LOAD, (WRITER, "us"), 4 + rows // _WAITS
    subject = exceptions._LIST.format(filters="subject = ANY($1::uuid[])")
    yield "waiting messages of a subject", subject, ([one],), 4
    page = exceptions._LIST.format(filters="(opened_at, message_id) > ('-infinity', $1)")
    yield "the oldest that wait", f"{page} LIMIT 50", (UUID(int=0),), 100
