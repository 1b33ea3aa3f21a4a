"""A party gets its budget and no more, on average, and learns when to retry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.admission.budgets import BURST_S, BudgetExceeded, BudgetLimits, Budgets
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock

LIMITS = BudgetLimits(requests_per_s=10, bytes_per_s=1000)


def passes(budgets: Budgets, body_bytes: int = 0, party: str = "a.example") -> bool:
    try:
        budgets.charge(party, body_bytes)
    except BudgetExceeded:
        return False
    return True


def test_a_burst_is_granted_and_then_the_rate() -> None:
    clock = ManualClock(NOW)
    budgets = Budgets(LIMITS, clock)
    assert [passes(budgets) for _ in range(21)] == [True] * 20 + [False]
    clock.advance(0.1)
    assert [passes(budgets), passes(budgets)] == [True, False]


def test_bytes_are_a_budget_of_their_own() -> None:
    clock = ManualClock(NOW)
    budgets = Budgets(LIMITS, clock)
    assert [passes(budgets, 1500), passes(budgets, 1500)] == [True, False]
    clock.advance(1)
    assert passes(budgets, 1500)


def test_a_body_larger_than_the_bucket_passes_once_and_is_paid_for_by_waiting() -> None:
    clock = ManualClock(NOW)
    budgets = Budgets(LIMITS, clock)
    assert passes(budgets, 5000)
    clock.advance(3)
    assert not passes(budgets, 1)
    clock.advance(0.1)
    assert passes(budgets, 1)


def test_work_is_owed_once_it_is_known_and_paid_for_by_waiting() -> None:
    """A party that has used 3 s of its budget gets nothing until that time has passed. Other parties are served."""
    clock = ManualClock(NOW)
    budgets = Budgets(BudgetLimits(1_000, 1_000_000, work_per_s=100), clock)
    budgets.charge("a.example", 0)
    budgets.owe("a.example", 300)
    with pytest.raises(BudgetExceeded) as refused:
        budgets.charge("a.example", 0)
    assert refused.value.headers["Retry-After"] == "1"
    assert passes(budgets, party="b.example")
    clock.advance(1)
    assert passes(budgets)


def test_a_budget_that_counts_requests_alone_would_grant_any_work() -> None:
    """Negative control: without a limit of its own, work costs nothing."""
    budgets = Budgets(LIMITS, ManualClock(NOW))
    budgets.owe("a.example", 1_000_000)
    assert passes(budgets)


def test_a_refusal_says_when_the_next_request_will_pass() -> None:
    clock = ManualClock(NOW)
    budgets = Budgets(BudgetLimits(requests_per_s=0.5, bytes_per_s=1000), clock)
    budgets.charge("a.example", 0)
    with pytest.raises(BudgetExceeded) as refused:
        budgets.charge("a.example", 0)
    assert refused.value.status == 429
    assert dict(refused.value.headers) == {
        "RateLimit-Policy": '"requests";q=1',
        "RateLimit-Limit": "1",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "2",
        "Retry-After": "2",
    }
    clock.advance(2)
    budgets.charge("a.example", 0)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 3000)), max_size=60))
def test_no_party_ever_gets_more_than_its_rate_and_one_burst(asks: list[tuple[float, int]]) -> None:
    clock = ManualClock(NOW)
    budgets = Budgets(LIMITS, clock)
    granted, volume, largest = 0, 0, 0
    for wait_s, body_bytes in asks:
        clock.advance(wait_s)
        if passes(budgets, body_bytes):
            granted, volume, largest = granted + 1, volume + body_bytes, max(largest, body_bytes)
    passed_s = (clock.now() - NOW).total_seconds() + BURST_S
    assert granted <= 10 * passed_s + 1e-6
    assert volume <= 1000 * passed_s + largest + 1e-6
