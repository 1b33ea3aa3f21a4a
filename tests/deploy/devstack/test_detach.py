"""A detached stack keeps nothing of its caller: neither the three streams nor other inherited descriptors."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.site.settings import inherited_environment
from tests.deploy.devstack.test_process import eventually

PATIENCE_S = 60.0
#: Detaches a process that only waits, and prints its id; with `kept`, one that hides a descriptor of its caller.
PROGRAM = """
import os, signal, sys
from pathlib import Path
from deploy.devstack import supervisor
from deploy.devstack.state import StateDirectory
if sys.argv[2:]:
    supervisor._close_all_but = lambda kept: None
def run(say, on_ready):
    say(f"pid {os.getpid()}")
    on_ready()
    signal.pause()
sys.exit(supervisor.detach(StateDirectory(Path(sys.argv[1])), run))
"""


class Detached:
    """A detached process whose caller had a pipe open besides its streams; `reader` is the caller's end."""

    def __init__(self, state: Path, *words: str) -> None:
        self.reader, writer = os.pipe()
        command = [sys.executable, "-c", PROGRAM, str(state), *words]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=inherited_environment(), pass_fds=(writer,), stdin=pipe, stdout=pipe, stderr=pipe, text=True
        ) as caller:
            os.close(writer)
            # Ends with the last process that has the streams open, so it shows that the daemon does not.
            out, err = caller.communicate(timeout=PATIENCE_S)
        self.said = err.splitlines()
        assert (caller.returncode, out) == (0, "")
        self.pid = int(self.said[0].removeprefix("pid "))

    def open_files(self) -> set[str]:
        """Return the target of each of its descriptors."""
        return {str(each.readlink()) for each in Path(f"/proc/{self.pid}/fd").iterdir()}

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.reader)


@pytest.fixture
def detached(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Detached]:
    one = Detached(tmp_path / "state", *request.param)
    yield one
    one.end()


def ended(reader: int, *, seconds: float) -> bool:
    """Return whether the last writer of a pipe has closed it."""
    return bool(select.select([reader], [], [], seconds)[0]) and os.read(reader, 1) == b""


@pytest.mark.parametrize("detached", [()], indirect=True)
def test_a_pipe_of_the_callers_ends_when_the_caller_is_gone(detached: Detached, tmp_path: Path) -> None:
    assert detached.said[1:] == ["ready"]
    assert ended(detached.reader, seconds=PATIENCE_S)
    log = tmp_path / "state" / "logs" / "supervisor.log"
    # It closes the connection to its caller after it has reported that it is ready.
    assert eventually(lambda: detached.open_files() == {os.devnull, str(log)}, seconds=PATIENCE_S)
    assert log.read_text().splitlines() == detached.said


@pytest.mark.timing
@pytest.mark.parametrize("detached", [("kept",)], indirect=True)
def test_the_pipe_would_tell_if_it_were_kept(detached: Detached) -> None:
    assert not ended(detached.reader, seconds=0.5)
