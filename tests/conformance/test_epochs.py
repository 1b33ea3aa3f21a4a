"""Numbers and the lives of their counters, held against both stores: no number is given out twice and taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.envelope.batch import message_digest
from shared.envelope.headers import Attributes, decode_headers
from shared.exchange.message import Draft
from shared.exchange.record_table import SIGN_AGAIN
from shared.kernel.ids import uuid7
from shared.runtime.post.ports import SIGNED_AGAIN_MAX, Arrival, OutboxRow
from shared.runtime.post.stamping import wire
from shared.vocabulary.answers import ReceiptOutcome
from tests.conformance.conftest import Stores
from tests.support.builders import AT, arrival, draft, settlement


async def stamped(stores: Stores, *drafts: Draft) -> list[OutboxRow]:
    await stores.enqueue(drafts)
    return await stores.outbox.stamp(await stores.outbox.unstamped(100))


def attributes_of(row: OutboxRow) -> Attributes:
    return decode_headers(wire(row, "hotline"), row.draft.body).attributes


def arrival_of(row: OutboxRow) -> Arrival:
    stated = attributes_of(row)
    digest = message_digest(stated, row.draft.body)
    found = arrival(stated.sequence, message_id=stated.id, epoch=stated.epoch)
    return replace(found, digest=digest)


async def judged(stores: Stores, rows: Sequence[OutboxRow]) -> dict[str, str]:
    """What the inbox turned away, by digest; the others are applied."""
    async with stores.inbox.unit() as unit:
        admission = await unit.admit([arrival_of(row) for row in rows])
    return admission.reused


async def settled(stores: Stores, rows: Sequence[OutboxRow], reused: dict[str, str]) -> int:
    """Answer for the rows as their recipient would; how many entries were taken for a stranger's."""
    entries = []
    for row in rows:
        message_id, digest = row.draft.message_id, arrival_of(row).digest
        outcome = ReceiptOutcome.REFUSED if digest in reused else ReceiptOutcome.APPLIED
        entries.append(settlement(message_id, digest, outcome, code=reused.get(digest)))
    async with stores.inbox.unit() as unit:
        found = await unit.settle(entries)
    assert [each for each in found.taken if each.code == SIGN_AGAIN] == []
    return len(found.unmatched)


async def test_a_counter_keeps_its_epoch_and_each_pair_has_its_own(stores: Stores) -> None:
    first = await stamped(stores, draft(), draft(recipient="police-be.example"))
    second = await stamped(stores, draft())
    epochs = [attributes_of(row).epoch for row in first + second]
    assert epochs[0] == epochs[2] != epochs[1]
    assert [attributes_of(row).previous is not None for row in first + second] == [True, True, False]


async def test_a_restored_database_goes_on_in_a_new_epoch_and_names_the_old_one(stores: Stores) -> None:
    (before,) = await stamped(stores, draft())
    await stores.restore()
    after, next_one = await stamped(stores, draft(), draft())
    old, new = attributes_of(before), attributes_of(after)
    assert (new.sequence, attributes_of(next_one).sequence) == (1, 2)
    assert new.epoch == attributes_of(next_one).epoch != old.epoch
    assert new.previous is not None
    assert (new.previous.epoch, new.previous.last) == (old.epoch, None)
    assert attributes_of((await stamped(stores, draft()))[0]).epoch == new.epoch


async def test_a_number_given_out_twice_costs_a_way_back_and_loses_nothing(stores: Stores) -> None:
    before = await stamped(stores, draft(), draft(), draft())
    assert await settled(stores, before, await judged(stores, before)) == 0
    await stores.wind_back(2)
    first = await stamped(stores, draft(), draft(), draft())
    reused = await judged(stores, first)
    assert list(reused.values()) == [SIGN_AGAIN] * 2
    assert await settled(stores, first, reused) == 0
    assert await stores.waiting() == [row.draft.message_id for row in first[:2]]
    # Unstamped again, in their place: under the same ids, and numbered from 1 in another epoch.
    again = await stores.outbox.stamp(await stores.outbox.unstamped(100))
    assert [row.draft for row in again] == [row.draft for row in first[:2]]
    assert [attributes_of(row).sequence for row in again] == [1, 2]
    assert {attributes_of(row).epoch for row in again}.isdisjoint({attributes_of(row).epoch for row in first})
    assert await judged(stores, again) == {}
    assert await settled(stores, again, {}) == 0
    assert {outcome for outcome, _ in (await stores.sent()).values()} == {"applied"}
    assert len(await stores.sent()) == 6


async def test_a_second_answer_for_a_number_taken_back_is_no_strangers(stores: Stores) -> None:
    (row,) = await stamped(stores, draft())
    refused = settlement(row.draft.message_id, arrival_of(row).digest, ReceiptOutcome.REFUSED, code=SIGN_AGAIN)
    for waiting in (1, 0):
        async with stores.inbox.unit() as unit:
            found = await unit.settle([refused])
        assert (found.taken, found.unmatched) == ([], [])
        rows = await stores.outbox.unstamped(100)
        assert len(rows) == waiting
        if rows:
            await stores.outbox.stamp(rows)
    async with stores.inbox.unit() as unit:
        stranger = replace(refused, by="industry")
        assert (await unit.settle([stranger])).unmatched == [stranger]


async def test_a_recipient_that_never_takes_a_number_ends_the_message_not_the_relay(stores: Stores) -> None:
    await stores.enqueue([draft()])
    answered = 0
    while rows := await stores.outbox.unstamped(100):
        (row,) = await stores.outbox.stamp(rows)
        entry = settlement(row.draft.message_id, arrival_of(row).digest, ReceiptOutcome.REFUSED, code=SIGN_AGAIN)
        async with stores.inbox.unit() as unit:
            found = await unit.settle([entry])
        answered += 1
        assert found.taken == ([entry] if answered > SIGNED_AGAIN_MAX else [])
    assert answered == SIGNED_AGAIN_MAX + 1
    assert await stores.sent() == {row.draft.message_id: ("refused", SIGN_AGAIN)}


async def test_a_later_message_of_the_subject_waits_for_the_one_that_is_signed_again(stores: Stores) -> None:
    subject = uuid7()
    (row,) = await stamped(stores, draft(subject))
    await stores.outbox.mark_sent([row], AT)
    await stores.enqueue([draft(subject)])
    async with stores.inbox.unit() as unit:
        await unit.settle(
            [settlement(row.draft.message_id, arrival_of(row).digest, ReceiptOutcome.REFUSED, code=SIGN_AGAIN)]
        )
    assert [each.draft.message_id for each in await stores.outbox.unstamped(100)] == [row.draft.message_id]


@pytest.mark.parametrize("same", [True, False])
async def test_a_party_that_moved_is_numbered_from_one_again(stores: Stores, same: bool) -> None:
    """Its new instance has an epoch of its own. `same`: without one, all three are turned away (the control)."""
    old, new = uuid7(), uuid7()
    async with stores.inbox.unit() as unit:
        first = await unit.admit([arrival(number, epoch=old) for number in (1, 2, 3)])
    async with stores.inbox.unit() as unit:
        second = await unit.admit([arrival(number, epoch=old if same else new) for number in (1, 2, 3)])
    assert (len(first.fresh), len(second.fresh), len(second.reused)) == (3, 0 if same else 3, 3 if same else 0)
