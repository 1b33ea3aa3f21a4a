"""Fixtures: two toy instances with a database and topics each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from confluent_kafka.admin import AdminClient

from deploy.devstack.stack import DevStack
from deploy.site.access import admin_client, prepare_databases
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.envelope.keys import SigningKey
from shared.core.ids import uuid7
from shared.messaging.streams import Pair
from tests.shared.conftest import access_as
from tests.shared.delivery.toy_instances import MESSAGING, Toy, prepare
from tests.shared.messaging.kafka.test_log import make_topic

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
