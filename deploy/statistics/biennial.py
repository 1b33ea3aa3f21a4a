"""Two years as a country reports of them, summed from the tables of their months as they were published. Pure.

Nothing is counted anew: whoever has the months has all of it, so nothing small can follow from it that did not before.
A country's numbers are of the months in which it was published by itself, and no more than that is said of it; what
was published of several countries together is a row without a country.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.statistics.figures import MEASURES, Measure, Month
from deploy.statistics.publication import csv_of
from shared.kernel.errors import Refused
from shared.vocabulary.routing import PartyKind

_AGENCIES: Final = tuple(each.value for each in MEASURES[PartyKind.LAW_ENFORCEMENT])
#: What of each month's tables can be summed. Medians cannot.
SUMMED: Final[Mapping[str, Sequence[str]]] = {
    "agencies": _AGENCIES,
    "providers": tuple(each.value for each in MEASURES[PartyKind.INDUSTRY]),
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


@dataclass(slots=True)
class Summed:
    """What the months of a year say of one country: in how many it stands, and the sums by column."""

    months: set[str] = field(default_factory=set)
    sums: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def files_of(first: int, published: Path) -> dict[str, bytes]:
    """The tables of the year `first` and the one after it. Raises `Refused`: `month_unpublished`, `table_unknown`."""
    made, years = {}, f"{first}-{first + 1}"
    for table, columns in SUMMED.items():
        rows = list(_rows(first, published, table))
        header = ["year", "country", "months", *columns]
        made[f"{years}-{table}.csv"] = csv_of(
            header,
            [[year, country, len(of.months), *(of.sums[each] for each in columns)] for year, country, of in rows],
        ).encode()
        if table == "agencies":
            made[f"{years}-article-8.csv"] = csv_of(
                ["year", "country", "months", *ARTICLE_8],
                [[year, country, len(of.months), *_article_8(of)] for year, country, of in rows],
            ).encode()
    return made


def _article_8(of: Summed) -> list[object]:
    return ["" if measure is None else of.sums[measure] for measure in ARTICLE_8.values()]


def _rows(first: int, published: Path, table: str) -> Iterator[tuple[int, str, Summed]]:
    """By year and country, several countries last."""
    for year in (first, first + 1):
        found: dict[str, Summed] = defaultdict(Summed)
        for number in range(1, 13):
            month = Month(year, number)
            for row in _read(published / f"{month}-{table}.csv", SUMMED[table]):
                of = found[row["country"]]
                of.months.add(str(month))
                for column in SUMMED[table]:
                    of.sums[column] += int(row[column])
        for country in sorted(found, key=lambda each: (not each, each)):
            yield year, country, found[country]


def _read(path: Path, columns: Sequence[str]) -> Sequence[Mapping[str, str]]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise Refused("month_unpublished", f"{path.name} is not there") from None
    table = csv.DictReader(text.splitlines())
    if not {"country", *columns} <= set(table.fieldnames or ()):
        raise Refused("table_unknown", f"{path.name} has other columns")
    return list(table)
