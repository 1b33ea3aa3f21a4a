"""Release N beside N−1: nothing is lost, refused or parked; what cannot be read yet waits, and is applied afterwards.

One exchange for all: each test says which releases it wants, and waits until they have heard each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from tests.skew.scenario import (
    AFTER,
    BEFORE,
    SENDERS,
    Process,
    Skewed,
    answer_with_new_words,
    file,
    origin_ahead,
    recipients_ahead,
    skewed_exchange,
    until_all,
)
from tests.support.running import HOTLINE, until

pytestmark = pytest.mark.long

Record = Callable[[str, object], None]
REFERRALS, FEW = 60, 6


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skewed]:
    with skewed_exchange(tmp_path_factory.mktemp("skew")) as running:
        yield running


async def test_where_nobody_asks_who_reads_what_it_is_deferred_and_shown(skewed: Skewed) -> None:
    """The control of the announcements: what is written all the same is not lost either."""
    deaf = Process(AFTER, without=("announcements_ignored",))
    skewed.become(hotline=deaf, law_enforcement=Process(BEFORE), industry=Process(BEFORE))
    filed = await file(skewed, FEW)

    async def deferred() -> bool:
        return (await skewed.outcomes("law_enforcement"))["deferred"] > 0

    async def shown() -> bool:
        return bool(await skewed.work(HOTLINE, "deferred"))

    await until(deferred)
    await until(shown)
    assert await skewed.work(HOTLINE, "deferred") <= set(filed)
    counted = await skewed.outcomes(*SENDERS)
    assert counted["refused"] == counted["parked"] == 0
    skewed.become(law_enforcement=Process(AFTER), industry=Process(AFTER))
    await until_all(skewed)
    assert set(await skewed.outcomes(*SENDERS)) == {"applied"}
    assert await skewed.work(HOTLINE, "deferred") == set()


async def test_an_origin_that_is_ahead_lets_wait_what_its_recipients_cannot_read(
    skewed: Skewed, record_property: Record
) -> None:
    shown: set[UUID] = set()
    side = await origin_ahead(skewed, REFERRALS, seen=lambda: noted(skewed, shown))
    assert side.held_back > 0
    assert len(shown) >= REFERRALS // 3, "each referral that waits is on its origin's work list"
    refused = await skewed.refused()
    assert not refused, "\n".join(refused)
    assert {name for name, count in side.before.items() if count} == {"applied"}
    assert {name for name, count in side.after.items() if count} == {"applied"}
    assert await skewed.work(HOTLINE, "recipient_cannot_read") == set()
    await skewed.exchange.until_audited()
    assert skewed.differences() == []
    record_property("figure", side.line())


async def noted(skewed: Skewed, shown: set[UUID]) -> None:
    shown |= await skewed.work(HOTLINE, "recipient_cannot_read")


async def test_without_deferral_an_answer_that_cannot_be_read_is_refused(skewed: Skewed) -> None:
    """The control of the deferral, in a process of its own."""
    behind = Process(BEFORE, without=("deferral_off",))
    skewed.become(law_enforcement=Process(AFTER), industry=Process(AFTER), hotline=behind)
    refused = (await skewed.outcomes("hotline"))["refused"]
    await file(skewed, FEW)
    await until_all(skewed)
    await answer_with_new_words(skewed, 1)

    async def some_refused() -> bool:
        return (await skewed.outcomes("hotline"))["refused"] > refused

    await until(some_refused)


async def test_recipients_that_are_ahead_have_their_answers_deferred_until_the_origin_can_read_them(
    skewed: Skewed, record_property: Record
) -> None:
    side = await recipients_ahead(skewed, REFERRALS // 3)
    assert side.held_back > 0
    assert {name for name, count in side.before.items() if count} == {"applied", "deferred"}
    assert {name for name, count in side.after.items() if count} == {"applied"}
    record_property("figure", side.line())
