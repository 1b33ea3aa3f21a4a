"""A flow stays on its parties' lists despite the statements of others, and these statements cost a search nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from deploy.accounting import views
from deploy.site.endpoints import DatabaseEndpoint
from services.audit.store import flows
from shared.core.envelope.headers import decode_headers
from shared.core.ids import uuid7
from shared.core.protocol.accept import accept
from shared.core.protocol.message import Received, Record
from tests.services.audit.log import Log
from tests.services.audit.test_agencies_judged import AT_LARGE, DE, NL, passed
from tests.services.audit.test_finding import all_found, filled, found, pages_read
from tests.services.audit.test_junk_folded import accountant
from tests.support.builders import POLICE
from tests.support.running import rows_of

#: Inserts decisions of one origin ($4), each of another referral, that state these edges ($5) to a recipient ($6).
_STATE = """
WITH told AS (
    INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, message_id, subject,
                       sender, recipient, exercise)
    SELECT 'causeway.inbox.audit.stated.v1', md5($1)::uuid, 0, i, $3::timestamptz + i * interval '1 ms', 'decision',
           sha256(($1 || i)::bytea), true, md5($1 || i)::uuid, md5('referral' || $1 || i)::uuid::text, 'hotline',
           'audit', true
    FROM generate_series(1, $2) AS i
)
INSERT INTO decision (message_id, digest, ordinal, referral_id, exercise, broker_time, entitled, origin, sender, detail,
                      edge_ids, edge_recipients, edge_purposes, edge_rules, edge_commitments)
SELECT md5($1 || i)::uuid, sha256(($1 || i)::bytea), 0, md5('referral' || $1 || i)::uuid, true,
       $3::timestamptz + i * interval '1 ms', true, $4, 'hotline', '', edges.ids,
       array_fill($6::text, edges.size), array_fill('investigation'::text, edges.size),
       array_fill('r1'::text, edges.size), array_fill(sha256('c'), edges.size)
