"""Retention deletes the deadlines of an edge together with the record that it carried, and no other deadlines."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from deploy.operator.retention import apply
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.authority import Role
from shared.core.ids import coarse_uuid7, uuid7
from shared.core.protocol import prepare
from shared.platform.database.transactions import Database, RowScope
from tests.services.databases import connected
from tests.services.deliveries import AGENCY, LOCATION, PROVIDER, offered
from tests.services.hotline.origin import Origin
from tests.services.industry.provider import Providers
from tests.services.industry.test_preservation_before_removal import asked
from tests.services.law_enforcement.agency import Agencies
from tests.services.retention.owners import as_owner, owned
from tests.services.retention.test_retention import LONG_AGO, NOW
from tests.support.builders import HOTLINE
from tests.support.exchange_world import world

Left = set[tuple[UUID, str]]


async def left(database: Database, party: str) -> Left:
    """Return (subject, purpose) of each edge that has deadlines."""
    async with database.transaction(RowScope([party], Role.VIEWER, "read")) as session:
        kept = "SELECT coalesce(known_as, subject), purpose FROM deadline WHERE started_at IS NOT NULL"
        return {tuple(row) for row in await session.driver.fetch(kept)}


async def test_clocks_of_a_referral_end_with_its_record(
    databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    origin, endpoint = Origin(databases["hotline"], world()), endpoints["hotline"]
    monkeypatch.setattr(prepare, "uuid7", lambda: coarse_uuid7(LONG_AGO))
    done, unanswered = [await origin.file() for _ in range(2)]
    before = await left(databases["hotline"], HOTLINE)
    await as_owner(endpoint, "UPDATE referral SET accepted_at = $1", LONG_AGO, parties=[HOTLINE])
    answered = "UPDATE edge SET answer = 'declined', answered_at = $2 WHERE referral_id = $1"
    await as_owner(endpoint, answered, done, LONG_AGO, parties=[HOTLINE])
    await apply(owned(endpoints), NOW)
    after = await left(databases["hotline"], HOTLINE)
    assert {each for each in before if each[0] != done} == after
    assert unanswered in {subject for subject, _ in after}
    assert done in {subject for subject, _ in before}


async def test_clocks_of_a_case_end(databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint]) -> None:
    database, endpoint = databases["law_enforcement"], endpoints["law_enforcement"]
    closed, going_on = uuid7(), uuid7()
    agencies, purposes = Agencies(database), ("investigation", "victim_identification")
    await agencies.receive(*(offered(each, purpose=purpose) for each in (closed, going_on) for purpose in purposes))
    came = "UPDATE received SET received_at = $1 WHERE purpose = $2"
    await as_owner(endpoint, came, LONG_AGO - timedelta(days=1), purposes[0], parties=[AGENCY])
    change = "UPDATE received SET state = $2, changed_at = $3, proof_id = subject WHERE subject = $1"
    for subject, state in ((closed, "closed"), (going_on, "ongoing")):
        await as_owner(endpoint, change, subject, state, LONG_AGO, parties=[AGENCY])
        await as_owner(endpoint, "INSERT INTO content_proof VALUES ($1, '')", subject, parties=[AGENCY])
    await apply(owned(endpoints, "law_enforcement"), NOW)
    async with database.transaction() as session:
        assert [*map(tuple, await session.driver.fetch("SELECT proof_id FROM content_proof"))] == [(going_on,)]
    after = await left(database, AGENCY)
    mine = {each for each in after if each[0] in (closed, going_on)}
    assert mine == {(closed, purposes[1]), (going_on, purposes[0]), (going_on, purposes[1])}


async def test_a_preservation_is_ended(databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint]) -> None:
    database, endpoint = databases["industry"], endpoints["industry"]
    over, going_on = uuid7(), uuid7()
    await Providers(database).receive(*(asked(each, location=f"{LOCATION}/{each}") for each in (over, going_on)))
    change = "UPDATE preservation SET state = $2, received_at = $3, changed_at = $3 WHERE preservation_id = $1"
    for preservation_id, state in ((over, "refused"), (going_on, "preserved")):
        await as_owner(endpoint, change, preservation_id, state, LONG_AGO, parties=[PROVIDER])
    await apply(owned(endpoints, "industry"), NOW)
    async with database.transaction(RowScope([PROVIDER], Role.VIEWER, "read")) as session:
        ids, left = [over, going_on], dict[str, set[UUID]]()
        for table, key in (("preservation", "preservation_id"), ("preservation_location", "preservation_id")):
            where = " AND wrapped_key IS NOT NULL" if table == "preservation" else ""
            kept = f"SELECT {key} AS id FROM {table} WHERE {key} = ANY ($1){where}"
            left[table] = {row["id"] for row in await session.driver.fetch(kept, ids)}
        deadlines = await session.driver.fetch("SELECT edge_id AS id FROM deadline WHERE edge_id = ANY ($1)", ids)
        [state] = await session.driver.fetch("SELECT state FROM preservation WHERE preservation_id = $1", over)
    assert left == {"preservation": {going_on}, "preservation_location": {going_on}}
    assert ({row["id"] for row in deadlines}, state["state"]) == ({going_on}, "refused")


async def test_nobody_else_removes_them(databases: dict[str, Database], endpoints: dict[str, DatabaseEndpoint]) -> None:
    await Agencies(databases["law_enforcement"]).receive(offered(uuid7()))
    before = await left(databases["law_enforcement"], AGENCY)
    async with connected(endpoints["law_enforcement"].owner_url) as owner:
        assert await owner.execute("DELETE FROM deadline") == "DELETE 0", "not even the owner, bound to nobody"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with databases["law_enforcement"].transaction(RowScope([AGENCY], Role.ANALYST, "outcome")) as session:
            await session.driver.execute("DELETE FROM deadline")
    assert await left(databases["law_enforcement"], AGENCY) == before
