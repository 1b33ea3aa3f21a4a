"""Health: alive means that the process answers; ready means that every probe of it says so, and which does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from shared.kernel.errors import CausewayError

PROBE_TIMEOUT_S: Final = 2.0


class Check(NamedTuple):
    """What one probe found. `reason` is a code; with `ok`, it names what is worth knowing and no failure.

    `age_s` is how long the oldest message waits, or how long ago a part last got something done.
    """

    name: str
    ok: bool
    reason: str = ""
    age_s: float | None = None

    def as_json(self) -> dict[str, str | bool | float]:
        """Without an age where there is none."""
        return {name: value for name, value in self._asdict().items() if value is not None}


Probe = Callable[[], Awaitable[Check]]


async def readiness(probes: Sequence[Probe]) -> list[Check]:
    """Ask all probes at once. One that fails or takes over `PROBE_TIMEOUT_S` counts as not ready."""
    return list(await asyncio.gather(*(_asked(probe) for probe in probes)))


async def _asked(probe: Probe) -> Check:
    name = getattr(probe, "__name__", "probe").strip("_").removeprefix("probe_")
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            return await probe()
    except TimeoutError:
        return Check(name, False, "probe_slow")
    except CausewayError as error:
        return Check(name, False, error.code)
    except Exception:  # whatever it is, a probe that fails must not take down the page that reports it
        return Check(name, False, "probe_failed")
