"""A child ends with the process that started it, in every kind of end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.devstack.process import Process
from shared.core.errors import Unavailable

pytestmark = pytest.mark.timing

PROTECTED = """
import os, signal, sys, time
from pathlib import Path
from deploy.devstack.process import Process
child = Process("sample", log=Path(sys.argv[1]), death_signal=signal.SIGTERM, lock=os.open(os.devnull, os.O_RDONLY))
child.start(["sleep", "60"], {"PATH": os.defpath})
print(child.pid, flush=True)
time.sleep(60)
"""
UNPROTECTED = """
import subprocess, time
print(subprocess.Popen(["sleep", "60"], start_new_session=True).pid, flush=True)
time.sleep(60)
"""


def ends_with_its_parent(program: str, log: Path, *, seconds: float) -> bool:
    """Kill a parent with SIGKILL and return whether its child is gone within that time."""
    command = [sys.executable, "-c", program, str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        # Started through another program, which asks the kernel for the signal before it becomes the child.
        assert eventually(lambda: program_of(child) == "sleep", seconds=60.0)
        parent.kill()
    try:
        return eventually(lambda: not is_alive(child), seconds=seconds)
    finally:
        if is_alive(child):
            subprocess.run(["kill", "-9", str(child)], check=True)


def program_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def is_alive(pid: int) -> bool:
    """Return whether the process runs. A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def eventually(true: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    one = Process("sample", log=tmp_path / "sample.log", death_signal=signal.SIGKILL, lock=lock)
    yield one
    one.kill()
    os.close(lock)


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    assert ends_with_its_parent(PROTECTED, tmp_path / "log", seconds=60.0)


def test_without_the_death_signal_it_would_live_on(tmp_path: Path) -> None:
    assert not ends_with_its_parent(UNPROTECTED, tmp_path / "log", seconds=1.0)


def test_a_child_that_ends_before_it_is_ready_is_reported_with_its_last_words(process: Process) -> None:
    process.start(["sh", "-c", "echo cannot go on; exit 3"], {"PATH": os.defpath})
    with pytest.raises(Unavailable, match=r"process_ended: sample(.|\n)*cannot go on"):
        process.wait_until(lambda: False, seconds=60.0)


def test_a_child_that_has_ended_is_not_ready_whoever_answers_in_its_place(process: Process) -> None:
    process.start(["true"], {"PATH": os.defpath})
    while process.running():
        time.sleep(0.01)
    with pytest.raises(Unavailable, match="process_ended: sample"):
        process.wait_until(lambda: True, seconds=60.0)


def test_a_child_that_is_late_is_reported(process: Process) -> None:
    process.start(["sleep", "60"], {"PATH": os.defpath})
    with pytest.raises(Unavailable, match="process_not_ready: sample"):
        process.wait_until(lambda: False, seconds=0.1)


def test_a_child_that_does_not_listen_is_killed_in_the_end(process: Process) -> None:
    process.start(["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"], {"PATH": os.defpath})
    process.wait_until(lambda: "deaf" in process.log_tail(), seconds=60.0)
    process.stop(signal.SIGTERM, seconds=0.2)
    assert not process.running()
