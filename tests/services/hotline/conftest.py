"""One migrated database for the tests of this service; each test finds no messages of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.runtime.database.transactions import Database
from tests.services.databases import migrated, running_postgres
from tests.services.hotline.origin import Origin
from tests.support.exchange_world import world


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with running_postgres(tmp_path_factory.mktemp("hotline"), "hotline") as running:
        yield running


@pytest.fixture(scope="session")
async def database(endpoint: DatabaseEndpoint) -> AsyncIterator[Database]:
    async with migrated(endpoint, "hotline") as opened:
        yield opened


@pytest.fixture
async def origin(database: Database) -> Origin:
    made = Origin(database, world())
    await made.forget()
    return made
