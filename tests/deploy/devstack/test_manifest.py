"""The guarantees of a cluster's topics and permissions, derived for directories of any number of instances."""

from __future__ import annotations

import pytest

from deploy.kafka.provision import manifest_of
from deploy.site.settings import SAMPLE_INSTANCES, party_kinds
from shared.core.errors import Refused
from shared.core.protocol.authority import InstancePair, inbox_topic, pairs_of
from shared.messaging.kafka.log import APPEND_BYTES_MAX
from shared.messaging.streams import LANES

#: The sample's, and one more of a kind.
TWO = party_kinds(SAMPLE_INSTANCES) | {"industry_more": "industry"}
MANIFEST = manifest_of(TWO)
DIRECTORY = "causeway.directory.v1"
WEEK_MS, CHECK_MS, DELETE_MS = 7 * 86_400_000, 300_000, 60_000


def of_kind(*kinds: str) -> list[str]:
    return [name for name, kind in TWO.items() if kind in kinds]


def readable(name: str) -> set[str]:
    rule = MANIFEST.principals[name]
    return {topic for topic in MANIFEST.topics if topic in rule.read or topic.startswith(rule.read_under)}


@pytest.mark.parametrize("topic", sorted(MANIFEST.topics.keys() - {DIRECTORY}))
def test_no_record_outlives_a_week(topic: str) -> None:
    # A segment is deleted whole. Its last record passes retention only after the segment was also closed.
    config = MANIFEST.topics[topic].config
    assert int(config["retention.ms"]) + int(config["segment.ms"]) + CHECK_MS + DELETE_MS <= WEEK_MS
    # None is deleted earlier for its size either.
    assert config["retention.bytes"] == "-1"


@pytest.mark.parametrize("topic", sorted(MANIFEST.topics))
def test_the_brokers_clock_dates_each_record_expands_no_batch_and_each_lane_has_its_partition(topic: str) -> None:
    config = MANIFEST.topics[topic].config
    assert config["message.timestamp.type"] == "LogAppendTime"
    # The broker expands no batch that an instance wrote, and readers expand none.
    assert config["compression.type"] == ("uncompressed" if topic == DIRECTORY else "producer")
    assert config["unclean.leader.election.enable"] == "false"
    assert MANIFEST.topics[topic].partitions == (1 if topic == DIRECTORY else len(LANES))
    assert int(config["max.message.bytes"]) >= APPEND_BYTES_MAX


def test_two_instances_have_a_topic_in_each_direction_if_their_parties_may_correspond() -> None:
    everybody = of_kind("hotline", "law_enforcement", "industry")
    # Agencies too: one passes a case on to another.
    between = {(to, sender) for to in everybody for sender in everybody}
    expected = between | {("audit", sender) for sender in everybody} | {(to, "audit") for to in everybody}
    assert MANIFEST.topics.keys() == {DIRECTORY} | {inbox_topic(*pair) for pair in expected}


@pytest.mark.parametrize("pair", pairs_of(TWO))
def test_a_topic_has_one_writer_and_no_reader_but_both_ends_and_audit(pair: InstancePair) -> None:
    assert [name for name, rule in MANIFEST.principals.items() if pair.topic in rule.write] == [pair.sender]
    assert {name for name in TWO if pair.topic in readable(name)} == {pair.to, pair.sender, "audit"}


def test_audit_reads_every_topic_and_writes_what_it_tells_each_instance() -> None:
    assert readable("audit") == MANIFEST.topics.keys()
    told = {inbox_topic(name, "audit") for name in TWO if name != "audit"}
    assert set(MANIFEST.principals["audit"].write) == told


def test_nobody_but_the_administrator_writes_the_directory() -> None:
    assert not [name for name, rule in MANIFEST.principals.items() if DIRECTORY in rule.write]


def test_no_prefix_covers_what_is_anothers() -> None:
    rules = {name: rule for name, rule in MANIFEST.principals.items() if name != "audit"}
    prefixes = [each for rule in rules.values() for each in rule.read_under]
    assert not [(one, other) for one in prefixes for other in prefixes if one != other and other.startswith(one)]
    # Without the last dot, one would cover the other.
    (more,), (shorter,) = rules["industry_more"].read_under, rules["industry"].read_under
    assert more.startswith(shorter.rstrip("."))


def test_ids_whose_topics_kafka_cannot_tell_apart_are_refused() -> None:
    alike = {"a_b": "hotline", "c": "hotline", "a": "hotline", "b_c": "hotline"}
    assert len({pair.topic for pair in pairs_of(alike)}) == len(alike) ** 2
    with pytest.raises(Refused, match="topic_names_collide"):
        manifest_of(alike)
