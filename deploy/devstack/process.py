"""One child process: its log, its end when we end, and how it is stopped."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from shared.kernel.errors import Unavailable

_POLL_S = 0.03


class Process:
    """A child that gets `death_signal` from the kernel when this process ends in any way, also by `kill -9`.

    The signal is tied to the *thread* that forked, so one thread that lives as long as this process starts them all;
    `start` may be called from anywhere. Each child has a session of its own: Ctrl-C reaches the supervisor only.
    """

    def __init__(self, name: str, *, log: Path, death_signal: signal.Signals, lock: int) -> None:
        self.name = name
        self._log = log
        self._death_signal = death_signal
        self._lock = lock
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid if self._child is not None and self.running() else None

    def start(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Start it; success does not mean that it is ready. Raises `Unavailable` if it runs already."""
        if self.running():
            raise Unavailable("already_started", f"{self.name} runs already")
        command = ["setpriv", "--pdeathsig", self._death_signal.name.removeprefix("SIG"), *argv]
        self._child = _launcher().submit(self._spawn, command, dict(env)).result()

    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Ask `ready` until it says yes. Raises `Unavailable`, with the end of the log, if it ends or is late.

        One that has ended is not ready, whoever else answers in its place.
        """
        deadline = time.monotonic() + seconds
        while not (ready() and self.running()):
            if not self.running():
                raise Unavailable("process_ended", f"{self.name}; its log ends:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise Unavailable(
                    "process_not_ready", f"{self.name}, not within {seconds:g} s; its log ends:\n{self.log_tail()}"
                )
            time.sleep(_POLL_S)

    def stop(self, number: signal.Signals, *, seconds: float) -> None:
        """Ask it to end by signal `number`; after `seconds`, kill it. Does nothing when it does not run."""
        if self._child is None:
            return
        self._child.send_signal(number)
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of its log."""
        if not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def _spawn(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(self._lock,),
                start_new_session=True,
            )


@cache
def _launcher() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="launcher")
