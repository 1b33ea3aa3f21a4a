"""What the relay and the consumer rely on, held against both stores: order, dense numbers, outcomes, bytes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from shared.contracts.registry import MESSAGES_RECEIPTED, REFERRAL_DECIDED, REFERRAL_OFFERED
from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.post.ports import Progress
from shared.vocabulary.answers import ReceiptOutcome
from tests.conformance.conftest import Stores
from tests.conformance.sending import LANE, attributes_of, digest_of, ids, sent, settle, waiting
from tests.support.builders import AT, draft, settlement

LATER = AT + timedelta(hours=2)
NOT_FINAL = (ReceiptOutcome.DEFERRED, ReceiptOutcome.WAITING, ReceiptOutcome.PARKED)


async def test_rows_wait_in_the_order_in_which_they_were_committed(stores: Stores) -> None:
    first, second = [draft() for _ in range(3)], [draft() for _ in range(3)]
    await stores.enqueue(first)
    await stores.enqueue(second)
    assert ids(await waiting(stores)) == [each.message_id for each in first + second]
    assert ids(await waiting(stores, limit=2)) == [each.message_id for each in first[:2]]


async def test_numbers_are_dense_in_each_pair_across_transactions(stores: Stores) -> None:
    other = "police-be.example"
    await stores.enqueue([draft(), draft(recipient=other), draft()])
    await stores.enqueue([draft(recipient=other), draft(), draft(recipient=other)])
    by_pair: dict[str, list[int]] = {}
    for row in await waiting(stores):
        by_pair.setdefault(attributes_of(row).recipient, []).append(attributes_of(row).sequence)
    assert sorted(by_pair.values()) == [[1, 2, 3], [1, 2, 3]]


async def test_what_was_enqueued_in_parts_is_numbered_and_signed_once(stores: Stores) -> None:
    drafts = [draft() for _ in range(3)]
    async with stores.inbox.unit() as unit:
        for each in drafts:
            await unit.enqueue([each])
    rows = await waiting(stores)
    assert ids(rows) == [each.message_id for each in drafts]
    roots = {dict(row.record.headers)["ce_batchroot"] for row in rows if row.record}
    assert (len(roots), [attributes_of(row).sequence for row in rows]) == (1, [1, 2, 3])


async def test_what_is_rolled_back_takes_no_number_and_no_place(stores: Stores) -> None:
    async def fails() -> None:
        async with stores.inbox.unit() as unit:
            await unit.enqueue([draft()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    await stores.enqueue([draft()])
    [row] = await waiting(stores)
    assert (attributes_of(row).sequence, row.position) == (1, 1)


async def test_many_writers_beside_each_other_leave_dense_numbers_in_the_order_of_places(stores: Stores) -> None:
    """No writer waits for another for ever: lanes and pairs are locked in one order."""
    lanes = {"police-be.example": LANE, "provider-001.example": "industry", "audit": "audit"}
    forth = [draft(recipient=to, recipient_instance=lane) for to, lane in lanes.items()]

    async def write(number: int) -> None:
        for _ in range(50):
            some = [draft(recipient=each.recipient, recipient_instance=each.recipient_instance) for each in forth]
            await stores.enqueue(some if number % 2 else some[::-1])

    await asyncio.gather(*map(write, range(4)))
    for lane in lanes.values():
        rows = await waiting(stores, lane, 1000)
        assert [attributes_of(row).sequence for row in rows] == list(range(1, 201))
        assert [row.position for row in rows] == list(range(1, 201))


async def test_lanes_are_apart_and_named_while_something_waits(stores: Stores) -> None:
    await stores.enqueue([draft(), draft(recipient_instance="industry", recipient="provider-001.example")])
    assert await stores.lanes.lanes() == ["industry", LANE]
    [row] = await waiting(stores)
    await stores.lanes.note(LANE, Progress(row.position, AT, 7))
    assert await stores.lanes.lanes() == ["industry"]
    assert (await stores.lanes.work(LANE, 10)).offset == 7
    assert await stores.lanes.work("unknown", 10) == ([], 0, None)


async def test_an_edge_is_known_as_one_while_it_waits(stores: Stores) -> None:
    await stores.enqueue([draft(), draft(message=REFERRAL_OFFERED)])
    assert [row.edge for row in await waiting(stores)] == [False, True]


async def test_what_is_noted_waits_no_more_and_stays_until_it_is_settled(stores: Stores) -> None:
    rows = await sent(stores, draft(), draft())
    assert await waiting(stores) == []
    assert await stores.held() == ids(rows)
    await stores.enqueue([draft()])
    assert len(await waiting(stores)) == 1


async def test_a_note_without_an_append_keeps_the_offset(stores: Stores) -> None:
    await stores.enqueue([draft(), draft()])
    await stores.lanes.note(LANE, Progress(1, AT, 41))
    await stores.lanes.note(LANE, Progress(2, AT))
    assert (await stores.lanes.work(LANE, 1)).offset == 41


async def test_only_the_relay_of_now_notes_anything(stores: Stores) -> None:
    await stores.enqueue([draft()])
    await stores.take_lease()
    for late in (stores.lanes.note(LANE, Progress(1, AT)), stores.lanes.rewind(LANE)):
        with pytest.raises(Unavailable, match="lease_lost"):
            await late
    assert len(await waiting(stores)) == 1


async def test_what_is_set_aside_lets_the_others_pass_and_comes_back_when_it_is_sent_again(stores: Stores) -> None:
    await stores.enqueue([draft(), draft(), draft()])
    rows = await waiting(stores)
    await stores.lanes.note(LANE, Progress(rows[1].position, AT, 1, {rows[0].message_id: "record_too_large"}))
    assert ids(await waiting(stores)) == ids(rows[2:])
    await stores.lanes.rewind(LANE)
    assert ids(await waiting(stores)) == ids(rows[1:])
    async with stores.inbox.unit() as unit:
        assert await unit.sent_book.send_again(LANE, [rows[0].message_id], AT) == []
    assert ids(await waiting(stores)) == ids([*rows[1:], rows[0]])


async def test_what_was_set_aside_waits_again_in_its_order_when_it_is_tried(stores: Stores) -> None:
    await stores.enqueue([draft(), draft(), draft()])
    rows = await waiting(stores)
    aside = {rows[1].message_id: "record_too_large", rows[0].message_id: "unreadable"}
    await stores.lanes.note(LANE, Progress(rows[-1].position, AT, 2, aside))
    assert await waiting(stores) == []
    await stores.lanes.try_aside()
    assert ids(await waiting(stores)) == ids(rows[:2])


async def test_all_that_is_held_waits_again_when_the_topic_has_lost_its_end(stores: Stores) -> None:
    rows = await sent(stores, draft(), draft())
    await stores.lanes.rewind(LANE)
    work = await stores.lanes.work(LANE, 10)
    assert (work.rows, work.offset) == (rows, None)


async def test_what_nobody_receipts_stays_until_it_is_marked(stores: Stores) -> None:
    facts = [draft(message=message, recipient="audit") for message in (REFERRAL_DECIDED, MESSAGES_RECEIPTED)]
    rows = await sent(stores, *facts)
    assert await stores.held() == ids(rows)
    assert await stores.outcomes() == {}


async def test_a_receipt_counts_by_digest_and_by_the_instance_it_went_to(stores: Stores) -> None:
    (row,) = await sent(stores, draft())
    digest = digest_of(row)
    wrong = [
        settlement(row.message_id, "0" * 64),
        settlement(row.message_id, digest, by="industry"),
        settlement(uuid7(), digest),
    ]
    found = await settle(stores, *wrong)
    assert (found.taken, found.unmatched) == ([], wrong)
    assert await stores.outcomes() == {}
    right = settlement(row.message_id, digest, ReceiptOutcome.REFUSED, code="offer_unknown")
    found = await settle(stores, right)
    assert (found.taken, found.unmatched) == ([right], [])
    assert await stores.outcomes() == {row.message_id: ("refused", "offer_unknown")}


async def test_a_receipt_of_what_nobody_receipts_changes_nothing(stores: Stores) -> None:
    (row,) = await sent(stores, draft(message=REFERRAL_DECIDED, recipient="audit"))
    found = await settle(stores, settlement(row.message_id, digest_of(row), ReceiptOutcome.REFUSED, code="x"))
    assert (found.taken, await stores.outcomes()) == ([], {})


async def test_a_forged_entry_beside_the_genuine_one_takes_no_effect(stores: Stores) -> None:
    (row,) = await sent(stores, draft())
    genuine = settlement(row.message_id, digest_of(row))
    forged = settlement(row.message_id, digest_of(row), ReceiptOutcome.REFUSED, code="decision_time_off", by="industry")
    found = await settle(stores, forged, genuine)
    assert (found.taken, found.unmatched) == ([genuine], [forged])
    found = await settle(stores, forged)
    assert (found.taken, found.unmatched) == ([], [forged])
    assert await stores.outcomes() == {row.message_id: ("applied", None)}


@pytest.mark.parametrize("first", NOT_FINAL)
@pytest.mark.parametrize("then", list(ReceiptOutcome))
async def test_what_is_not_final_is_replaced_by_what_comes_later(
    stores: Stores, first: ReceiptOutcome, then: ReceiptOutcome
) -> None:
    (row,) = await sent(stores, draft())
    digest = digest_of(row)
    await settle(stores, settlement(row.message_id, digest, first, code="version_unknown"))
    assert await stores.held() == [row.message_id]
    found = await settle(stores, settlement(row.message_id, digest, then, code="x"))
    assert (len(found.taken), found.unmatched) == (int(first is not then), [])
    assert (await stores.outcomes())[row.message_id][0] == then.value


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("late", NOT_FINAL)
async def test_a_final_outcome_is_not_replaced_by_one_that_comes_late(
    stores: Stores, late: ReceiptOutcome, together: bool
) -> None:
    (row,) = await sent(stores, draft())
    entries = [settlement(row.message_id, digest_of(row)), settlement(row.message_id, digest_of(row), late, code="x")]
    for batch in [entries] if together else [entries[:1], entries[1:]]:
        assert (await settle(stores, *batch)).unmatched == []
    assert await stores.outcomes() == {row.message_id: ("applied", None)}


@pytest.mark.parametrize("together", [True, False])
async def test_what_is_applied_after_all_is_told_each_time_and_changes_nothing_here(
    stores: Stores, together: bool
) -> None:
    """As by a recipient that has forgotten that it had refused it, and its withdrawal with it."""
    (row,) = await sent(stores, draft())
    refused = settlement(row.message_id, digest_of(row), ReceiptOutcome.REFUSED, code="subject_withdrawn")
    after_all = settlement(row.message_id, digest_of(row))
    batches = [[refused, after_all], [after_all]] if together else [[refused], [after_all], [after_all]]
    found = [await settle(stores, *batch) for batch in batches]
    assert [each.late for each in found] == [[after_all] if after_all in batch else [] for batch in batches]
    assert [each.taken for each in found] == [[refused], *[[]] * (len(batches) - 1)]
    assert await stores.outcomes() == {row.message_id: ("refused", "subject_withdrawn")}


async def test_refused_after_applied_reopens_what_was_sent_and_applied_after_refused_does_not(stores: Stores) -> None:
    one, other = await sent(stores, draft(), draft())
    refused = [settlement(row.message_id, digest_of(row), ReceiptOutcome.REFUSED, code="late") for row in (one, other)]
    await settle(stores, refused[0])
    after_all = [settlement(row.message_id, digest_of(row)) for row in (one, other)]
    found = await settle(stores, *after_all)
    assert (found.taken, found.unmatched, found.late) == (after_all[1:], [], after_all[:1])
    found = await settle(stores, *refused)
    assert (found.taken, found.unmatched, found.late) == (refused[1:], [], [])
    assert await stores.outcomes() == dict.fromkeys(ids([one, other]), ("refused", "late"))
