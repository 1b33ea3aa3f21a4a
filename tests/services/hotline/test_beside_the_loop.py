"""Expensive bodies block no other request.

Checks run in a process of their own, dense submissions outside the event loop.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from time import perf_counter

import httpx
import pytest
from pydantic_core import to_json

from shared.core.errors import Refused, Unavailable
from shared.core.ids import uuid7
from shared.features.filing.api.act_handlers import referrals_router
from shared.features.filing.api.checking import CheckRequest, CheckWorker, check_posted
from shared.platform.admission.budgets import BudgetExceeded, PlacePool
from shared.platform.http import worker_process as aside_module
from tests.services.doors import asking, door
from tests.services.hotline.origin import Origin
from tests.support.builders import AT, HOTLINE
from tests.support.costly_bodies import large_referrals
from tests.support.exchange_world import SUBMISSION, world

JSON = "application/json"


def posted(body: bytes, content_type: str | None = JSON, party: str = HOTLINE) -> CheckRequest:
    return CheckRequest(body, content_type, None, party, AT)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow the process a long wait. It has low priority, and must not be replaced where processors are few."""
    monkeypatch.setattr(aside_module, "ANSWER_S_MAX", 600.0)


@pytest.fixture
async def aside() -> AsyncIterator[CheckWorker]:
    here = world()
    async with aclosing(CheckWorker(lambda: here.documents)) as checking:
        checking.here = here  # type: ignore[attr-defined]
        yield checking


@asynccontextmanager
async def steps_counted() -> AsyncIterator[Callable[[], list[float]]]:
    """Yield a function that returns the gaps between turns of the event loop so far, in seconds."""
    gaps: list[float] = []

    async def turns() -> None:
        before = perf_counter()
        while True:
            await asyncio.sleep(0)
            now = perf_counter()
            gaps.append(now - before)
            before = now

    counting = asyncio.create_task(turns())
    try:
        yield lambda: gaps
    finally:
        counting.cancel()


async def longest_gap_share(work: Callable[[], Awaitable[object]]) -> float:
    """Return the longest time without a turn for other tasks, as a share of the work's whole time."""
    async with steps_counted() as gaps:
        await asyncio.sleep(0.01)
        begun = perf_counter()
        await work()
        took_s = perf_counter() - begun
        await asyncio.sleep(0)
        return max(gaps()) / took_s


async def least_gap_share(work: Callable[[], Awaitable[object]], *, wanted: float) -> float:
    """Return the least gap share of eight runs, or the first below `wanted`.

    Other processes of the machine add to the gap in some runs only.
    """
    least = 1.0
    for _ in range(8):
        if (least := min(least, await longest_gap_share(work))) < wanted:
            break
    return least


async def test_the_process_says_what_is_computed_here(aside: CheckWorker) -> None:
    here = aside.here  # type: ignore[attr-defined]
    for body in (large_referrals(3), to_json(SUBMISSION), to_json({"referrals": [SUBMISSION, {}]})):
        told = await aside(posted(body))
        assert told == check_posted(posted(body), here.documents)
    assert told.work == 2 + 2 + len(json.loads(told.body)["results"][0]["recipients"])


@pytest.mark.parametrize(
    ("asked", "code", "status"),
    [
        (posted(b"{"), "body_not_json", 400),
        (posted(b"{}", "text/plain"), "body_content_type", 415),
        (posted(b"{}", party="nobody.example"), "not_found", 404),
    ],
)
async def test_a_body_is_refused_there_too(aside: CheckWorker, asked: CheckRequest, code: str, status: int) -> None:
    with pytest.raises(Refused) as refusal:
        await aside(asked)
    assert (refusal.value.code, refusal.value.status) == (code, status)


async def test_it_decides_by_the_documents_in_force_and_is_replaced_when_it_dies(aside: CheckWorker) -> None:
    here = aside.here  # type: ignore[attr-defined]
    body = json.dumps(SUBMISSION).encode()
    before = await aside(posted(body))
    narrowed = here.policy.model_copy(update={"version": 99, "rules": here.policy.rules[:1]})
    here.place(narrowed, AT)
    after = await aside(posted(body))
    assert (before, after) != (after, before)
    assert after == check_posted(posted(body), here.documents)
    process = aside._aside._process
    assert process is not None
    process.kill()
    with pytest.raises(Unavailable, match="aside_failed"):
        await aside(posted(body))
    assert await aside(posted(body)) == after


