"""One migrated database for the tests of this service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from tests.services.databases import migrated, running_postgres
from tests.services.industry.provider import Providers
from tests.services.industry.withdrawing import World


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with running_postgres(tmp_path_factory.mktemp("industry"), "industry") as running:
        yield running


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
    """No journal has been applied: each test has one of its own, and what others start of this database has none."""
    owner = await world.owner()
    await owner.execute("UPDATE erasure_place SET lines = 0, digest = ''")
    await owner.close()
