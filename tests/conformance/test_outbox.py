"""What the relay relies on, held against both stores: order, dense sequences, durable before anything is sent."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from shared.contracts.registry import MESSAGES_RECEIPTED, REFERRAL_DECIDED
from shared.envelope.batch import message_digest
from shared.envelope.headers import decode_headers
from shared.exchange.message import Draft
from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.post.ports import RESEND_WAIT_MAX, OutboxRow
from shared.runtime.post.stamping import wire
from shared.vocabulary.answers import ReceiptOutcome
from tests.conformance.conftest import Stores
from tests.support.builders import AT, draft, settlement

LATER = AT + timedelta(hours=2)


async def stamped(stores: Stores, *drafts: Draft) -> list[OutboxRow]:
    await stores.enqueue(drafts)
    return await stores.outbox.stamp(await stores.outbox.unstamped(100))


def ids(rows: list[OutboxRow]) -> list[UUID]:
    return [row.draft.message_id for row in rows]


def sequences(rows: list[OutboxRow]) -> list[int]:
    return [row.stamp.sequence for row in rows if row.stamp]


def digest_of(row: OutboxRow) -> str:
    """What a recipient computes over the row's covered bytes."""
    envelope = decode_headers(wire(row, "hotline"), row.draft.body)
    return message_digest(envelope.attributes, envelope.body)


async def test_rows_come_in_the_order_in_which_they_were_committed(stores: Stores) -> None:
    first, second = [draft() for _ in range(3)], [draft() for _ in range(3)]
    await stores.enqueue(first)
    await stores.enqueue(second)
    assert ids(await stores.outbox.unstamped(100)) == [each.message_id for each in first + second]
    assert ids(await stores.outbox.unstamped(2)) == [each.message_id for each in first[:2]]


async def test_sequences_are_dense_in_each_pair_across_batches(stores: Stores) -> None:
    other = "police-be.example"
    first = await stamped(stores, draft(), draft(recipient=other), draft())
    second = await stamped(stores, draft(recipient=other), draft(), draft(recipient=other))
    by_pair: dict[str, list[int]] = {}
    for row in first + second:
        by_pair.setdefault(row.draft.recipient, []).extend(sequences([row]))
    assert sorted(by_pair.values()) == [[1, 2, 3], [1, 2, 3]]


async def test_a_stamp_is_durable_when_it_is_returned(stores: Stores) -> None:
    rows = await stamped(stores, draft(), draft())
    assert await stores.outbox.unstamped(100) == []
    assert await stores.outbox.unsent(100) == rows


async def test_the_same_bytes_are_read_back_as_were_stamped(stores: Stores) -> None:
    rows = await stamped(stores, draft(), draft(), draft())
    kept = await stores.outbox.unsent(100)
    assert [wire(row, "hotline") for row in kept] == [wire(row, "hotline") for row in rows]


async def test_a_row_is_never_stamped_twice(stores: Stores) -> None:
    await stores.enqueue([draft(), draft()])
    rows = await stores.outbox.unstamped(100)
    await stores.outbox.stamp(rows[:1])
    with pytest.raises(Unavailable):
        await stores.outbox.stamp(rows)
    assert ids(await stores.outbox.unstamped(100)) == ids(rows[1:])
    assert sequences(await stores.outbox.stamp(rows[1:])) == [2]


async def test_a_row_waits_while_an_earlier_one_of_its_subject_is_not_receipted(stores: Stores) -> None:
    subject = uuid7()
    before, after, another = draft(subject), draft(subject), draft()
    (row,) = await stamped(stores, before)
    await stores.outbox.mark_sent([row], AT)
    await stores.enqueue([after, another])
    assert ids(await stores.outbox.unstamped(100)) == [another.message_id]
    async with stores.inbox.unit() as unit:
        await unit.settle([settlement(before.message_id, digest_of(row))])
    assert ids(await stores.outbox.unstamped(100)) == [after.message_id, another.message_id]


async def test_rows_for_topics_that_are_left_aside_stay_where_they_are(stores: Stores) -> None:
    aside, taken = draft(topic="causeway.inbox.industry.hotline.v1"), draft()
    await stores.enqueue([aside, taken])
    without = [aside.topic]
    assert ids(await stores.outbox.unstamped(1, without=without)) == [taken.message_id]
    rows = await stores.outbox.stamp(await stores.outbox.unstamped(100))
    assert ids(await stores.outbox.unsent(1, without=without)) == [taken.message_id]
    await stores.outbox.mark_sent(rows, AT)
    assert ids(await stores.outbox.unreceipted(LATER, 1, without=without)) == [taken.message_id]
    assert ids(await stores.outbox.unreceipted(LATER, 9)) == [aside.message_id, taken.message_id]


async def test_the_same_subject_to_another_recipient_does_not_wait(stores: Stores) -> None:
    subject = uuid7()
    await stamped(stores, draft(subject))
    other = draft(subject, recipient="police-be.example")
    await stores.enqueue([other])
    assert ids(await stores.outbox.unstamped(100)) == [other.message_id]


async def test_one_message_of_a_subject_is_under_way_at_a_time(stores: Stores) -> None:
    subject = uuid7()
    both = [draft(subject), draft(subject)]
    await stores.enqueue(both)
    assert ids(await stores.outbox.unstamped(100)) == [both[0].message_id]


