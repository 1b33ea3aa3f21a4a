"""The rows of exceptions, outcomes, lines and resync: PostgreSQL and memory give the same results."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.ids import uuid7
from shared.messaging.exceptions import Outcome, OutcomeKind
from shared.messaging.ports import OperatorKind, OperatorLine, PeerResync
from shared.messaging.streams import Lane
from tests.conformance.test_messaging_store import PAIR, PEER, build_open, endpoint, memory, postgres, stores
from tests.support.messaging_stores import AT, MessagingStore, build_exception

__all__ = ["endpoint", "memory", "postgres", "stores"]


async def test_exceptions_are_listed_oldest_first_page_by_page(stores: MessagingStore) -> None:
    kept = [build_exception(age=age, acts=[uuid7() for _ in range(age)]) for age in (2, 1, 1, 0)]
    kept.sort(key=lambda each: (each.since, each.taken.named.message_id))
    async with stores.transaction() as tx:
        await tx.add_exceptions(kept[2:])
        await tx.add_exceptions(kept[:2])
        assert await tx.list_exceptions() == kept
        page = await tx.list_exceptions(rows_max=2)
        assert page == kept[:2]
        after = page[-1].since, page[-1].taken.named.message_id
        assert await tx.list_exceptions(after=after, rows_max=9) == kept[2:]


async def test_exceptions_are_listed_by_all_filters_that_are_given(stores: MessagingStore) -> None:
    subject = uuid7()
    mine = build_exception(subject=subject, age=3)
    dead = build_exception(subject=subject, age=2, kind=OutcomeKind.DEAD)
    other = build_exception(writer="police", subject=subject, age=1)
    last = build_exception()
    async with stores.transaction() as tx:
        await tx.add_exceptions([mine, dead, other, last])
        assert await tx.list_exceptions(writer=PEER) == [mine, dead, last]
        assert await tx.list_exceptions(subjects=[subject, uuid7()]) == [mine, dead, other]
        assert await tx.list_exceptions(kinds=[OutcomeKind.WAITING]) == [mine, other, last]
        assert await tx.list_exceptions(writer=PEER, subjects=[subject], kinds={OutcomeKind.WAITING}) == [mine]
        assert await tx.list_exceptions(subjects=[]) == []
        ids = [each.taken.named.message_id for each in (other, last)]
        assert await tx.list_exceptions(writer=PEER, message_ids=ids) == [last]


async def test_exceptions_are_counted_by_stream_until_they_end(stores: MessagingStore) -> None:
    kept = [build_exception(), build_exception(lane=Lane.URGENT), build_exception(writer="police"), build_exception()]
    async with stores.transaction() as tx:
        await tx.save_incoming(await tx.load_incoming(PAIR, lock=True))
        await tx.add_exceptions([])
        await tx.add_exceptions(kept)
        incoming = await tx.load_incoming(PAIR, lock=False)
        size = len(kept[0].taken.record)
        assert (incoming.exception_counts, incoming.exception_bytes) == ((1, 2), (size, 2 * size))
        await tx.end_exceptions(PEER, [kept[0].taken.named.message_id, uuid7()])
        [incoming] = await tx.list_incoming()
        assert (incoming.exception_counts, incoming.exception_bytes) == ((1, 1), (size, size))


async def test_an_exception_of_one_writer_gets_another_outcome(stores: MessagingStore) -> None:
    kept = build_exception()
    outcome = Outcome(kept.taken.named, OutcomeKind.DEAD, "poison", 4)
    other = replace(kept, taken=replace(kept.taken, writer="police"))
    async with stores.transaction() as tx:
        await tx.add_exceptions([kept])
        await tx.add_exceptions([other])
        await tx.change_exception(PEER, kept.taken.named.message_id, outcome)
        assert await tx.list_exceptions(writer="police") == [other]
        await tx.end_exceptions("police", [kept.taken.named.message_id])
        [changed] = await tx.list_exceptions()
    assert (changed.outcome, changed.taken, changed.since) == (outcome, kept.taken, kept.since)


async def test_open_outcomes_are_put_replaced_and_ended_by_peer(stores: MessagingStore) -> None:
    first, second, third = sorted((build_open() for _ in range(3)), key=lambda each: each.message_id)
    other = build_open("police")
    async with stores.transaction() as tx:
        await tx.put_open_outcomes(PEER, [])
        await tx.put_open_outcomes(PEER, [first, second])
        await tx.put_open_outcomes("police", [other])
        await tx.put_open_outcomes(PEER, [first._replace(kind=OutcomeKind.DEAD, code=None)])
        assert await tx.list_open_outcomes(PEER) == [first._replace(kind=OutcomeKind.DEAD, code=None), second]
        await tx.replace_open_outcomes(PEER, [second._replace(code="new"), third])
        assert await tx.list_open_outcomes(PEER) == [second._replace(code="new"), third]
        await tx.end_open_outcomes(PEER, [third.message_id, other.message_id])
        assert await tx.list_open_outcomes(PEER) == [second._replace(code="new")]
        await tx.replace_open_outcomes(PEER, [])
        assert await tx.list_open_outcomes(PEER) == []
        assert await tx.list_open_outcomes("police") == [other]


async def test_a_peer_brings_no_more_rows_than_its_share(
    stores: MessagingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.messaging.ports.OPEN_OUTCOMES_MAX", 3)
    rows = [build_open() for _ in range(5)]
    async with stores.transaction() as tx:
        await tx.put_open_outcomes(PEER, rows[:2])
        await tx.put_open_outcomes(PEER, rows[2:])
        assert set(await tx.list_open_outcomes(PEER)) == set(rows[:3])
        await tx.replace_open_outcomes(PEER, rows[2:])
        assert set(await tx.list_open_outcomes(PEER)) == set(rows[2:])

    lines = [OperatorLine(OperatorKind.ACT, PEER, uuid7(), uuid7()) for _ in range(10_002)]
    more, others = OperatorLine(OperatorKind.UNKNOWN, PEER), OperatorLine(OperatorKind.ACT, "police", uuid7(), uuid7())
    async with stores.transaction() as tx:
        await tx.add_operator_lines(lines[:9_999])
        assert set(await tx.list_operator_lines()) == set(lines[:9_999])
        await tx.add_operator_lines([*lines[9_999:], others])
        await tx.add_operator_lines([OperatorLine(OperatorKind.AHEAD, PEER)])
        found = await tx.list_operator_lines()
    assert set(found) == {*lines[:10_000], more, others, OperatorLine(OperatorKind.AHEAD, PEER)}


async def test_a_line_is_on_the_operators_list_once(stores: MessagingStore) -> None:
    subject = uuid7()
    lines = [
        OperatorLine(OperatorKind.AHEAD, PEER),
        OperatorLine(OperatorKind.UNKNOWN, PEER, subject),
        OperatorLine(OperatorKind.ACT, PEER, subject, uuid7()),
        OperatorLine(OperatorKind.UNKNOWN, "police", subject),
    ]
    async with stores.transaction() as tx:
        await tx.add_operator_lines([])
        await tx.add_operator_lines([*lines, lines[0]])
    async with stores.transaction() as tx:
        await tx.add_operator_lines(lines[1:])
        found = await tx.list_operator_lines()
    assert sorted(found, key=str) == sorted(lines, key=str)


async def test_the_resync_requests_of_a_peer_come_back_as_they_were_saved(stores: MessagingStore) -> None:
    whole = PeerResync(
        PEER, uuid7(), True, AT, uuid7(), uuid7(), "0 2030-05-01 ~", AT, 7, "0 2030-05-01 ,1 2030-05-01 "
    )
    for saved in (whole, PeerResync(PEER, None, False, AT, None)):
        async with stores.transaction() as tx:
            await tx.save_resync(saved)
            assert await tx.load_resync(PEER) == saved
            assert await tx.load_resync("police") == PeerResync("police")
