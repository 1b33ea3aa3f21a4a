"""What waits, held against both stores: whole, bounded, and taken up when what it lacks has come."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from shared.runtime.post.arrivals import Awaited, Outcome
from shared.runtime.post.inbox import PostgresUnit
from shared.vocabulary.answers import ReceiptOutcome
from tests.conformance.conftest import HAS, ROOM, Stores
from tests.support.builders import AT, arrival, raw_record

_BREAK_FIRST = "UPDATE awaiting SET record = set_byte(record, 90, get_byte(record, 90) # 1) WHERE sequence = 1"


def waiting(number: int, *, need: str = "document d", length_bytes: int = 2) -> Awaited:
    record = raw_record(number, b"x" * length_bytes)
    return Awaited(arrival(number, offset=number), need, record)


async def keep(stores: Stores, *waits: Awaited) -> frozenset[object]:
    async with stores.inbox.unit() as unit:
        await unit.admit([each.arrival for each in waits])
        await unit.record_outcomes(
            [Outcome(each.arrival.message_id, ReceiptOutcome.WAITING, "document_unknown", each.need) for each in waits]
        )
        return await unit.keep_waiting(waits)


async def test_what_waits_is_due_once_its_document_is_there_in_the_order_of_its_numbers(stores: Stores) -> None:
    second, first, other = waiting(2), waiting(1), waiting(3, need="document e")
    await keep(stores, second, first, other)
    assert await stores.inbox.due(9) == []
    HAS.add("document d")
    assert await stores.inbox.due(9) == [first.record, second.record]
    assert await stores.inbox.due(1) == [first.record]


async def test_it_is_as_it_came_of_the_life_of_its_topic_without_what_nobody_signed(stores: Stores) -> None:
    one = waiting(1)
    came = replace(one.record, topic_id=one.arrival.message_id)
    await keep(stores, replace(one, record=replace(came, headers=(*came.headers, ("traceparent", b"00")))))
    HAS.add("document d")
    assert await stores.inbox.due(9) == [came]


async def test_it_waits_until_it_is_judged_again_and_no_longer(stores: Stores) -> None:
    one = waiting(1)
    await keep(stores, one)
    HAS.add("document d")
    async with stores.inbox.unit() as unit:
        assert (await unit.admit([replace(one.arrival, offset=8)])).fresh == {one.arrival.digest}
    assert await stores.inbox.due(9) == []


async def test_one_that_lacks_something_else_then_waits_for_that(stores: Stores) -> None:
    one = waiting(1)
    await keep(stores, one)
    await keep(stores, replace(one, need="document e"))
    HAS.add("document d")
    assert await stores.inbox.due(9) == []
    HAS.add("document e")
    assert await stores.inbox.due(9) == [one.record]


async def test_what_waits_for_the_act_before_it_is_due_when_one_of_its_track_came(stores: Stores) -> None:
    one, other = waiting(2, need="act s"), waiting(3, need="act t")
    await keep(stores, one, other)
    async with stores.inbox.unit() as unit:
        await unit.release(["act s", "act u"])
    assert await stores.inbox.due(9) == [one.record]


async def test_in_a_restored_database_what_waits_is_let_go_and_asked_for(stores: Stores) -> None:
    """It may have been applied since, and taken back: its sender knows, and says that it is gone."""
    one = waiting(1)
    await keep(stores, one)
    async with stores.inbox.unit() as unit:
        await unit.taken.ask_for_what_waits()
    HAS.add("document d")
    assert await stores.inbox.due(9) == []
    async with stores.inbox.unit() as unit:
        assert await unit.taken.wanted(AT) == {one.arrival.sender_instance: [one.arrival.message_id]}
        assert (await unit.admit([replace(one.arrival, offset=8)])).fresh == {one.arrival.digest}


async def test_what_cannot_be_read_any_more_is_asked_for_and_holds_up_nothing(postgres_stores: Stores) -> None:
    """Its sender holds it still. The others that wait are taken up."""
    broken, other = waiting(1), waiting(2)
    await keep(postgres_stores, broken, other)
    HAS.add("document d")
    async with postgres_stores.inbox.unit() as unit:
        await cast(PostgresUnit, unit).connection.driver.execute(_BREAK_FIRST)
    assert await postgres_stores.inbox.due(9) == [other.record]
    assert await postgres_stores.inbox.due(9) == [other.record]
    async with postgres_stores.inbox.unit() as unit:
        assert await unit.taken.wanted(AT) == {broken.arrival.sender_instance: [broken.arrival.message_id]}


async def test_beyond_its_room_nothing_is_kept(stores: Stores) -> None:
    many = [waiting(number) for number in range(1, ROOM.rows_max + 3)]
    kept = await keep(stores, *many)
    assert kept == {each.arrival.message_id for each in many[: ROOM.rows_max]}
    assert await keep(stores, waiting(9)) == frozenset()


async def test_its_room_is_bounded_in_bytes_too(stores: Stores) -> None:
    large, small = waiting(1, length_bytes=ROOM.bytes_max), waiting(2, length_bytes=1)
    assert await keep(stores, large) == {large.arrival.message_id}
    assert await keep(stores, small) == frozenset()
