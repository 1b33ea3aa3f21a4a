"""What the consumer relies on, held against both stores: effects once, and all of a batch or nothing of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.contracts.registry import REFERRAL_WITHDRAWN
from shared.exchange.message import Copy
from shared.kernel.canonical import digest
from shared.kernel.ids import uuid7
from shared.runtime.post.arrivals import Admission, Awaited, Held, Outcome, Stored
from shared.vocabulary.answers import ReceiptOutcome
from tests.conformance.conftest import HAS, Stores
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
    assert second == Admission(frozenset(), {one.digest: Stored(ReceiptOutcome.APPLIED, None, Copy(0, AT))}, {})


async def test_a_duplicate_inside_a_batch_is_fresh_once(stores: Stores) -> None:
    one, two = arrival(1), arrival(2)
    async with stores.inbox.unit() as unit:
        admission = await unit.admit([one, two, one])
    assert admission == Admission(frozenset({one.digest, two.digest}), {}, {})


async def test_a_repetition_is_answered_with_the_outcome_of_the_first(stores: Stores) -> None:
    refused, moved = arrival(1, offset=7), arrival(2, offset=8)
    async with stores.inbox.unit() as unit:
        await unit.admit([refused, moved])
        await unit.record_outcomes(
            [
                Outcome(refused.message_id, ReceiptOutcome.REFUSED, "offer_unknown"),
                Outcome(moved.message_id, ReceiptOutcome.MOVED, "party_moved"),
            ]
        )
    async with stores.inbox.unit() as unit:
        admission = await unit.admit([replace(moved, offset=18), replace(refused, offset=17)])
    # By the copy that was judged, not by this one.
    assert admission.done == {
        refused.digest: Stored(ReceiptOutcome.REFUSED, "offer_unknown", Copy(7, AT)),
        moved.digest: Stored(ReceiptOutcome.MOVED, "party_moved", Copy(8, AT)),
    }


@pytest.mark.parametrize("outcome", [ReceiptOutcome.DEFERRED, ReceiptOutcome.WAITING, ReceiptOutcome.PARKED])
async def test_a_message_without_a_last_word_is_judged_again_by_the_copy_that_comes(
    stores: Stores, outcome: ReceiptOutcome
) -> None:
    one, beside = arrival(1), arrival(2)
    again = replace(one, offset=9, broker_time=AT + timedelta(hours=1), said=uuid7(), content="c" * 64)
    async with stores.inbox.unit() as unit:
        await unit.admit([one])
        await unit.record_outcomes([Outcome(one.message_id, outcome, "version_unknown", "message a.v2")])
    async with stores.inbox.unit() as unit:
        admission = await unit.admit([again, beside])
    assert admission == Admission(frozenset({one.digest, beside.digest}), {}, {})
    async with stores.inbox.unit() as unit:
        last = await unit.admit([one])
    assert last.done == {one.digest: Stored(ReceiptOutcome.APPLIED, None, Copy(9, again.broker_time))}


async def test_a_withdrawal_is_remembered_for_what_its_sender_sent_about_its_subject(stores: Stores) -> None:
    withdrawal = arrival(2, type=REFERRAL_WITHDRAWN.type, subject="s")
    before, foreign, other = arrival(1, subject="s"), arrival(1, subject="s", sender="hotline-de.example"), arrival(3)
    async with stores.inbox.unit() as unit:
        assert await unit.withdrawn([before]) == set()
        await unit.admit([withdrawal])
    async with stores.inbox.unit() as unit:
        assert await unit.withdrawn([before, foreign, other]) == {before.digest}


async def test_a_withdrawal_ends_what_is_deferred_or_waits_of_its_subject(stores: Stores) -> None:
    deferred, waits, applied = (arrival(number, subject="s", offset=number) for number in (1, 2, 3))
    withdrawal, elsewhere = arrival(4, type=REFERRAL_WITHDRAWN.type, subject="s"), arrival(5)
    async with stores.inbox.unit() as unit:
        await unit.admit([deferred, waits, applied, withdrawal, elsewhere])
        await unit.record_outcomes(
            [
                Outcome(deferred.message_id, ReceiptOutcome.DEFERRED, "version_unknown", "message a.v2"),
                Outcome(waits.message_id, ReceiptOutcome.WAITING, "document_unknown", "document d"),
                Outcome(elsewhere.message_id, ReceiptOutcome.WAITING, "document_unknown", "document d"),
            ]
        )
        await unit.keep_waiting([Awaited(waits, "document d", raw_record(2))])
        assert await unit.end_open([withdrawal]) == [deferred, waits]
    HAS.add("document d")
    assert await stores.inbox.due(9) == []
    async with stores.inbox.unit() as unit:
        admission = await unit.admit([deferred, waits, elsewhere])
    assert {digest: word.code for digest, word in admission.done.items()} == {
        deferred.digest: "subject_withdrawn",
        waits.digest: "subject_withdrawn",
    }
    assert admission.fresh == {elsewhere.digest}


async def test_what_was_applied_of_an_edge_is_known_by_its_id_and_sender(stores: Stores) -> None:
    edge = uuid7()
    first = arrival(1, said=edge, content="a" * 64, revision=1)
    second = arrival(2, said=edge, content="b" * 64, revision=2)
    again, foreign = arrival(3, said=edge), arrival(1, said=edge, sender="hotline-de.example")
    refused = arrival(4, said=edge, content="c" * 64, revision=3)
    async with stores.inbox.unit() as unit:
        await unit.admit([first, second, refused])
        await unit.record_outcomes([Outcome(refused.message_id, ReceiptOutcome.REFUSED, "case_exists")])
    async with stores.inbox.unit() as unit:
        held = await unit.held([again, foreign, arrival(9)])
    assert held == {again.digest: Held(2, "b" * 64)}


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
    other = arrival(2, message_id=one.message_id, body=b"another")
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


async def test_what_was_signed_again_has_the_outcome_of_the_same_under_its_id(stores: Stores) -> None:
    """Its sender was restored to before it signed it again; meanwhile a newer revision of it may stand."""
    one = replace(arrival(1), said=uuid7(), content="4b" * 32)
    others = [
        replace(one, sequence=number, digest=digest(bytes([number])), **changes)
        for number, changes in enumerate(({}, {"content": "4c" * 32}, {"sender": "hotline-de.example"}), 2)
    ]
    async with stores.inbox.unit() as unit:
        await unit.admit([one])
        await unit.record_outcomes([Outcome(one.message_id, ReceiptOutcome.REFUSED, "act_refused")])
    async with stores.inbox.unit() as unit:
        admission = await unit.admit(others)
    assert {each: said.outcome for each, said in admission.done.items()} == {others[0].digest: ReceiptOutcome.REFUSED}
    assert set(admission.reused) == {each.digest for each in others[1:]}


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


async def test_what_is_alike_is_one_row_wherever_it_stands(stores: Stores) -> None:
    async with stores.inbox.unit() as unit:
        assert [each.offset for each in await unit.park([parked(1, same="a"), parked(2, same="a")])] == [1]
    async with stores.inbox.unit() as unit:
        assert [each.offset for each in await unit.park([parked(3, same="a"), parked(4, same="b")])] == [4]
    assert await stores.parked() == 2


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


async def test_the_relay_is_woken_by_each_commit_that_sends(stores: Stores) -> None:
    async with stores.inbox.unit() as unit:
        await unit.enqueue([draft()])
        assert stores.woken == []
    assert stores.woken == [None]
    async with stores.inbox.unit() as unit:
        await unit.taken.wanted(AT)
    assert stores.woken == [None]


async def test_an_empty_batch_is_no_trouble(stores: Stores) -> None:
    async with stores.inbox.unit() as unit:
        assert (await unit.admit([])).fresh == set()
        assert (await unit.settle([])).taken == []
        assert await unit.park([]) == []
        await unit.record_outcomes([])
        await unit.enqueue([])
