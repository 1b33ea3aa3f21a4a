"""One migrated database for the tests of this service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.features.bulk.api import work_items_router
from shared.features.notices.api import notice_routes, notices_router
from tests.services.databases import endpoint_fixture, migrated
from tests.services.doors import door, serving
from tests.services.industry.provider import KEK, Providers
from tests.services.industry.withdrawing import World

endpoint = endpoint_fixture("industry")


@pytest.fixture(scope="session")
async def providers(endpoint: DatabaseEndpoint) -> AsyncIterator[Providers]:
    async with migrated(endpoint, "industry") as database:
        yield Providers(database)


@pytest.fixture
async def world(providers: Providers, endpoint: DatabaseEndpoint, tmp_path: Path) -> AsyncIterator[World]:
    made = World(providers, endpoint, tmp_path)
    then = providers.database.last_step
    assert then is not None
    await began_anew(made)
    providers.database.last_step = made.erasures.before_commit(then)
    yield made
    providers.database.last_step = then
    await began_anew(made)


async def began_anew(world: World) -> None:
    """Reset the applied place in the journal: each test has its own journal, and other processes here have none."""
    owner = await world.owner()
    await owner.execute("UPDATE erasure_journal_position SET line_count = 0, digest = ''")
    await owner.close()


@pytest.fixture
async def client(providers: Providers) -> AsyncIterator[httpx.AsyncClient]:
    on = serving(providers.database, "industry", kek=KEK, directory=providers.directory)
    async with door(notices_router(on), work_items_router(notice_routes(on))) as opened:
        yield opened
