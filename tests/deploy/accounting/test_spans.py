"""Numbers as spans: the same as a set of them, in little room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.accounting.spans import Spans, as_text

NUMBERS = st.lists(st.integers(1, 60), max_size=60)


@given(NUMBERS)
def test_spans_hold_what_was_added_in_any_order(numbers: list[int]) -> None:
    spans = Spans()
    for number in numbers:
        spans.add(number)
    assert {number for first, last in spans for number in range(first, last + 1)} == set(numbers)
    assert all(one[1] + 1 < other[0] for one, other in zip(list(spans), list(spans)[1:], strict=False))
    assert spans.last == max(numbers, default=0)


@given(NUMBERS, st.integers(0, 70))
def test_what_is_missing_is_the_rest(numbers: list[int], last: int) -> None:
    spans = Spans((number, number) for number in numbers)
    missing = {number for first, end in spans.missing(last) for number in range(first, end + 1)}
    assert missing == set(range(1, last + 1)) - set(numbers)


def test_dense_numbers_are_one_span_however_many() -> None:
    spans = Spans()
    for number in range(1, 100_001):
        spans.add(number)
    assert list(spans) == [(1, 100_000)]


def test_spans_are_told_shortly() -> None:
    assert as_text([(1, 3), (7, 7)]) == "1-3, 7"
    assert as_text([(number, number) for number in range(1, 30, 2)], most=2) == "1, 3 …"
