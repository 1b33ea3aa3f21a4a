"""An auditor finds flows by party and period, or by an id. Each search is stored with its purpose."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from services.audit import use_cases
from services.audit.domain.shown import Access, FlowFilter, FlowPage, ScopeSet
from services.audit.store import flows
from services.audit.store.entries import PURPOSES_A_DAY
from shared.core.authority import Role
from shared.core.envelope.headers import decode_headers
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.platform.admission.budgets import BudgetExceeded
from shared.platform.database.transactions import Database
from tests.services.audit.log import AUDITOR, PURPOSE, Log
from tests.services.databases import count_rows
from tests.support.builders import POLICE
from tests.support.exchange_world import HOTLINE


async def found(
    log: Log,
    party: str | None = None,
    reference: UUID | None = None,
    *,
    days: int = 1,
    exercise: bool = True,
    role: Role = Role.AUDITOR,
    purpose: str | None = PURPOSE,
) -> FlowPage:
    """Search for `days` days until one day after the world's time."""
    until = log.world.at + timedelta(days=1)
    sought = FlowFilter(party, until - timedelta(days=days + 1), until, reference)
    return await use_cases.find_flows(sought, Access(AUDITOR, role, exercise, purpose), entries=log.entries)


async def test_another_party_another_period_and_another_world_find_nothing_of_it(log: Log) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    for others in (
        await found(log, "nobody.example"),
        await found(log, HOTLINE, days=-1),
        await found(log, HOTLINE, exercise=False),
        await found(log, reference=uuid7()),
    ):
        assert filed.referral_id not in {each.referral_id for each in others.items}


async def test_a_flow_is_found_by_the_id_of_its_referral_and_of_each_message(log: Log) -> None:
    filed = log.world.prepared()
    records = await log.file(filed)
    messages = [decode_headers(each.headers, each.value or b"").attributes for each in records]
    carried = [each for each in messages if each.recipient == POLICE]
    assert carried
    for reference in (filed.referral_id, *(each.id for each in carried)):
        assert [one.referral_id for one in (await found(log, reference=reference)).items] == [filed.referral_id]


async def test_a_look_without_a_purpose_or_by_another_role_finds_nothing(log: Log) -> None:
    with pytest.raises(Refused, match=r"^purpose_missing"):
        await found(log, purpose=None)
    with pytest.raises(Refused, match=r"^forbidden"):
        await found(log, role=Role.VIEWER)


async def test_an_organisation_states_a_limited_number_of_purposes_a_day(log: Log, database: Database) -> None:
    """The guard charges no bits of them. Purposes of the day may be stated again, also by others at once."""
    auditor = f"{uuid4().hex[:8]}.example"

    async def note(number: int) -> int:
        try:
            await log.entries.note_reading(auditor, f"purpose number {number}", "accesses")
        except BudgetExceeded as error:
            assert 0 < int(error.headers["Retry-After"]) <= 86_400
            return error.status
        return 200

    answers = await asyncio.gather(*map(note, range(PURPOSES_A_DAY + 5)))
    assert sorted(answers) == [200] * PURPOSES_A_DAY + [429] * 5
    assert await note(answers.index(200)) == 200
    assert await note(answers.index(429)) == 429
    await log.entries.note_reading(f"other-{auditor}", "yet another purpose", "accesses")


