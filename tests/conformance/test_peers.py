"""What peers have said last, in both stores: a later word replaces an earlier one, whatever is read first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
import pytest

from shared.contracts.delivery import MarksClear, TakenMark
from shared.exchange.topics import AUDIT
from shared.kernel.ids import uuid7
from shared.runtime.post.peers import STAND_PAUSE, Spoken, Word
from shared.runtime.post.turns import ahead
from tests.conformance.conftest import Stores
from tests.conformance.sending import LANE, attributes_of, sent
from tests.support.builders import AT, arrival, draft
from tests.support.running import rows_of

_FREE: Final = "SELECT lane FROM lane_end WHERE lane = $1 FOR UPDATE NOWAIT"


def spoken(second: int, offset: int = 0) -> Spoken:
    return Spoken(AT + timedelta(seconds=second), offset)


def marks(*, asking: bool = False, answers: UUID | None = None) -> MarksClear:
    return MarksClear(sent=(), taken=(), asking=asking, nonce=uuid7(), answers=answers)


async def test_marks_ask_and_answer_until_they_are_answered_and_older_ones_count_no_more(stores: Stores) -> None:
    ours, asking = uuid7(), marks(asking=True)
    async with stores.inbox.unit() as unit:
        book = stores.peers(unit)
        assert await book.words() == {}
        assert await book.marked("industry", asking, spoken(5, 3))
        assert await book.marked("industry", marks(answers=ours), spoken(5, 4))
        assert not await book.marked("industry", marks(asking=True), spoken(5, 4)), "read again"
        assert not await book.marked("industry", marks(asking=True), spoken(1, 2))
        assert await book.words() == {"industry": Word(asking.nonce, ours)}
        await book.answered("industry", uuid7())
        assert (await book.words())["industry"].owes == asking.nonce
        await book.answered("industry", asking.nonce)
        assert await book.words() == {"industry": Word(None, ours)}


async def test_what_could_not_be_read_is_told_once_by_the_newest_of_each(stores: Stores) -> None:
    older, newer, other = uuid7(), uuid7(), uuid7()
    async with stores.inbox.unit() as unit:
        book = stores.peers(unit)
        await book.could_not_read({"industry": older, "hotline": other})
        await book.could_not_read({"industry": newer})
        assert await book.unread(["industry", "law_enforcement"]) == {"industry": newer}
        assert await book.unread(["industry", "hotline"]) == {"hotline": other}
        assert await book.unread(["industry", "hotline"]) == {}


async def test_a_standing_begins_once_and_again_where_it_is_owed_meanwhile(stores: Stores) -> None:
    async with stores.inbox.unit() as unit:
        book = stores.peers(unit)
        await book.marked("industry", marks(), spoken(1, 1))
        seen = [(await book.words())["industry"].begins]
        for at, above in ((AT, uuid7()), (AT + STAND_PAUSE, None)):
            await book.owe_standing(["industry"])
            seen.append((await book.words())["industry"].begins)
            await book.standings(["industry"], at)
            await book.stood("industry", above)
            seen.append((await book.words())["industry"].begins)
        await book.standings(["industry"], AT + 2 * STAND_PAUSE)
        await book.stood("industry", None)
        assert [*seen, (await book.words())["industry"].begins] == [False, True, False, False, True, False]


async def test_what_is_said_behind_counts_though_the_brokers_clock_was_ahead_before(stores: Stores) -> None:
    """By its time alone, nothing that the peer says would count until that day."""
    day = 24 * 60 * 60
    async with stores.inbox.unit() as unit:
        book = stores.peers(unit)
        assert await book.marked("industry", marks(), spoken(day, 3))
        assert await book.marked("industry", marks(), spoken(1, 4))
        assert await book.marked("industry", marks(), spoken(2, 0)), "its topic has lost its end"
        assert not await book.marked("industry", marks(), spoken(1, 0))


@pytest.mark.parametrize("ahead_s", [0, 24 * 60 * 60])
async def test_a_standing_is_told_again_after_its_pause_whatever_the_clock_was(stores: Stores, ahead_s: int) -> None:
    async with stores.inbox.unit() as unit:
        book = stores.peers(unit)
        for now, told in ((AT + timedelta(seconds=ahead_s), True), (AT + STAND_PAUSE, True), (AT + STAND_PAUSE, False)):
            await book.owe_standing(["industry"])
            assert (await book.standings(["industry"], now) != {}) is told
            await book.stood("industry", None)


async def test_what_a_peer_wants_is_counted_by_the_minute_and_for_itself(stores: Stores) -> None:
    async with stores.inbox.unit() as unit:
        book = stores.peers(unit)
        counts = [
            await book.wanted_by(by, spoken(s)) for by, s in (("a", 0), ("a", 59), ("b", 59), ("a", 60), ("a", 61))
        ]
    assert counts == [1, 2, 1, 1, 2]


async def test_numbers_that_this_database_never_gave_end_their_epoch_once(stores: Stores) -> None:
    """The recipient has seen 3 more than we know of: its epoch closes there, and ours goes on in another."""
    before = attributes_of((await sent(stores, draft(), draft()))[-1])
    pair = {"sender": before.sender, "recipient": before.recipient}
    told = [TakenMark(**pair, epoch=before.epoch, through=5), TakenMark(**pair, epoch=uuid7(), through=7)]
    for _ in range(2):
        async with stores.inbox.unit() as unit:
            await stores.peers(unit).forgotten(LANE, told)
    async with stores.inbox.unit() as unit:
        assert ahead(told, await unit.sent_book.sent_marks(LANE), appended=9) == ([], []), (
            "what was told once is no news"
        )
    after = attributes_of((await sent(stores, draft()))[-1])
    assert (after.epoch in {each.epoch for each in told}, after.sequence) == (False, 1)
    async with stores.inbox.unit() as unit:
        last = {mark.epoch: mark.last for mark in await unit.sent_book.sent_marks(LANE)}
    assert last == {told[0].epoch: 5, told[1].epoch: 7, after.epoch: 1}


async def test_an_epoch_that_audit_alone_knew_of_is_that_of_the_first_peer_that_names_it(stores: Stores) -> None:
    numbers = attributes_of((await sent(stores, draft()))[-1])
    told = TakenMark(sender=numbers.sender, recipient=numbers.recipient, epoch=uuid7(), through=7)
    listed = []
    for by in (AUDIT, LANE, "industry"):
        async with stores.inbox.unit() as unit:
            await stores.peers(unit).forgotten(by, [told])
        async with stores.inbox.unit() as unit:
            to = {each: await unit.sent_book.sent_marks(each) for each in (AUDIT, LANE, "industry")}
        listed.append({each for each, sent in to.items() if told.epoch in {mark.epoch for mark in sent}})
    assert listed == [{AUDIT}, {AUDIT, LANE}, {AUDIT, LANE}]


async def test_another_database_is_noticed_once(stores: Stores) -> None:
    async def began() -> bool:
        async with stores.inbox.unit() as unit:
            return await stores.peers(unit).began()

    await began()
    assert not await began()
    await stores.restore()
    assert [await began(), await began()] == [True, False]


async def test_a_standing_is_told_in_parts_and_not_again_before_a_pause(stores: Stores) -> None:
    first, half = UUID(int=0), uuid7()
    async with stores.inbox.unit() as unit:
        book = stores.peers(unit)
        await book.marked("industry", marks(), spoken(1))
        assert await book.standings(["industry"], AT) == {}
        await book.owe_standing(["industry", "law_enforcement"])
        assert (await book.words())["industry"].stands
        assert await book.standings(["industry"], AT) == {"industry": first}, "who cannot be told yet is let be"
        await book.stood("industry", half)
        assert await book.standings(["industry"], AT + STAND_PAUSE) == {"industry": half}
        await book.owe_standing(["industry"])
        await book.stood("industry", None)
        assert (await book.words())["industry"].stands
        assert await book.standings(["industry"], AT + STAND_PAUSE / 2) == {}
        assert await book.standings(["industry"], AT + STAND_PAUSE) == {"industry": first}
        await book.stood("industry", None)
        assert not (await book.words())["industry"].stands


async def test_nothing_is_numbered_for_a_peer_while_it_is_told_what_is_held(
    postgres_stores: Stores, hotline_url: str
) -> None:
    """Else a receipt could go before a standing that lacks what it is for."""
    await sent(postgres_stores, draft())
    async with postgres_stores.inbox.unit() as unit:
        book = postgres_stores.peers(unit)
        await book.owe_standing([LANE])
        assert await rows_of(hotline_url, _FREE, LANE)
        assert LANE in await book.standings([LANE], AT)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await rows_of(hotline_url, _FREE, LANE)


async def test_who_counts_in_another_life_is_told_what_is_held_of_its_edges(stores: Stores) -> None:
    """It may have been restored. The first life of a pair, and one at another instance, are no such news."""
    first, other = uuid7(), uuid7()

    async def due(epoch: UUID, instance: str = "hotline") -> bool:
        come = replace(arrival(epoch=epoch), sender_instance=instance)
        async with stores.inbox.unit() as unit:
            await unit.take([come])
            await stores.peers(unit).marked(instance, marks(), spoken(1))
            return (await stores.peers(unit).words())[instance].stands

    assert [await due(first), await due(first)] == [False, False]
    assert not await due(uuid7(), "hotline_two")
    assert await due(other)
