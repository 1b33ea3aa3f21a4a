"""A process that stands still: SIGSTOP, and the certainty that it has arrived."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

#: A guard against a process that cannot be stopped, such as one that waits for a device.
STOPPED_S_MAX: Final = 60.0
_STOPPED: Final = frozenset("TtZX")


def freeze(pid: int) -> None:
    """Return once no thread of the process runs any more.

    `kill` returns when the signal is noted down. A thread that is at work on another core, or waits for one, goes on
    until the kernel next looks at it: on a busy machine it answers a request meanwhile.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + STOPPED_S_MAX
    while not stands_still(pid):
        assert time.monotonic() < deadline, f"process {pid} was told to stop and runs"
        time.sleep(0.001)


def thaw(pid: int) -> None:
    """Let it go on."""
    os.kill(pid, signal.SIGCONT)


def stands_still(pid: int) -> bool:
    """Whether each of its threads is stopped, or has ended."""
    return all(_state(thread) in _STOPPED for thread in Path(f"/proc/{pid}/task").iterdir())


def _state(thread: Path) -> str:
    try:
        return (thread / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"  # it ended while we looked
