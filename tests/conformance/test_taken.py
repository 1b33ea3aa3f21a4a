"""Which numbers were taken, held against both books: holes, what is given up, and what is asked for again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from shared.contracts.delivery import HOLES_MAX, GoneClear, GoneNumbers, SentMark, TakenMark
from shared.kernel.ids import uuid7
from shared.runtime.post.arrivals import Arrival, Awaited, Outcome
from shared.runtime.post.peers import EPOCHS_MAX
from shared.runtime.post.taken import (
    EPOCHS_TAKEN_MAX,
    GIVEN_UP_MAX,
    HOLES_KEPT,
    NEEDS_MAX,
    WANTED_AGAIN,
    WANTED_AGAIN_MAX,
)
from shared.vocabulary.answers import ReceiptOutcome
from tests.conformance.conftest import HAS, Stores
from tests.support.builders import AT, EPOCH, HOTLINE, POLICE, arrival, raw_record

NEWER = "message causeway.referral_offered.v2"


async def take(stores: Stores, *numbers: int) -> None:
    async with stores.inbox.unit() as unit:
        await unit.take([arrival(number) for number in numbers])


async def marks(stores: Stores, of: str = "hotline") -> list[TakenMark]:
    async with stores.inbox.unit() as unit:
        return await unit.taken.taken_marks(of)


def sent(last: int, *, recipient: str = POLICE) -> SentMark:
    return SentMark(sender=HOTLINE, recipient=recipient, epoch=EPOCH, last=last, held=1)


def taken(through: int, *holes: tuple[int, int], known: int | None = None, recipient: str = POLICE) -> TakenMark:
    return TakenMark(sender=HOTLINE, recipient=recipient, epoch=EPOCH, through=through, holes=holes, known=known)


def gone(*spans: tuple[int, int], ids: Sequence[UUID] = ()) -> GoneClear:
    numbers = (GoneNumbers(sender=HOTLINE, recipient=POLICE, epoch=EPOCH, spans=spans),) if spans else ()
    return GoneClear(numbers=numbers, ids=tuple(ids))


async def keep(stores: Stores, outcome: ReceiptOutcome, *arrivals: Arrival, need: str | None = NEWER) -> None:
    async with stores.inbox.unit() as unit:
        await unit.admit(arrivals)
        await unit.take(arrivals)
        await unit.record_outcomes([Outcome(each.message_id, outcome, "version_unknown", need) for each in arrivals])


async def wanted(stores: Stores, after: timedelta = timedelta()) -> dict[str, list[UUID]]:
    async with stores.inbox.unit() as unit:
        return await unit.taken.wanted(AT + after)


async def test_what_came_without_a_gap_is_taken_through_the_last(stores: Stores) -> None:
    await take(stores, 1, 2)
    await take(stores, 3, 2)
    assert await marks(stores) == [taken(3)]


@pytest.mark.parametrize("batches", [[(1, 2, 5, 9)], [(9,), (5, 1), (2,)], [(1,), (9, 2), (2, 5, 5)]])
async def test_numbers_between_that_have_not_come_are_holes(stores: Stores, batches: list[tuple[int, ...]]) -> None:
    for batch in batches:
        await take(stores, *batch)
    assert await marks(stores) == [taken(2, (3, 4), (6, 8), known=9)]


async def test_where_not_all_holes_fit_nothing_is_said_of_what_lies_behind_them(stores: Stores) -> None:
    await take(stores, *range(2, 2 * HOLES_MAX, 2))
    [all_fit] = await marks(stores)
    assert (len(all_fit.holes), all_fit.highest) == (HOLES_MAX - 1, 2 * HOLES_MAX - 2)
    await take(stores, *range(2 * HOLES_MAX, 4 * HOLES_MAX, 2))
    [not_all] = await marks(stores)
    assert (len(not_all.holes), not_all.highest) == (HOLES_MAX, 2 * HOLES_MAX - 1)


async def test_a_hole_that_is_filled_is_none(stores: Stores) -> None:
    await take(stores, 1, 4)
    await take(stores, 3)
    await take(stores, 2)
    assert await marks(stores) == [taken(4)]


async def test_what_has_no_number_is_passed_over(stores: Stores) -> None:
    await take(stores, 0)
    assert await marks(stores) == []


async def test_a_mark_tells_of_numbers_of_which_none_has_come(stores: Stores) -> None:
    async with stores.inbox.unit() as unit:
        await unit.taken.know([sent(3), sent(0, recipient="police-be.example")], by="hotline")
    assert await marks(stores) == [taken(0, recipient="police-be.example"), taken(0, (1, 3), known=3)]
    await take(stores, 2)
    async with stores.inbox.unit() as unit:
        await unit.taken.know([sent(2)], by="hotline")
    assert await marks(stores) == [taken(0, recipient="police-be.example"), taken(0, (1, 1), (3, 3), known=3)]


async def test_an_instance_says_nothing_of_the_numbers_of_another(stores: Stores) -> None:
    await take(stores, 1)
    async with stores.inbox.unit() as unit:
        await unit.taken.know([sent(9)], by="industry")
        await unit.taken.pass_gone(gone((2, 9)), by="industry")
    assert (await marks(stores), await marks(stores, "industry")) == ([taken(1)], [])


async def test_epochs_on_their_senders_word_alone_are_bounded_and_what_comes_is_taken(stores: Stores) -> None:
    await take(stores, 1)
    for _ in range(3):
        made_up = [sent(9).model_copy(update={"epoch": uuid7()}) for _ in range(100)]
        async with stores.inbox.unit() as unit:
            await unit.taken.know([*made_up, sent(3), sent(1, recipient="police-be.example")], by="hotline")
            unknown = GoneNumbers(sender=HOTLINE, recipient=POLICE, epoch=uuid7(), spans=((1, 2),))
            await unit.taken.pass_gone(GoneClear(numbers=(unknown,), ids=()), by="hotline")
    known = await marks(stores)
    assert len(known) == EPOCHS_MAX + 1, "or what is given up of an epoch that nobody knows is one"
    assert taken(1, (2, 3)) in [mark.model_copy(update={"known": None}) for mark in known]
    other = replace(arrival(1), epoch=uuid7())
    async with stores.inbox.unit() as unit:
        await unit.take([other])
    assert other.epoch in {mark.epoch for mark in await marks(stores)}


async def test_a_sender_that_numbers_each_message_in_a_life_of_its_own_fills_no_book(
    stores: Stores, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it sends is taken like any other; a party's other instance, before or after a move, keeps its room."""
    await take(stores, 1)
    for _ in range(3):
        async with stores.inbox.unit() as unit:
            await unit.take([replace(arrival(1), epoch=uuid7()) for _ in range(EPOCHS_TAKEN_MAX // 2)])
    assert "numbers_uncounted" in "".join(capsys.readouterr())
    assert EPOCHS_TAKEN_MAX <= len(known := await marks(stores)) <= EPOCHS_TAKEN_MAX * 3 // 2
    assert taken(1) in known
    async with stores.inbox.unit() as unit:
        await unit.take([replace(arrival(1), epoch=uuid7(), sender_instance="industry")])
    assert len(await marks(stores, "industry")) == 1


async def test_a_sender_that_leaves_every_other_number_out_fills_no_row(stores: Stores) -> None:
    """What lies behind the holes that are kept counts once they are filled and it has come again."""
    await take(stores, *range(2, 4 * HOLES_KEPT, 2))
    await take(stores, *range(1, 2 * HOLES_KEPT + 1))
    assert await marks(stores) == [taken(2 * HOLES_KEPT)], "or holes behind those that are kept are kept too"
    await take(stores, *range(2 * HOLES_KEPT + 1, 4 * HOLES_KEPT + 1))
    assert await marks(stores) == [taken(4 * HOLES_KEPT)]


async def test_what_is_given_up_in_pieces_is_bounded(stores: Stores) -> None:
    """A sender that gives up every other number, one by one, fills neither the list nor the book."""
    await take(stores, 1)
    async with stores.inbox.unit() as unit:
        await unit.taken.know([sent(30_000)], by="hotline")
    pieces = [(number, number) for number in range(2, 30_000, 2)]
    rows = [
        GoneNumbers(sender=HOTLINE, recipient=POLICE, epoch=EPOCH, spans=tuple(pieces[at : at + HOLES_MAX]))
        for at in range(0, len(pieces), HOLES_MAX)
    ]
    for at in range(0, len(rows), 5):
        async with stores.inbox.unit() as unit:
            await unit.taken.pass_gone(GoneClear(numbers=tuple(rows[at : at + 5]), ids=()), by="hotline")
    assert len(await stores.gone()) == GIVEN_UP_MAX


async def test_what_its_sender_gives_up_is_passed_and_listed(stores: Stores) -> None:
    await take(stores, 1, 7)
    for _ in range(2):
        async with stores.inbox.unit() as unit:
            await unit.taken.pass_gone(gone((1, 3), (6, 6)), by="hotline")
    assert await marks(stores) == [taken(3, (4, 5), known=7)]
    assert await stores.gone() == [(2, 3, None), (6, 6, None)]


async def test_a_message_that_was_given_up_leaves_no_outcome_and_is_taken_if_it_comes(stores: Stores) -> None:
    deferred, waits, applied = arrival(1), arrival(2), arrival(3)
    await keep(stores, ReceiptOutcome.DEFERRED, deferred)
    await keep(stores, ReceiptOutcome.WAITING, waits)
    async with stores.inbox.unit() as unit:
        await unit.admit([applied])
        await unit.keep_waiting([Awaited(waits, "document d", raw_record())])
    HAS.update({NEWER, "document d"})
    async with stores.inbox.unit() as unit:
        await unit.taken.pass_gone(gone((2, 3), ids=[deferred.message_id, applied.message_id]), by="hotline")
    assert (await wanted(stores), await stores.inbox.due(9)) == ({}, [])
    assert await stores.gone() == [(1, 1, deferred.message_id), (2, 2, waits.message_id)]
    async with stores.inbox.unit() as unit:
        admission = await unit.admit([deferred, waits, applied])
    assert (admission.fresh, admission.done.keys()) == ({deferred.digest, waits.digest}, {applied.digest})


async def test_deferred_messages_are_wanted_once_they_can_be_read_in_the_order_of_their_numbers(stores: Stores) -> None:
    later, first, foreign = arrival(2), arrival(1), arrival(1, sender="x.example", sender_instance="industry")
    await keep(stores, ReceiptOutcome.DEFERRED, later, foreign, first)
    await keep(stores, ReceiptOutcome.DEFERRED, arrival(5), need="engine 99")
    await keep(stores, ReceiptOutcome.WAITING, arrival(6))
    assert await wanted(stores) == {}
    HAS.add(NEWER)
    assert await wanted(stores) == {
        "hotline": [first.message_id, later.message_id],
        "industry": [foreign.message_id],
    }


async def test_needs_that_one_instance_makes_up_hide_nobody_elses(stores: Stores) -> None:
    foreign = arrival(1, sender="x.example", sender_instance="industry")
    made_up = [arrival(number) for number in range(1, NEEDS_MAX + 51)]
    await keep(stores, ReceiptOutcome.DEFERRED, foreign)
    async with stores.inbox.unit() as unit:
        await unit.admit(made_up)
        lacks = [f"message causeway.a{each.sequence}.v1" for each in made_up]
        await unit.record_outcomes(
            [
                Outcome(each.message_id, ReceiptOutcome.DEFERRED, "type_unknown", need)
                for each, need in zip(made_up, lacks, strict=True)
            ]
        )
    assert await wanted(stores) == {}
    HAS.add(NEWER)
    assert await wanted(stores) == {"industry": [foreign.message_id]}


async def test_a_message_is_asked_for_again_after_a_growing_pause_until_its_last_word(stores: Stores) -> None:
    one = arrival(1)
    await keep(stores, ReceiptOutcome.DEFERRED, one)
    HAS.add(NEWER)
    asked, at = [], timedelta()
    while at < timedelta(hours=6):
        if await wanted(stores, at):
            asked.append(at)
        at += WANTED_AGAIN / 2
    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses[:3] == [WANTED_AGAIN, WANTED_AGAIN * 2, WANTED_AGAIN * 4]
    assert max(pauses) == pauses[-1] == WANTED_AGAIN_MAX
    async with stores.inbox.unit() as unit:
        await unit.admit([one])
    assert await wanted(stores, timedelta(days=9)) == {}


async def test_a_message_that_was_asked_for_while_the_clock_was_ahead_is_asked_for_again(stores: Stores) -> None:
    await keep(stores, ReceiptOutcome.DEFERRED, arrival(1))
    HAS.add(NEWER)
    assert await wanted(stores, timedelta(days=1))
    assert await wanted(stores, timedelta())


async def test_what_found_no_room_to_wait_for_the_act_before_it_is_wanted_when_one_of_its_track_came(
    stores: Stores,
) -> None:
    one, other = arrival(1), arrival(2)
    await keep(stores, ReceiptOutcome.DEFERRED, one, need="act s")
    await keep(stores, ReceiptOutcome.DEFERRED, other, need="act t")
    async with stores.inbox.unit() as unit:
        await unit.release(["act s"])
    assert await wanted(stores) == {"hotline": [one.message_id]}


async def test_a_parked_message_is_wanted_once_an_operator_asks(stores: Stores) -> None:
    parked, other = arrival(1), arrival(2)
    await keep(stores, ReceiptOutcome.PARKED, parked, other, need=None)
    assert await wanted(stores) == {}
    async with stores.inbox.unit() as unit:
        await unit.taken.ask([parked.message_id])
    assert await wanted(stores) == {"hotline": [parked.message_id]}
