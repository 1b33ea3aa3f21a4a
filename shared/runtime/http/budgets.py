"""Budgets: how much a party may ask of one process, charged before any work is done for it.

A token bucket (as in RFC 2697's committed part) for requests and one for body bytes, each refilled steadily up to
`BURST_S` seconds' worth. In-process: several processes of an instance each grant the whole budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.kernel.clock import Clock
from shared.kernel.errors import Refused

BURST_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """What one party may use per second, on average."""

    requests_per_s: float
    bytes_per_s: float


class BudgetExceeded(Refused):
    """Ask again after `reset_s`. `headers` tell a client so (RateLimit fields, RFC 9110 §10.2.3 Retry-After)."""

    def __init__(self, *, limit: int, reset_s: int) -> None:
        super().__init__("budget_exceeded", "wait before the next request", status=429)
        self.headers: Mapping[str, str] = {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(reset_s),
            "Retry-After": str(reset_s),
        }


class Budgets:
    """The buckets of all parties; `party` is verified before it gets one, so there are as many as parties."""

    def __init__(self, limits: BudgetLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._levels: dict[str, tuple[float, float, datetime]] = {}

    def charge(self, party: str, body_bytes: int) -> None:
        """Take one request and `body_bytes` from the party's budget, or raise `BudgetExceeded` and take nothing.

        A body larger than the whole bucket passes when the bucket is full and leaves it in debt: it is paid for
        by waiting, not impossible.
        """
        limits, now = self._limits, self._clock.now()
        requests_max, bytes_max = max(1.0, limits.requests_per_s * BURST_S), limits.bytes_per_s * BURST_S
        requests, volume, last = self._levels.get(party, (requests_max, bytes_max, now))
        passed_s = max(0.0, (now - last).total_seconds())
        requests = min(requests_max, requests + passed_s * limits.requests_per_s)
        volume = min(bytes_max, volume + passed_s * limits.bytes_per_s)
        needed = min(float(body_bytes), bytes_max)
        if requests < 1.0 or volume < needed:
            self._levels[party] = requests, volume, now
            wait_s = max((1.0 - requests) / limits.requests_per_s, (needed - volume) / limits.bytes_per_s)
            raise BudgetExceeded(limit=math.floor(requests_max), reset_s=max(1, math.ceil(wait_s)))
        self._levels[party] = requests - 1.0, volume - body_bytes, now
