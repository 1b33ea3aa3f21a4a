"""A row is on its page as soon as the page receives its event, and a filtered page costs as much as an unfiltered one.

`make acceptance-long LINE=the_rendered_pages` measures this on stores of 100,000 rows.
"""

from __future__ import annotations

from statistics import median

from tests.benchmarks.rendering import ROW_MS_MAX, rendered_once, seen
from tests.console.console_users import signed_in
from tests.console.pages import Subjects
from tests.support.running import AGENCY, HOTLINE, Exchange

#: Allows for other work on the machine.
SLOWER_MAX = 10


async def test_a_row_is_on_the_page_that_its_event_has_asked_for(exchange: Exchange, subjects: Subjects) -> None:
    assert max(await seen(exchange, 2)) < SLOWER_MAX * ROW_MS_MAX


async def test_a_page_that_is_looked_through_costs_as_one_that_is_not(exchange: Exchange, subjects: Subjects) -> None:
    """The two pages take turns, so that both have the same load on the machine."""
    taken: dict[str, list[float]] = {"referrals": [], f"referrals?party={AGENCY}&since=2026-01-01&priority=p0": []}
    async with signed_in(exchange, HOTLINE) as client:
        for _ in range(7):
            for path, times in taken.items():
                times.append(await rendered_once(client, f"/console/{path}"))
    plain, sought = map(median, taken.values())
    assert sought < SLOWER_MAX * plain
