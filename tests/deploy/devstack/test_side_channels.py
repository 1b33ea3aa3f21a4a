"""A Kafka login sees nothing of a foreign pair: no records, no offsets, not even that its topic exists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic

from deploy.devstack.stack import DevStack
from deploy.kafka.provision import apply, difference, manifest_of
from deploy.site.access import admin_client, kafka_access
from deploy.site.settings import party_kinds
from shared.core.protocol.authority import inbox_topic
from shared.platform.kafka.documents import DIRECTORY_TOPIC
from shared.platform.kafka.topic_metadata import metadata_client
from tests.deploy.devstack.test_process import eventually
from tests.support.stack import FOUR

MANIFEST = manifest_of(party_kinds(FOUR))
#: A message to an agency, which a provider's instance must not learn about.
TOLD = inbox_topic("law_enforcement", "hotline")
INTERNAL = ("__consumer_offsets", "__transaction_state")
WAIT_S = 60.0


def reads(principal: str) -> set[str]:
    rule = MANIFEST.principals[principal]
    return {topic for topic in MANIFEST.topics if topic in rule.read or topic.startswith(rule.read_under)}


ALL = (*MANIFEST.topics, *INTERNAL)
#: Kafka's codes: success, and not authorized.
DONE, DENIED = 0, 29


async def ends(stack: DevStack, principal: str) -> dict[str, int]:
    """Return the end of each topic whose offsets the broker shows to this login."""
    request = OffsetRequest(-1, 0, [(topic, [(0, OffsetResetStrategy.LATEST)]) for topic in ALL])
    answers = await asked(stack, principal, request)
    assert {code for _, code, *_ in answers.values()} <= {DONE, DENIED}
    return {topic: offset for topic, (_, code, _, offset, *_) in answers.items() if code == DONE}


async def fetched(stack: DevStack, principal: str) -> set[str]:
    """Return the topics whose records the broker sends to this login."""
    answers = await asked(stack, principal, FetchRequest(0, 0, 1000, 0, [(topic, [(0, 0, 1000)]) for topic in ALL]))
    return {topic for topic, (_, code, *_) in answers.items() if code != DENIED}


async def asked(stack: DevStack, principal: str, request: Any) -> dict[str, Any]:
    """Return the broker's answer about the first partition of each topic.

    Ordinary clients do not send a request that they expect to fail.
    """
    options = kafka_access(stack.endpoints, principal).client_options("tests")
    async with metadata_client(options) as client:
        answer = await client.send(client.get_random_node(), request)
    return {topic: partitions[0] for topic, partitions in answer.topics}


async def written(stack: DevStack, principal: str) -> set[str]:
    """Return the topics in which this login can write a record."""
    found: set[str] = set()
    producer = AIOKafkaProducer(**kafka_access(stack.endpoints, principal).client_options("tests"))
    await producer.start()
    try:
        for topic in ALL:
            with suppress(TopicAuthorizationFailedError):
                await producer.send_and_wait(topic, b"harmless", partition=0)
                found.add(topic)
    finally:
        await producer.stop()
    return found


async def tell_an_agency(stack: DevStack) -> None:
    producer = AIOKafkaProducer(**kafka_access(stack.endpoints, "hotline").client_options("tests"))
    await producer.start()
    await producer.send_and_wait(TOLD, b"harmless", partition=0)
    await producer.stop()


@pytest.mark.parametrize("principal", sorted(MANIFEST.principals))
async def test_a_login_sees_the_topics_of_its_own_pairs_and_no_others(stack: DevStack, principal: str) -> None:
    listed = await asyncio.to_thread(admin_client(stack.endpoints.kafka, principal).list_topics, timeout=WAIT_S)
    assert set(listed.topics) == reads(principal)
    assert (await ends(stack, principal)).keys() == reads(principal)
    assert await fetched(stack, principal) == reads(principal)
    assert await written(stack, principal) == set(MANIFEST.principals[principal].write)


async def test_a_provider_does_not_see_that_an_agency_was_told(stack: DevStack) -> None:
    before = await ends(stack, "industry")
    await tell_an_agency(stack)
    assert await ends(stack, "industry") == before


@pytest.fixture
def as_it_was(stack: DevStack) -> Iterator[None]:
    """Create one inbox for all senders to an instance, as in an earlier release, so that each of them may write it."""
    admin, rules = stack.kafka.admin(), dict(MANIFEST.principals)
    industry = rules["industry"]
    rules["industry"] = industry._replace(write=(*industry.write, TOLD))
    apply(admin, replace(MANIFEST, principals=rules), stack.endpoints.kafka.passwords)
    yield
    apply(admin, MANIFEST, stack.endpoints.kafka.passwords)
    assert eventually(lambda: not difference(admin, MANIFEST), seconds=WAIT_S)


async def test_with_an_inbox_that_all_write_a_provider_would_see_it(stack: DevStack, as_it_was: None) -> None:
    """The control: a principal with write permission can read how far a topic has come."""
    async with asyncio.timeout(WAIT_S):
        while TOLD not in (before := await ends(stack, "industry")):  # noqa: ASYNC110 - the broker acts by it later
            await asyncio.sleep(0.1)
    await tell_an_agency(stack)
    after = await ends(stack, "industry")
    assert {topic: after[topic] - before[topic] for topic in after if after[topic] != before[topic]} == {TOLD: 1}


def _shorter(topic: str) -> ConfigResource:
    entry = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
    return ConfigResource("topic", topic, incremental_configs=[entry])


def _own_password(name: str) -> UserScramCredentialUpsertion:
    return UserScramCredentialUpsertion(name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192), b"chosen")


def test_a_login_is_told_no_rules(stack: DevStack) -> None:
    every = AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]  # see deploy.kafka.provision
        ResourcePatternType.ANY,
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    clients = [admin_client(stack.endpoints.kafka, name) for name in ("admin", "industry")]
    rules, none = [client.describe_acls(every).result(timeout=WAIT_S) for client in clients]
    assert set(rules) == MANIFEST.bindings()
    # The library does not turn the refusal into an error.
    assert none == []


Attempt = Callable[[AdminClient], Any]
ATTEMPTS: dict[str, Attempt] = {
    "make a topic": lambda admin: admin.create_topics([NewTopic("causeway.inbox.industry.nobody.v1", 1, 1)]),
    "delete records": lambda admin: admin.delete_records([TopicPartition(inbox_topic("audit", "industry"), 0, 1)]),
    "change a topic": lambda admin: admin.incremental_alter_configs([_shorter(inbox_topic("industry", "hotline"))]),
    "read a topic's settings": lambda admin: admin.describe_configs([ConfigResource("topic", DIRECTORY_TOPIC)]),
    "become the administrator": lambda admin: admin.alter_user_scram_credentials([_own_password("admin")]),
    "look at a foreign group": lambda admin: admin.describe_consumer_groups(["causeway.hotline.inbox"]),
    "delete a foreign group": lambda admin: admin.delete_consumer_groups(["causeway.hotline.inbox"]),
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_a_login_administers_nothing(stack: DevStack, what: str) -> None:
    admin = admin_client(stack.endpoints.kafka, "industry")
    for future in ATTEMPTS[what](admin).values():
        with pytest.raises(KafkaException, match=r"AUTHORIZATION|uthoriz"):
            future.result(timeout=WAIT_S)
