"""The limits of the roles that a site makes, on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest

from deploy.site.access import READER_CONNECTIONS_MAX, SERVICE_PART
from deploy.site.endpoints import DatabaseEndpoint
from tests.services.databases import running_postgres

LARGE_OBJECTS = ("SELECT lo_from_bytea(0, 'content')", "SELECT lo_create(0)", "SELECT lo_creat(-1)")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with running_postgres(tmp_path_factory.mktemp("roles"), "hotline") as made:
        yield made


@pytest.mark.parametrize("role", ["accountant_url", "service_url", "owner_url"])
@pytest.mark.parametrize("statement", LARGE_OBJECTS)
async def test_no_role_stores_a_large_object(role: str, statement: str, endpoint: DatabaseEndpoint) -> None:
    connection = await asyncpg.connect(getattr(endpoint, role))
    await connection.execute("SET default_transaction_read_only = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize("role", ["accountant_url", "service_url"])
async def test_no_reader_or_service_makes_a_temporary_table(role: str, endpoint: DatabaseEndpoint) -> None:
    connection = await asyncpg.connect(getattr(endpoint, role))
    await connection.execute("SET default_transaction_read_only = off")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TEMPORARY TABLE kept (content bytea)")
    await connection.close()


async def test_a_reader_reads_by_default_and_for_a_limited_time(endpoint: DatabaseEndpoint) -> None:
    connection = await asyncpg.connect(endpoint.accountant_url)
    shown = {
        name: await connection.fetchval("SELECT current_setting($1)", name)
        for name in (
            "default_transaction_read_only",
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
        )
    }
    await connection.close()
    assert list(shown.values()) == ["on", "10min", "10s", "10min"]


async def test_a_reader_takes_no_more_than_its_connections(endpoint: DatabaseEndpoint) -> None:
    held = [await asyncpg.connect(endpoint.accountant_url) for _ in range(READER_CONNECTIONS_MAX)]
    with pytest.raises(asyncpg.TooManyConnectionsError):
        await asyncpg.connect(endpoint.accountant_url)
    service = await asyncpg.connect(endpoint.service_url)
    assert await service.fetchval("SHOW statement_timeout") == "10min"
    for each in (*held, service):
        await each.close()


async def test_a_service_takes_no_more_than_its_part_of_the_connections(endpoint: DatabaseEndpoint) -> None:
    owner = await asyncpg.connect(endpoint.owner_url)
    most = int(await owner.fetchval("SHOW max_connections")) // SERVICE_PART
    held = [await asyncpg.connect(endpoint.service_url) for _ in range(most)]
    with pytest.raises(asyncpg.TooManyConnectionsError):
        await asyncpg.connect(endpoint.service_url)
    for each in (*held, owner, await asyncpg.connect(endpoint.accountant_url)):
        await each.close()
