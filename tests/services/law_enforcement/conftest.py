"""One migrated database for the tests of this service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from tests.services.databases import migrated, running_postgres
from tests.services.law_enforcement.agency import Agencies
from tests.services.law_enforcement.hooks import Party, party


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with running_postgres(tmp_path_factory.mktemp("law_enforcement"), "law_enforcement") as running:
        yield running


@pytest.fixture(scope="session")
async def agencies(endpoint: DatabaseEndpoint) -> AsyncIterator[Agencies]:
    async with migrated(endpoint, "law_enforcement") as database:
        yield Agencies(database)


@pytest.fixture
async def mine(agencies: Agencies, endpoint: DatabaseEndpoint) -> AsyncIterator[Party]:
    """A party's webhooks."""
    async with party(endpoint) as one:
        yield one
