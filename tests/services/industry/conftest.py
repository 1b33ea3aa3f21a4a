"""One migrated database for the tests of this service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from tests.services.databases import migrated, running_postgres
from tests.services.industry.provider import Providers


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with running_postgres(tmp_path_factory.mktemp("industry"), "industry") as running:
        yield running


@pytest.fixture(scope="session")
async def providers(endpoint: DatabaseEndpoint) -> AsyncIterator[Providers]:
    async with migrated(endpoint, "industry") as database:
        yield Providers(database)
