"""In every time zone of a server, also after a change, months and an instance's days follow UTC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from deploy.devstack.stack import DevStack
from deploy.site.access import prepare_databases
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.ids import uuid7
from shared.platform.database.partitions import MONTHS_AHEAD, make_months
from shared.platform.database.transactions import Database

ELSEWHERE = "America/New_York"
AUTUMN = datetime(2031, 9, 15, tzinfo=UTC)
BOUNDS = """
SELECT relname, pg_get_expr(relpartbound, oid) AS bounds FROM pg_class
WHERE relispartition AND relname <> 'seen_default' ORDER BY relname
"""


@pytest.fixture
async def elsewhere(stack: DevStack) -> DatabaseEndpoint:
    """Return a database whose sessions default to New York's time, with one table partitioned by months."""
    name = f"zones_{uuid7().hex}"
    made = await asyncio.to_thread(prepare_databases, stack.postgres.admin_url, [name], stack.state.password)
    owner = await asyncpg.connect(made[name].owner_url)
    await owner.execute(f"ALTER DATABASE causeway_{name} SET timezone = '{ELSEWHERE}'")
    await owner.execute("CREATE TABLE seen (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    await owner.execute("CREATE TABLE seen_default PARTITION OF seen DEFAULT")
    await owner.close()
    return made[name]


@pytest.fixture
async def owner(elsewhere: DatabaseEndpoint) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(elsewhere.owner_url)
    yield connection
    await connection.close()


async def test_months_are_of_utc_whatever_zone_the_server_is_in_and_go_on_when_it_leaves_it(
    owner: asyncpg.Connection,
) -> None:
    """Otherwise the hours between New York's midnight and UTC's would be in no month."""
    assert await owner.fetchval("SHOW timezone") == ELSEWHERE
    last = datetime(2031, 10, 31, 23, 59, tzinfo=UTC)
    await owner.executemany("INSERT INTO seen VALUES ($1)", [(last,), (last + timedelta(minutes=1),)])
    await make_months(owner, AUTUMN)
    await owner.execute("SET timezone = 'UTC'")
    later = await make_months(owner, AUTUMN + timedelta(days=31 * (MONTHS_AHEAD + 1)))
    assert later[0] == "seen_2032_01"
    bounds = {row["relname"]: row["bounds"] for row in await owner.fetch(BOUNDS)}
    assert bounds["seen_2031_11"] == "FOR VALUES FROM ('2031-11-01 00:00:00+00') TO ('2031-12-01 00:00:00+00')"
    held = await owner.fetch("SELECT tableoid::regclass::text AS part, at FROM seen ORDER BY at")
    assert [row["part"] for row in held] == ["seen_2031_10", "seen_2031_11"]


async def test_an_instance_reckons_in_utc(elsewhere: DatabaseEndpoint) -> None:
    """Otherwise days added to a time would be the server zone's days, some of them with 23 or 25 hours."""
    database = Database(elsewhere.service_url, pool_size=1)
    try:
        day = "SELECT $1::timestamptz + $2::interval AS next"
        [row] = await database.fetch(day, datetime(2031, 11, 1, 12, tzinfo=UTC), timedelta(days=1))
    finally:
        await database.close()
    assert row["next"] == datetime(2031, 11, 2, 12, tzinfo=UTC)
