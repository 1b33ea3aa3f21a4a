"""Cursors and leases, held against both stores: a cursor moves with the batch or not at all, a topic has one reader."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from shared.kernel.ids import uuid4, uuid7
from shared.runtime.database.transactions import Database
from shared.runtime.post.arrivals import Cursor, Step, Superseded
from tests.conformance.conftest import LEASE_S, Stores
from tests.support.builders import TOPIC, arrival

TOPICS = [f"causeway.inbox.hotline.{name}.v1" for name in ("a", "b", "c", "d")]
CURSOR = Cursor(TOPIC, 0, uuid7(), 5, "t" * 64)


class Broken(Exception):
    """A service's own failure."""


async def apply(stores: Stores, *steps: Step) -> None:
    async with stores.inbox.unit() as unit:
        await unit.advance(steps)
        await unit.admit([arrival(1)])


async def test_a_cursor_moves_with_what_was_read(stores: Stores) -> None:
    assert await stores.cursors.set_back(None, CURSOR)
    after = replace(CURSOR, following=9, tail="u" * 64)
    await apply(stores, Step(5, after))
    assert await stores.cursors.cursors([TOPIC]) == [after]


async def test_nothing_of_a_batch_that_fails_moves_it(stores: Stores) -> None:
    await stores.cursors.set_back(None, CURSOR)

    async def break_off() -> None:
        async with stores.inbox.unit() as unit:
            await unit.advance([Step(5, replace(CURSOR, following=9))])
            raise Broken

    with pytest.raises(Broken):
        await break_off()
    assert await stores.cursors.cursors([TOPIC]) == [CURSOR]


@pytest.mark.parametrize(
    "step",
    [Step(4, replace(CURSOR, following=9)), Step(6, replace(CURSOR, following=9)),
     Step(5, replace(CURSOR, topic_id=uuid7(), following=9)), Step(5, replace(CURSOR, partition=1, following=9))],
    ids=["behind", "before", "another life", "another partition"],
)  # fmt: skip
async def test_what_was_read_elsewhere_than_where_the_cursor_stands_has_no_effect(stores: Stores, step: Step) -> None:
    await stores.cursors.set_back(None, CURSOR)
    other = Cursor(TOPICS[0], 0, uuid7(), 0)
    await stores.cursors.set_back(None, other)
    with pytest.raises(Superseded):
        await apply(stores, Step(0, replace(other, following=1)), step)
    assert sorted(each.following for each in await stores.cursors.cursors([TOPIC, TOPICS[0]])) == [0, 5]
    async with stores.inbox.unit() as unit:
        assert (await unit.admit([arrival(1)])).done == {}


async def test_a_cursor_is_set_back_from_where_it_stands_and_nowhere_else(stores: Stores) -> None:
    assert await stores.cursors.set_back(None, CURSOR)
    assert not await stores.cursors.set_back(None, replace(CURSOR, following=1))
    assert not await stores.cursors.set_back(replace(CURSOR, following=4), replace(CURSOR, following=1))
    again = Cursor(TOPIC, 0, uuid7(), 0)
    assert await stores.cursors.set_back(CURSOR, again)
    assert await stores.cursors.cursors([TOPIC]) == [again]


async def test_one_reader_has_all_topics_and_two_share_them(stores: Stores) -> None:
    one, two = uuid4(), uuid4()
    assert await stores.cursors.lease(TOPICS, holder=one) == set(TOPICS)
    assert await stores.cursors.lease(TOPICS, holder=two) == set()
    first = await stores.cursors.lease(TOPICS, holder=one)
    second = await stores.cursors.lease(TOPICS, holder=two)
    assert (len(first), len(second), first | second) == (2, 2, set(TOPICS))
    for _ in range(3):
        assert await stores.cursors.lease(TOPICS, holder=one) == first
        assert await stores.cursors.lease(TOPICS, holder=two) == second


async def test_leases_that_nobody_wants_to_share_anew_are_renewed_by_one_statement(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = uuid4(), uuid4()
    await stores.cursors.lease(TOPICS, holder=one)
    with monkeypatch.context() as patched:
        patched.delattr(Database, "transaction")
        assert await stores.cursors.lease(TOPICS, holder=one) == set(TOPICS)
    await stores.cursors.lease(TOPICS, holder=two)
    assert len(await stores.cursors.lease(TOPICS, holder=one)) == len(TOPICS) // 2


async def test_what_a_reader_leaves_the_other_takes(stores: Stores) -> None:
    one, two = uuid4(), uuid4()
    await stores.cursors.lease(TOPICS, holder=one)
    await stores.cursors.lease(TOPICS, holder=two)
    await stores.cursors.leave(one)
    assert await stores.cursors.lease(TOPICS, holder=two) == set(TOPICS)


@pytest.mark.timing
async def test_what_a_dead_reader_held_the_other_takes_when_its_lease_is_over(stores: Stores) -> None:
    one, two = uuid4(), uuid4()
    await stores.cursors.lease(TOPICS, holder=one)
    await stores.cursors.lease(TOPICS, holder=two)
    assert await stores.cursors.lease(TOPICS, holder=two) != set(TOPICS), "the other has not left"
    held, deadline = set[str](), time.monotonic() + LEASE_S * 10
    while held != set(TOPICS) and time.monotonic() < deadline:
        await asyncio.sleep(LEASE_S / 10)
        held = set(await stores.cursors.lease(TOPICS, holder=two))
    assert held == set(TOPICS)


async def test_a_topic_that_is_gone_or_new_is_given_up_or_taken(stores: Stores) -> None:
    one = uuid4()
    await stores.cursors.lease(TOPICS[:2], holder=one)
    assert await stores.cursors.lease(TOPICS[1:], holder=one) == set(TOPICS[1:])