FROM generate_series(1, $2) AS i, (SELECT $5::uuid[] AS ids, ARRAY[cardinality($5::uuid[])] AS size) AS edges
"""


async def flows_of(log: Log, party: str, *, exercise: bool = True) -> list[UUID]:
    return [each.referral_id for each in (await found(log, party, exercise=exercise)).items]


def offered(log: Log, records: list[Record], party: str) -> tuple[Record, Received]:
    """Return the message that sends the referral to an agency."""
    for each in records:
        if decode_headers(each.headers, each.value or b"").attributes.recipient == party:
            return each, accept(each, log.world.reader("law_enforcement"))
    raise AssertionError(party)


async def pass_on(log: Log, referral: Received, sender: str, *, exercise: bool = True) -> None:
    log.world.at += timedelta(seconds=1)
    [record] = log.world.records([passed(log.world, referral, sender, DE)], "law_enforcement")
    if not exercise:
        record = log.world.resigned(record, instance="law_enforcement", exercise=False)
    await log.keep(record)


@pytest.mark.parametrize(
    ("earlier", "exercise"),
    [(timedelta(seconds=5), False), (timedelta(days=10), True)],
    ids=["the other world", "before the period"],
)
async def test_an_unlisted_message_takes_no_flow_off_the_list(log: Log, earlier: timedelta, *, exercise: bool) -> None:
    """The origin sent the same edge to the recipient before."""
    filed = log.world.prepared()
    records = log.world.records(filed.drafts)
    sent, _ = offered(log, records, POLICE)
    before = sent if exercise else log.world.resigned(sent, exercise=False)
    await log.keep(replace(before, broker_time=sent.broker_time - earlier, topic_id=uuid7()))
    await log.keep(*records)
    assert filed.referral_id in await flows_of(log, POLICE)


async def test_who_was_not_sent_a_referral_takes_it_off_no_list(log: Log) -> None:
    """AT_LARGE passes the referral on in live traffic, which adds no recipient.

    Then NL, which was sent it, does so too.
    """
    filed = log.world.prepared()
    records = log.world.records(filed.drafts)
    _, referral = offered(log, records, NL)
    await log.keep(*records)
    await pass_on(log, referral, AT_LARGE, exercise=False)
    (shown,) = (await found(log, reference=filed.referral_id)).items
    assert DE not in shown.recipients
    await pass_on(log, referral, NL)
    assert filed.referral_id in await flows_of(log, DE)
    (shown,) = (await found(log, reference=filed.referral_id)).items
    assert DE in shown.recipients


async def state(owner: asyncpg.Connection, log: Log, name: str, count: int, *, origin: str, edges: list[UUID]) -> None:
    await owner.execute(_STATE, name, count, log.world.at, origin, edges, f"{name}.example")


async def test_decisions_of_an_outsider_cost_a_search_nothing(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    """The test counts pages, not times."""
    await filled(log, "told", 200, origin="told-by.example", recipient="told.example")
    owner = await asyncpg.connect(audit_endpoint.owner_url)
    edges = [row[0] for row in await owner.fetch("SELECT edge_id FROM entry WHERE recipient = 'told.example'")]
    period = log.world.at - timedelta(days=3), log.world.at + timedelta(days=1), UUID(int=0)

    async def count_pages() -> int:
        await owner.execute("ANALYZE entry, decision")
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {flows._OF_PARTIES}"
        [[plan]] = await owner.fetch(explain, True, 51, None, *period, ["told.example"])
        _, of_flows = pages_read(json.loads(plan)[0]["Plan"])
        return of_flows

    before = await count_pages()
    await state(owner, log, "outside", 500, origin="outsider.example", edges=edges)
    assert await count_pages() <= before * 1.5
    await owner.close()


async def test_a_message_is_of_who_stated_its_edge_first(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    """The origin states the edge for many referrals. No flow is lost between two pages."""
    await filled(log, "again", 60, origin="again-by.example", recipient="again.example")
    listed = [each for page in await all_found(log, "again.example") for each in page]
    owner = await asyncpg.connect(audit_endpoint.owner_url)
    edges = [row[0] for row in await owner.fetch("SELECT edge_id FROM entry WHERE recipient = 'again.example'")]
    await state(owner, log, "again", 5, origin="again-by.example", edges=edges)
    await owner.close()
    assert [len(page) for page in await all_found(log, "again.example")] == [50, 10]
    assert [each for page in await all_found(log, "again.example") for each in page] == listed


async def test_a_message_id_finds_the_referral_of_its_sender_alone(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    await filled(log, "by-id", 1, origin="by-id-by.example", recipient="by-id.example")
    owner = await asyncpg.connect(audit_endpoint.owner_url)
    query = "SELECT edge_id, message_id FROM entry WHERE recipient = 'by-id.example'"
    [(edge_id, message_id)] = await owner.fetch(query)
    await state(owner, log, "by-id", 100, origin="outsider.example", edges=[edge_id])
    await owner.close()
    (shown,) = (await found(log, reference=message_id)).items
    assert shown.origin == "by-id-by.example"


#: Inserts messages about one subject ($3), each with an edge of a flow of this sender.
_ABOUT = """
INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, message_id, type, subject,
                   sender, recipient, exercise, edge_id, commitment)
SELECT topic, topic_id, 3, "offset", broker_time + interval '1 hour', kind, digest, verified,
       md5(message_id::text)::uuid, type, ($2::uuid)::text, sender, recipient, exercise, edge_id, commitment
FROM entry WHERE sender = $1
"""


async def test_messages_of_others_fill_one_page_at_most(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    """The requested referral comes first."""
    filed = log.world.prepared()
    await log.file(filed)
    await filled(log, "about", 60, origin="about-by.example", recipient="about.example")
    await rows_of(audit_endpoint.owner_url, _ABOUT, "about-by.example", filed.referral_id)
    first, *others = (await found(log, reference=filed.referral_id)).items
    assert first.referral_id == filed.referral_id
    assert len(others) == 49


async def test_the_accountant_asks_for_what_an_edges_origin_said(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    """The accountant may use the keys of the index."""
    await filled(log, "asked", 1, origin="asked-by.example", recipient="asked.example")
    async with accountant(audit_endpoint) as connection:
        query = "SELECT edge_id FROM entry WHERE recipient = 'asked.example'"
        [(edge_id,)] = await connection.fetch(query)
        asked = [edge_id, edge_id], ["asked-by.example", "outsider.example"]
        told = await connection.fetch(views.LINKS, *asked)
        assert await connection.fetch(views.UNDERIVED, UUID(int=0)) is not None
    assert [tuple(row) for row in told] == [(edge_id, "asked-by.example")]
