"""Marks, wants and what they do to what is held, against both stores: who has what, what leaves, what is sent again."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from shared.contracts.delivery import TakenMark
from shared.contracts.registry import REFERRAL_DECIDED
from shared.exchange.topics import AUDIT
from shared.kernel.ids import uuid7
from shared.runtime.post.ports import HOLE_AGE, UNRECEIPTED_AGE, WANTED_AGE, Progress, Waiting
from shared.vocabulary.answers import ReceiptOutcome
from tests.conformance.conftest import Stores
from tests.conformance.sending import (
    LANE,
    applied,
    attributes_of,
    digest_of,
    ids,
    mark,
    of,
    sent,
    settle,
    waiting,
)
from tests.support.builders import AT, draft, settlement
from tests.support.memory_outbox import taken_mark

SOON, RIPE = AT + timedelta(seconds=5), AT + HOLE_AGE
OTHER = "police-be.example"


async def taken_by_both(stores: Stores, *marks: TakenMark) -> None:
    for by in (LANE, AUDIT):
        await mark(stores, by, *marks)


async def all_sent_marks(stores: Stores, to: str) -> list[tuple[str, int, int]]:
    async with stores.inbox.unit() as unit:
        return [(each.recipient, each.last, each.held) for each in await unit.sent_book.sent_marks(to)]


async def wanted(stores: Stores, *message_ids: UUID, to: str = LANE, at: datetime = AT) -> list[UUID]:
    async with stores.inbox.unit() as unit:
        return await unit.sent_book.send_again(to, message_ids, at)


async def test_a_row_leaves_when_it_is_done_and_both_marks_have_passed_it(stores: Stores) -> None:
    rows = await sent(stores, draft(), draft(), draft())
    await applied(stores, *rows[:2])
    await mark(stores, LANE, taken_mark(of(rows[0]), (1, 2, 3)))
    assert await stores.held() == ids(rows)
    await mark(stores, AUDIT, taken_mark(of(rows[0]), (1, 2, 3)))
    assert (await stores.held(), set(await stores.settled())) == (ids(rows[2:]), set(ids(rows[:2])))
    await applied(stores, rows[2])
    assert await stores.held() == []
    assert set(await stores.settled()) == set(ids(rows))
    assert await stores.segments() == 0


async def test_what_nobody_receipts_leaves_with_audits_mark_where_it_went_to_audit(stores: Stores) -> None:
    rows = await sent(stores, *[draft(message=REFERRAL_DECIDED, recipient=AUDIT, recipient_instance=AUDIT)] * 1)
    await mark(stores, LANE, taken_mark(of(rows[0]), (1,)))
    assert await stores.held() == ids(rows)
    await mark(stores, AUDIT, taken_mark(of(rows[0]), (1,)))
    assert await stores.held() == []


async def test_a_row_that_is_not_final_stays_whatever_is_marked(stores: Stores) -> None:
    [row] = await sent(stores, draft())
    await settle(stores, settlement(row.message_id, digest_of(row), ReceiptOutcome.DEFERRED, code="version_unknown"))
    await taken_by_both(stores, taken_mark(of(row), (1,)))
    assert await stores.held() == [row.message_id]
    await applied(stores, row)
    assert await stores.held() == []


async def test_a_mark_that_says_it_again_takes_nothing_twice_and_one_of_a_strangers_takes_nothing(
    stores: Stores,
) -> None:
    rows = await sent(stores, draft(), draft())
    await applied(stores, *rows)
    both = taken_mark(of(rows[0]), (1, 2))
    for by in ("industry", "industry", AUDIT, AUDIT):
        await mark(stores, by, both)
    unknown = taken_mark((of(rows[0])[0], of(rows[0])[1], uuid7()), (1, 2))
    await mark(stores, LANE, unknown)
    assert await stores.held() == ids(rows)
    await mark(stores, LANE, both)
    assert await stores.held() == []


async def test_numbers_that_were_never_given_are_nobodys_to_take(stores: Stores) -> None:
    [row] = await sent(stores, draft())
    ahead = taken_mark(of(row), (1, 2, 3))
    assert await mark(stores, LANE, ahead) == []
    assert await mark(stores, LANE, taken_mark(of(row), (), upto=9), at=SOON) == []
    await mark(stores, AUDIT, ahead)
    [next_one] = await sent(stores, draft())
    await applied(stores, next_one)
    assert next_one.message_id in await stores.held()


async def test_a_statement_that_is_said_meanwhile_makes_no_hole_younger(stores: Stores) -> None:
    rows = await sent(stores, draft(), draft(), draft())
    for late_s in (20, 40, 60):
        await stores.lanes.note(LANE, Progress(0, AT + timedelta(seconds=late_s), offset=late_s))
    await mark(stores, LANE, taken_mark(of(rows[0]), (1, 3)), at=RIPE)
    assert ids(await waiting(stores)) == ids(rows[1:2])


async def test_what_lies_behind_a_hole_that_never_closes_leaves_all_the_same(stores: Stores) -> None:
    rows = await sent(stores, draft(), draft(), draft())
    await stores.lanes.note(LANE, Progress(rows[-1].position, AT, aside={rows[1].message_id: "record_too_large"}))
    await applied(stores, rows[0], rows[2])
    await taken_by_both(stores, taken_mark(of(rows[0]), (1, 3)))
    assert await stores.held() == ids(rows[1:2])


async def test_a_hole_is_sent_again_once_it_is_old_and_not_before(stores: Stores) -> None:
    rows = await sent(stores, draft(), draft(), draft())
    hole = taken_mark(of(rows[0]), (1, 3))
    await mark(stores, LANE, hole, at=SOON)
    assert await waiting(stores) == []
    await mark(stores, LANE, hole, at=RIPE)
    again = await waiting(stores)
    assert [(row.message_id, row.record) for row in again] == [(rows[1].message_id, rows[1].record)]
    assert again[0].position == 4
    await stores.lanes.note(LANE, Progress(4, RIPE))
    await mark(stores, LANE, hole, at=RIPE + timedelta(seconds=30))
    assert await waiting(stores) == []
    await mark(stores, LANE, hole, at=RIPE + HOLE_AGE)
    assert ids(await waiting(stores)) == [rows[1].message_id]


async def test_a_hole_is_found_ripe_though_its_lane_is_never_still(stores: Stores) -> None:
    [row] = await sent(stores, draft())
    await sent(stores, draft(), at=AT + timedelta(seconds=1))
    for seconds in range(10, 400, 10):
        now = AT + timedelta(seconds=seconds)
        await sent(stores, draft(), at=now)
        await mark(stores, LANE, taken_mark(of(row), range(2, 2 + seconds // 10)), at=now)
        if rows := await waiting(stores):
            assert ids(rows) == [row.message_id]
            assert seconds >= 60
            return
    raise AssertionError("the hole was never sent again")


#: A clock that is set right again after it was ahead by so much.
AHEAD = AT + timedelta(days=1)


async def test_a_hole_is_found_ripe_though_the_clock_was_ahead_when_it_was_appended(stores: Stores) -> None:
    await sent(stores, draft(), at=AT)
    [row] = await sent(stores, draft(), at=AHEAD)
    for seconds in range(10, 400, 10):
        now, last = AT + timedelta(seconds=seconds), 2 + seconds // 10
        await sent(stores, draft(), at=now)
        await mark(stores, LANE, taken_mark(of(row), [1, *range(3, last + 1)]), at=now)
        if rows := await waiting(stores):
            assert ids(rows) == [row.message_id]
            return
    raise AssertionError("the hole was never sent again")


async def test_what_is_marked_while_the_clock_is_ahead_is_sent_again_all_the_same(stores: Stores) -> None:
    [row] = await sent(stores, draft())
    await mark(stores, LANE, taken_mark(of(row), (1,)), at=AHEAD)
    await mark(stores, LANE, taken_mark(of(row), (1,)), at=AT)
    assert ids(await waiting(stores)) == [row.message_id]


async def test_what_was_wanted_while_the_clock_was_ahead_goes_out_when_it_is_wanted_again(stores: Stores) -> None:
    [row] = await sent(stores, draft())
    for at in (AHEAD, AT):
        await wanted(stores, row.message_id, at=at)
        [again] = await waiting(stores)
        assert again.message_id == row.message_id
        await stores.lanes.note(LANE, Progress(again.position, at))


async def test_what_only_audit_lacks_is_sent_again(stores: Stores) -> None:
    rows = await sent(stores, draft(), draft())
    await applied(stores, *rows)
    await mark(stores, LANE, taken_mark(of(rows[0]), (1, 2)))
    await mark(stores, AUDIT, taken_mark(of(rows[0]), (2,)), at=RIPE)
    assert ids(await waiting(stores)) == [rows[0].message_id]


async def test_holes_go_out_in_the_order_of_their_numbers(stores: Stores) -> None:
    rows = await sent(stores, *[draft() for _ in range(9)])
    await mark(stores, LANE, taken_mark(of(rows[0]), (2, 5), upto=9), at=RIPE)
    assert [attributes_of(row).sequence for row in await waiting(stores)] == [1, 3, 4, 6, 7, 8, 9]


async def test_numbers_that_are_not_held_any_more_are_gone(stores: Stores) -> None:
    rows = await sent(stores, *[draft() for _ in range(6)])
    await applied(stores, *rows[:5])
    await taken_by_both(stores, taken_mark(of(rows[0]), range(1, 6)))
    older = taken_mark(of(rows[0]), (1, 4), upto=6)
    [gone] = await mark(stores, LANE, older, at=SOON)
    assert (gone.sender, gone.recipient, gone.epoch) == of(rows[0])
    assert gone.spans == ((2, 3), (5, 5))


async def test_of_holes_the_first_are_looked_at_and_the_others_when_they_are_said_again(stores: Stores) -> None:
    rows = await sent(stores, *[draft() for _ in range(9)])
    await applied(stores, *rows)
    await taken_by_both(stores, taken_mark(of(rows[0]), (1, 3)))
    holes = taken_mark(of(rows[0]), (2, 4, 6, 8), upto=9)
    [gone] = await mark(stores, LANE, holes, at=RIPE, most=2)
    assert gone.spans == ((1, 1), (3, 3))
    assert await waiting(stores) == []
    assert await mark(stores, LANE, holes, at=RIPE, most=0) == []
    await mark(stores, LANE, holes, at=RIPE)
    assert [attributes_of(row).sequence for row in await waiting(stores)] == [5, 7, 9]


async def test_a_topic_holds_what_its_broker_says_and_no_more(stores: Stores) -> None:
    await sent(stores, draft())
    async with stores.inbox.unit() as unit:
        assert [await unit.sent_book.appended(to) for to in (LANE, AUDIT, "industry")] == [0, 0, 0]
    await stores.lanes.note(LANE, Progress(1, AT, offset=7))
    async with stores.inbox.unit() as unit:
        assert [await unit.sent_book.appended(to) for to in (LANE, AUDIT, "industry")] == [8, 8, 0]


async def test_what_is_marked_and_not_receipted_is_sent_again_after_a_while_and_again(stores: Stores) -> None:
    [row, done] = await sent(stores, draft(), draft())
    both = taken_mark(of(row), (1, 2))
    await applied(stores, done)
    at = AT
    await mark(stores, LANE, both, at=at)
    for position in (3, 4):
        await mark(stores, LANE, both, at=at + UNRECEIPTED_AGE - timedelta(seconds=1))
        assert await waiting(stores) == []
        at += UNRECEIPTED_AGE
        await mark(stores, LANE, both, at=at)
        assert [(each.message_id, each.position) for each in await waiting(stores)] == [(row.message_id, position)]
        await stores.lanes.note(LANE, Progress(position, at))
    await applied(stores, row)
    await mark(stores, LANE, both, at=at + UNRECEIPTED_AGE * 3)
    assert await waiting(stores) == []


async def test_where_receipts_are_lost_what_was_answered_and_is_open_is_unreceipted(stores: Stores) -> None:
    [row, done, elsewhere] = await sent(stores, draft(), draft(), draft())
    both = taken_mark(of(row), (1, 2, 3))
    await mark(stores, LANE, both, at=AT)
    waits = settlement(row.message_id, digest_of(row), ReceiptOutcome.WAITING, code="document_unknown")
    await settle(stores, waits)
    await applied(stores, done)
    await applied(stores, elsewhere)
    for by, again in (("industry", []), (LANE, [row.message_id])):
        async with stores.inbox.unit() as unit:
            await unit.sent_book.receipts_lost(by, AT)
        await mark(stores, LANE, both, at=AT + UNRECEIPTED_AGE)
        assert ids(await waiting(stores)) == again
    await settle(stores, waits)
    await stores.lanes.note(LANE, Progress(9, AT))
    await mark(stores, LANE, both, at=AT + UNRECEIPTED_AGE * 3)
    assert await waiting(stores) == [], "it was answered again"


async def test_so_many_are_unreceipted_at_once_until_none_is_left(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    for book in ("shared.runtime.post.sent_book", "tests.support.memory_outbox"):
        monkeypatch.setattr(f"{book}.AGAIN_MAX", 1)
    for row in await sent(stores, draft(), draft()):
        await settle(
            stores, settlement(row.message_id, digest_of(row), ReceiptOutcome.WAITING, code="document_unknown")
        )
    more = []
    for _ in range(3):
        async with stores.inbox.unit() as unit:
            more.append(await unit.sent_book.receipts_lost(LANE, AT))
    assert more == [True, True, False]


async def test_what_is_wanted_goes_out_in_number_order_and_what_is_not_held_is_named(stores: Stores) -> None:
    rows = await sent(stores, draft(), draft(), draft())
    unknown = uuid7()
    assert await wanted(stores, rows[2].message_id, unknown, rows[0].message_id) == [unknown]
    assert ids(await waiting(stores)) == [rows[0].message_id, rows[2].message_id]
    assert await wanted(stores, rows[1].message_id, to="industry") == [rows[1].message_id]
    assert ids(await waiting(stores)) == [rows[0].message_id, rows[2].message_id]


async def test_however_often_it_is_wanted_it_goes_out_once_in_a_while(stores: Stores) -> None:
    """A copy is a record for its reader and for audit: a peer that wants all day must not have them made all day."""
    (row,) = await sent(stores, draft())
    for times, after in enumerate((timedelta(0), timedelta(seconds=1), WANTED_AGE), 1):
        for _ in range(2):
            assert await wanted(stores, row.message_id, at=AT + after) == [], "it is held"
        again = await waiting(stores)
        assert ids(again) == ([] if times == 2 else [row.message_id])
        if again:
            await stores.lanes.note(LANE, Progress(again[-1].position, AT + after))


async def test_sent_marks_name_every_epoch_and_the_lowest_number_that_is_held(stores: Stores) -> None:
    assert await all_sent_marks(stores, LANE) == []
    rows = await sent(stores, draft(), draft(), draft(recipient=OTHER))
    await stores.enqueue([draft(recipient="provider-001.example", recipient_instance="industry")])
    mine: list[Waiting] = [row for row in rows if attributes_of(row).recipient != OTHER]
    await applied(stores, mine[0])
    await taken_by_both(stores, taken_mark(of(mine[0]), (1,)))
    assert await all_sent_marks(stores, LANE) == [(OTHER, 1, 1), ("police-nl.example", 2, 2)]
    await applied(stores, mine[1])
    await taken_by_both(stores, taken_mark(of(mine[0]), (1, 2)))
    assert await all_sent_marks(stores, LANE) == [(OTHER, 1, 1), ("police-nl.example", 2, 0)]
    await stores.restore()
    await sent(stores, draft())
    assert sorted(last for _, last, _ in await all_sent_marks(stores, LANE)) == [1, 1, 2]
    assert sorted(last for _, last, _ in await all_sent_marks(stores, AUDIT)) == [1, 1, 1, 2]


async def test_sent_marks_of_some_numbers_name_those_alone(stores: Stores) -> None:
    mine, _ = await sent(stores, draft(), draft(recipient=OTHER))
    named = [taken_mark(of(mine), (1,)), taken_mark(of(mine), (1,))]
    async with stores.inbox.unit() as unit:
        both = await unit.sent_book.sent_marks(LANE)
        found = [await unit.sent_book.sent_marks(to, named) for to in (LANE, AUDIT, "industry")]
        assert await unit.sent_book.sent_marks(LANE, []) == []
    assert len(both) == 2
    one = [each for each in both if each.recipient != OTHER]
    assert found == [one, one, []]
    await stores.restore()
    await sent(stores, draft())
    async with stores.inbox.unit() as unit:
        assert await unit.sent_book.sent_marks(LANE, named) == one, "an epoch that is closed is found by its own"


async def test_what_both_have_taken_and_nobody_has_done_with_is_held_still(stores: Stores) -> None:
    unreceipted, deferred, done, last = await sent(stores, *(draft() for _ in range(4)))
    code = "version_unknown"
    await settle(stores, settlement(deferred.message_id, digest_of(deferred), ReceiptOutcome.DEFERRED, code=code))
    await applied(stores, done)
    await taken_by_both(stores, taken_mark(of(done), (1, 2, 3)))
    held = [await all_sent_marks(stores, LANE)]
    for each in (unreceipted, deferred, last):
        await applied(stores, each)
        held.append(await all_sent_marks(stores, LANE))
    assert [[number for _, _, number in marks] for marks in held] == [[1], [2], [4], [4]]
