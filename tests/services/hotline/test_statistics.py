"""The figures of a month, counted from an origin's ledger as its accountant reads it.

They also count a provider's reported removals that were rechecked, and items that vanished while an agency held their
notices. A second program counts the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from deploy.accounting.book import open_snapshot
from deploy.site.endpoints import DatabaseEndpoint
from deploy.statistics.figures import Figures, Measure, Month, count_book
from tests.acceptance.programs import foreign
from tests.services.hotline.origin import Origin, act, answered, applied
from tests.services.hotline.test_answers_kept import GONE, UP, accepted, closed_case
from tests.services.hotline.test_holds import SLOT, WINDOW, agencies_of, pass_time, place
from tests.support.builders import AT, POLICE, PROVIDER

MONTH = Month(AT.year, AT.month)


async def counted(endpoint: DatabaseEndpoint, month: Month, *, exercises: bool = True) -> Mapping[str, Figures]:
    found: dict[str, Figures] = {}
    async with open_snapshot(endpoint.accountant_url, kind="hotline") as book:
        await count_book(book, month, found, exercises=exercises)
    return found


async def counts_of(endpoint: DatabaseEndpoint, party: str) -> dict[str, int]:
    """Return a party's counts of the month, checked to be equal in both programs."""
    figures = await counted(endpoint, MONTH)
    asked = {"urls": {endpoint.accountant_url: "hotline"}, "exercises": True}
    asked |= {"first": MONTH.first.isoformat(), "after": MONTH.after.isoformat()}
    ran = await asyncio.to_thread(foreign, "recount_month.py", asked)
    assert ran.returncode == 0, ran.stderr
    theirs: dict[str, Any] = json.loads(ran.stdout)
    for each, ours in figures.items():
        assert theirs.get(each, {}).get("gone", [0, 0]) == [ours.gone.total(), ours.gone_while_held.total()]
        for measure in (Measure.REMOVED, Measure.CONFIRMED, Measure.REAPPEARED):
            said = [ours.count(measure), ours.median_minutes(measure)]
            assert theirs[each].get(measure.value, [0, None]) == said
    own = figures.get(party, Figures())
    gone = {"gone": own.gone.total(), "gone_while_held": own.gone_while_held.total()}
    return {measure.value: own.count(measure) for measure in Measure} | gone


async def more_of(endpoint: DatabaseEndpoint, party: str, before: Mapping[str, int]) -> dict[str, int]:
    """Return what the month counts for a party by now, beyond `before`."""
    after = await counts_of(endpoint, party)
    return {name: count - before[name] for name, count in after.items() if count != before[name]}


async def test_each_thing_counts_once_in_the_month_of_its_day(origin: Origin, endpoint: DatabaseEndpoint) -> None:
    before = await counts_of(endpoint, POLICE)
    await closed_case(origin)
    assert await applied(origin, accepted(await origin.file())) == [None]
    # Two outcomes of one case are one feedback. An identified child stays counted, though the case closed as unknown.
    twice, once = ("sent", "from_hotlines", "answered", "accepted"), ("fed_back", "closed", "identified", "safeguarded")
    assert await more_of(endpoint, POLICE, before) == dict.fromkeys(twice, 2) | dict.fromkeys(once, 1)


async def test_exercises_are_never_counted_among_the_rest(origin: Origin, endpoint: DatabaseEndpoint) -> None:
    assert await applied(origin, accepted(await origin.file())) == [None]
    assert await counted(endpoint, MONTH, exercises=False) == await counted(endpoint, Month(2019, 1)) == {}
    assert await counted(endpoint, MONTH)


@pytest.mark.parametrize("unread", ["details", "case_reference"])
async def test_the_accountant_reads_no_words(endpoint: DatabaseEndpoint, unread: str) -> None:
    async with open_snapshot(endpoint.accountant_url, kind="hotline") as book:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await book.fetch(f"SELECT {unread} FROM answer_act")


# -- Reported removals.


async def told(origin: Origin, referral_id: UUID, action: str, *, again: int = 1) -> None:
    answer = answered(await origin.notice_id(referral_id), again, {"action": action, "round": again})
    assert await applied(origin, answer) == [None]


async def test_said_is_not_yet_found(origin: Origin, client: httpx.AsyncClient, endpoint: DatabaseEndpoint) -> None:
    before = await counts_of(endpoint, PROVIDER)
    said, confirmed, lied, refused, second = [await origin.file() for _ in range(5)]
    for each in (said, confirmed, lied, refused, second):
        await told(origin, each, "removed")
    for each in (confirmed, confirmed, refused):
        assert await act(client, each, "check", GONE) == (202, "routed")
    assert await act(client, lied, "check", UP) == (202, "reappeared")
    # A refused recheck does not count.
    looks = "UPDATE answer_act SET code = 'answer_unmatched' WHERE subject = $1 AND recheck_results <> '[]' RETURNING 1"
    assert await origin.sql(looks, await origin.notice_id(refused))
    # A second round is no second notice.
    assert await act(client, second, "check", UP) == (202, "reappeared")
    await told(origin, second, "removed", again=2)
    assert await act(client, second, "check", GONE) == (202, "routed")
    more = await more_of(endpoint, PROVIDER, before)
    assert (more["removed"], more["confirmed"], more["reappeared"]) == (5, 2, 2)


@pytest.mark.parametrize("action", ["already_gone", "preserved"])
async def test_what_is_gone_and_was_never_said_to_be_removed_confirms_nothing(
    origin: Origin, client: httpx.AsyncClient, endpoint: DatabaseEndpoint, action: str
) -> None:
    before = await counts_of(endpoint, PROVIDER)
    referral_id = await origin.file()
    assert await act(client, referral_id, "check", GONE) == (202, "routed")
    await told(origin, referral_id, action)
    assert await act(client, referral_id, "check", GONE) == (202, "routed")
    assert not (await more_of(endpoint, PROVIDER, before)).keys() & {"removed", "confirmed", "reappeared"}


# -- What vanished while it was held.


@pytest.mark.usefixtures("planned")
async def test_an_item_gone_when_its_held_notice_went_is_counted(origin: Origin, endpoint: DatabaseEndpoint) -> None:
    before = await counts_of(endpoint, PROVIDER)
    for hold_h, action, of_hold in ((8, "already_gone", [1]), (8, "removed", [0]), (0, "already_gone", [])):
        referral_id, until = await origin.file(), WINDOW + timedelta(hours=hold_h)
        agency, *_ = await agencies_of(origin, referral_id)
        if hold_h:
            assert await applied(origin, place(origin, referral_id, agency, until)) == [None]
        await pass_time(origin, until + 2 * SLOT)
        assert await gone(origin, referral_id) == [0 for _ in of_hold]
        await told(origin, referral_id, action)
        assert await gone(origin, referral_id) == of_hold
    more = await more_of(endpoint, PROVIDER, before)
    assert (more["gone"], more["gone_while_held"]) == (2, 1)


async def gone(origin: Origin, referral_id: UUID) -> list[int]:
    """Return the vanished items that each hold of a referral shows."""
    return [each.get("gone", 0) for each in (await origin.show(referral_id)).get("holds", [])]


@pytest.mark.usefixtures("planned")
async def test_what_vanished_before_a_hold_came_too_late_is_not_the_holds(origin: Origin) -> None:
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    await pass_time(origin, WINDOW + 2 * SLOT)
    assert await applied(origin, place(origin, referral_id, agency, timedelta(hours=8))) == [None]
    await told(origin, referral_id, "already_gone")
    assert await gone(origin, referral_id) == [0]
