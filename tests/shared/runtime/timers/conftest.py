"""A migrated database of one party's service. Each test finds its deadlines and acts empty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.runtime.database.transactions import Database
from tests.services.databases import migrated, running_postgres


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with running_postgres(tmp_path_factory.mktemp("timers"), "industry") as running:
        yield running


@pytest.fixture(scope="session")
async def migrated_database(endpoint: DatabaseEndpoint) -> AsyncIterator[Database]:
    async with migrated(endpoint, "industry") as opened:
        yield opened


@pytest.fixture
async def database(migrated_database: Database, endpoint: DatabaseEndpoint) -> Database:
    owner = await asyncpg.connect(endpoint.owner_url)
    await owner.execute("TRUNCATE deadline, act")
    await owner.close()
    return migrated_database
