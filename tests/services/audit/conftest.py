"""Audit's own database, and a small world whose records it keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.runtime.database.transactions import Database
from tests.services.databases import migrated, running_postgres


@pytest.fixture(scope="session")
def audit_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with running_postgres(tmp_path_factory.mktemp("audit"), "audit") as running:
        yield running


@pytest.fixture(scope="session")
async def database(audit_endpoint: DatabaseEndpoint) -> AsyncIterator[Database]:
    async with migrated(audit_endpoint, "audit") as database:
        yield database
