"""One party over its budget affects only itself: it must wait, the others are served, and memory is stable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.failures.budgets import OTHERS, SLOW_CONNECTIONS, one_party_over_its_budget, slow_connections
from tests.failures.split import SplitExchange
from tests.support.running import referral

Record = Callable[[str, object], None]

SECONDS = 5.0
#: A process that stored each of the refused requests would grow by more.
GROWTH_KIB_MAX = 8_192


@pytest.mark.long
@pytest.mark.timing
async def test_a_party_over_its_budget_is_told_to_wait_and_the_others_are_served(
    intake: SplitExchange, capsys: pytest.CaptureFixture[str], record_property: Record
) -> None:
    excess = await one_party_over_its_budget(intake, seconds=SECONDS)
    with capsys.disabled():
        print("", *excess.lines(), sep="\n  ")
    assert excess.greedy_statuses.keys() == {202, 429}
    # Not more than the budget grants in that time, and not less, or the party would lose a part of its budget.
    assert 0.8 * excess.due < excess.greedy_statuses[202] <= excess.grantable + 1
    assert excess.greedy_told_to_wait
    assert excess.others_during.tally.statuses.keys() == {202}
    grown_kib = excess.memory_after_kib - excess.memory_before_kib
    assert grown_kib < GROWTH_KIB_MAX
    granted = f"{excess.greedy_statuses[202]} of {excess.greedy_statuses.total()} granted"
    record_property("figure", f"{excess.times_over:.1f} x its budget: {granted}; {grown_kib} KiB more")


async def statuses_beside(intake: SplitExchange, party: str) -> set[int]:
    """Return the statuses for a party that submits a few referrals, one after the other."""
    async with intake.http(party, timeout_s=60) as http:
        filed = [
            await http.post("/v1/referrals", json=referral(), headers={"Idempotency-Key": f"beside-{number}"})
            for number in range(3)
        ]
    return {answer.status_code for answer in filed}


@pytest.mark.timing
async def test_intake_answers_beside_a_hundred_connections_that_never_finish_and_ends_them(
    intake: SplitExchange, record_property: Record
) -> None:
    async with slow_connections(intake) as answers:
        told = await asyncio.gather(*(statuses_beside(intake, party) for party in OTHERS))
        assert told == [{202}] * len(OTHERS)
        assert not answers.done()
        ended = await answers
    assert ended == [b"HTTP/1.1 408 Request Timeout\r\n"] * SLOW_CONNECTIONS
    record_property("slow connections ended", len(ended))
