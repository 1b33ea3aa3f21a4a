"""Budgets: the load that a party may put on one process, charged before the work where it is known.

A token bucket (as in RFC 2697's committed part) for requests, one for body bytes and one for work, each refilled
steadily up to `BURST_S` seconds' worth. The work of a request is known only while it is done: it is charged then, and a
party in debt waits. In-process: several processes of an instance each grant the whole budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Final

from shared.kernel.clock import Clock
from shared.kernel.errors import NotNow

BURST_S: Final = 2.0
#: The names of a party's budgets, in the order of `BudgetLimits`.
BUDGETS: Final = ("requests", "bytes", "work")
#: Source addresses that are remembered.
ADDRESSES_MAX: Final = 10_000
#: Bytes of a refused body that are read for one unit of work.
REFUSED_BYTES_A_WORK: Final = 1_024


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """The average use per second that one party is allowed.

    A unit of work is one item that is checked, or one edge that is decided. Each takes about a millisecond.
    """

    requests_per_s: float
    bytes_per_s: float
    work_per_s: float = math.inf


def work_of(refused_bytes: int) -> int:
    """Return the work units of reading content that was refused for its form.

    They come on top of the unit that is charged in any case.
    """
    return math.ceil(refused_bytes / REFUSED_BYTES_A_WORK)


class BudgetExceeded(NotNow):
    """Ask again after `reset_s`. The RateLimit fields say so, too, and name the budget."""

    def __init__(self, budget: str, *, limit: int, reset_s: int) -> None:
        headers = {
            "RateLimit-Policy": f'"{budget}";q={limit}',
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(reset_s),
            "Retry-After": str(reset_s),
        }
        super().__init__("budget_exceeded", "wait before the next request", headers=headers)


class Budgets:
    """The buckets of all parties; `party` is verified before it gets one, so there are as many as parties."""

    def __init__(
        self, limits: BudgetLimits, clock: Clock, *, names: Sequence[str] = BUDGETS, holders_max: float = math.inf
    ) -> None:
        """`names` are shown to clients. Beyond `holders_max` the oldest bucket is forgotten."""
        self._limits = limits
        self._names = names
        self._holders_max = holders_max
        self._rates: tuple[float, ...] = astuple(limits)
        requests_max = max(1.0, limits.requests_per_s * BURST_S)
        self._most = (requests_max, *(rate * BURST_S for rate in self._rates[1:]))
        self._clock = clock
        self._levels: dict[str, tuple[tuple[float, ...], datetime]] = {}

    def for_addresses(self) -> Budgets:
        """Buckets of the same size for source addresses, which anybody can have many of."""
        return Budgets(self._limits, self._clock, names=["unknown_keys", *BUDGETS[1:]], holders_max=ADDRESSES_MAX)

    def charge(self, party: str, body_bytes: int) -> None:
        """Take one request and `body_bytes` from the party's budget, or raise `BudgetExceeded` and take nothing.

        A body larger than the whole bucket passes when the bucket is full, and leaves it in debt. The party then waits
        until the debt is paid. The same holds for work that `owe` charged.
        """
        levels = self._filled(party)
        needed = (1.0, min(float(body_bytes), self._most[1]), 0.0)
        if any(level < need for level, need in zip(levels, needed, strict=True)):
            missing = zip(levels, needed, self._rates, self._names, strict=True)
            wait_s, budget = max(((need - level) / rate, name) for level, need, rate, name in missing if level < need)
            raise BudgetExceeded(budget, limit=math.floor(self._most[0]), reset_s=max(1, math.ceil(wait_s)))
        self._take(party, levels, (1.0, float(body_bytes), 0.0))

    def owe(self, party: str, work: int) -> None:
        """Charge work that was done to the party's budget, even if that leaves the budget in debt."""
        self._take(party, self._filled(party), (0.0, 0.0, float(work)))

    def _filled(self, party: str) -> tuple[float, ...]:
        """Return the present levels of the party's buckets."""
        now = self._clock.now()
        if party not in self._levels and len(self._levels) >= self._holders_max:
            self._levels.pop(next(iter(self._levels)))
        levels, last = self._levels.get(party, (self._most, now))
        passed_s = max(0.0, (now - last).total_seconds())
        refilled = zip(levels, self._rates, self._most, strict=True)
        levels = tuple(min(most, level + passed_s * rate) if passed_s else level for level, rate, most in refilled)
        self._levels[party] = levels, now
        return levels

    def _take(self, party: str, levels: tuple[float, ...], taken: tuple[float, ...]) -> None:
        left = tuple(level - each for level, each in zip(levels, taken, strict=True))
        self._levels[party] = left, self._levels[party][1]
