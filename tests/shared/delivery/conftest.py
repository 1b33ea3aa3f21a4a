"""The databases of a hotline and of the agencies on one server, with empty tables of delivery for each test.

Two toy instances with a database and topics each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from confluent_kafka.admin import AdminClient

from deploy.devstack.stack import DevStack
from deploy.site.access import admin_client, prepare_databases
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.envelope.keys import SigningKey
from shared.core.ids import uuid7
from shared.messaging.streams import Pair
from shared.platform.database.transactions import Database
from tests.services.databases import migrated, running_databases
from tests.shared.conftest import access_as
from tests.shared.delivery.sites import AGENCIES, HOTLINE_INSTANCE, NotedTracks, empty
from tests.shared.delivery.toy_instances import MESSAGING, Toy, prepare
from tests.shared.messaging.kafka.test_log import make_topic
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


KEYS = (SigningKey(bytes(range(32))), SigningKey(bytes(range(1, 33))))
NAMES = ("toy_a", "toy_b")


@pytest.fixture(scope="session")
async def toy_endpoints(stack: DevStack) -> tuple[DatabaseEndpoint, DatabaseEndpoint]:
    admin_url = stack.endpoints.database_admin_url
    made = await asyncio.to_thread(prepare_databases, admin_url, NAMES, stack.state.password)
    for endpoint in made.values():
        await prepare(endpoint)
    return made[NAMES[0]], made[NAMES[1]]


@pytest.fixture(scope="session")
def admin(stack: DevStack) -> AdminClient:
    return admin_client(stack.endpoints.kafka)


@pytest.fixture
async def toys(
    stack: DevStack, admin: AdminClient, toy_endpoints: tuple[DatabaseEndpoint, DatabaseEndpoint]
) -> AsyncIterator[tuple[Toy, Toy]]:
    """Two instances under new names, with empty tables and topics."""
    names = [f"{letter}_{uuid7().hex[:12]}{uuid7().hex[-6:]}" for letter in "ab"]
    access, keys = access_as(stack, "admin"), dict(zip(names, KEYS, strict=True))
    made = []
    for name, peer, endpoint in zip(names, reversed(names), toy_endpoints, strict=True):
        await asyncio.to_thread(make_topic, admin, Pair(name, peer))
        toy = Toy(name, peer, endpoint, access, keys)
        await toy.as_owner(f"TRUNCATE {', '.join((*MESSAGING, 'toy'))}")
        made.append(toy)
    yield made[0], made[1]
    for toy in made:
        await toy.database.close()
