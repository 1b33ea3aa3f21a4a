"""What fills audit's log by SQL, and what an auditor looks at: entries as wide as real ones, three of each referral."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from services.audit.domain.entries import NOBODYS
from services.audit.store import entries, marks, partitions
from shared.contracts.delivery import HOLES_MAX
from shared.kernel.clock import SystemClock

_LIFE: Final = UUID("01990000-0000-7000-8000-000000000000")
#: Pairs and epochs of one instance, none of them with a hole.
_NUMBERINGS: Final = 10_000
_OFFERS: Final = "causeway.inbox.law_enforcement.hotline.v1"
_HOW_IT_STANDS: Final = (
    "INSERT INTO telling (instance, told_through, told_at) VALUES ('other', now(), now() - interval '90 s')",
    f"INSERT INTO partition_state (topic, partition, state) VALUES ('{_OFFERS}', 0, 'reading')",
)


class _Told(NamedTuple):
    """Messages of one kind: their topic, and what differs. `digit` keeps their ids apart from those of others."""

    topic: str
    type: str
    digit: int
    kind: str = "record"
    detail: str = "NULL"
    edge: str = "NULL"
    last: str = "{rows}"


_DETAIL = """
jsonb_build_object('referral_id', {id}, 'origin', {party}, 'disposition', 'routed', 'salt', repeat('s', 64),
                   'decision', jsonb_build_object('directory', repeat('d', 64), 'policy', repeat('d', 64)))
"""
_TOLD: Final = (
    _Told("causeway.inbox.audit.hotline.v1", "referral_decided", 9, "decision", _DETAIL),
    _Told(_OFFERS, "referral_offered", 10, edge="{id}"),
    _Told("causeway.inbox.hotline.law_enforcement.v1", "case_accepted", 11),
    _Told("causeway.inbox.hotline.law_enforcement.v1", "messages_receipted", 8, "receipt", last="{rows} / 5"),
)


def statements(*, id_: str, party: str, ago: str) -> Sequence[str]:
    """The statements that fill an empty log, `{rows}`, `{end_ms}` left open, by what says id, party, time."""

    def own(digit: int) -> str:
        return f"overlay({id_}::text placing to_hex({digit}) from 20 for 1)::uuid"

    def filled(told: _Told) -> str:
        place = f"i * 16 + {told.digit}"
        detail, edge = (text.format(id=id_, party=party, rows="") for text in (told.detail, told.edge))
        return f"""
INSERT INTO entry (topic, topic_id, partition, "offset", previous_offset, broker_time, kind, digest, verified,
                   message_id, type, subject, sender, recipient, recipient_instance, exercise, epoch, sequence, key_id,
                   detail, edge_id, commitment, batch_root, batch_signature, batch_index, batch_size,
                   batch_path)
SELECT '{told.topic}', '{_LIFE}', 0, {place}, {place} - 1, {ago}, '{told.kind}',
       encode(sha256('{told.type}'::bytea || i::text::bytea), 'hex'), true, {own(told.digit)},
       'causeway.{told.type}.v1', {id_}::text, {party}, 'agency.example', 'law_enforcement', false, '{_LIFE}', i,
       'hotline-1', {detail}, {edge}, repeat('c', 64), decode(repeat('ab', 32), 'hex'),
       decode(repeat('ab', 64), 'hex'), 0, 8, decode(repeat('ab', 96), 'hex')
FROM generate_series(1, {told.last}) AS i
"""

    return (
        *map(filled, _TOLD),
        f"""
INSERT INTO link (edge_id, referral_id, origin, recipient, purpose, rules, commitment)
SELECT {id_}, {id_}, {party}, 'agency.example', 'investigation', 'r1', repeat('c', 64)
FROM generate_series(1, {{rows}}) AS i
""",
        f"""
INSERT INTO flow_party (party, exercise, decided_at, referral_id, origin)
SELECT whose, false, {ago}, {id_}, {party}
FROM generate_series(1, {{rows}}) AS i CROSS JOIN LATERAL (VALUES ({party}), ('agency.example')) AS both_of (whose)
""",
        f"""
INSERT INTO receipted
SELECT {own(10)}, overlay({own(8)}::text placing lpad(to_hex(i / 5 + 1), 12, '0') from 25)::uuid, i % 5,
       'law_enforcement', encode(sha256('referral_offered'::bytea || i::text::bytea), 'hex'), 'applied', NULL, {id_}, 1,
       '{_LIFE}', i * 16 + 10, {ago} FROM generate_series(1, {{rows}}) AS i
""",
        f"""
INSERT INTO cursor (topic, topic_id, partition, next_offset) VALUES ('{_OFFERS}', '{_LIFE}', 0, {{rows}} * 16 + 11)
""",
        f"""
INSERT INTO pair_taken (sender, recipient, epoch, instance, topic, taken, gone, known, changed_at)
SELECT 's' || i || '.example', 'r.example', '{_LIFE}', 'other', '{_OFFERS}', '{{{{[1,9]}}}}', '{{{{}}}}', 9, {ago}
FROM generate_series(1, least({{rows}}, {_NUMBERINGS})) AS i
""",
        *_HOW_IT_STANDS,
    )


def looks(one: UUID, half: int) -> Iterator[tuple[str, str, Sequence[object], int]]:
    """Each look: its name, the statement, its arguments, and how many rows it may read."""
    yield "a flow", entries._FLOW, (one, False, None), 60
    yield "entries of a topic", entries._PAGE, (_OFFERS, _LIFE, 0, half * 16, False, 50, None, sorted(NOBODYS)), 60
    yield "lives of a topic", entries._TOPIC_IDS, (_OFFERS,), 4
    yield "how it stands to topics", partitions._STATES, (), 40
    yield "marks to one instance", marks._ALL, ("hotline", HOLES_MAX), 100
    yield "who is to be told marks", marks._DUE, (marks.NEWS_S, marks.HOLES_S), 10
    yield "marks that are news to one instance", marks._CHANGED, ("other", HOLES_MAX, SystemClock().now()), 10
    yield "topics with holes", partitions._OPEN, (), 4
