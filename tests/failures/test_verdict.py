"""The verdict itself: it finds each possible fault, including faults hidden behind `lost 0`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploy.accounting.book import Difference, Reconciliation
from tests.failures.verdict import Verdict, list_lost

WELL = Verdict(
    posted=10,
    referrals=9,
    refused={"guard_over_budget": 1},
    edges=18,
    messages_acknowledged=18,
    referrals_lost=0,
    referrals_unasked=0,
    effects_lost=0,
    effects_unasked=0,
    duplicates=0,
    streams_wrong=0,
    outcomes={"applied": 18},
    accounting=Reconciliation({}, {}, {}),
)


def test_a_run_in_which_only_the_guard_refused_has_no_fault() -> None:
    assert WELL.faults() == {}


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        ("referrals_lost", {"referrals_lost": 1}),
        ("referrals_unasked", {"referrals_unasked": 1}),
        ("effects_lost", {"effects_lost": 1}),
        ("effects_unasked", {"effects_unasked": 1}),
        ("duplicates", {"duplicates": 1}),
        ("streams_wrong", {"streams_wrong": 1}),
        ("outcomes", {"outcomes": {"applied": 17, "dead": 1}}),
        ("refused", {"refused": {"external_ref_exists": 1}}),
        ("posted", {"posted": 11}),
        ("accounting", {"accounting": Reconciliation({}, {}, {}, differences=(Difference("I", "what", "where"),))}),
    ],
)
def test_each_fault_is_found(fault: str, change: dict[str, Any]) -> None:
    assert replace(WELL, **change).faults().keys() == {fault}


@pytest.mark.parametrize(
    ("effect", "tombstone", "is_lost"),
    [
        (("subject", "police", "investigation", True), ("subject", "police"), False),
        (("subject", "police", "investigation", True), ("subject", "other"), True),
        (("subject", "police", "investigation", False), ("subject", "police"), True),
    ],
)
def test_a_tombstone_is_the_effect_of_a_withdrawal_alone(
    effect: tuple[object, ...], tombstone: tuple[object, ...], *, is_lost: bool
) -> None:
    assert list_lost([effect], [], [tombstone]) == [effect] * is_lost
    assert list_lost([effect], [effect], []) == []