#: A result page has 50 flows. In the worst case each is in a database page of its own, with the index pages on top.
#: `FLOW_PAGES_MAX` is the number of further pages that derive one flow.
PAGES_MAX, FLOW_PAGES_MAX = 65, 40
#: Parties that only the filled log below names.
BUSY, RARE, OTHER = "busy.example", "rare.example", "other.example"
_FILL = """
WITH filled AS (
    SELECT i, overlay(md5($1 || i::text) placing '7' from 13 for 1)::uuid AS id,
           $3::timestamptz - i * interval '1 s' AS at
    FROM generate_series(1, $2) AS i
), told AS (
    INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, message_id, subject,
                       sender, recipient, exercise)
    SELECT 'causeway.inbox.audit.filled.v1', md5($1)::uuid, 0, i, at, 'decision', sha256(id::text::bytea), true,
           md5(id || 'decided')::uuid, id::text, 'hotline', 'audit', true FROM filled
), decided AS (
    INSERT INTO decision (message_id, digest, ordinal, referral_id, exercise, broker_time, entitled, origin, sender,
                          detail, edge_ids, edge_recipients, edge_purposes, edge_rules, edge_commitments)
    SELECT md5(id || 'decided')::uuid, sha256(id::text::bytea), 0, id, true, at, true, $4,
           'hotline', '', ARRAY[id], ARRAY[$5], ARRAY['investigation'], ARRAY['r1'], ARRAY[sha256('c')]
    FROM filled
)
INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, message_id, type, subject,
                   sender, recipient, exercise, edge_id, commitment)
SELECT 'causeway.inbox.agency.filled.v1', md5($1)::uuid, 1, i, at + interval '100 ms', 'record',
       sha256(id::text::bytea), true, md5(id || 'sent')::uuid, 'causeway.notice_issued.v1',
       md5(id || 'notice')::uuid::text, $4, $5, true, id, sha256('c')
FROM filled
"""
#: Copies the messages, with another sender ($2) and recipient ($3).
_COPY = """
INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, message_id, type, subject,
                   sender, recipient, exercise, edge_id, commitment)
SELECT topic, topic_id, 2, "offset", broker_time, kind, digest, verified, md5(message_id::text)::uuid, type, subject,
       $2, $3, exercise, edge_id, commitment
FROM entry WHERE recipient = $1
"""
#: Inserts a number of messages to a party before a time. Their edges are stated by no decision.
_UNSTATED = """
INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, message_id, type, subject,
                   sender, recipient, exercise, edge_id, commitment)
SELECT 'causeway.inbox.agency.unstated.v1', md5($1)::uuid, 1, i, $3::timestamptz - i * interval '500 us', 'record',
       sha256(i::text::bytea), true, md5($1 || i)::uuid, 'causeway.notice_issued.v1', md5('notice' || i)::uuid::text,
       'unstated.example', $1, true, md5('edge' || $1 || i)::uuid, sha256('c')
FROM generate_series(1, $2) AS i
"""


async def filled(log: Log, name: str, flows: int, *, origin: str, recipient: str) -> None:
    """Insert flows one second apart, the last of them one second before the log's time."""
    async with log.database.transaction() as session:
        await session.driver.execute(_FILL, name, flows, log.world.at, origin, recipient)


async def all_found(log: Log, party: str | None, within: ScopeSet | None = None) -> list[list[UUID]]:
    """Return all results, page by page."""
    until = log.world.at + timedelta(days=1)
    sought = FlowFilter(party, until - timedelta(days=3), until)
    look, cursor, pages = Access(AUDITOR, Role.AUDITOR, True, PURPOSE, within), None, []
    while not pages or cursor is not None:
        page = await use_cases.find_flows(sought, look, entries=log.entries, cursor=cursor)
        pages.append([each.referral_id for each in page.items])
        cursor = page.next
    return pages


