"""The published content of a month, which is written once."""

from __future__ import annotations

import csv
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploy.statistics.figures import Figures, Measure, Month
from deploy.statistics.publication import Bar, bars, files_of, publish
from shared.core.errors import Refused
from tests.support import exchange_world
from tests.support.builders import POLICE, PROVIDER

ORIGINS = ("hotline-nl.example", "hotline-de.example", "hotline-fr.example")


def test_the_median_is_the_lower_one() -> None:
    figures = Figures()
    for minutes in (1, 2, 3, 4):
        figures.add(Measure.ACTIONED, minutes, 1, origin="hotline.example")
    assert figures.median_minutes(Measure.ACTIONED) == 2
    assert figures.median_minutes(Measure.SENT) is None
    assert Figures.sum([figures, figures]).count(Measure.ACTIONED) == 8


def test_a_month_is_published_a_day_after_its_end() -> None:
    month = Month.read("2026-12")
    assert (month.first, month.after) == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    month.require_over(datetime(2027, 1, 2, tzinfo=UTC))
    with pytest.raises(Refused, match="month_not_over"):
        month.require_over(datetime(2027, 1, 1, 23, tzinfo=UTC))
    for text in ("2026", "2026-13", "10-2026", "now"):
        with pytest.raises(Refused, match="month_invalid"):
            Month.read(text)


def test_figures_that_were_published_stay(tmp_path: Path) -> None:
    assert [path.name for path in publish({"a.csv": b"1"}, tmp_path)] == ["a.csv"]
    assert publish({"a.csv": b"1"}, tmp_path) == []
    with pytest.raises(Refused, match="already_published"):
        publish({"a.csv": b"2", "b.csv": b"3"}, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.csv": b"1"}


def test_exercises_are_published_beside_the_rest_in_one_folder(tmp_path: Path) -> None:
    directory, month = exchange_world.world().documents.directory, Month(2026, 10)
    publish(files_of(month, {}, directory), tmp_path)
    published = publish(files_of(month, {}, directory, exercises=True), tmp_path)
    names = {
        f"2026-10-exercises-{kind}.{form}" for kind in ("agencies", "providers", "gone") for form in ("csv", "svg")
    } | {"2026-10-exercises-providers-confirmed.svg", "2026-10-exercises.html"}
    assert {path.name for path in published} == names
    assert "2026-10 (exercises)" in (tmp_path / "2026-10-exercises-providers.svg").read_text()


def test_the_page_has_every_number_of_the_tables_and_nothing_from_elsewhere() -> None:
    directory, figures = exchange_world.world().documents.directory, Figures()
    for measure in (Measure.SENT, Measure.ACTIONED, Measure.REMOVED, Measure.CONFIRMED):
        for origin in ORIGINS:
            figures.add(measure, 90, 4, origin=origin)
    figures.gone = Counter(dict.fromkeys(ORIGINS, 6))
    files = files_of(Month(2026, 10), {PROVIDER: figures, POLICE: figures}, directory)
    page = files["2026-10.html"].decode()
    for name in ("2026-10-providers.csv", "2026-10-agencies.csv", "2026-10-gone.csv"):
        header, *rows = csv.reader(files[name].decode().splitlines())
        table = page.partition(f"<caption>{name}</caption>")[2].partition("</table>")[0]
        cells = [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row) for row in table.split("</tr>")[:-1]]
        assert [len(row) for row in cells] == [len(header)] * (1 + len(rows))
        assert [row[1:] for row in cells[1:]] == [row[1:] for row in rows]
    assert set(re.findall(r'src="([^"]+)"', page)) == {name for name in files if name.endswith(".svg")}
    assert not re.search(r"https?:|<script|href", page)


def test_a_plot_is_a_picture_with_words_and_nothing_from_elsewhere() -> None:
    drawn = bars("Median <hours>", [Bar("provider-001.example", 3.5), Bar("7 others NL", 0.0)])
    root = ElementTree.fromstring(drawn)  # noqa: S314 (our own bytes)
    assert root.get("aria-label") == "Median <hours>"
    assert "3.5" in drawn
    assert "href" not in drawn
    assert "too few" in bars("x", [])


def test_nothing_says_how_long_notices_of_a_provider_waited_for_others() -> None:
    """Five delayed notices are enough for their provider to conclude from a median that they were held."""
    directory = exchange_world.world().documents.directory
    figures = Figures()
    for minutes in (10, 5_000, 5_000, 5_000, 5_000):
        for origin in ORIGINS:
            figures.add(Measure.SENT, minutes, 1, origin=origin)
            figures.add(Measure.ACTIONED, 60, 1, origin=origin)
    files = files_of(Month(2026, 10), {PROVIDER: figures, POLICE: figures}, directory)
    (provider,) = csv.DictReader(files["2026-10-providers.csv"].decode().splitlines())
    assert (provider["sent"], provider["actioned_median_h"]) == ("15", "1.0")
    assert not [column for column in provider if column.startswith("sent_")]
    (agency,) = csv.DictReader(files["2026-10-agencies.csv"].decode().splitlines())
    assert agency["sent_median_h"] == "83.3"
