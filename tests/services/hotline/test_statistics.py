"""The figures of a month, counted from an origin's ledger as its accountant reads it."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg
import pytest

from deploy.accounting.book import open_ledger
from deploy.site.endpoints import DatabaseEndpoint
from deploy.statistics.figures import Figures, Measure, Month, count_book
from tests.services.hotline.origin import Origin
from tests.services.hotline.test_answers_kept import applied
from tests.services.hotline.test_outcomes_kept import accepted, closed_case
from tests.support.builders import AT, POLICE

MONTH = Month(AT.year, AT.month)


async def counted(endpoint: DatabaseEndpoint, month: Month, *, exercises: bool = True) -> Mapping[str, Figures]:
    found: dict[str, Figures] = {}
    async with open_ledger(endpoint.accountant_url, kind="hotline") as book:
        await count_book(book, month, found, exercises=exercises)
    return found


async def of_agency(endpoint: DatabaseEndpoint) -> dict[str, int]:
    figures = (await counted(endpoint, MONTH)).get(POLICE, Figures())
    return {measure.value: figures.count(measure) for measure in Measure if figures.count(measure)}


async def test_each_thing_counts_once_in_the_month_of_its_day(origin: Origin, endpoint: DatabaseEndpoint) -> None:
    before = await of_agency(endpoint)
    await closed_case(origin)
    referral_id = await origin.file()
    assert await applied(origin, accepted(referral_id)) == [None]
    after = await of_agency(endpoint)
    new = {measure: more for measure, count in after.items() if (more := count - before.get(measure, 0))}
    # Two outcomes of one case are one feedback. An identified child stays counted, though the case closed as unknown.
    twice, once = ("sent", "from_hotlines", "answered", "accepted"), ("fed_back", "closed", "identified", "safeguarded")
    assert new == dict.fromkeys(twice, 2) | dict.fromkeys(once, 1)


async def test_exercises_are_never_counted_among_the_rest(origin: Origin, endpoint: DatabaseEndpoint) -> None:
    referral_id = await origin.file()
    assert await applied(origin, accepted(referral_id)) == [None]
    assert await counted(endpoint, MONTH, exercises=False) == {}
    assert await counted(endpoint, MONTH)


async def test_a_month_before_has_nothing(endpoint: DatabaseEndpoint) -> None:
    assert await counted(endpoint, Month(2019, 1)) == {}


@pytest.mark.parametrize("unread", ["details", "case_reference"])
async def test_the_accountant_reads_no_words(endpoint: DatabaseEndpoint, unread: str) -> None:
    async with open_ledger(endpoint.accountant_url, kind="hotline") as book:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await book.fetch(f"SELECT {unread} FROM answer_act")
