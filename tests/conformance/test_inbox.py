"""What the consumer relies on, held against both stores: effects once, and all of a batch or nothing of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.kernel.ids import uuid7
from shared.runtime.post.ports import Admission
from shared.vocabulary.answers import ReceiptOutcome
from tests.conformance.conftest import Stores
from tests.support.builders import AT, arrival, draft, parked, raw_record


class Broken(Exception):
    """A service's own failure."""


async def test_a_new_arrival_is_fresh_once(stores: Stores) -> None:
    one = arrival()
    async with stores.inbox.unit() as unit:
        first = await unit.admit([one])
    async with stores.inbox.unit() as unit:
        second = await unit.admit([one])
    assert first == Admission(frozenset({one.digest}), {}, {})
    assert second == Admission(frozenset(), {one.digest: (ReceiptOutcome.APPLIED, None)}, {})


async def test_a_duplicate_inside_a_batch_is_fresh_once(stores: Stores) -> None:
    one, two = arrival(1), arrival(2)
    async with stores.inbox.unit() as unit:
        admission = await unit.admit([one, two, one])
    assert admission == Admission(frozenset({one.digest, two.digest}), {}, {})


async def test_a_repetition_is_answered_with_the_outcome_of_the_first(stores: Stores) -> None:
    refused, gone = arrival(1), arrival(2)
    async with stores.inbox.unit() as unit:
        await unit.admit([refused, gone])
        await unit.record_outcomes(
            [
                (refused.message_id, ReceiptOutcome.REFUSED, "offer_unknown"),
                (gone.message_id, ReceiptOutcome.PARKED, "handler_defect"),
            ]
        )
    async with stores.inbox.unit() as unit:
        admission = await unit.admit([gone, refused])
    assert admission.done == {
        refused.digest: (ReceiptOutcome.REFUSED, "offer_unknown"),
        gone.digest: (ReceiptOutcome.PARKED, "handler_defect"),
    }


@pytest.mark.parametrize("together", [True, False])
async def test_a_reused_sequence_is_told_apart_from_a_repetition(stores: Stores, together: bool) -> None:
    one, other = arrival(7, offset=1), arrival(7, offset=2)
    if together:
        async with stores.inbox.unit() as unit:
            admission = await unit.admit([one, other])
        assert admission.fresh == {one.digest}
    else:
        async with stores.inbox.unit() as unit:
            await unit.admit([one])
        async with stores.inbox.unit() as unit:
            admission = await unit.admit([other])
    assert admission.reused == {other.digest: "sequence_reused"}


async def test_of_two_with_one_sequence_the_one_that_came_first_is_taken_whatever_its_id(stores: Stores) -> None:
    for sequence in range(1, 9):
        pair = sorted([uuid7(), uuid7()], reverse=bool(sequence % 2))
        first, second = (arrival(sequence, message_id=id_) for id_ in pair)
        async with stores.inbox.unit() as unit:
            admission = await unit.admit([first, second])
        assert admission == Admission(frozenset({first.digest}), {}, {second.digest: "sequence_reused"})


@pytest.mark.parametrize("together", [True, False])
async def test_another_message_under_a_known_id_is_no_repetition(stores: Stores, together: bool) -> None:
    one = arrival(1)
    other = arrival(2, message_id=one.message_id, content=b"another")
    if together:
        async with stores.inbox.unit() as unit:
            admission = await unit.admit([one, other])
    else:
        async with stores.inbox.unit() as unit:
            await unit.admit([one])
        async with stores.inbox.unit() as unit:
            admission = await unit.admit([other])
    assert admission.reused == {other.digest: "message_id_reused"}
    assert other.digest not in admission.done


async def test_an_id_that_a_stranger_took_does_not_pass_for_ours(stores: Stores) -> None:
    ours = arrival(1)
    theirs = arrival(1, message_id=ours.message_id, sender="hotline-de.example")
    async with stores.inbox.unit() as unit:
        await unit.admit([theirs])
    async with stores.inbox.unit() as unit:
        admission = await unit.admit([ours])
    assert (admission.done, admission.reused) == ({}, {ours.digest: "message_id_reused"})


async def test_sequences_of_different_pairs_do_not_meet(stores: Stores) -> None:
    arrivals = [arrival(1), arrival(1, sender="hotline-de.example"), arrival(1, recipient="police-be.example")]
    async with stores.inbox.unit() as unit:
        admission = await unit.admit(arrivals)
    assert admission.fresh == {each.digest for each in arrivals}


async def test_a_gap_is_admitted(stores: Stores) -> None:
    arrivals = [arrival(1), arrival(9)]
    async with stores.inbox.unit() as unit:
        admission = await unit.admit(arrivals)
    assert admission.fresh == {each.digest for each in arrivals}


async def test_parking_again_changes_nothing(stores: Stores) -> None:
    async with stores.inbox.unit() as unit:
        assert len(await unit.park([parked(1), parked(2)])) == 2
    async with stores.inbox.unit() as unit:
        assert [row.offset for row in await unit.park([parked(1, reason="body_invalid"), parked(3)])] == [3]
    assert await stores.parked() == 3


async def test_another_record_at_the_offset_of_a_parked_one_is_parked_too(stores: Stores) -> None:
    """A topic that is made again counts its offsets from zero. Both may have the same value: none, say."""
    before, after = parked(7), parked(7, at=AT + timedelta(seconds=1))
    async with stores.inbox.unit() as unit:
        assert await unit.park([before]) == [before]
    async with stores.inbox.unit() as unit:
        assert await unit.park([before, after]) == [after]
    assert await stores.parked() == 2


async def test_nothing_of_a_batch_that_fails_is_there(stores: Stores) -> None:
    one, out = arrival(1), draft()

    async def break_off() -> None:
        async with stores.inbox.unit() as unit:
            await unit.admit([one])
            await unit.enqueue([out])
            await unit.park([parked(1, record=raw_record(1))])
            raise Broken

    with pytest.raises(Broken):
        await break_off()
    assert (await stores.held(), await stores.parked(), stores.woken) == ([], 0, [])
    async with stores.inbox.unit() as unit:
        assert (await unit.admit([one])).fresh == {one.digest}


async def test_everything_of_a_batch_that_ends_well_is_there(stores: Stores) -> None:
    out = [draft(), draft()]
    async with stores.inbox.unit() as unit:
        await unit.admit([arrival(1)])
        await unit.enqueue(out)
        await unit.park([parked(1, record=raw_record(1))])
    assert await stores.held() == [each.message_id for each in out]
    assert await stores.parked() == 1


async def test_the_relay_is_woken_by_each_commit(stores: Stores) -> None:
    async with stores.inbox.unit() as unit:
        await unit.enqueue([draft()])
        assert stores.woken == []
    assert stores.woken == [None]


async def test_an_empty_batch_is_no_trouble(stores: Stores) -> None:
    async with stores.inbox.unit() as unit:
        assert (await unit.admit([])).fresh == set()
        assert (await unit.settle([])).taken == []
        assert await unit.park([]) == []
        await unit.record_outcomes([])
        await unit.enqueue([])
