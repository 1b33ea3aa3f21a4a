"""One child process: its log, its end when we end, and how it is stopped."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Protocol

from shared.kernel.errors import Unavailable

_POLL_S = 0.03


class Started(Protocol):
    """A process that was started, as `subprocess.Popen` shows it."""

    pid: int

    def poll(self) -> int | None:
        """None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises `subprocess.TimeoutExpired`."""

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal; does nothing if it has ended."""

    def kill(self) -> None:
        """Send it SIGKILL; does nothing if it has ended."""


class Forks(Protocol):
    """The fork server, which starts some commands faster than they start by themselves."""

    def serves(self, argv: Sequence[str]) -> bool:
        """Whether it can fork a process that does the same as this command."""

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str], *, log: Path) -> Started:
        """Fork a process for a command. Raises `Unavailable`."""


class Process:
    """A child that gets `death_signal` from the kernel when this process ends in any way, also by `kill -9`.

    The signal is tied to the *thread* that forked, so one thread that lives as long as this process starts them all;
    `start` may be called from anywhere. Each child has a session of its own: Ctrl-C reaches the supervisor only.
    The fork server `forks` starts the commands that it serves; they inherit its lock and get SIGTERM when it ends.
    """

    def __init__(
        self, name: str, *, log: Path, death_signal: signal.Signals, lock: int, forks: Forks | None = None
    ) -> None:
        self.name = name
        self._log = log
        self._death_signal = death_signal
        self._lock = lock
        self._forks = forks
        self._child: Started | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid if self._child is not None and self.running() else None

    def start(self, argv: Sequence[str], env: Mapping[str, str], *, inherited: Sequence[int] = ()) -> None:
        """Start it; success does not mean that it is ready. Raises `Unavailable` if it runs already.

        `inherited`: descriptors that it keeps besides the lock.
        """
        if self.running():
            raise Unavailable("already_started", f"{self.name} runs already")
        if self._forks is not None and self._forks.serves(argv):
            self._child = self._forks.start(self.name, argv, env, log=self._log)
            return
        command = ["setpriv", "--pdeathsig", self._death_signal.name.removeprefix("SIG"), *argv]
        self._child = _launcher().submit(self._spawn, command, dict(env), inherited).result()

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

    def _spawn(self, command: list[str], env: dict[str, str], inherited: Sequence[int]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(self._lock, *inherited),
                start_new_session=True,
            )


@cache
def _launcher() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="launcher")
