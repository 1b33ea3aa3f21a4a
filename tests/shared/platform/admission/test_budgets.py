"""A party gets its budget and no more, on average, and learns when to retry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.admission.budgets import BURST_S, BudgetExceeded, BudgetLimits, Budgets, Principal
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock

LIMITS = BudgetLimits(requests_per_s=10, bytes_per_s=1000)


KEY = Principal("a.example", "one")


def passes(budgets: Budgets, body_bytes: int = 0, whose: Principal = KEY) -> bool:
    try:
        budgets.charge(whose, body_bytes)
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
    budgets.charge(KEY, 0)
    budgets.owe(KEY, 300)
    with pytest.raises(BudgetExceeded) as refused:
        budgets.charge(KEY, 0)
    assert refused.value.headers["Retry-After"] == "1"
    assert passes(budgets, whose=Principal("b.example", "one"))
    clock.advance(1)
    assert passes(budgets)


def test_a_budget_that_counts_requests_alone_would_grant_any_work() -> None:
    """Negative control: without a limit of its own, work costs nothing."""
    budgets = Budgets(LIMITS, ManualClock(NOW))
    budgets.owe(KEY, 1_000_000)
    assert passes(budgets)


def test_a_refusal_says_when_the_next_request_will_pass() -> None:
    clock = ManualClock(NOW)
    budgets = Budgets(BudgetLimits(requests_per_s=0.5, bytes_per_s=1000), clock)
    budgets.charge(KEY, 0)
    with pytest.raises(BudgetExceeded) as refused:
        budgets.charge(KEY, 0)
    assert refused.value.status == 429
    assert dict(refused.value.headers) == {
        "RateLimit-Policy": '"requests";q=1',
        "RateLimit-Limit": "1",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "2",
        "Retry-After": "2",
    }
    clock.advance(2)
    budgets.charge(KEY, 0)


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


@pytest.mark.parametrize("greedy_keys", [1, 5])
def test_a_key_has_something_left_whatever_the_other_keys_of_its_party_use(greedy_keys: int) -> None:
    """The others are over budget in requests, bytes and work. The party as a whole pays for what the key uses."""
    clock = ManualClock(NOW)
    budgets = Budgets(BudgetLimits(20, 2_000, work_per_s=200), clock)
    modest = KEY._replace(holder="modest")
    for _ in range(60):
        for number in range(greedy_keys):
            greedy = KEY._replace(holder=f"greedy {number}")
            while passes(budgets, 500, greedy):
                budgets.owe(greedy, 1_000)
        assert passes(budgets, 50, modest)
        budgets.owe(modest, 5)
        clock.advance(1)


def test_the_key_that_used_the_budget_up_has_no_share_beside_it() -> None:
    clock = ManualClock(NOW)
    budgets = Budgets(LIMITS, clock)
    granted = sum(passes(budgets, whose=KEY) for _ in range(1_000))
    assert granted == LIMITS.requests_per_s * BURST_S
    assert passes(budgets, whose=KEY._replace(holder="another"))
