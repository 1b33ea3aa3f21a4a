"""A migrated database of one party's service. Its deadlines and acts are empty at the start of each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.platform.database.transactions import Database
from tests.services.databases import endpoint_fixture, migrated

endpoint = endpoint_fixture("industry")


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
