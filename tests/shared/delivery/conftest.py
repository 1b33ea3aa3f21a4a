"""The databases of a hotline and of the agencies, on one server, with empty tables of delivery for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.platform.database.transactions import Database
from tests.services.databases import migrated, running_databases
from tests.shared.delivery.sites import AGENCIES, HOTLINE_INSTANCE, NotedTracks, empty
from tests.support.consuming import Applied, Site
from tests.support.exchange_world import World, world


@pytest.fixture(scope="session")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, DatabaseEndpoint]]:
    with running_databases(tmp_path_factory.mktemp("delivery"), HOTLINE_INSTANCE, AGENCIES, forced=False) as running:
        yield running


@pytest.fixture(scope="session")
async def databases(endpoints: dict[str, DatabaseEndpoint]) -> AsyncIterator[dict[str, Database]]:
    async with (
        migrated(endpoints[HOTLINE_INSTANCE], HOTLINE_INSTANCE) as hotline,
        migrated(endpoints[AGENCIES], AGENCIES) as agencies,
    ):
        yield {HOTLINE_INSTANCE: hotline, AGENCIES: agencies}


@pytest.fixture
async def here(endpoints: dict[str, DatabaseEndpoint]) -> World:
    for endpoint in endpoints.values():
        await empty(endpoint)
    return world()


@pytest.fixture
def agencies(databases: dict[str, Database], here: World) -> Site:
    return Site(here, AGENCIES, databases[AGENCIES], Applied(), NotedTracks())


@pytest.fixture
def hotline(databases: dict[str, Database], here: World) -> Site:
    return Site(here, HOTLINE_INSTANCE, databases[HOTLINE_INSTANCE], Applied(), NotedTracks())
