"""One migrated database for the tests of this service. Each test finds no messages of other tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.platform.database.transactions import Database
from tests.services.databases import endpoint_fixture, migrated
from tests.services.hotline.origin import Origin
from tests.services.hotline.test_holds import WINDOW_H, nothing_planned
from tests.support.builders import AT
from tests.support.exchange_world import world
from tests.support.windowed import windowed

endpoint = endpoint_fixture("hotline")


@pytest.fixture(scope="session")
async def database(endpoint: DatabaseEndpoint) -> AsyncIterator[Database]:
    async with migrated(endpoint, "hotline") as opened:
        yield opened


@pytest.fixture
async def origin(database: Database) -> Origin:
    made = Origin(database, world())
    await made.forget()
    return made


@pytest.fixture
async def client(origin: Origin) -> AsyncIterator[httpx.AsyncClient]:
    async with origin.intake.running(), origin.door() as opened:
        yield opened


@pytest.fixture
async def planned(origin: Origin) -> AsyncIterator[None]:
    """Give every notice a window of three days, and clear the planned notices of other tests."""
    origin.world.place(windowed(origin.world.policy, WINDOW_H, version=90), AT - timedelta(minutes=1))
    await nothing_planned(origin)
    yield
    await nothing_planned(origin)