async def test_pages_have_each_flow_once_the_newest_first(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    """This also holds with a scope of both parties, each of which has every flow."""
    await filled(log, "paged", 120, origin="paged.example", recipient="sent-to.example")
    await count_rows(audit_endpoint)
    both = ScopeSet(frozenset({"paged.example", "sent-to.example"}), frozenset())
    pages = await all_found(log, "paged.example")
    assert [len(page) for page in pages] == [50, 50, 20]
    assert len({each for page in pages for each in page}) == 120
    assert await all_found(log, "sent-to.example") == pages
    assert await all_found(log, None, both) == pages
    assert await all_found(log, "paged.example", ScopeSet(frozenset({"sent-to.example"}), frozenset())) == pages
    assert await all_found(log, "paged.example", ScopeSet(frozenset({"nobody.example"}), frozenset())) == [[]]


async def test_a_message_that_audit_read_before_its_decision_is_found_by_its_recipient(log: Log) -> None:
    filed = log.world.prepared()
    *sent, fact = log.world.records(filed.drafts)
    await log.keep(*sent)
    assert filed.referral_id not in {each.referral_id for each in (await found(log, POLICE)).items}
    await log.keep(fact)
    assert [each.referral_id for each in (await found(log, POLICE)).items].count(filed.referral_id) == 1


async def test_a_message_of_another_origin_finds_no_flow(log: Log) -> None:
    """A sender that names the edge of another party's decision adds no flow to the list."""
    await filled(log, "named", 1, origin="stated.example", recipient="named.example")
    assert len((await found(log, "named.example")).items) == 1
    async with log.database.transaction() as session:
        await session.driver.execute(_COPY, "named.example", "other-origin.example", "misled.example")
    assert (await found(log, "misled.example")).items == ()
    assert (await found(log, "other-origin.example")).items == ()


async def test_a_page_of_entries_without_flows_ends_with_a_cursor(log: Log) -> None:
    """The search is bounded. Its cursor leads to the older flows."""
    await filled(log, "older", 1, origin="old.example", recipient="misled-often.example")
    async with log.database.transaction() as session:
        await session.driver.execute(_UNSTATED, "misled-often.example", 1100, log.world.at)
    pages = await all_found(log, "misled-often.example")
    assert [len(page) for page in pages] == [0, 1]


async def test_a_cursor_that_is_none_is_refused(log: Log) -> None:
    look = Access(AUDITOR, Role.AUDITOR, True, PURPOSE)
    sought = FlowFilter(None, log.world.at, log.world.at + timedelta(days=1))
    with pytest.raises(Refused, match=r"^cursor_invalid"):
        await use_cases.find_flows(sought, look, entries=log.entries, cursor="nothing")


async def test_who_was_sent_it_later_finds_it_at_the_time_of_its_first_decision(log: Log) -> None:
    filed = log.world.prepared()
    records = await log.file(filed)
    log.world.at += timedelta(minutes=5)
    (shown,) = (await found(log, reference=filed.referral_id)).items
    (listed,) = [each for each in (await found(log, POLICE)).items if each.referral_id == filed.referral_id]
    assert listed.decided_at == shown.decided_at == records[-1].broker_time
    await log.keep(*records)
    assert [each.referral_id for each in (await found(log, POLICE)).items].count(filed.referral_id) == 1


def pages_read(plan: dict[str, Any]) -> tuple[int, int]:
    """Return how many pages of tables and indexes a plan reads to find a page's entries, and to derive their flows."""
    found, whole = _pages(plan["Plans"][0]), _pages(plan)
    return found, whole - found


def _pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_a_page_reads_no_more_beside_many_more_of_others(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    """Covers a search for one party, for several and for all.

    It counts pages, not times. The control has no such index.
    """
    owner = await asyncpg.connect(audit_endpoint.owner_url)
    # Without TRUNCATE the rows would fill gaps of the older table and spread over many pages.
    await owner.execute("TRUNCATE entry, decision")
    await filled(log, "rare", 100, origin=RARE, recipient=OTHER)
    await filled(log, "busy", 5_000, origin=BUSY, recipient=OTHER)
    await owner.execute("ANALYZE entry, decision")
    period = log.world.at - timedelta(days=3), log.world.at + timedelta(days=1), UUID(int=0)

    async def read(statement: str, *whose: list[str]) -> tuple[int, int]:
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        [[plan]] = await owner.fetch(explain, True, 51, None, *period, *whose)
        return pages_read(json.loads(plan)[0]["Plan"])

    for statement, *whose in (
        (flows._OF_PARTIES, [RARE]),
        (flows._OF_PARTIES, [BUSY]),
        (flows._OF_PARTIES, [OTHER]),
        (flows._OF_PARTIES, [RARE, OTHER, BUSY]),
        (flows._OF_ANYBODY,),
    ):
        of_keys, of_flows = await read(statement, *whose)
        assert of_keys <= PAGES_MAX * max(1, sum(map(len, whose)))
        assert of_flows <= FLOW_PAGES_MAX * 51
    undone = owner.transaction()
    await undone.start()
    await owner.execute("DROP INDEX entry_listed")
    assert (await read(flows._OF_PARTIES, [RARE]))[0] > 2 * PAGES_MAX
    await undone.rollback()
    await owner.close()


async def test_a_search_is_kept_with_its_purpose_by_the_days_that_were_asked_for(log: Log, database: Database) -> None:
    day = date(2026, 11, 27)
    sought = FlowFilter.of(HOTLINE, None, since=day, until=day, now=log.world.at)
    await use_cases.find_flows(sought, Access(AUDITOR, Role.AUDITOR, True, PURPOSE), entries=log.entries)
    query = "SELECT auditor, purpose, accessed_object FROM audit_access_log ORDER BY at DESC LIMIT 1"
    async with database.transaction() as session:
        [row] = await session.driver.fetch(query)
    assert tuple(row) == (AUDITOR, PURPOSE, f"find/{HOTLINE}/2026-11-27/2026-11-27")
