"""Child processes: their logs, their end with this process, and the fork server that starts most."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from string import Template
from threading import Lock
from typing import Final

from deploy.devstack.fork_server import PROGRAMS, Job
from deploy.devstack.state import StateDirectory, port_is_free
from deploy.site.settings import inherited_environment
from shared.core.errors import Unavailable

#: The module of the fork server.
MODULE: Final = "deploy.devstack.fork_server"
_NAME: Final = "fork-server"
_ENDED: Final = -1
_POLL_S: Final = 0.03
STOP_S_MAX: Final = 20.0
#: The complete environment of a server.
ENVIRONMENT: Final = {"LANG": "C.UTF-8", "PATH": os.defpath}


class ForkedProcess:
    """One process of the fork server, with the part of `subprocess.Popen` that a stack uses.

    The descriptor names the process even if its id is used again. The exit code stays with the server.
    """

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd: int | None = pidfd
        self._closing = Lock()

    def poll(self) -> int | None:
        """Return None while it runs."""
        return _ENDED if self._ends_within(0.0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises `subprocess.TimeoutExpired` after `timeout` seconds."""
        if not self._ends_within(timeout):
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return _ENDED

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal; do nothing if it has ended."""
        if self._pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, sig)

    def kill(self) -> None:
        """Send it SIGKILL; do nothing if it has ended."""
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


class Process:
    """A child that gets `death_signal` from the kernel when this process ends in any way, also by `kill -9`.

    The signal is tied to the *thread* that forked, so one thread that lives as long as this process starts them all;
    `start` may be called from any thread. Each child has its own session, so Ctrl-C reaches only the supervisor. The
    fork server `forks` starts the commands that it serves; they inherit its lock and get SIGTERM when it ends.
    """

    def __init__(
        self, name: str, *, log: Path, death_signal: signal.Signals, lock: int, forks: ForkServer | None = None
    ) -> None:
        self.name = name
        self._log = log
        self._death_signal = death_signal
        self._lock = lock
        self._forks = forks
        self._child: subprocess.Popen[bytes] | ForkedProcess | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self._child.pid if self._child is not None and self.running() else None

    def start(self, argv: Sequence[str], env: Mapping[str, str], *, inherited: Sequence[int] = ()) -> None:
        """Start it, without waiting until it is ready. Raises `Unavailable` if it already runs.

        `inherited`: descriptors that it keeps in addition to the lock.
        """
        if self.running():
            raise Unavailable("already_started", f"{self.name} runs already")
        if self._forks is not None and self._forks.serves(argv):
            self._child = self._forks.start(self.name, argv, env, log=self._log)
            return
        command = ["setpriv", "--pdeathsig", self._death_signal.name.removeprefix("SIG"), *argv]
        self._child = _launcher().submit(self._spawn, command, dict(env), inherited).result()

    def running(self) -> bool:
        """Return whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait until `ready` returns true.

        Raises `Unavailable`, with the end of the log, if it ends or is late. A process that has ended is not ready,
        even if another process answers at its address.
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
        """Send signal `number`; after `seconds`, kill it. Do nothing if it does not run."""
        if self._child is None:
            return
        self._child.send_signal(number)
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Send `kill -9`, and wait until it has ended."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def log_tail(self, lines: int = 12) -> str:
        """Return the last lines of its log."""
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


class Server(ABC):
    """A server of the stack, with a folder in its state directory. `spawn` makes a missing data directory."""

    def __init__(self, name: str, state: StateDirectory, *, ports: Sequence[int], stop_signal: signal.Signals) -> None:
        self._ports = ports
        self._stop_signal = stop_signal
        self._folder = state.part(name)
        self._data = self._folder / "data"
        log = state.begin_log(name)
        self._process = Process(name, log=log, death_signal=stop_signal, lock=state.children_lock)

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.spawn()
        self.wait_ready()

    @abstractmethod
    def spawn(self) -> None:
        """Start it without waiting."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Wait until it answers. May be called from any thread."""

    def running(self) -> bool:
        """Return whether its process runs; it need not be ready."""
        return self._process.running()

    def stop(self) -> None:
        """End it cleanly and close open connections."""
        self._process.stop(self._stop_signal, seconds=STOP_S_MAX)

    def _check_ports(self) -> None:
        """Raise `Unavailable("port_in_use")` if another process listens at one of this server's ports."""
        if not all(map(port_is_free, self._ports)):
            raise Unavailable("port_in_use", f"a process outside took the port of {self._process.name}: end it")


def run_once(command: Sequence[str]) -> str | None:
    """Run a command to its end; return the end of its output if it fails, else None."""
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    return "\n".join((done.stdout + done.stderr).splitlines()[-5:]) if done.returncode != 0 else None


def fill_template(name: str, **values: object) -> str:
    """Return the text of `NAME.template` of this folder, filled in."""
    return Template(Path(__file__).with_name(f"{name}.template").read_text(encoding="utf-8")).substitute(values)


class ForkServer:
    """The fork server of one stack. `spawn` starts it, and `start` starts it again if it has ended."""

    def __init__(self, log: Path, *, lock: int) -> None:
        """Store the parameters. `log` gets the errors of its start.

        Its processes inherit the descriptor `lock`.
        """
        self._process = Process(_NAME, log=log, death_signal=signal.SIGTERM, lock=lock)
        self._control: socket.socket | None = None
        self._one_at_a_time = Lock()

    @staticmethod
    def serves(argv: Sequence[str]) -> bool:
        """Return whether it can fork a process that does the same as this command."""
        return [*argv[:2]] == [sys.executable, "-m"] and argv[2] in PROGRAMS

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str], *, log: Path) -> ForkedProcess:
        """Fork a process for a command, after the imports. Raises `Unavailable` if the server ends instead."""
        log.touch(mode=0o600)  # a reader may wait for a line before the process has begun
        job = json.dumps(Job(name, [*argv[2:]], dict(env), str(log))).encode()
        with self._one_at_a_time:
            control = self._control
            if control is None or not self._process.running():
                self.stop()
                control = self.spawn()
            return self._ask(control, job)

    def stop(self) -> None:
        """End it and every process that it has forked."""
        if self._control is not None:
            self._control.close()
            self._control = None
        self._process.kill()

    def spawn(self) -> socket.socket:
        """Start it without waiting for its imports; return this end of the socket."""
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
