"""A country's two-year report consists of sums of published numbers, and nothing else."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.statistics.figures import Figures, Measure, Month
from deploy.statistics.publication import files_of, publish, years_of
from shared.core.errors import Refused
from tests.support import exchange_world
from tests.support.builders import POLICE, PROVIDER

ORIGINS = ("hotline-nl.example", "hotline-de.example", "hotline-fr.example")
MONTHS = tuple(Month(year, month) for year in (2026, 2027) for month in range(1, 13))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Write every month of two years, of agencies and providers of the sample directory.

    In some months their rows are merged.
    """
    directory = exchange_world.world().documents.directory
    agencies = ["police-nl.example", "police-de.example", "police-fr.example"]
    assert POLICE in agencies
    drawn = random.Random(8)
    for month in MONTHS:
        figures: dict[str, Figures] = {}
        for party in (*agencies, PROVIDER):
            figures[party] = of = Figures()
            for measure in (Measure.SENT, Measure.FROM_HOTLINES, Measure.ACCEPTED, Measure.IDENTIFIED):
                count = drawn.choice((1, 8, 8, 12))
                for origin in ORIGINS:
                    of.add(measure, drawn.randint(1, 999), count, origin=origin)
            of.gone = Counter(dict.fromkeys(ORIGINS, 3))
        publish(files_of(month, figures, directory), tmp_path / "published")
    return tmp_path / "published"


def recounted(folder: Path, table: str, columns: Mapping[str, str]) -> dict[tuple[str, str], Counter[str]]:
    """Return the numbers by year and country from the files alone, without code of the project."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for path in sorted(folder.glob(f"*-{table}.csv")):
        year, _, _ = path.name.split("-", 2)
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
        for country in {line["country"] for line in lines}:
            sums = found.setdefault((year, country), Counter())
            sums["months"] += 1
            for line in lines:
                if line["country"] == country:
                    sums.update({name: int(line[column]) for name, column in columns.items()})
    return found


def said(content: bytes, *names: str) -> dict[tuple[str, str], Counter[str]]:
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""))
    return {(row["year"], row["country"]): Counter({each: int(row[each]) for each in names}) for row in rows}


def test_each_number_is_the_sum_of_what_was_published_of_its_country(published: Path) -> None:
    made = years_of(2026, published)
    named = {
        "reports": "sent",
        "reports_from_providers": "from_providers",
        "reports_from_organisations": "from_hotlines",
        "cases_with_child_identified": "identified",
    }
    theirs = recounted(published, "agencies", named)
    assert said(made["2026-2027-article-8.csv"], "months", *named) == theirs
    assert {country for _, country in theirs} >= {"", "NL"}
    gone = {name: name for name in ("already_gone", "gone_while_held")}
    assert said(made["2026-2027-gone.csv"], "months", *gone) == recounted(published, "gone", gone)
    sent = {name: name for name in ("sent", "actioned")}
    assert said(made["2026-2027-providers.csv"], "months", *sent) == recounted(published, "providers", sent)


def test_what_nobody_tells_the_exchange_is_empty(published: Path) -> None:
    made = years_of(2026, published)["2026-2027-article-8.csv"].decode()
    for row in csv.DictReader(io.StringIO(made, newline="")):
        for name in ("reported_several_times", "children_identified_female", "perpetrators_convicted"):
            assert row[name] == ""


def test_a_month_that_was_not_published_is_named(published: Path) -> None:
    (published / "2027-05-gone.csv").unlink()
    with pytest.raises(Refused, match="month_unpublished"):
        years_of(2026, published)


def test_a_table_of_another_version_is_refused(published: Path) -> None:
    path = published / "2027-05-agencies.csv"
    path.write_text("recipient,country,parties,sent\r\n")
    with pytest.raises(Refused, match="table_unknown"):
        years_of(2026, published)
