"""Health and the watchdog: alive means that the process answers; ready means that every probe succeeds.

A part that hangs without a log line is worse than one that ends. The watchdog ends the process with exit code 70 in two
cases: the event loop has not run for 30 s, or a cancelled task has not ended after 5 s. A single call that holds the
interpreter's lock is noticed when it returns; one that never returns is not.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic, process_time
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from shared.core.errors import CausewayError
from shared.platform.observability.logs import log

PROBE_TIMEOUT_S: Final = 2.0
#: The checks of one run answer all requests until this time after its end.
CHECKS_VALID_S: Final = 1.0


def raise_if_cancelling() -> None:
    """Raise `CancelledError` if the running task was asked to end.

    A driver in the middle of a rollback turns a cancellation into an error of its own.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError


class Check(NamedTuple):
    """The result of one probe. `reason` is a code; if `ok`, it is information and not a failure.

    `age_s` is the waiting time of the oldest message, or the time since a part last made progress.
    """

    name: str
    ok: bool
    reason: str = ""
    age_s: float | None = None

    def as_json(self) -> dict[str, str | bool | float]:
        """Return the check as JSON, without an absent age."""
        return {name: value for name, value in self._asdict().items() if value is not None}


Probe = Callable[[], Awaitable[Check]]


def readiness_body(checks: Sequence[Check]) -> tuple[int, bytes]:
    """Return the status and the JSON of /readyz."""
    is_ready = all(check.ok for check in checks)
    return (200 if is_ready else 503), to_json({"ready": is_ready, "checks": [check.as_json() for check in checks]})


class ReadinessChecks:
    """The checks of all probes, from one run at a time: /readyz is anonymous, and a run costs database transactions."""

    def __init__(self, probes: Sequence[Probe], *, now_s: Callable[[], float] = monotonic) -> None:
        self._probes = probes
        self._now_s = now_s
        self._run: asyncio.Task[list[Check]] | None = None
        self._ended_at_s = 0.0
        #: The last task of each probe. A cancelled one may hold a connection until the database answers.
        self._asking: dict[Probe, asyncio.Task[Check]] = {}

    async def read(self) -> list[Check]:
        """Return the checks of the run in progress, of one that ended at most `CHECKS_VALID_S` ago, or of a new run."""
        if self._run is None or (self._run.done() and self._now_s() - self._ended_at_s > CHECKS_VALID_S):
            self._run = asyncio.create_task(self._ask_all(), name="readiness")
        # A request that ends early does not end the run for the other requests.
        return await asyncio.shield(self._run)

    async def _ask_all(self) -> list[Check]:
        """Ask all probes at once."""
        try:
            return list(await asyncio.gather(*map(self._ask, self._probes)))
        finally:
            self._ended_at_s = self._now_s()

    async def _ask(self, probe: Probe) -> Check:
        """Return the check of a probe. One that fails or takes over `PROBE_TIMEOUT_S` counts as not ready.

        A probe is not asked again while its last task has not ended.
        """
        name = getattr(probe, "__name__", "probe").strip("_").removeprefix("probe_")
        last = self._asking.get(probe)
        if last is None or last.done():
            asking = self._asking[probe] = asyncio.create_task(_check(name, probe))
            if (await asyncio.wait([asking], timeout=PROBE_TIMEOUT_S))[0]:
                return asking.result()
            # Its end is not awaited: a rollback does not end while the database is frozen.
            asking.cancel()
        return Check(name, False, "probe_slow")


async def _check(name: str, probe: Probe) -> Check:
    try:
        return await probe()
    except CausewayError as error:
        return Check(name, False, error.code)
    except (Exception, asyncio.CancelledError):  # a probe that fails must not take down the page that reports it
        raise_if_cancelling()
        return Check(name, False, "probe_failed")


#: `EX_SOFTWARE` of sysexits.h.
EXIT_CODE: Final = 70
LOOP_BLOCKED_S: Final = 30.0
CANCELLED_S: Final = 5.0
TICK_S: Final = 1.0
#: The interval at which the loop states that it runs, and the thread checks that.
CHECKED_EVERY_S: Final = 5.0
_BEGUN_S: Final = monotonic()


def until_turn(pause_s: float) -> float:
    """Return the seconds to the next multiple of `pause_s`: loops of one process wake it together."""
    return pause_s - (monotonic() - _BEGUN_S) % pause_s


def end_process(code: str, part: str) -> None:
    """Write one log line and end the process at once. Nothing is cleaned up: all durable state is in PostgreSQL."""
    log("process_ended", code=code, part=part)
    os._exit(EXIT_CODE)


async def end_tasks(tasks: Iterable[asyncio.Future[Any]], *, within_s: float = CANCELLED_S) -> None:
    """Cancel tasks and wait until all have ended; end the process if one has not after `within_s` seconds.

    A task that turns the cancellation into another failure and goes on is cancelled again each second.
    """
    left = {task for task in tasks if not task.done()}
    deadline = monotonic() + within_s
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=min(TICK_S, within_s))
        if left and monotonic() >= deadline:
            end_process("task_not_ended", ",".join(sorted(_name(task) for task in left)))
            return


def _name(task: asyncio.Future[Any]) -> str:
    return task.get_name() if isinstance(task, asyncio.Task) else "future"


@dataclass(eq=False, repr=False, kw_only=True)
class LoopWatch:
    """Watches an event loop from a thread of its own.

    The time in which the whole process was stopped (SIGSTOP, a suspended machine) does not count: the thread did not
    run itself then, and the process used no processor time.
    """

    blocked_s: float = LOOP_BLOCKED_S
    tick_s: float = CHECKED_EVERY_S
    end: Callable[[str, str], None] = end_process
    _ticked_at: float = field(default_factory=monotonic, init=False)
    _stopped: threading.Event = field(default_factory=threading.Event, init=False)
    _is_running: bool = field(default=False, init=False)

    def is_blocked(self) -> bool:
        """Return whether the loop has not run for `blocked_s`. Any thread may ask."""
        return self._is_running and monotonic() - self._ticked_at > self.blocked_s

    async def run(self) -> None:
        """Tick until cancelled, while the thread watches."""
        self._ticked_at, self._is_running = monotonic(), True
        threading.Thread(target=self._watch, name="loop-watch", daemon=True).start()
        try:
            while True:
                await asyncio.sleep(until_turn(self.tick_s))
                self._ticked_at = monotonic()
        finally:
            self._is_running = False
            self._stopped.set()

    def _watch(self) -> None:
        looked_at, used_s = monotonic(), process_time()
        while not self._stopped.wait(until_turn(self.tick_s)):
            now, used_now_s = monotonic(), process_time()
            was_stopped = now - looked_at > self.blocked_s / 2 and used_now_s - used_s < (now - looked_at) / 2
            if was_stopped:
                self._ticked_at = now
            looked_at, used_s = now, used_now_s
            if self.is_blocked():
                self.end("loop_blocked", "loop")
                return
