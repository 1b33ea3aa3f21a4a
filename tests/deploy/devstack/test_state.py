"""The state directory: one user at a time, stable ports and passwords, and a careful reset."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.devstack.state import StateDirectory
from shared.kernel.errors import Refused


@pytest.fixture
def held(tmp_path: Path) -> Iterator[StateDirectory]:
    state = StateDirectory(tmp_path / "state")
    state.acquire()
    yield state
    state.release()


def test_a_second_start_is_refused_and_told_what_to_do(held: StateDirectory) -> None:
    with pytest.raises(Refused, match="causeway dev down"):
        StateDirectory(held.path).acquire()


def test_a_directory_that_was_let_go_can_be_used_again(held: StateDirectory) -> None:
    held.release()
    other = StateDirectory(held.path)
    other.acquire()
    assert other.supervisor_pid() == os.getpid()
    other.release()


def test_the_holder_is_known_by_its_lock_and_not_by_a_stale_number(held: StateDirectory) -> None:
    assert StateDirectory(held.path).supervisor_pid() == os.getpid()
    held.release()
    assert (held.path / "supervisor.lock").read_text() == str(os.getpid())
    assert StateDirectory(held.path).supervisor_pid() is None


def test_only_the_owner_may_enter_the_directory(held: StateDirectory) -> None:
    held.password("sample")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (held.path, held.path / "passwords.json")]
    assert modes == [0o700, 0o600]


def test_a_password_is_made_once_and_differs_from_every_other(held: StateDirectory) -> None:
    first, second = held.password("first"), held.password("second")
    assert first != second
    assert StateDirectory(held.path).password("first") == first


def test_a_port_stays_the_same_until_another_takes_it(held: StateDirectory) -> None:
    port = held.port("kafka", set())
    assert held.port("kafka", set()) == port
    with socket.create_server(("127.0.0.1", port)):
        assert held.port("kafka", set()) != port


def test_two_names_never_get_the_same_port(held: StateDirectory) -> None:
    taken: set[int] = set()
    assert held.port("kafka", taken) != held.port("kafka", taken)


def test_reset_deletes_what_the_stack_made_and_nothing_else(held: StateDirectory) -> None:
    held.password("sample")
    (held.part("postgres") / "table").write_text("rows")
    (held.path / "notes.txt").write_text("mine")
    for name in ("parties.json", "directory.json", "policy.json"):
        (held.path / name).write_text("as if they were in Kafka and in the databases")
    held.reset()
    assert {path.name for path in held.path.iterdir()} == {"notes.txt", "supervisor.lock"}
