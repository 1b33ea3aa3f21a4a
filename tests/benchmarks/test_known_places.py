"""The probability of lopsided differences, by ranks."""

from __future__ import annotations

import random

from tests.benchmarks.known_places import PROBABILITY_MIN, signed_ranks


def test_what_is_as_often_above_as_below_comes_by_chance() -> None:
    drawn = random.Random(7)
    assert signed_ranks([drawn.gauss(0, 5) for _ in range(2_000)]) > 0.01
    assert signed_ranks([0.0] * 100) == 1.0


def test_a_small_shift_within_much_noise_does_not() -> None:
    drawn = random.Random(7)
    assert signed_ranks([drawn.gauss(1, 5) for _ in range(2_000)]) < PROBABILITY_MIN


def test_it_is_the_tables_of_wilcoxon() -> None:
    # Ten pairs, ranks of the negative 8: z = (47 - 27.5) / 9.81.
    assert round(signed_ranks([1, 2, -3, 4, -5, 6, 7, 8, 9, 10]), 4) == round(0.046853, 4)
