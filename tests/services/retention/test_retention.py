"""Retention: rows past their period are deleted, open and younger ones stay, and the accounts do not change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.operator import retention
from deploy.operator.retention import apply, show
from deploy.operator.retention_policy import POLICY, PurgeMethod
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.states import Event
from shared.core.clock import SystemClock
from shared.core.errors import Unavailable
from shared.core.ids import coarse_uuid7, uuid4, uuid7
from shared.core.protocol import prepare
from shared.platform.database.feed import note_acts
from shared.platform.database.idempotency import ClaimKind, claim, store_many
from shared.platform.database.migrate import newest_schema, upgrade
from shared.platform.database.partitions import make_months, partitioned_tables
from shared.platform.database.transactions import Database, RowScope
from tests.services.databases import connected
from tests.services.deliveries import AGENCY, offered
from tests.services.hotline.origin import Origin
from tests.services.hotline.test_duplicates import linked
from tests.services.law_enforcement.agency import Agencies
from tests.services.retention.owners import as_owner, owned
from tests.support.builders import HOTLINE
from tests.support.exchange_world import world

NOW = SystemClock().now()
LONG_AGO = NOW - timedelta(days=500)
#: An accountant's queries to compare the databases.
_BOOKS = (
    "SELECT referral_id, party, disposition, state, unrouted_reason FROM referral ORDER BY 1",
    "SELECT edge_id, message_id, referral_id, party, recipient, purpose, state, answer FROM edge ORDER BY 1",
    "SELECT peer, lane, incarnation, last, chain, acked FROM stream ORDER BY peer, lane",
    "SELECT peer, message_id, outcome, code FROM outcome_open ORDER BY peer, message_id",
    "SELECT * FROM receive_account ORDER BY writer, lane",
    "SELECT * FROM intake_count ORDER BY party",
)


async def books(endpoint: DatabaseEndpoint) -> list[list[tuple[object, ...]]]:
    async with connected(endpoint.accountant_url) as accountant:
        return [[tuple(row) for row in await accountant.fetch(statement)] for statement in _BOOKS]


async def move_acts(endpoint: DatabaseEndpoint, subjects: Sequence[UUID], at: datetime) -> None:
    """Move the acts on these subjects to another time. The services themselves may change no act."""
    owner = await asyncpg.connect(endpoint.owner_url)
    async with owner.transaction():
        await owner.execute("ALTER TABLE act NO FORCE ROW LEVEL SECURITY")
        await owner.execute("UPDATE act SET at = $1 WHERE subject = ANY($2::uuid[])", at, subjects)
        await owner.execute("ALTER TABLE act FORCE ROW LEVEL SECURITY")
    await owner.close()


async def events_of(database: Database, party: str) -> list[tuple[str, UUID]]:
    async with database.transaction(RowScope([party], "machine", "read")) as session:
        rows = await session.driver.fetch("SELECT type, subject FROM act ORDER BY number")
    return [(row["type"], row["subject"]) for row in rows]


@pytest.mark.parametrize("kind", POLICY)
def test_the_policy_has_every_table_once(kind: str) -> None:
    catalogue = newest_schema(kind).catalogue.items()
    tables = [name[6:] for name, told in catalogue if name.startswith("table ") and not told.startswith("kind v")]
    assert set(tables) == {kept.table for kept in POLICY[kind]}
    assert len({kept.table for kept in POLICY[kind]}) == len(POLICY[kind])
    assert all((kept.days is None) == (kept.way in (PurgeMethod.ITSELF, PurgeMethod.STAYS)) for kept in POLICY[kind])


async def test_a_record_is_erased_once_everybody_has_answered_for_good_long_ago(
    databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    origin, endpoint = Origin(databases["hotline"], world()), endpoints["hotline"]
    monkeypatch.setattr(prepare, "uuid7", lambda: coarse_uuid7(LONG_AGO))
    done, unanswered, late = [await origin.file() for _ in range(3)]
    await linked(origin)
    await as_owner(endpoint, "UPDATE referral SET accepted_at = $1", LONG_AGO, parties=[HOTLINE])
    answered = "UPDATE edge SET answer = 'declined', answered_at = $2 WHERE referral_id = $1"
    await as_owner(endpoint, answered, done, LONG_AGO, parties=[HOTLINE])
    await as_owner(endpoint, answered, late, NOW - timedelta(days=3), parties=[HOTLINE])
    await as_owner(endpoint, f"{answered} AND purpose = 'assessment'", unanswered, LONG_AGO, parties=[HOTLINE])
    before = await books(endpoint)
    ended = {each.table: each.count for each in await apply(owned(endpoints), NOW)}
    assert ended["referral"] == 1
    async with databases["hotline"].transaction(RowScope([HOTLINE], "machine", "read")) as session:
        keys = await session.driver.fetch("SELECT referral_id FROM referral WHERE wrapped_key IS NOT NULL")
        rows = await session.driver.fetch("SELECT referral_id FROM referral WHERE content <> ''")
        tokens = await session.driver.fetch("SELECT referral_id FROM location_token")
    for left in ({row["referral_id"] for row in each} for each in (keys, rows, tokens)):
        assert left >= {unanswered, late}
        assert done not in left
    assert await books(endpoint) == before
    assert ("referral.erased", done) in await events_of(databases["hotline"], HOTLINE)
    assert {each.table: each.count for each in await apply(owned(endpoints), NOW)}["referral"] == 0


async def test_a_case_keeps_its_record(databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint]) -> None:
    agencies = Agencies(databases["law_enforcement"])
    closed, going_on, withdrawn = [uuid7() for _ in range(3)]
    await agencies.receive(*(offered(each) for each in (closed, going_on, withdrawn)))
    came = "UPDATE received SET received_at = $1"
    await as_owner(endpoints["law_enforcement"], came, LONG_AGO - timedelta(days=1), parties=[AGENCY])
    change = "UPDATE received SET state = $2, changed_at = $3 WHERE subject = $1"
    for subject, state in ((closed, "closed"), (going_on, "ongoing"), (withdrawn, "withdrawn")):
        await as_owner(endpoints["law_enforcement"], change, subject, state, LONG_AGO, parties=[AGENCY])
    ended = {each.table: each.count for each in await apply(owned(endpoints, "law_enforcement"), NOW)}
    assert ended["received"] == 1
    async with databases["law_enforcement"].transaction(RowScope([AGENCY], "machine", "read")) as session:
        tokens = {row["referral_id"] for row in await session.driver.fetch("SELECT referral_id FROM case_location")}
    assert tokens == {going_on, withdrawn}
    assert (await agencies.show(closed))["record"] is None
    assert (await agencies.show(going_on))["record"] is not None
    assert (await agencies.show(withdrawn))["record"] is not None


@pytest.mark.parametrize(("days", "left"), [(22, False), (20, True)])
async def test_the_class_of_an_edge_says_how_long_its_record_is_kept(
    databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint], days: int, left: bool
) -> None:
    """Canada's rule says 21 days, although the table's own period is a year."""
    agencies, endpoint, referral_id = Agencies(databases["law_enforcement"]), endpoints["law_enforcement"], uuid7()
    await agencies.receive(offered(referral_id))
    edge = "UPDATE received SET received_at = $2, retention = 'ca_21d' WHERE subject = $1"
    await as_owner(endpoint, edge, referral_id, NOW - timedelta(days=days + 1), parties=[AGENCY])
    change = "UPDATE received SET state = 'declined', changed_at = $2 WHERE subject = $1"
    await as_owner(endpoint, change, referral_id, NOW - timedelta(days=days), parties=[AGENCY])
    await apply(owned(endpoints, "law_enforcement"), NOW)
    async with databases["law_enforcement"].transaction(RowScope([AGENCY], "machine", "read")) as session:
        key = await session.driver.fetchval("SELECT wrapped_key FROM received WHERE subject = $1", referral_id)
    assert (key is not None) is left


async def test_open_subjects_stay_known(databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint]) -> None:
    database, endpoint = databases["law_enforcement"], endpoints["law_enforcement"]
    agencies, party = Agencies(database), AGENCY
    still_open, gone = uuid7(), uuid4()
    await agencies.receive(offered(still_open))
    async with database.transaction(RowScope([party], "service", "apply")) as session:
        note_acts(session.driver, [Event(party, "case.accept", gone, state="accepted")])
    await move_acts(endpoint, [still_open, gone], LONG_AGO)
    found = {each.table: each.count for each in await apply(owned(endpoints, "law_enforcement"), LONG_AGO)}
    assert found["act"] == 0
    months = {each.table: each.count for each in await apply(owned(endpoints, "law_enforcement"), NOW)}["act"]
    subjects = [subject for _, subject in await events_of(database, party)]
    assert months >= 1
    assert still_open in subjects
    assert gone not in subjects
    assert {each.table: each.count for each in await apply(owned(endpoints, "law_enforcement"), NOW)}["act"] == 0
    assert still_open in [subject for _, subject in await events_of(database, party)]
    finish = "UPDATE received SET state = 'closed' WHERE subject = $1"
    await as_owner(endpoint, finish, still_open, parties=[party])
    await apply(owned(endpoints, "law_enforcement"), NOW)
    assert still_open not in [subject for _, subject in await events_of(database, party)]


async def test_a_key_is_known_a_week(databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint]) -> None:
    old, young = b"o" * 32, b"y" * 32
    async with databases["hotline"].transaction() as session:
        for key in (old, young):
            await claim(session.driver, HOTLINE, key, body_hash=b"b" * 32)
            await store_many(session.driver, [((HOTLINE, key, b"b" * 32), 202, b"{}")])
    age = "UPDATE idempotency_key SET created_at = $2 WHERE key_hash = $1"
    await as_owner(endpoints["hotline"], age, old, NOW - timedelta(days=8))
    await as_owner(endpoints["hotline"], age, young, NOW - timedelta(days=6))
    await apply(owned(endpoints), NOW)
    async with databases["hotline"].transaction() as session:
        kinds = [(await claim(session.driver, HOTLINE, key, body_hash=b"b" * 32)).kind for key in (old, young)]
    assert kinds == [ClaimKind.NEW, ClaimKind.STORED]


async def test_rows_end_in_parts(
    databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_MAX", 3)
    await as_owner(
        endpoints["hotline"],
        "INSERT INTO idempotency_key (party, key_hash, body_hash, response_status, response_body, created_at)"
        " SELECT 'many.example', sha256(i::text::bytea), 'b', 202, '', $1 FROM generate_series(1, 10) AS i",
        LONG_AGO,
    )
    assert {each.table: each.count for each in await apply(owned(endpoints), NOW)}["idempotency_key"] >= 10


async def finished_referrals(origin: Origin, endpoint: DatabaseEndpoint) -> list[UUID]:
    """Return two referrals that were finished long ago, in the order of time."""
    ended = sorted([await origin.file(), await origin.file()])
    await as_owner(endpoint, "UPDATE referral SET accepted_at = $1", LONG_AGO, parties=[HOTLINE])
    answered = "UPDATE edge SET answer = 'declined', answered_at = $1 WHERE referral_id = ANY($2)"
    await as_owner(endpoint, answered, LONG_AGO, ended, parties=[HOTLINE])
    return ended


@pytest.mark.timing
async def test_records_lock_first(
    databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "uuid7", lambda: coarse_uuid7(LONG_AGO))
    ended = await finished_referrals(Origin(databases["hotline"], world()), endpoints["hotline"])
    async with databases["hotline"].transaction(RowScope([HOTLINE], "service", "apply")) as session:
        await session.driver.execute("SELECT FROM referral WHERE referral_id = $1 FOR UPDATE", ended[1])
        running = asyncio.create_task(apply(owned(endpoints), NOW))
        for _ in range(50_000):
            if await session.driver.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                break
        await session.driver.execute("SELECT FROM feed WHERE party = $1 FOR UPDATE NOWAIT", HOTLINE)
    assert {each.table: each.count for each in await running}["referral"] == 2
    events = await events_of(databases["hotline"], HOTLINE)
    assert [subject for told, subject in events if told == "referral.erased"][-2:] == ended


async def test_a_deadlock_is_redone(
    databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "uuid7", lambda: coarse_uuid7(LONG_AGO))
    await finished_referrals(Origin(databases["hotline"], world()), endpoints["hotline"])
    deadlocks, end_page = [1, retention.DEADLOCKS_MAX], retention._end_page

    async def deadlocked(*page: Any, event_type: str) -> Any:
        if deadlocks[0]:
            deadlocks[0] -= 1
            raise asyncpg.DeadlockDetectedError
        return await end_page(*page, event_type=event_type)

    monkeypatch.setattr(retention, "_end_page", deadlocked)
    assert {each.table: each.count for each in await apply(owned(endpoints), NOW)}["referral"] == 2
    deadlocks.pop(0)
    with pytest.raises(Unavailable, match="table_in_use"):
        await apply(owned(endpoints), NOW)


async def test_rows_move_to_their_month(databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint]) -> None:
    later = datetime(NOW.year + 2, 5, 20, 12, tzinfo=UTC)
    database, endpoint = databases["hotline"], endpoints["hotline"]
    made_later = Event("later.example", "referral.submit", uuid4(), state="routed")
    async with database.transaction(RowScope([made_later.party], "service", "apply")) as session:
        note_acts(session.driver, [made_later])
    await move_acts(endpoint, [made_later.subject], later)
    async with connected(endpoint.owner_url) as owner:
        assert await owner.fetchval("SELECT count(*) FROM act_default WHERE at = $1", later) == 1
        made = await make_months(owner, later)
        assert f"act_{later:%Y_%m}" in made
        assert await make_months(owner, later) == []
        assert await owner.fetchval("SELECT count(*) FROM act_default WHERE at = $1", later) == 0
        assert await owner.fetchval(f"SELECT count(*) FROM act_{later:%Y_%m}") == 1
        assert "act" in {table.name for table in await partitioned_tables(owner)}
    assert len(await events_of(database, "later.example")) == 1
    # The database with added months still has the current schema.
    await asyncio.to_thread(upgrade, "hotline", endpoint.owner_url)


async def test_what_there_is_is_shown_with_its_size(endpoints: dict[str, DatabaseEndpoint]) -> None:
    held = {each.kept.table: each for each in await show(owned(endpoints))}
    assert held.keys() == {kept.table for kept in POLICY["hotline"]}
    assert held["act"].bytes > 0
    async with connected(endpoints["hotline"].owner_url) as owner:
        revisions = await owner.fetchval("SELECT count(*) FROM schema_revision")
    assert held["schema_revision"].rows == revisions > 0
    nobody_there = owned(endpoints)._replace(owner_url="postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable, match="database_unavailable"):
        await show(nobody_there)
