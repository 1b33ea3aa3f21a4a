"""A migrated database of one party's service, whose tables of clocks each test finds empty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.runtime.database.transactions import Database
from tests.services.databases import migrated, running_postgres
from tests.shared.runtime.timers.workers import SCOPE


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with running_postgres(tmp_path_factory.mktemp("timers"), "industry") as running:
        yield running


@pytest.fixture(scope="session")
async def migrated_database(endpoint: DatabaseEndpoint) -> AsyncIterator[Database]:
    async with migrated(endpoint, "industry") as opened:
        yield opened


@pytest.fixture
async def database(migrated_database: Database) -> Database:
    async with migrated_database.transaction(SCOPE) as session:
        await session.driver.execute("DELETE FROM clocked; DELETE FROM clock_step; DELETE FROM timer")
        await session.driver.execute("DELETE FROM event_unnumbered")
    return migrated_database
