"""Readers and writers of Kafka: every subscriber states its options, and only the relay publishes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, cast

import pytest
from faststream import AckPolicy

from shared.core.protocol.authority import inbox_topic
from shared.platform.kafka.access import KafkaAccess
from shared.platform.kafka.inbox_door import PartitionReader
from shared.platform.kafka.topic_metadata import Coordinate
from tests.architecture.source import Module, modules, parse

#: The default of each of these has lost or repeated records somewhere.
STATED = {"group_id", "auto_offset_reset", "isolation_level", "ack_policy", "no_reply"}
#: The modules that may hold a producer: the log of messaging (decision 0090), and the publishing of documents (decision
#: 0022).
PRODUCING = {"shared/platform/kafka/documents.py", "shared/messaging/kafka/log.py"}
PUBLISHING_NAMES = {"AIOKafkaProducer", "Producer", "KafkaProducer"}


def calls(module: Module, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
            yield node


def unstated(module: Module) -> list[str]:
    """Return the options that a `….subscriber(…)` of the module leaves to the library."""
    return [
        f"{module.path}: {option}"
        for call in calls(module, "subscriber")
        for option in sorted(STATED - {keyword.arg for keyword in call.keywords})
    ]


def producers(module: Module) -> bool:
    """Return whether the module imports a Kafka producer, or asks a FastStream broker to publish."""
    imported = {
        alias.name for node in ast.walk(module.tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return bool(imported & PUBLISHING_NAMES) or any(list(calls(module, name)) for name in ("publish", "publisher"))


def test_every_subscriber_states_its_options() -> None:
    assert any(list(calls(module, "subscriber")) for module in modules())
    assert [finding for module in modules() for finding in unstated(module)] == []


def test_a_subscriber_that_leaves_an_option_out_is_found() -> None:
    assert unstated(parse('broker.subscriber("topic", group_id="g", no_reply=True, ack_policy=x, isolation_level=y)'))


def test_the_subscriber_of_an_inbox_has_the_options_that_delivery_rests_on() -> None:
    topic = inbox_topic("hotline", "industry_two")
    door = PartitionReader(KafkaAccess("broker.example:9092"), client_id="hotline", handle=cast(Any, None))
    broker, declared = door.declare([Coordinate(topic, 0), Coordinate(topic, 1)])
    assert list(broker.subscribers) == [declared]
    # There is no group: only our own database assigns topics and stores the position.
    assert declared.group_id is None
    assert [(each.topic, each.partition) for each in declared.partitions] == [(topic, 0), (topic, 1)]
    assert declared.ack_policy is AckPolicy.MANUAL
    assert declared._no_reply
    assert broker.config.consumer_only
    assert not broker.config.allow_auto_create_topics
    assert declared._connection_args["enable_auto_commit"] is False
    assert declared._connection_args["auto_offset_reset"] == "earliest"
    assert declared._connection_args["isolation_level"] == "read_uncommitted"


def test_only_the_relay_and_the_operator_publish() -> None:
    assert {module.path for module in modules() if producers(module)} == PRODUCING


@pytest.mark.parametrize(
    "line",
    ["from aiokafka import AIOKafkaProducer", "from confluent_kafka import Producer", "broker.publish(x, topic)"],
)
def test_another_publisher_is_found(line: str) -> None:
    assert producers(parse(line))
