"""The fork server: its processes behave as if started individually, and end like those."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import __version__
from deploy.devstack import process as forks
from deploy.devstack.fork_server import PROGRAMS
from deploy.devstack.process import ForkServer, Process
from deploy.site.settings import inherited_environment
from shared.core.errors import Unavailable
from tests.deploy.devstack.test_process import eventually, is_alive
from tests.support.fork_sample import NAME, THREAD

ARGV = [sys.executable, "-m", NAME, "one", "two"]
#: Runs a supervisor of one forked process, prints the process's id and waits.
SUPERVISOR = """
import os, sys, time
from pathlib import Path
from deploy.devstack import process as forks
from deploy.devstack.process import Process
from tests.support.fork_sample import NAME
import signal
forks.PROGRAMS = {NAME: (NAME, "report")}
forks.MODULE = NAME
folder, lock = Path(sys.argv[1]), os.open(os.devnull, os.O_RDONLY)
server = forks.ForkServer(folder / "server.log", lock=lock)
child = Process("sample", log=folder / "sample.log", death_signal=signal.SIGTERM, lock=lock, forks=server)
child.start([sys.executable, "-m", NAME], {"PATH": os.defpath})
print(child.pid, flush=True)
time.sleep(60)
"""


class Sample:
    """A fork server of the sample program, and the processes that it forks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
        self.server = ForkServer(folder / "server.log", lock=self.lock)
        self.processes: list[Process] = []

    def start(self, name: str = "sample", **env: str) -> tuple[Process, dict[str, Any]]:
        """Fork one and return its report."""
        log = self.folder / f"{name}.log"
        log.unlink(missing_ok=True)
        process = Process(name, log=log, death_signal=signal.SIGTERM, lock=self.lock, forks=self.server)
        self.processes.append(process)
        process.start(ARGV, {"PATH": os.defpath, **env})
        process.wait_until(lambda: process.log_tail().endswith("}"), seconds=60.0)
        return process, json.loads(process.log_tail(1))

    def end(self) -> None:
        for process in self.processes:
            process.kill()
        self.server.stop()
        os.close(self.lock)


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sample]:
    monkeypatch.setattr(forks, "PROGRAMS", {NAME: (NAME, "report")})
    monkeypatch.setattr(forks, "MODULE", NAME)
    one = Sample(tmp_path)
    yield one
    one.end()


def test_a_forked_process_is_as_one_that_was_started_by_itself(sample: Sample, tmp_path: Path) -> None:
    env = {"SAMPLE": "set", "TZ": "Asia/Tokyo"}
    process, found = sample.start("a_long_instance_name", **env)
    assert found["session"] == process.pid
    assert found["death_signal"] == signal.SIGTERM
    assert found["title"] == "a_long_instance"
    assert found["threads"] == 1
    assert found["words"] == ARGV[2:]
    assert found["environment"] == {"PATH": os.defpath, **env}
    assert (found["of_c"], found["zone"]) == ("set", "JST")
    opened = {os.devnull, str(tmp_path / "a_long_instance_name.log"), str(tmp_path / "lock")}
    assert {each for each in found["files"] if "/proc/" not in each} == opened


def test_a_killed_process_is_seen_to_end_and_is_forked_again(sample: Sample) -> None:
    process, _ = sample.start()
    before = process.pid
    assert before is not None
    process.kill()
    assert not process.running()
    assert eventually(lambda: not is_alive(before), seconds=60.0)
    process.start(ARGV, {})
    assert process.running()
    assert process.pid != before


def test_all_end_with_the_server_and_the_next_start_has_another(sample: Sample) -> None:
    (process, first), (other, second) = sample.start(), sample.start("other")
    assert (first["random"] != second["random"], first["bytes"] != second["bytes"]) == (True, True)
    sample.server.stop()
    assert eventually(lambda: not process.running() and not other.running(), seconds=60.0)
    assert sample.start()[0].running()


def test_all_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        assert is_alive(child)
        supervisor.kill()
    assert eventually(lambda: not is_alive(child), seconds=60.0)


def test_a_server_that_has_a_thread_forks_nothing(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread would be missing in the forked process, and its locks would stay locked."""
    monkeypatch.setenv(THREAD, "1")
    with pytest.raises(Unavailable, match=r"fork_server_ended(.|\n)*fork_server_has_threads"):
        sample.start()


def test_what_is_no_program_of_the_server_is_started_by_itself(sample: Sample) -> None:
    assert not ForkServer.serves([sys.executable, "-m", "tests.support.faults", "hotline"])
    assert not ForkServer.serves([sys.executable, "-c", "pass"])
    assert not ForkServer.serves(["sleep", "60"])
    assert ForkServer.serves(ARGV)


def test_the_servers_own_programs_are_loaded_without_a_thread_and_run(tmp_path: Path) -> None:
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    server = ForkServer(tmp_path / "server.log", lock=lock)
    try:
        for program, words in (("deploy.cli", ["--version"]), ("deploy.sandbox", ["--version"])):
            assert program in PROGRAMS
            log = tmp_path / f"{program}.log"
            process = Process(program, log=log, death_signal=signal.SIGTERM, lock=lock, forks=server)
            process.start([sys.executable, "-m", program, *words], inherited_environment())
            assert eventually(lambda process=process: not process.running(), seconds=60.0)
        assert (tmp_path / "deploy.cli.log").read_text().strip() == __version__
        assert (tmp_path / "server.log").read_text() == ""
    finally:
        server.stop()
        os.close(lock)
