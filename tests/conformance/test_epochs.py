"""Numbers and the lives of their counters, held against both stores: no number is given out twice and taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.exchange.record_table import SIGN_AGAIN
from shared.exchange.topics import AUDIT
from shared.kernel.ids import uuid7
from shared.runtime.post.ports import SIGNED_AGAIN_MAX, Arrival, Waiting
from shared.vocabulary.answers import ReceiptOutcome
from tests.conformance.conftest import Stores
from tests.conformance.sending import LANE, attributes_of, digest_of, ids, mark, of, sent, settle, waiting
from tests.support.builders import arrival, draft, settlement
from tests.support.memory_outbox import taken_mark


def arrival_of(row: Waiting) -> Arrival:
    stated = attributes_of(row)
    found = arrival(stated.sequence, message_id=stated.id, epoch=stated.epoch)
    return replace(found, digest=digest_of(row))


async def judged(stores: Stores, rows: Sequence[Waiting]) -> dict[str, str]:
    """What the inbox turned away, by digest; the others are applied."""
    async with stores.inbox.unit() as unit:
        admission = await unit.admit([arrival_of(row) for row in rows])
    return admission.reused


async def settled(stores: Stores, rows: Sequence[Waiting], reused: dict[str, str]) -> int:
    """Answer for the rows as their recipient would; how many entries were taken for a stranger's."""
    entries = []
    for row in rows:
        digest = digest_of(row)
        outcome = ReceiptOutcome.REFUSED if digest in reused else ReceiptOutcome.APPLIED
        entries.append(settlement(row.message_id, digest, outcome, code=reused.get(digest)))
    found = await settle(stores, *entries)
    assert [each for each in found.taken if each.code == SIGN_AGAIN] == []
    return len(found.unmatched)


async def test_a_counter_keeps_its_epoch_and_each_pair_has_its_own(stores: Stores) -> None:
    first = await sent(stores, draft(), draft(recipient="police-be.example"))
    second = await sent(stores, draft())
    epochs = [attributes_of(row).epoch for row in first + second]
    assert epochs[0] == epochs[2] != epochs[1]
    assert [attributes_of(row).previous is not None for row in first + second] == [True, True, False]


async def test_a_restored_database_goes_on_in_a_new_epoch_and_names_the_old_one(stores: Stores) -> None:
    (before,) = await sent(stores, draft())
    await stores.restore()
    after, next_one = await sent(stores, draft(), draft())
    old, new = attributes_of(before), attributes_of(after)
    assert (new.sequence, attributes_of(next_one).sequence) == (1, 2)
    assert new.epoch == attributes_of(next_one).epoch != old.epoch
    assert new.previous is not None
    assert (new.previous.epoch, new.previous.last) == (old.epoch, None)
    assert attributes_of((await sent(stores, draft()))[0]).epoch == new.epoch


async def test_a_recipient_that_another_instance_serves_is_numbered_in_a_new_epoch(stores: Stores) -> None:
    (before,) = await sent(stores, draft())
    (after,) = await sent(stores, draft(recipient_instance="another"))
    assert (attributes_of(after).sequence, attributes_of(after).recipient) == (1, attributes_of(before).recipient)
    assert attributes_of(after).epoch != attributes_of(before).epoch


async def test_a_number_given_out_twice_costs_a_way_back_and_loses_nothing(stores: Stores) -> None:
    before = await sent(stores, draft(), draft(), draft())
    assert await settled(stores, before, await judged(stores, before)) == 0
    for by in (LANE, AUDIT):
        await mark(stores, by, taken_mark(of(before[0]), (1, 2, 3)))
    await stores.wind_back(2)
    first = await sent(stores, draft(), draft(), draft())
    turned_away = await judged(stores, first)
    assert list(turned_away.values()) == [SIGN_AGAIN] * 2
    assert await settled(stores, first, turned_away) == 0
    # Signed again under the same ids, and numbered from 1 in another epoch.
    again = await waiting(stores)
    assert sorted(ids(again)) == sorted(ids(first[:2]))
    assert [row.record.value for row in again if row.record] == [row.record.value for row in first[:2] if row.record]
    assert [attributes_of(row).sequence for row in again] == [1, 2]
    assert {attributes_of(row).epoch for row in again}.isdisjoint({attributes_of(row).epoch for row in first})
    assert await judged(stores, again) == {}
    assert await settled(stores, again, {}) == 0
    assert {outcome for outcome, _ in (await stores.outcomes()).values()} == {"applied"}
    assert len(await stores.outcomes()) == 6


async def test_a_second_answer_for_a_number_taken_back_is_no_strangers(stores: Stores) -> None:
    (row,) = await sent(stores, draft())
    refused = settlement(row.message_id, digest_of(row), ReceiptOutcome.REFUSED, code=SIGN_AGAIN)
    for _ in range(2):
        found = await settle(stores, refused)
        assert (found.taken, found.unmatched) == ([], [])
        assert len(await waiting(stores)) == 1
    stranger = replace(refused, by="industry")
    assert (await settle(stores, stranger)).unmatched == [stranger]


async def test_a_recipient_that_never_takes_a_number_ends_the_message_not_the_lane(stores: Stores) -> None:
    await stores.enqueue([draft()])
    for answered in range(SIGNED_AGAIN_MAX + 1):
        (row,) = await waiting(stores)
        entry = settlement(row.message_id, digest_of(row), ReceiptOutcome.REFUSED, code=SIGN_AGAIN)
        found = await settle(stores, entry)
        assert found.taken == ([entry] if answered == SIGNED_AGAIN_MAX else [])
    assert await stores.outcomes() == {row.message_id: ("refused", SIGN_AGAIN)}
    assert await stores.lanes.lanes() == [LANE]


@pytest.mark.parametrize("same", [True, False])
async def test_a_party_that_moved_is_numbered_from_one_again(stores: Stores, same: bool) -> None:
    """Its new instance has an epoch of its own. `same`: without one, all three are turned away (the control)."""
    old, new = uuid7(), uuid7()
    async with stores.inbox.unit() as unit:
        first = await unit.admit([arrival(number, epoch=old) for number in (1, 2, 3)])
    async with stores.inbox.unit() as unit:
        second = await unit.admit([arrival(number, epoch=old if same else new) for number in (1, 2, 3)])
    assert (len(first.fresh), len(second.fresh), len(second.reused)) == (3, 0 if same else 3, 3 if same else 0)