async def test_the_process_comes_last_in_a_session_that_is_ours(aside: CheckWorker) -> None:
    """Linux shares processors by session first.

    In a session of its own, the process's niceness would have no effect.
    """
    await aside(posted(json.dumps(SUBMISSION).encode()))
    process = aside._aside._process
    assert process is not None
    assert os.getsid(process.pid) == os.getsid(0)
    assert os.getpriority(os.PRIO_PROCESS, process.pid) >= aside_module.NICENESS


@pytest.mark.timing
async def test_a_question_that_nobody_waits_for_any_more_is_not_the_answer_to_the_next(aside: CheckWorker) -> None:
    body = json.dumps(SUBMISSION).encode()
    expected = await aside(posted(body))
    asking_in_vain = asyncio.create_task(aside(posted(large_referrals())))
    await asyncio.sleep(0.05)
    asking_in_vain.cancel()
    await asyncio.wait([asking_in_vain])
    assert await aside(posted(body)) == expected


async def test_one_party_cannot_fill_the_queue(aside: CheckWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(SUBMISSION).encode()
    monkeypatch.setattr(aside_module, "WAITING_MAX", 6)
    answered: list[str] = []

    async def ask(party: str) -> None:
        await aside(posted(body, party=party))
        answered.append(party)

    asked = [ask(HOTLINE) for _ in range(aside_module.TURNS.waiting + 4)]
    told = await asyncio.gather(*asked, ask("hotline-be.example"), return_exceptions=True)
    assert [isinstance(each, BudgetExceeded) for each in told] == [False] * 4 + [True] * 3 + [False]
    assert answered == [HOTLINE, HOTLINE, "hotline-be.example", HOTLINE, HOTLINE]


async def test_a_check_beyond_the_partys_places_is_its_own_excess_and_is_neither_read_nor_judged(
    origin: Origin, aside: CheckWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a 429 with the budget's name. The body is not read, so no work and no refused submission is counted."""
    counted: list[int] = []
    serving = replace(origin.api.serving, owe=lambda _, work: counted.append(work))
    monkeypatch.setattr(origin.alarms, "judged", lambda *said: counted.append(said[-1]))
    none = replace(aside_module.TURNS, of_holder=0, waiting=0)
    monkeypatch.setattr(aside._aside, "_turns", PlacePool("checks", none))
    async with door(referrals_router(replace(origin.api, checking=aside, serving=serving))) as client:
        answer = await client.post("/v1/referrals:check", json=SUBMISSION, headers=asking(HOTLINE))
    assert (answer.status_code, answer.json()["code"], counted) == (429, "budget_exceeded", [])
    assert answer.headers["ratelimit-policy"].startswith('"checks"')
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.timing
async def test_a_dear_check_gives_the_others_their_turns(aside: CheckWorker) -> None:
    """Compares ratios within one run. If the check is computed here, other tasks have no turn while it lasts."""
    here = aside.here  # type: ignore[attr-defined]
    body = large_referrals()
    await aside(posted(body))  # the process is running and has the documents

    async def on_the_loop() -> None:
        check_posted(posted(body), here.documents)

    assert await longest_gap_share(on_the_loop) > 0.8
    assert await least_gap_share(lambda: aside(posted(body)), wanted=0.3) < 0.3


@pytest.mark.timing
async def test_a_dense_filing_gives_the_others_their_turns(client: httpx.AsyncClient) -> None:
    headers = asking(HOTLINE) | {"content-type": JSON}

    async def filing() -> None:
        answer = await client.post(
            "/v1/referrals:batch", content=large_referrals(20), headers=headers | {"idempotency-key": uuid7().hex}
        )
        assert {each["status"] for each in answer.json()["results"]} == {202}

    assert await least_gap_share(filing, wanted=0.5) < 0.5
