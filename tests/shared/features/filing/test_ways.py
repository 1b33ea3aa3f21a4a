"""Intake queues: how many submissions of each party may wait there, and whose turn is next."""

from __future__ import annotations

import asyncio

import pytest

from shared.core.authority import Role
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused, Unavailable
from shared.core.vocabulary.referral import PriorityLevel
from shared.features.filing.rules import HttpReply, Request, Submission
from shared.features.filing.service import alarms
from shared.features.filing.service.alarms import (
    ANSWER_S_MAX,
    DENSE_PER_S,
    DENSE_WAITING_MAX,
    SHARES,
    TOGETHER_MAX,
    WAITING_MAX,
    IntakeQueue,
)
from shared.platform.admission.budgets import BudgetExceeded
from shared.platform.admission.throttled_executor import REST
from shared.platform.http.bodies import BATCH_ITEMS_MAX
from tests.support.exchange_world import submission, world

DIRECTORY = world().documents.directory
A, B, C, D, E, F = [each["id"] for each in DIRECTORY.document["parties"]][:6]


def asked(party: str, count: int = 1, *, level: PriorityLevel | None = None) -> Request:
    """Take a number of submissions, the last at this level."""
    entry = DIRECTORY.party(party)
    assert entry is not None
    last = submission(priority={"level": level, "basis": ["imminent_harm"]}) if level else submission()
    contents: list[ReferralSubmission | Refused] = [*[Refused("schema_invalid")] * (count - 1), last]
    filed = [Submission(entry, Role.MACHINE, each, body_sha256="", actor="") for each in contents]
    return Request(filed, b"", b"", single=count == 1)


def enter(way: IntakeQueue, *requests: Request) -> list[asyncio.Future[HttpReply]]:
    return [way.enter(each) for each in requests]


async def test_one_party_is_taken_after_the_other_and_each_in_its_order() -> None:
    way = IntakeQueue(100)
    first, second, third = asked(A), asked(A), asked(A)
    other, last = asked(B), asked(B)
    enter(way, first, second, third, other)
    assert [request for request, _ in await way.take(2)] == [first, other]
    enter(way, last)
    taken = [request for request, _ in await way.take(10)]
    assert all(mine is his for mine, his in zip(taken, [second, last, third], strict=True))


async def test_a_request_is_taken_whole_and_no_more_than_there_is_room_for() -> None:
    way = IntakeQueue(100)
    enter(way, asked(A, 3), asked(B, 3), asked(C, 3))
    assert [len(await way.take(4)), len(await way.take(4))] == [2, 1]


async def test_whoever_takes_waits_for_the_next() -> None:
    way = IntakeQueue(100)
    for _ in range(2):
        taking = asyncio.create_task(way.take(10))
        await asyncio.sleep(0)
        assert not taking.done()
        enter(way, request := asked(A))
        ((taken, _),) = await taking
        assert taken is request


@pytest.mark.timing
@pytest.mark.parametrize("wait", ["GATHER_S", "PAUSE_S"])
async def test_requests_that_come_soon_after_each_other_or_after_answers_are_taken_together(
    wait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "GATHER_S", 0.0)
    monkeypatch.setattr(alarms, wait, 0.3)
    way = IntakeQueue(100)
    enter(way, asked(A))
    taking = asyncio.create_task(way.take(100))
    for _ in range(3):
        await asyncio.sleep(0)
        enter(way, asked(B))
    assert len(await taking) == 4


@pytest.mark.timing
async def test_a_request_after_a_pause_waits_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "PAUSE_S", 0.3)
    way = IntakeQueue(100)
    taking = asyncio.create_task(way.take(100))
    await asyncio.sleep(0.4)
    enter(way, asked(A))
    await asyncio.sleep(0.1)
    assert taking.done()


async def test_many_wait_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "GATHER_S", 60.0)
    way = IntakeQueue(500)
    enter(way, asked(A, alarms.GATHERED_MAX))
    assert len(await asyncio.wait_for(way.take(100), 30)) == 1


async def test_a_party_has_its_share_of_the_places_and_all_together_have_them_all() -> None:
    way = IntakeQueue(5 * SHARES)
    enter(way, asked(A, 3), asked(A, 2))
    with pytest.raises(BudgetExceeded) as own:
        enter(way, asked(A))
    assert own.value.headers["RateLimit-Policy"] == '"intake";q=5'
    enter(way, *[asked(each, 5) for each in (B, C, D, E)])
    with pytest.raises(Unavailable, match="intake_full"):
        enter(way, asked(F))
    await way.take(1)
    assert not way.enter(asked(F)).done()


async def test_a_child_at_risk_waits_for_no_other_party_but_for_its_own() -> None:
    urgent = PriorityLevel.P0_CHILD_AT_RISK
    way = IntakeQueue(5 * SHARES)
    enter(way, *[asked(each, 5) for each in (A, B, C, D, E)])
    enter(way, asked(F, 1, level=urgent), asked(F, 4, level=urgent))
    for full in (asked(F, 1, level=urgent), asked(A, 1, level=urgent)):
        with pytest.raises(BudgetExceeded):
            enter(way, full)


async def test_who_leaves_gives_its_places_back_once() -> None:
    way = IntakeQueue(5 * SHARES)
    request, kept = asked(A, 3), asked(A, 2)
    answer, _ = enter(way, request, kept)
    for _ in range(2):
        way.leave(request, answer)
    enter(way, asked(A, 3))
    with pytest.raises(BudgetExceeded):
        enter(way, asked(A))
    assert (await way.take(1))[0][0] is kept


def test_what_may_wait_is_filed_in_time_and_a_share_has_room_for_a_list() -> None:
    """Covers the full dense queue and the transaction before it, with a pausing worker thread."""
    assert (DENSE_WAITING_MAX + TOGETHER_MAX) * (1 + REST) / DENSE_PER_S <= ANSWER_S_MAX
    assert min(WAITING_MAX, DENSE_WAITING_MAX) // SHARES >= BATCH_ITEMS_MAX
