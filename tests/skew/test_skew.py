"""Release N beside N−1: nothing is lost, refused or parked; what cannot be read yet waits, and is applied afterwards.

One exchange for all: each test says which releases it wants, and waits until they have heard each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.skew.scenario import AFTER, BEFORE, Process, Skewed, answer_with_new_words, file, skewed_exchange, until_all
from tests.support.running import HOTLINE, until

Record = Callable[[str, object], None]
REFERRALS, FEW = 60, 6
RECIPIENTS = ("hotline", "law_enforcement", "industry")


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skewed]:
    with skewed_exchange(tmp_path_factory.mktemp("skew")) as running:
        yield running


async def recipients_behind(skewed: Skewed, origin: Process) -> None:
    skewed.become(hotline=origin, law_enforcement=Process(BEFORE), industry=Process(BEFORE))
    await skewed.until_heard("hotline", law_enforcement=BEFORE, industry=BEFORE, hotline=AFTER)


async def test_where_nobody_asks_who_reads_what_it_is_deferred_and_shown(skewed: Skewed) -> None:
    """The control of the announcements: what is written all the same is not lost either."""
    await recipients_behind(skewed, Process(AFTER, without=("announcements_ignored",)))
    filed = await file(skewed, FEW)

    async def deferred() -> bool:
        return (await skewed.outcomes("law_enforcement"))["deferred"] > 0

    await until(deferred)
    await until(partial(shown, skewed, "deferred"))
    assert await skewed.work(HOTLINE, "deferred") <= set(filed)
    counted = await skewed.outcomes(*RECIPIENTS)
    assert counted["refused"] == counted["parked"] == 0


async def shown(skewed: Skewed, reason: str) -> bool:
    return bool(await skewed.work(HOTLINE, reason))


async def test_an_origin_that_is_ahead_lets_wait_what_its_recipients_cannot_read(
    skewed: Skewed, record_property: Record
) -> None:
    await recipients_behind(skewed, Process(AFTER))
    before = await skewed.outcomes(*RECIPIENTS)
    filed = await file(skewed, REFERRALS)
    waiting = await skewed.waiting()
    assert waiting > 0
    waits = await skewed.work(HOTLINE, "recipient_cannot_read")
    assert len(waits & set(filed)) >= REFERRALS // 3

    async def plain_ones_applied() -> bool:
        return (await skewed.outcomes(*RECIPIENTS))["applied"] - before["applied"] >= REFERRALS

    await until(plain_ones_applied)
    counted = await skewed.outcomes(*RECIPIENTS) - before
    assert {name: counted[name] for name in ("refused", "parked", "deferred")} == dict.fromkeys(
        ("refused", "parked", "deferred"), 0
    )
    skewed.become(law_enforcement=Process(AFTER), industry=Process(AFTER))
    took_s = await until_all(skewed)
    counted = await skewed.outcomes(*RECIPIENTS)
    assert {outcome for outcome, count in counted.items() if count} == {"applied"}
    assert await skewed.work(HOTLINE, "recipient_cannot_read") == set()
    assert await skewed.work(HOTLINE, "deferred") == set()
    await skewed.exchange.until_audited()
    assert await skewed.differences() == []
    record_property("figure", f"{waiting} edges waited, applied {took_s:.0f} s after the upgrade; {dict(counted)}")


async def origin_behind(skewed: Skewed, origin: Process) -> None:
    skewed.become(law_enforcement=Process(AFTER), industry=Process(AFTER), hotline=origin)
    await skewed.until_heard("law_enforcement", hotline=BEFORE)


async def test_without_deferral_an_answer_that_cannot_be_read_is_refused(skewed: Skewed) -> None:
    """The control of the deferral, in a process of its own."""
    await origin_behind(skewed, Process(BEFORE, without=("deferral_off",)))
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
    await origin_behind(skewed, Process(BEFORE))
    before = await skewed.outcomes("hotline")
    await file(skewed, REFERRALS)
    await until_all(skewed)
    said = await answer_with_new_words(skewed, REFERRALS // 3)

    async def all_deferred() -> bool:
        return (await skewed.outcomes("hotline") - before)["deferred"] >= said

    await until(all_deferred)
    counted = await skewed.outcomes("hotline") - before
    assert counted["refused"] == counted["parked"] == 0
    assert await skewed.open() >= said, "their senders keep them"
    skewed.become(hotline=Process(AFTER))
    took_s = await until_all(skewed)
    counted = await skewed.outcomes("hotline") - before
    assert counted["deferred"] == counted["refused"] == 0
    record_property("figure", f"{said} answers deferred, applied {took_s:.0f} s after the upgrade")
