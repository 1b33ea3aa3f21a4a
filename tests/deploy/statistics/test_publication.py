"""What is written of a month, and that it is written once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploy.statistics.figures import Figures, Measure, Month
from deploy.statistics.plots import Bar, bars
from deploy.statistics.publication import publish
from shared.kernel.errors import Refused


def test_the_median_is_the_lower_one() -> None:
    figures = Figures()
    for minutes in (1, 2, 3, 4):
        figures.add(Measure.ACTIONED, minutes, 1)
    assert figures.median_minutes(Measure.ACTIONED) == 2
    assert figures.median_minutes(Measure.SENT) is None
    assert Figures.sum([figures, figures]).count(Measure.ACTIONED) == 8


def test_a_month_is_published_a_day_after_its_end() -> None:
    month = Month.read("2026-12")
    assert (month.first, month.after) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    month.require_over(datetime(2027, 1, 2, tzinfo=UTC))
    with pytest.raises(Refused, match="month_not_over"):
        month.require_over(datetime(2027, 1, 1, 23, tzinfo=UTC))


@pytest.mark.parametrize("text", ["2026", "2026-13", "10-2026", "now"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="month_invalid"):
        Month.read(text)


def test_figures_that_were_published_stay(tmp_path: Path) -> None:
    assert [path.name for path in publish({"a.csv": b"1"}, tmp_path)] == ["a.csv"]
    assert publish({"a.csv": b"1"}, tmp_path) == []
    with pytest.raises(Refused, match="already_published"):
        publish({"a.csv": b"2", "b.csv": b"3"}, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.csv": b"1"}


def test_a_plot_is_a_picture_with_words_and_nothing_from_elsewhere() -> None:
    drawn = bars("Median <hours>", [Bar("provider-001.example", 3.5), Bar("7 others NL", 0.0)])
    root = ElementTree.fromstring(drawn)  # noqa: S314 (our own bytes)
    assert root.get("aria-label") == "Median <hours>"
    assert "3.5" in drawn
    assert "href" not in drawn
    assert "too few" in bars("x", [])
