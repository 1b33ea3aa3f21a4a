"""Statements are never undone: both sides use one fold."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from shared.core.protocol.retention_grounds import folded

ARREST = {"outcome": "arrest", "child_identified": "yes", "child_safeguarded": "yes"}
CLOSED = {"outcome": "closed", "close_reason": "other", "child_identified": "unknown", "child_safeguarded": "unknown"}


def test_what_an_earlier_act_said_of_itself_is_over_and_its_words_stay() -> None:
    before = ARREST | {"act": "a", "number": 2, "question": 1, "revision": 1, "due": "2026-05-04T00:00:00.000Z"}
    assert folded(before, {"act": "b", "number": 3, "fate": "erased"}) == ARREST | {
        "act": "b",
        "number": 3,
        "fate": "erased",
    }


@pytest.mark.parametrize(("before", "said"), list(product(["yes", "no", "unknown"], repeat=2)))
def test_unknown_takes_nothing_back(before: str, said: str) -> None:
    (now,) = folded({"child_identified": before}, {"child_identified": said}).values()
    assert now == before if said == "unknown" else now in {said, "yes"}


def test_a_child_that_was_identified_stays_identified() -> None:
    assert folded(ARREST, CLOSED) == CLOSED | {"child_identified": "yes", "child_safeguarded": "yes"}


@pytest.mark.parametrize("order", list(permutations(["yes", "no", "unknown"])))
def test_whether_it_ever_was_so_does_not_hang_on_the_order(order: tuple[str, ...]) -> None:
    said: dict[str, object] = {}
    for word in order:
        said = folded(said, {"child_identified": word})
    assert said == {"child_identified": "yes"}
