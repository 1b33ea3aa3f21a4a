"""The state directory: one user at a time, stable ports and passwords, and a careful reset."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.devstack.servers import Java, KafkaNode, KafkaRuntime
from deploy.devstack.stack import examine_stack
from deploy.devstack.state import DevStackSettings, StateDirectory
from deploy.kafka.provision import manifest_of
from deploy.site.endpoints import Endpoints
from deploy.site.open import Site
from deploy.site.settings import SAMPLE_INSTANCES, party_kinds
from shared.core.errors import Refused


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    directory = StateDirectory(tmp_path / "state")
    directory.acquire()
    yield directory
    directory.release()


def test_a_second_start_is_refused_and_the_holder_is_known_by_its_lock_and_not_by_a_stale_number(
    state: StateDirectory,
) -> None:
    other = StateDirectory(state.path)
    with pytest.raises(Refused, match="causeway dev down"):
        other.acquire()
    assert other.supervisor_pid() == os.getpid()
    state.release()
    assert (state.path / "supervisor.lock").read_text() == str(os.getpid())
    assert other.supervisor_pid() is None
    other.acquire()
    assert other.supervisor_pid() == os.getpid()
    other.release()


def test_a_password_is_made_once_differs_from_every_other_and_is_its_owners_alone(state: StateDirectory) -> None:
    first, second = state.password("first"), state.password("second")
    assert first != second
    assert StateDirectory(state.path).password("first") == first
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (state.path, state.path / "passwords.json")]
    assert modes == [0o700, 0o600]


def test_a_port_stays_the_same_until_another_takes_it_and_no_two_names_share_one(state: StateDirectory) -> None:
    port = state.port("kafka", set())
    assert state.port("kafka", set()) == port
    assert state.port("kafka", {port}) != port
    with socket.create_server(("127.0.0.1", port)):
        assert state.port("kafka", set()) != port


def test_reset_deletes_what_the_stack_made_and_nothing_else(state: StateDirectory) -> None:
    state.password("sample")
    (state.part("postgres") / "table").write_text("rows")
    (state.path / "notes.txt").write_text("mine")
    for name in ("parties.json", "directory.json", "policy.json"):
        (state.path / name).write_text("as if they were in Kafka and in the databases")
    state.reset()
    assert {path.name for path in state.path.iterdir()} == {"notes.txt", "supervisor.lock"}


# -- The environment of the development stack.


@pytest.mark.parametrize("key", ["CAUSEWAY_DEV_STATE_DIRECTORY", "CAUSEWAY_HOTLINES_DATABASE_URL"])
def test_a_misspelt_key_is_refused_by_name_and_without_its_value(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(key, "sesame")
    with pytest.raises(Refused, match=key) as caught:
        DevStackSettings()
    assert "sesame" not in str(caught.value)


def test_settings_name_an_instance_pass_over_what_is_empty_and_show_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CAUSEWAY_HOTLINE_DATABASE_URL", "postgresql://hotline:sesame@db.example/hotline")
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("CAUSEWAY_DEV_KAFKA_ADMIN_PASSWORD", "sesame")
    settings = DevStackSettings()
    assert settings.causeway_database_urls == {"hotline": "postgresql://hotline:sesame@db.example/hotline"}
    assert settings.database_url is None
    assert "sesame" not in repr(settings)


# -- The doctor on a stack that does not run reports a fault, although the port is free.


def stopped(state: Path) -> Site:
    endpoints = Endpoints.model_validate(
        {
            "kafka": {"bootstrap_servers": "127.0.0.1:9", "security_protocol": "PLAINTEXT"},
            "databases": {},
            "http": {"hotline": "http://127.0.0.1:9"},
            "pids": {"supervisor": os.getpid()},
        }
    )
    return Site(state / "endpoints.json", state, endpoints)


def test_a_stopped_stack_is_said_so_and_nothing_of_it_is_well(tmp_path: Path) -> None:
    found = {each.what: each.code for each in examine_stack(stopped(tmp_path))}
    assert found == {"stack": "stack_not_started"}


def test_a_running_stack_is_asked_at_its_ports(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.acquire()
    try:
        found = {each.what: each.code for each in examine_stack(stopped(tmp_path))}
    finally:
        state.release()
    assert found == {"hotline api": "port_silent"}


# -- The node of a stack over its starts, with a process instead of Kafka that only waits.


class Waiting(KafkaRuntime):
    """A Kafka node that starts a waiting process."""

    def command(self, main: str, *arguments: str, record: bool) -> list[str]:
        return ["sleep", "600"] if record else ["true"]


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
