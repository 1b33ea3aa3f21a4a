"""Audit's own database, and a small world whose records audit stores."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.platform.database.transactions import Database
from tests.services.audit.log import Log, without_streams
from tests.services.databases import endpoint_fixture, migrated

audit_endpoint = endpoint_fixture("audit", name="audit_endpoint")


@pytest.fixture(scope="session")
async def database(audit_endpoint: DatabaseEndpoint) -> AsyncIterator[Database]:
    async with migrated(audit_endpoint, "audit") as database:
        yield database


@pytest.fixture
async def log(database: Database) -> Log:
    return await without_streams(database)