async def test_a_sent_row_lives_until_its_receipt(stores: Stores) -> None:
    rows = await stamped(stores, draft())
    await stores.outbox.mark_sent(rows, AT)
    assert await stores.outbox.unsent(100) == []
    assert await stores.outbox.unreceipted(LATER, 100) == rows
    assert await stores.waiting() == ids(rows)


async def test_facts_and_receipts_end_when_they_are_sent(stores: Stores) -> None:
    ending = [draft(message=message, recipient="audit") for message in (REFERRAL_DECIDED, MESSAGES_RECEIPTED)]
    await stores.outbox.mark_sent(await stamped(stores, *ending), AT)
    assert await stores.waiting() == []
    assert await stores.sent() == {}


async def test_unreceipted_rows_are_due_only_after_their_time(stores: Stores) -> None:
    rows = await stamped(stores, draft(), draft())
    await stores.outbox.mark_sent(rows[:1], AT)
    await stores.outbox.mark_sent(rows[1:], AT + timedelta(seconds=1))
    assert await stores.outbox.unreceipted(AT, 100) == []
    assert await stores.outbox.unreceipted(AT + timedelta(seconds=0.5), 100) == rows[:1]
    assert await stores.outbox.unreceipted(AT + timedelta(seconds=3), 1) == rows[:1]


async def test_the_longer_a_row_has_waited_the_longer_until_it_is_sent_again(stores: Stores) -> None:
    rows = await stamped(stores, draft(), draft())
    await stores.outbox.mark_sent(rows[:1], AT + timedelta(minutes=2))
    await stores.outbox.mark_sent(rows[1:], AT + timedelta(hours=1))
    assert await stores.outbox.unreceipted(AT + timedelta(minutes=3), 100) == []
    assert await stores.outbox.unreceipted(AT + timedelta(minutes=5), 100) == rows[:1]
    at_most = AT + timedelta(hours=1) + RESEND_WAIT_MAX
    assert await stores.outbox.unreceipted(at_most, 100) == rows[:1]
    assert await stores.outbox.unreceipted(at_most + timedelta(seconds=1), 100) == rows


async def test_a_receipt_settles_by_digest_and_by_the_instance_it_went_to(stores: Stores) -> None:
    (row,) = await stamped(stores, draft())
    message_id, digest = row.draft.message_id, digest_of(row)
    wrong = [
        settlement(message_id, "0" * 64),
        settlement(message_id, digest, by="industry"),
        settlement(uuid7(), digest),
    ]
    async with stores.inbox.unit() as unit:
        settled = await unit.settle(wrong)
    assert (settled.taken, settled.unmatched) == ([], wrong)
    assert await stores.waiting() == [message_id]
    right = settlement(message_id, digest, ReceiptOutcome.REFUSED, code="offer_unknown")
    async with stores.inbox.unit() as unit:
        settled = await unit.settle([right])
    assert (settled.taken, settled.unmatched) == ([right], [])
    assert await stores.waiting() == []
    assert await stores.sent() == {message_id: ("refused", "offer_unknown")}


async def test_a_forged_entry_beside_the_genuine_one_takes_no_effect(stores: Stores) -> None:
    (row,) = await stamped(stores, draft())
    genuine = settlement(row.draft.message_id, digest_of(row))
    forged = settlement(
        row.draft.message_id, digest_of(row), ReceiptOutcome.REFUSED, code="decision_time_off", by="industry"
    )
    async with stores.inbox.unit() as unit:
        settled = await unit.settle([forged, genuine])
    assert (settled.taken, settled.unmatched) == ([genuine], [forged])
    async with stores.inbox.unit() as unit:
        settled = await unit.settle([forged])
    assert (settled.taken, settled.unmatched) == ([], [forged])


async def test_an_unstamped_row_cannot_be_settled(stores: Stores) -> None:
    waiting = draft()
    await stores.enqueue([waiting])
    async with stores.inbox.unit() as unit:
        settled = await unit.settle([settlement(waiting.message_id, "0" * 64)])
    assert len(settled.unmatched) == 1
    assert await stores.waiting() == [waiting.message_id]


async def test_a_receipt_that_repeats_what_is_known_changes_nothing(stores: Stores) -> None:
    (row,) = await stamped(stores, draft())
    first = settlement(row.draft.message_id, digest_of(row))
    async with stores.inbox.unit() as unit:
        await unit.settle([first])
    async with stores.inbox.unit() as unit:
        settled = await unit.settle(
            [settlement(row.draft.message_id, digest_of(row), ReceiptOutcome.REFUSED, code="late")]
        )
    assert (settled.taken, settled.unmatched) == ([], [])
    assert await stores.sent() == {row.draft.message_id: ("applied", None)}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("reordered", [True, False])
async def test_a_parked_message_that_is_replayed_ends_as_what_it_became(
    stores: Stores, together: bool, reordered: bool
) -> None:
    (row,) = await stamped(stores, draft())
    message_id, digest = row.draft.message_id, digest_of(row)
    entries = [
        settlement(message_id, digest, ReceiptOutcome.PARKED, code="handler_defect"),
        settlement(message_id, digest),
    ]
    entries = entries[::-1] if reordered else entries
    for batch in [entries] if together else [entries[:1], entries[1:]]:
        async with stores.inbox.unit() as unit:
            settled = await unit.settle(batch)
        assert settled.unmatched == []
    assert await stores.sent() == {message_id: ("applied", None)}
