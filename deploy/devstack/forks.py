"""Processes that the fork server makes: how a stack starts that server, and how it watches and ends each of them."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from deploy.devstack.fork_server import PROGRAMS, Job
from deploy.devstack.process import Process
from deploy.site.settings import inherited_environment
from shared.kernel.errors import Unavailable

#: The module that is the fork server.
MODULE: Final = "deploy.devstack.fork_server"
_NAME: Final = "fork-server"
_ENDED: Final = -1


class ForkedProcess:
    """One process that the fork server forked, with the part of `subprocess.Popen` that a stack uses.

    The descriptor names the process however often its id is given again. The exit code stays with the server.
    """

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd: int | None = pidfd
        self._closing = Lock()

    def poll(self) -> int | None:
        """None while it runs."""
        return _ENDED if self._ends_within(0.0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises `subprocess.TimeoutExpired` after `timeout` seconds."""
        if not self._ends_within(timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return _ENDED

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal; does nothing if it has ended."""
        if self._pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, sig)

    def kill(self) -> None:
        """Send it SIGKILL; does nothing if it has ended."""
        self.send_signal(signal.SIGKILL)

    def _ends_within(self, seconds: float | None) -> bool:
        if self._pidfd is None:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        if not poll.poll(None if seconds is None else seconds * 1000):
            return False
        with self._closing:
            if self._pidfd is not None:
                os.close(self._pidfd)
                self._pidfd = None
        return True


class ForkServer:
    """The fork server of one stack. It is started by `spawn`, and again by `start` if it has ended meanwhile."""

    def __init__(self, log: Path, *, lock: int) -> None:
        """`log`: for the error that keeps it from starting. Its processes inherit the descriptor `lock`."""
        self._process = Process(_NAME, log=log, death_signal=signal.SIGTERM, lock=lock)
        self._control: socket.socket | None = None
        self._one_at_a_time = Lock()

    def spawn(self) -> None:
        """Start it without waiting for its imports."""
        self._begin()

    @staticmethod
    def serves(argv: Sequence[str]) -> bool:
        """Whether it can fork a process that does the same as this command."""
        return [*argv[:2]] == [sys.executable, "-m"] and argv[2] in PROGRAMS

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str], *, log: Path) -> ForkedProcess:
        """Fork a process for a command. Waits for the imports. Raises `Unavailable` if the server ends instead."""
        log.touch(mode=0o600)  # a reader may wait for a line before the process has begun
        job = Job(name, tuple(argv[2:]), env, str(log)).to_bytes()
        with self._one_at_a_time:
            control = self._control
            if control is None or not self._process.running():
                self.stop()
                control = self._begin()
            return self._ask(control, job)

    def stop(self) -> None:
        """End it, and with it every process that it has forked."""
        if self._control is not None:
            self._control.close()
            self._control = None
        self._process.kill()

    def _begin(self) -> socket.socket:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        env = {name: value for name, value in inherited_environment().items() if not name.startswith("CAUSEWAY_")}
        argv = [sys.executable, "-m", MODULE, str(theirs.fileno())]
        with theirs:
            self._process.start(argv, env, inherited=(theirs.fileno(),))
        return self._control

    def _ask(self, control: socket.socket, job: bytes) -> ForkedProcess:
        with suppress(ConnectionError):
            control.send(job)
            answer, descriptors, _, _ = socket.recv_fds(control, 32, 1)
            if answer:
                return ForkedProcess(int(answer), descriptors[0])
        raise Unavailable("fork_server_ended", f"its log ends:\n{self._process.log_tail()}")
