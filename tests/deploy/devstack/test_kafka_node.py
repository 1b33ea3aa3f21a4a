"""The node of a stack over its starts, with a process instead of Kafka that only waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.devstack.servers import Java, KafkaNode, KafkaRuntime
from deploy.devstack.state import StateDirectory
from deploy.kafka.provision import manifest_of
from deploy.site.settings import SAMPLE_INSTANCES, party_kinds


class Waiting(KafkaRuntime):
    """A Kafka node that starts a waiting process."""

    def command(self, main: str, *arguments: str, record: bool) -> list[str]:
        return ["sleep", "600"] if record else ["true"]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    directory = StateDirectory(tmp_path / "state")
    directory.acquire()
    yield directory
    directory.release()


def node_of(state: StateDirectory, *, secure: bool) -> KafkaNode:
    runtime = Waiting(Java(Path("java"), 17, ""), [], archives=state.path, owner="sample")
    taken: set[int] = set()
    ports = state.port("kafka", taken), state.port("kafka/controller", taken)
    return KafkaNode(state, runtime, manifest=manifest_of(party_kinds(SAMPLE_INSTANCES)), ports=ports, secure=secure)


def test_clients_that_outlive_a_lost_node_trust_the_next_one(state: StateDirectory) -> None:
    """Clients have read the authority once: it is made once per stack, not per start."""
    node = node_of(state, secure=True)
    try:
        node.spawn()
        assert node.endpoint.ca_file is not None
        before = node.endpoint.ca_file.read_bytes()
        node.kill()
        node.spawn()
        assert node.endpoint.ca_file.read_bytes() == before
    finally:
        node.kill()


@pytest.mark.parametrize("secure", [True, False])
def test_a_secure_node_has_no_listener_that_is_not_encrypted(state: StateDirectory, secure: bool) -> None:
    node = node_of(state, secure=secure)
    try:
        node.spawn()
    finally:
        node.kill()
    properties = (state.path / "kafka" / "server.properties").read_text()
    assert ("PLAINTEXT" in properties) is not secure
    assert (node.endpoint.tls, node.endpoint.ca_file is not None) == (secure, secure)
