"""Bounds of the cost of a referral, as data, and the comparison of measured figures with them.

A *bound* gates: it is the figure of the commit that last lowered it, plus a twentieth. A *target* is the figure that
the design requires. Lower a bound whenever a figure falls; never raise one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

#: A figure may exceed the measured one by this share. The referrals that share a transaction differ from run to run,
#: and so do the rows of streams and cursors.
SLACK: Final = 0.05
#: The loads.
IN_BATCHES: Final = "batches of 100"
SINGLE: Final = "single, 32 connections"
LIFE: Final = "a life"
RETAINED: Final = "retained, open"
#: The figure for the number of referrals per intake transaction.
GATHERED: Final = "referrals a transaction"


class Bound(NamedTuple):
    """One figure of one load: its measured value, which limits it, and its target or None.

    `short`: the measured value of a short run, in which fewer referrals share a cost; None: it has no bound. `slack`:
    the permitted excess over the measured value, by default `SLACK` of it. `a_transaction`: the part of the cost that
    referrals of one intake transaction share; `measured` is the rest. A slow machine gathers more single posts into a
    transaction than a fast one.
    """

    load: str
    figure: str
    measured: float
    short: float | None = None
    target: float | None = None
    slack: float | None = None
    a_transaction: float = 0.0

    def limit(self, gathered: float, *, short: bool = False) -> float:
        """Return the greatest value that passes, with this number of referrals per transaction."""
        measured = self.short if short and self.short is not None else self.measured
        measured += self.a_transaction / gathered if gathered else 0.0
        return measured + (measured * SLACK if self.slack is None else self.slack)


class Verdict(NamedTuple):
    """A bound with its limit in this run and the measured figure, or None if the run has none."""

    bound: Bound
    limit: float
    value: float | None

    @property
    def is_broken(self) -> bool:
        """Return whether the figure exceeds its limit, or is missing."""
        return self.value is None or self.value > self.limit

    @property
    def misses_target(self) -> bool:
        """Return whether there is a target and the figure exceeds it."""
        return self.bound.target is not None and (self.value is None or self.value > self.bound.target)


#: By load and figure, per referral unless the figure says otherwise. A kilobyte has 1,000 bytes. One inserted row more
#: per referral is too much. Updates of streams and cursors vary by more than that.
BOUNDS: Final[Sequence[Bound]] = (
    Bound(IN_BATCHES, "rows", 15.0, short=15.1, target=18.0),
    Bound(IN_BATCHES, "rows inserted", 13.8, short=13.8, slack=0.8),
    Bound(IN_BATCHES, "statements", 0.93, short=1.74, target=2.5, slack=0.3),
    Bound(IN_BATCHES, "round trips", 0.94, short=1.82, slack=0.3),
    Bound(IN_BATCHES, "WAL KB without page images", 24.6, short=26.5, target=29.0),
    Bound(IN_BATCHES, "page images KB", 5.7, target=25.0),
    Bound(IN_BATCHES, "Kafka records", 2.11, short=2.15, target=2.3),
    Bound(IN_BATCHES, "Kafka KB", 7.4, short=7.7, target=9.0),
    Bound(IN_BATCHES, "signatures made", 0.13, short=0.18, target=0.15, slack=0.02),
    Bound(IN_BATCHES, "signatures verified", 0.22, short=0.31, target=0.25, slack=0.02),
    Bound(IN_BATCHES, "encapsulations", 0.04, short=0.04, slack=0.02),
    Bound(IN_BATCHES, "decapsulations", 0.06, slack=0.01),
    Bound(IN_BATCHES, "round trips of a consumed batch", 5.7, target=6.0),
    Bound(SINGLE, "rows", 17.9, target=26.0, slack=1.5, a_transaction=26.0),
    Bound(SINGLE, "statements", 0.93, target=10.0, slack=0.3, a_transaction=27.5),
    Bound(SINGLE, "round trips", 0.94, slack=0.3, a_transaction=27.0),
    Bound(SINGLE, "WAL KB without page images", 27.0, target=32.0, a_transaction=17.6),
    Bound(SINGLE, "Kafka records", 2.13, target=3.3, a_transaction=2.8),
    Bound(SINGLE, "Kafka KB", 8.15, a_transaction=3.5),
    Bound(SINGLE, "signatures made", 0.27, slack=0.1, a_transaction=10.0),
    Bound(SINGLE, "signatures verified", 0.45, slack=0.2, a_transaction=18.8),
    Bound(SINGLE, "round trips of an intake transaction", 5.0, target=5.0),
    Bound(LIFE, "rows", 82.4, target=55.0),
    Bound(LIFE, "WAL KB without page images", 62.4, target=60.0),
    Bound(RETAINED, "KB", 11.94, target=12.0),
)


def judge(measured: Mapping[str, Mapping[str, float]], bounds: Sequence[Bound], *, short: bool) -> list[Verdict]:
    """Compare the figures of each load with its bounds. A short run uses the bounds for short runs."""
    verdicts = []
    for bound in bounds:
        if bound.short is not None or not short:
            figures = measured.get(bound.load, {})
            limit = bound.limit(figures.get(GATHERED, 0.0), short=short)
            verdicts.append(Verdict(bound, limit, figures.get(bound.figure)))
    return verdicts
