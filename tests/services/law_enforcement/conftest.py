"""One migrated database for the tests of this service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.features.cases.api import cases_router
from tests.services.databases import endpoint_fixture, migrated
from tests.services.doors import door, serving
from tests.services.law_enforcement.agency import KEK, Agencies
from tests.services.law_enforcement.webhook_fixtures import Party, party

endpoint = endpoint_fixture("law_enforcement")


@pytest.fixture(scope="session")
async def agencies(endpoint: DatabaseEndpoint) -> AsyncIterator[Agencies]:
    async with migrated(endpoint, "law_enforcement") as database:
        yield Agencies(database)


@pytest.fixture
async def mine(agencies: Agencies, endpoint: DatabaseEndpoint) -> AsyncIterator[Party]:
    """Return a party's webhooks."""
    async with party(endpoint) as one:
        yield one


@pytest.fixture
async def client(agencies: Agencies) -> AsyncIterator[httpx.AsyncClient]:
    router = cases_router(
        serving(agencies.database, "law_enforcement", kek=KEK, directory=agencies.directory), agencies.documents
    )
    async with door(router) as opened:
        yield opened
