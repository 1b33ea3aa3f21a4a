"""A process stopped by SIGSTOP, with a check that it really has stopped."""

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
    """Stop a process. Return once no thread of it runs any more.

    `kill` returns when the signal is noted. A thread that runs or waits on another core continues until the kernel next
    checks it. On a busy machine it can still answer a request.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + STOPPED_S_MAX
    while not stands_still(pid):
        assert time.monotonic() < deadline, f"process {pid} was told to stop and runs"
        time.sleep(0.001)


def thaw(pid: int) -> None:
    """Let the process continue."""
    os.kill(pid, signal.SIGCONT)


def stands_still(pid: int) -> bool:
    """Return whether each of its threads is stopped or has ended."""
    return all(_state(thread) in _STOPPED for thread in Path(f"/proc/{pid}/task").iterdir())


def _state(thread: Path) -> str:
    try:
        return (thread / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"  # it ended during the check
