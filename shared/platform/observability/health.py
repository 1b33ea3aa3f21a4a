"""Health: alive means that the process answers; ready means that every probe succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Final, NamedTuple

from shared.core.errors import CausewayError
from shared.platform.observability.cancellation import raise_if_cancelling

PROBE_TIMEOUT_S: Final = 2.0
#: The checks of one run answer all requests until this time after its end.
CHECKS_VALID_S: Final = 1.0


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
