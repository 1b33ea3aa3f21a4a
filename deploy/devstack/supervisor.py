"""Run a stack and its services in the foreground, or detached from the terminal."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType

import httpx

from deploy.devstack.process import ForkServer, Process
from deploy.devstack.stack import DevStack
from deploy.devstack.state import StateDirectory
from deploy.site.endpoints import Endpoints
from deploy.site.settings import inherited_environment
from shared.core.errors import CausewayError

_READY_S_MAX = 60.0
_STOP_S_MAX = 30.0
_WATCH_S = 0.2
_BACK_OFF_S_MAX = 30.0
_STEADY_S = 60.0
_READY = "ready"


@dataclass(frozen=True)
class Child:
    """A service to run in addition to the servers. It is ready when a GET of `ready_url` answers 200.

    `env` overrides the inherited environment. A child that `needs_others` starts when all others are ready.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready_url: str
    needs_others: bool = False


ChildrenOf = Callable[[Endpoints], Sequence[Child]]


class Supervisor:
    """The supervisor of one stack, until SIGTERM, Ctrl-C, or the end of one of its two servers.

    A service that ends is started again, later each time. The servers are not restarted, because that would hide the
    fault that ended them. Only the main thread may run it, because only that thread receives signals.
    """

    def __init__(self, stack: DevStack, children: ChildrenOf, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._children = children
        self._say = say
        self._services: list[_Service] = []

    def run(self, on_ready: Callable[[], None]) -> int:
        """Return the exit code: 0 if asked to stop, 1 if a server ended. Raises the error of a failed start.

        `on_ready` is called once everything answers.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _request_stop)
        try:
            with self._stack:
                try:
                    self._start_services()
                    on_ready()
                    return self._watch()
                finally:
                    _stop(self._services)
        except _StopRequested:
            # A child whose start was interrupted is not recorded here, but it ends with this process too.
            return 0

    def _start_services(self) -> None:
        state = self._stack.state
        for child in self._children(self._stack.endpoints):
            self._services.append(_Service(child, state, self._stack.forks))
        for needs_others in (False, True):
            chosen = [service for service in self._services if service.child.needs_others is needs_others]
            for service in chosen:
                self._say(f"starting {service.child.name}")
                service.begin()
            for service in chosen:
                service.wait_until(lambda url=service.child.ready_url: answers_ready(url), seconds=_READY_S_MAX)  # type: ignore[misc]
        self._save_pids()

    @contextmanager
    def resting(self, name_begins: str) -> Iterator[None]:
        """Stop the services with this prefix, and start them again afterwards, unless the stack has ended."""
        resting = [service for service in self._services if service.child.name.startswith(name_begins)]
        _stop(resting)
        yield
        for service in resting:
            service.begin()

    def _watch(self) -> int:
        while (ended := self._stack.ended()) is None:
            for service in self._services:
                if service.restart_if_due(self._say):
                    self._save_pids()
            time.sleep(_WATCH_S)
        self._say(f"{ended} ended by itself: stopping the stack; see `causeway dev logs {ended}`")
        return 1

    def _save_pids(self) -> None:
        endpoints = self._stack.endpoints
        running = {each.child.name: each.pid for each in self._services if each.pid is not None}
        endpoints.model_copy(update={"pids": endpoints.pids | running}).save(self._stack.state.path)


class _Service(Process):
    """The process of one child, with the data to start it again."""

    def __init__(self, child: Child, state: StateDirectory, forks: ForkServer | None) -> None:
        log, lock = state.begin_log(child.name), state.children_lock
        super().__init__(child.name, log=log, death_signal=signal.SIGTERM, lock=lock, forks=forks)
        self.child = child
        self._back_off_s = 1.0
        self._started_at = 0.0
        self._due_at: float | None = None

    def begin(self) -> None:
        """Start it, without waiting until it is ready."""
        self._started_at, self._due_at = time.monotonic(), None
        self.start(self.child.argv, inherited_environment() | dict(self.child.env))

    def restart_if_due(self, say: Callable[[str], None]) -> bool:
        """Start it again if it ended long enough ago; return True if it was started."""
        if self.running():
            return False
        now = time.monotonic()
        if self._due_at is None:
            if now - self._started_at > _STEADY_S:
                self._back_off_s = 1.0
            name = self.child.name
            say(f"{name} ended by itself: it restarts in {self._back_off_s:g} s; see `causeway dev logs {name}`")
            self._due_at = now + self._back_off_s
            self._back_off_s = min(2 * self._back_off_s, _BACK_OFF_S_MAX)
        if now < self._due_at:
            return False
        self.begin()
        return True


def _stop(services: Sequence[_Service]) -> None:
    with ThreadPoolExecutor(max_workers=max(1, len(services))) as threads:
        list(threads.map(lambda each: each.stop(signal.SIGTERM, seconds=_STOP_S_MAX), services))


def answers_ready(url: str) -> bool:
    """Return whether a GET of `url` answers 200 within a second."""
    try:
        return _asking().get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


@cache
def _asking() -> httpx.Client:
    """Return the one client: a new client reads all authorities of its system, and requests are frequent."""
    return httpx.Client(timeout=1.0, limits=httpx.Limits(max_keepalive_connections=0))


def detach(state: StateDirectory, run: Callable[[Callable[[str], None], Callable[[], None]], int]) -> int:
    """Call `run(say, on_ready)` in a process without terminal or parent.

    Return 0 once it is ready, 1 if it ends first. Its output until then is printed here; all of it goes to the log
    `supervisor`. It keeps no descriptor of this process, so a reader of an inherited pipe waits for this process only.
    Call it before any thread is started: a forked process has only the thread that forked it.
    """
    reader, writer = os.pipe()
    # Append: the start may still be refused, and then this is the log of the running supervisor.
    log = state.log("supervisor")
    if os.fork() == 0:
        os.setsid()
        # The second fork: a process that is not a session leader can never get a terminal again.
        if os.fork() == 0:
            _become_daemon(str(log), keep=writer)
            sys.exit(_run_detached(run, writer))
        os._exit(0)
    os.close(writer)
    os.wait()
    ready = False
    with os.fdopen(reader, encoding="utf-8") as lines:
        for line in lines:
            ready = line.strip() == _READY
            print(line, end="", file=sys.stderr, flush=True)
            if ready:
                break
    return 0 if ready else 1


def _run_detached(run: Callable[[Callable[[str], None], Callable[[], None]], int], writer: int) -> int:
    channel = os.fdopen(writer, "w", encoding="utf-8")

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        if not channel.closed:
            print(text, file=channel, flush=True)

    def on_ready() -> None:
        say(_READY)
        channel.close()

    try:
        return run(say, on_ready)
    except CausewayError as error:
        say(f"error: {error}")
        return 1


def _become_daemon(log: str, *, keep: int) -> None:
    """Give this process its own streams, and close every other open descriptor except `keep`."""
    null, out = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    _close_all_but({0, 1, 2, keep})


def _close_all_but(kept: set[int]) -> None:
    for descriptor in {int(each.name) for each in Path("/proc/self/fd").iterdir()} - kept:
        with suppress(OSError):  # the descriptor that read the folder itself is already closed
            os.close(descriptor)


class _StopRequested(BaseException):
    """Raised in the main thread by the first signal; not an error."""


def _request_stop(number: int, frame: FrameType | None) -> None:
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        # From here nothing interrupts the orderly stop; each of its steps has its own time limit.
        signal.signal(signal_number, signal.SIG_IGN)
    raise _StopRequested
