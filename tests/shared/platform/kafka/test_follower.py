"""Following many topics at once: an event of one topic is reported, and the others are read on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from deploy.devstack.stack import DevStack
from deploy.site.access import admin_client
from shared.core.ids import uuid7
from shared.core.protocol.message import Record
from shared.platform.kafka.access import KafkaAccess
from shared.platform.kafka.follower import Following, LogFollower, TopicRefusal
from shared.platform.kafka.topic_metadata import Coordinate
from tests.shared.conftest import access_as
from tests.support.running import until


@pytest.fixture
def prefix() -> str:
    return f"edges.{uuid7()}."


@pytest.fixture
def produce(stack: DevStack) -> Callable[[str, int], None]:
    """Write `count` records to a topic, with their numbers as values."""
    producer = Producer(stack.endpoints.kafka.librdkafka_options("admin"))

    def write(topic: str, count: int) -> None:
        for number in range(count):
            producer.produce(topic, value=b"%d" % number, partition=0)
        producer.flush()

    return write


@pytest.fixture
async def following(access: KafkaAccess, prefix: str) -> AsyncIterator[Following]:
    async with LogFollower(access, client_id="edges-test", under=prefix).following() as opened:
        yield opened


async def begin(following: Following, offsets: Mapping[str, int]) -> None:
    """Begin to follow these topics from these offsets, as soon as the broker shows them all."""

    async def shown() -> bool:
        return {Coordinate(topic, 0) for topic in offsets} <= (await following.look(offsets)).lives.keys()

    await until(shown)
    lives = (await following.look(offsets)).lives
    places = {Coordinate(topic, 0): offset for topic, offset in offsets.items()}
    following.begin({place: (lives[place], offset) for place, offset in places.items()})


async def taken(following: Following, count: int) -> list[Record]:
    found: list[Record] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            found += await following.batch()
    return found


async def refusal(following: Following) -> dict[Coordinate, TopicRefusal]:
    async with asyncio.timeout(60):
        while not (refused := following.refused()):
            await following.batch()
    return refused


async def test_each_topic_is_begun_by_itself_and_a_new_one_beside_those_that_are_read(
    following: Following, prefix: str, new_topic: Callable[..., str], produce: Callable[[str, int], None]
) -> None:
    one = new_topic(1, name=f"{prefix}one")
    produce(one, 3)
    await begin(following, {one: 1})
    assert [each.offset for each in await taken(following, 2)] == [1, 2]
    other = new_topic(1, name=f"{prefix}other")
    produce(other, 2)
    produce(one, 1)
    await begin(following, {other: 0})
    assert sorted((each.topic, each.offset) for each in await taken(following, 3)) == [(one, 3), (other, 0), (other, 1)]


async def test_a_partition_whose_position_is_gone_is_left_and_named_and_the_other_is_read_on(
    stack: DevStack,
    following: Following,
    prefix: str,
    new_topic: Callable[..., str],
    produce: Callable[[str, int], None],
) -> None:
    one, other = new_topic(1, name=f"{prefix}one"), new_topic(1, name=f"{prefix}other")
    produce(one, 5)
    admin = admin_client(stack.endpoints.kafka)
    for future in admin.delete_records([TopicPartition(one, 0, 3)]).values():
        future.result(30)
    await begin(following, {one: 1, other: 0})
    assert await refusal(following) == {Coordinate(one, 0): TopicRefusal.OUT_OF_RANGE}
    produce(other, 1)
    assert [each.topic for each in await taken(following, 1)] == [other]
    bounds = await following.bounds([Coordinate(one, 0)])
    assert (bounds[Coordinate(one, 0)].first, bounds[Coordinate(one, 0)].end) == (3, 5)


async def test_a_topic_made_again_is_left_before_anything_of_the_new_one_is_taken(
    stack: DevStack,
    following: Following,
    prefix: str,
    new_topic: Callable[..., str],
    produce: Callable[[str, int], None],
) -> None:
    one = new_topic(1, name=f"{prefix}one")
    produce(one, 1)
    await begin(following, {one: 0})
    assert len(await taken(following, 1)) == 1
    admin = admin_client(stack.endpoints.kafka)
    admin.delete_topics([one])[one].result()
    new_topic(1, name=one)
    produce(one, 3)
    refused: dict[Coordinate, TopicRefusal] = {}
    async with asyncio.timeout(60):
        while not (refused := following.refused()):
            assert await following.batch() == []
    assert refused == {Coordinate(one, 0): TopicRefusal.OUT_OF_RANGE}


async def test_a_topic_that_is_not_ours_is_named_whether_it_may_be_described_or_not(
    stack: DevStack, prefix: str, new_topic: Callable[..., str], produce: Callable[[str, int], None]
) -> None:
    mine, shown, hidden = (new_topic(1, name=f"{prefix}{name}") for name in ("mine", "shown", "hidden"))
    rights = [(mine, AclOperation.READ), (shown, AclOperation.DESCRIBE)]
    bindings = [_right(topic, operation) for topic, operation in rights]
    admin = admin_client(stack.endpoints.kafka)
    for future in admin.create_acls(bindings).values():
        future.result(30)
    try:
        follower = LogFollower(access_as(stack, "audit"), client_id="edges-test", under=prefix)
        async with follower.following() as following:
            await begin(following, {mine: 0, shown: 0})
            assert (await following.look([hidden])).forbidden == {hidden}
            assert await refusal(following) == {Coordinate(shown, 0): TopicRefusal.FORBIDDEN}
            produce(mine, 1)
            assert [each.topic for each in await taken(following, 1)] == [mine]
    finally:
        for future in admin.delete_acls([_filter(each) for each in bindings]).values():
            future.result(30)


def _right(topic: str, operation: AclOperation) -> AclBinding:
    kind, pattern = ResourceType.TOPIC, ResourcePatternType.LITERAL
    return AclBinding(kind, topic, pattern, "User:audit", "*", operation, AclPermissionType.ALLOW)


def _filter(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )
