"""What the topic and access manifests promise, read from the data alone."""

from __future__ import annotations

import pytest

from deploy.directory.instances import SAMPLE_INSTANCES
from deploy.kafka.provision import load_manifest

MANIFEST = load_manifest()
DIRECTORY, AUDIT = "causeway.directory.v1", "causeway.audit.v1"
WEEK_MS, CHECK_MS, DELETE_MS = 7 * 86_400_000, 300_000, 60_000


def inbox(instance: str) -> str:
    return f"causeway.inbox.{instance}.v1"


@pytest.mark.parametrize("topic", sorted(MANIFEST.topics.keys() - {DIRECTORY}))
def test_no_record_outlives_a_week(topic: str) -> None:
    # A segment is deleted whole: its last record is past retention only after the segment has also been closed.
    config = MANIFEST.topics[topic].config
    assert int(config["retention.ms"]) + int(config["segment.ms"]) + CHECK_MS + DELETE_MS <= WEEK_MS


@pytest.mark.parametrize("topic", sorted(MANIFEST.topics))
def test_the_brokers_clock_dates_each_record_and_nothing_is_compressed(topic: str) -> None:
    config = MANIFEST.topics[topic].config
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["compression.type"] == "uncompressed"


def test_the_directory_is_compacted_and_in_one_order() -> None:
    assert MANIFEST.topics[DIRECTORY].config["cleanup.policy"] == "compact"
    assert MANIFEST.topics[DIRECTORY].partitions == 1


def test_each_instance_has_a_principal_of_its_own() -> None:
    assert MANIFEST.principals.keys() == set(SAMPLE_INSTANCES)


@pytest.mark.parametrize("instance", sorted(set(SAMPLE_INSTANCES) - {"audit"}))
def test_an_instance_reads_only_its_own_inbox_and_the_directory(instance: str) -> None:
    assert set(MANIFEST.principals[instance].read) == {inbox(instance), DIRECTORY}


@pytest.mark.parametrize("instance", sorted(set(SAMPLE_INSTANCES) - {"audit"}))
def test_an_instance_writes_every_inbox_and_the_audit_topic(instance: str) -> None:
    inboxes = {inbox(name) for name in SAMPLE_INSTANCES if name != "audit"}
    assert set(MANIFEST.principals[instance].write) == inboxes | {AUDIT}


def test_audit_reads_every_topic_and_writes_none() -> None:
    assert set(MANIFEST.principals["audit"].read) == MANIFEST.topics.keys()
    assert MANIFEST.principals["audit"].write == ()


def test_no_group_prefix_covers_the_groups_of_another() -> None:
    prefixes = [rule.group_prefix for rule in MANIFEST.principals.values()]
    assert not [(one, other) for one in prefixes for other in prefixes if one != other and other.startswith(one)]
