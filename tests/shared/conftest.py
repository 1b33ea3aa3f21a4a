"""A database with the tables of every instance, topics and logs, for the tests of `shared`, on the shared stack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from deploy.devstack.stack import DevStack
from deploy.kafka.provision import manifest_of
from deploy.site.access import admin_client, prepare_databases
from shared.core.ids import uuid7
from shared.core.protocol.authority import inbox_topic
from shared.platform.database.migrate import upgrade
from shared.platform.database.transactions import Database
from shared.platform.kafka.access import KafkaAccess
from shared.platform.observability.logs import configure_logs


@pytest.fixture(scope="session")
async def database_url(stack: DevStack) -> str:
    """Return a database with the tables of every instance, with an administrator's access."""
    admin_url = stack.endpoints.database_admin_url
    assert admin_url is not None
    made = prepare_databases(admin_url, ["runtime_edges"], stack.state.password)["runtime_edges"]
    await asyncio.to_thread(upgrade, "law_enforcement", made.owner_url)
    return urlsplit(admin_url)._replace(path="/causeway_runtime_edges").geturl()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def access(stack: DevStack) -> KafkaAccess:
    """Return access to Kafka as the administrator, with read and write permission on every topic."""
    return access_as(stack, "admin")


@pytest.fixture(scope="session")
def new_topic(stack: DevStack) -> Callable[..., str]:
    """Return a function that creates a topic with `NewTopic` options and waits until the broker shows it."""
    admin = admin_client(stack.endpoints.kafka)

    def make(partitions: int = 2, name: str | None = None) -> str:
        topic = name or f"edges.{uuid7()}"
        config = manifest_of({"audit": "audit", "h": "hotline"}).topics[inbox_topic("audit", "h")].config
        admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result()
        # The controller has answered. The broker that is asked next learns of it a moment later.
        deadline = time.monotonic() + 60
        while topic not in admin.list_topics(timeout=60).topics:
            assert time.monotonic() < deadline, f"the broker does not show {topic}"
            time.sleep(0.02)
        return topic

    return make


@pytest.fixture
def topic(new_topic: Callable[..., str]) -> str:
    return new_topic()


@pytest.fixture
def inbox(new_topic: Callable[..., str]) -> str:
    """Return a topic for messages from another instance. Its two partitions are more than any topic has."""
    return new_topic(name=inbox_topic(f"edges_{uuid7().hex}", "sample"))


@pytest.fixture
def produce(stack: DevStack, inbox: str) -> Callable[..., None]:
    """Return a function that writes one record with any headers, key and value, and waits for its acknowledgement."""
    producer = Producer(stack.endpoints.kafka.librdkafka_options("admin"))

    def write(value: bytes | None, *, headers: Any = None, key: bytes = b"k", partition: int = 0) -> None:
        producer.produce(inbox, value=value, key=key, headers=headers, partition=partition)
        producer.flush()

    return write


@pytest.fixture(autouse=True)
def logs() -> None:
    """Write log lines to standard error, regardless of the previous test."""
    configure_logs(instance="edges")


def access_as(stack: DevStack, principal: str) -> KafkaAccess:
    kafka = stack.endpoints.kafka
    return KafkaAccess(kafka.bootstrap_servers, principal, kafka.passwords[principal])
