"""Audit's log filled by SQL, and an auditor's queries: entries as wide as real ones, three for each referral."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from services.audit.domain.entries import NOBODYS
from services.audit.store import entries, flows

_LIFE: Final = UUID("01990000-0000-7000-8000-000000000000")
_OFFERS: Final = "causeway.inbox.law_enforcement.hotline.v1"
#: The id of the topic of offers. Each kind of message below has a topic of its own.
_OFFERS_LIFE: Final = UUID(int=_LIFE.int + 10)
_HOW_IT_STANDS: Final = (
    f"INSERT INTO partition_state (topic, partition, state) VALUES ('{_OFFERS}', 1, 'reading')",
    f"INSERT INTO topic_life (topic, topic_id) VALUES ('{_OFFERS}', '{_OFFERS_LIFE}')",
    f"""
INSERT INTO acknowledgement (writer, addressee, incarnation, lane, through, chain, acked_at)
VALUES ('hotline', 'law_enforcement', '{_LIFE}', 1, {{rows}} * 16 + 15, decode(repeat('ab', 32), 'hex'), now())
""",
)

#: The number of entries on a page of flows, and its maximum of rows read: each entry and those of its flow.
_PAGE: Final = 51
_FLOW_ROWS: Final = 20 * _PAGE
_PERIOD: Final = datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), UUID(int=0)
_BOTH: Final = ["big.example", "agency.example"]


class _Told(NamedTuple):
    """Messages of one kind: their pair, and the values that differ. `digit` makes their ids unique."""

    addressee: str
    writer: str
    type: str
    digit: int
    kind: str = "record"
    edge: str = "NULL"
    last: str = "{rows}"


#: As wide as a real one.
_DETAIL: Final = "decode(repeat('ab', 400), 'hex')"
_LINKS: Final = """
ARRAY[{id}], ARRAY['agency.example'], ARRAY['investigation'], ARRAY['r1'], ARRAY[decode(repeat('cc', 32), 'hex')]
"""
_TOLD: Final = (
    _Told("audit", "hotline", "referral_decided", 9, "decision"),
    _Told("law_enforcement", "hotline", "referral_offered", 10, edge="{id}"),
    _Told("hotline", "law_enforcement", "case_accepted", 11),
    _Told("hotline", "law_enforcement", "outcomes", 8, "outcomes", last="{rows} / 5"),
)

#: The id of the content proof that 100 messages share.
_PROOF = "md5((i / 100)::text)::uuid"


def statements(*, id_: str, party: str, ago: str) -> Sequence[str]:
    """Return statements that fill an empty log.

    `id_`, `party` and `ago` are expressions; `{rows}` and `{end_ms}` stay open.
    """

    def own(digit: int) -> str:
        return f"overlay({id_}::text placing to_hex({digit}) from 20 for 1)::uuid"

    def filled(told: _Told) -> str:
        place = f"i * 16 + {told.digit}"
        edge = told.edge.format(id=id_)
        return f"""
INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, writer, addressee,
                   incarnation, lane, number, chain, message_id, type, subject, sender, recipient, exercise, edge_id,
                   commitment, proof_id, salt)
SELECT 'causeway.inbox.{told.addressee}.{told.writer}.v1', '{UUID(int=_LIFE.int + told.digit)}', 1,
       {place}, {ago}, '{told.kind}',
       sha256('{told.type}'::bytea || i::text::bytea), true, '{told.writer}', '{told.addressee}',
       '{_LIFE}', 1, {place}, decode(repeat('ab', 32), 'hex'), {own(told.digit)}, 'causeway.{told.type}.v1',
       {id_}::text, {party}, 'agency.example', false, {edge}, decode(repeat('cc', 32), 'hex'),
       {_PROOF}, decode(repeat('ab', 16), 'hex')
FROM generate_series(1, {told.last}) AS i
"""

    return (
        *map(filled, _TOLD),
        f"INSERT INTO content_proof SELECT {_PROOF}, repeat('a', 8000)::bytea FROM generate_series(0, {{rows}}, 100) i",
        f"""
INSERT INTO decision (message_id, digest, ordinal, referral_id, exercise, broker_time, entitled, origin, sender,
                      disposition, detail, edge_ids, edge_recipients, edge_purposes, edge_rules, edge_commitments)
SELECT {own(9)}, sha256('referral_decided'::bytea || i::text::bytea), 0, {id_}, false, {ago}, true, {party},
       'hotline', 'routed', {_DETAIL}, {_LINKS.format(id=id_)}
FROM generate_series(1, {{rows}}) AS i
""",
        f"""
INSERT INTO outcome (message_id, writer, reported_by, outcome, code, report_id, position, number, reported_at)
SELECT {own(10)}, 'hotline', 'law_enforcement', 'refused', 'state_forbids',
       overlay({own(8)}::text placing lpad(to_hex(i / 5 + 1), 12, '0') from 25)::uuid, i % 5, i, {ago}
FROM generate_series(1, {{rows}}, 5) AS i
""",
        *_HOW_IT_STANDS,
    )


def looks(one: UUID, half: int) -> Iterator[tuple[str, str, Sequence[object], int]]:
    """Yield each query: its name, the statement, its arguments, and the maximum of rows read."""
    said = [str(one)] * 2 + [None] * 2, [*_BOTH, *_BOTH], None, datetime.min.replace(tzinfo=UTC), UUID(int=0)
    yield "a flow", flows._FLOW_PAGE, (one, False, *said, _BOTH[0]), 60
    yield (
        "entries of a topic",
        entries._PAGE,
        (_OFFERS, _OFFERS_LIFE, 1, half * 16, False, 50, None, sorted(NOBODYS)),
        60,
    )
    for parties in (_BOTH[:1], _BOTH[1:], _BOTH):
        name = " and ".join(parties)
        yield f"flows of {name}", flows._OF_PARTIES, (False, _PAGE, None, *_PERIOD, parties), _FLOW_ROWS
    yield "flows of a scope", flows._OF_PARTIES, (False, _PAGE, _BOTH, *_PERIOD, _BOTH), _FLOW_ROWS
    yield "flows of all", flows._OF_ANYBODY, (False, _PAGE, None, *_PERIOD), _FLOW_ROWS
    yield "a flow by an id", flows._BY_ID, (False, one, None, _PAGE), 20
    yield "the proof of an entry", entries._PROOF, (_OFFERS, _OFFERS_LIFE, 1, half * 16 + 10, bytes(32)), 4
    yield "lives of a topic", entries._TOPIC_IDS, (_OFFERS,), 4
    yield "the states of topics", entries.STATES, (), 40
    yield "topics with missing numbers", entries._INCOMPLETE, (), 4
