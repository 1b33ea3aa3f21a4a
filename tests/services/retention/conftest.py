"""The databases of the services under their login roles, for the retention tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.platform.database.migrate import upgrade
from shared.platform.database.transactions import Database
from tests.services.databases import running_databases

SERVICES = ("hotline", "law_enforcement", "industry")


@pytest.fixture(scope="session")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, DatabaseEndpoint]]:
    with running_databases(tmp_path_factory.mktemp("retention"), *SERVICES, forced=False) as made:
        for service in SERVICES:
            upgrade(service, made[service].owner_url)
        yield made


@pytest.fixture
async def databases(endpoints: dict[str, DatabaseEndpoint]) -> AsyncIterator[dict[str, Database]]:
    async with AsyncExitStack() as opened:
        made = {service: Database(endpoints[service].service_url, pool_size=2) for service in SERVICES}
        for database in made.values():
            opened.push_async_callback(database.close)
        yield made
