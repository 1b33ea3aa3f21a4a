"""Two years as a country reports of them, summed from the tables of their months as they were published. Pure.

Nothing is counted anew: whoever has the months has all of it, so nothing small can follow from it that did not before.
A country's numbers are of the months in which it was published by itself, and no more than that is said of it; what
was published of several countries together is a row without a country.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from deploy.statistics.figures import MEASURES, Measure, Month
from deploy.statistics.publication import csv_of
from shared.kernel.errors import Refused
from shared.vocabulary.routing import PartyKind

#: What of each month's tables can be summed. Medians cannot.
SUMMED: Final[Mapping[str, Sequence[str]]] = {
    "agencies": MEASURES[PartyKind.LAW_ENFORCEMENT],
    "providers": MEASURES[PartyKind.INDUSTRY],
    "gone": ("already_gone", "gone_while_held"),
}
#: What Article 8(1) of Regulation (EU) 2021/1232 names, and where it comes from; None: nobody tells the exchange.
ARTICLE_8: Final[Mapping[str, Measure | None]] = {
    "reports": Measure.SENT,
    "reports_from_providers": Measure.FROM_PROVIDERS,
    "reports_from_organisations": Measure.FROM_HOTLINES,
    "reported_several_times": None,
    "by_type_of_provider": None,
    "cases_with_child_identified": Measure.IDENTIFIED,
    "children_identified_female": None,
    "children_identified_male": None,
    "perpetrators_convicted": None,
}


class Summed(NamedTuple):
    """What the months of a year say of one country: in how many it stands, and the sums by column."""

    year: int
    country: str
    months: int
    sums: Mapping[str, int]


def files_of(first: int, published: Path) -> dict[str, bytes]:
    """The tables of the year `first` and the one after it. Raises `Refused`: `month_unpublished`, `table_unknown`."""
    made, years = {}, f"{first}-{first + 1}"
    for table, columns in SUMMED.items():
        rows = [row for year in (first, first + 1) for row in _rows(year, published, table)]
        made[f"{years}-{table}.csv"] = _table(rows, dict(zip(columns, columns, strict=True)))
        if table == "agencies":
            made[f"{years}-article-8.csv"] = _table(rows, ARTICLE_8)
    return made


def _table(rows: Sequence[Summed], columns: Mapping[str, str | None]) -> bytes:
    """The sums under other names; empty what nobody tells."""
    named = ["year", "country", "months", *columns]
    return csv_of(named, [[*row[:3], *(of and row.sums[of] for of in columns.values())] for row in rows])


def _rows(year: int, published: Path, table: str) -> Iterator[Summed]:
    """By country, several countries last."""
    months, sums = defaultdict[str, set[Month]](set), defaultdict[str, Counter[str]](Counter)
    for month in (Month(year, number) for number in range(1, 13)):
        for row in _read(published / f"{month}-{table}.csv", SUMMED[table]):
            months[row["country"]].add(month)
            sums[row["country"]].update({column: int(row[column]) for column in SUMMED[table]})
    for country in sorted(months, key=lambda each: (not each, each)):
        yield Summed(year, country, len(months[country]), sums[country])


def _read(path: Path, columns: Sequence[str]) -> Sequence[Mapping[str, str]]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise Refused("month_unpublished", f"{path.name} is not there") from None
    table = csv.DictReader(text.splitlines())
    if not {"country", *columns} <= set(table.fieldnames or ()):
        raise Refused("table_unknown", f"{path.name} has other columns")
    return list(table)
