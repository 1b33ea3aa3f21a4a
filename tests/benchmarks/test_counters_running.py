"""The cost of a referral on the running exchange: a short run of `make counters`, as far as it has bounds."""

from __future__ import annotations

from collections.abc import Callable

from tests.benchmarks.counters.bounds import BOUNDS, IN_BATCHES, judge
from tests.benchmarks.counters.run import SHORT, measure
from tests.benchmarks.counters.table import table
from tests.support.running import Exchange


async def test_a_referral_costs_no_more_than_its_bounds(
    exchange: Exchange, record_property: Callable[[str, object], None]
) -> None:
    report = await measure(exchange, SHORT)
    verdicts = judge(report.figures, BOUNDS, short=True)
    assert verdicts
    assert [each.bound.figure for each in verdicts if each.is_broken] == [], table(report, verdicts, places=True)
    figures = report.figures[IN_BATCHES]
    record_property("figure", ", ".join(f"{name} {figures[name]:.2f}" for name in ("rows", "statements")))
