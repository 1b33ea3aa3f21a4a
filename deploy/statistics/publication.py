"""`causeway statistics`: publish a month once, as tables, plots and a page, and sum two years of months.

    recipient, country, parties, MEASURE …, MEASURE_median_h …
    country, parties, already_gone, gone_while_held

The waiting time of notices is left out: it would reveal to a provider that agencies held them. `recipient` is empty in
a row of several parties, `country` in a row of several countries; `parties` is their number. A median is in hours to
one place, of at least five values, else empty.

A country reports on two years, which are summed from the published tables of their months. Nothing is counted again, so
the sums reveal nothing beyond the months. A country's row sums the months in which it had its own row. Rows of several
countries are summed in a row without a country.

The page has no script and loads nothing from other servers: plots are files next to it, and the tables have all their
values. A plot needs no style sheet and no other file, and describes itself in text.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from cyclopts import App, Parameter
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deploy.operator.documents import document_in_force
from deploy.site.open import site
from deploy.site.options import OPTIONS, Options, Output, verb
from deploy.statistics.figures import MEASURES, Figures, Measure, Month, read_figures
from deploy.statistics.merging import SMALL, CountedParty, CountRow, gone_rows, merged
from shared.core.clock import SystemClock
from shared.core.errors import Refused
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import read_directory
from shared.core.vocabulary.routing import PartyKind

statistics_app = App(name="statistics", help="Publish monthly statistics without small numbers.")
_NAMES: Final = {PartyKind.INDUSTRY: "providers", PartyKind.LAW_ENFORCEMENT: "agencies"}
#: The measures whose medians are plotted, by the end of the file's name.
_PLOTTED: Final = {
    PartyKind.INDUSTRY: {
        "": (Measure.ACTIONED, "Median hours from notice to action"),
        "-confirmed": (Measure.CONFIRMED, "Median hours from notice to a confirmed removal"),
    },
    PartyKind.LAW_ENFORCEMENT: {"": (Measure.FED_BACK, "Median hours from referral to first feedback")},
}
#: Measures without a median: the origin does not change the time of `sent`.
_UNTIMED: Final = {
    PartyKind.INDUSTRY: {Measure.SENT},
    PartyKind.LAW_ENFORCEMENT: {Measure.FROM_HOTLINES, Measure.FROM_PROVIDERS},
}
#: The columns of each month's tables that can be summed. Medians cannot.
SUMMED: Final[Mapping[str, Sequence[str]]] = {
    "agencies": MEASURES[PartyKind.LAW_ENFORCEMENT],
    "providers": MEASURES[PartyKind.INDUSTRY],
    "gone": ("already_gone", "gone_while_held"),
}
#: The figures of Article 8(1) of Regulation (EU) 2021/1232, and their measures; None: no party reports it.
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


@verb(statistics_app, "publish")
async def publish_month(
    month: str, /, *, into: Path, exercises: Annotated[bool, Parameter(negative="")] = False, options: Options = OPTIONS
) -> Output:
    """Write the tables and plots of a completed month, once: published figures stay as they are.

    Each origin's database is read as its accountant. Parties are merged until each number other than zero has three
    contributors, none with more than 70 percent, and without any one of them at least five.

    Parameters
    ----------
    month
        As YYYY-MM, in UTC.
    into
        The folder of published files; made if it does not exist.
    exercises
        Count only exercises. They are never counted with live traffic.
    """
    period = Month.read(month)
    period.require_over(SystemClock().now())
    current_site = site(options)
    figures = await read_figures(current_site.endpoints, period, exercises=exercises)
    directory = read_directory(document_in_force(current_site.state, "directory"))
    files = files_of(period, figures, directory, exercises=exercises)
    return _printed(publish(files, into))


@verb(statistics_app, "biennial")
def publish_years(first: int, /, *, published: Path, into: Path, options: Options = OPTIONS) -> Output:
    """Sum two years of published months by country, for a country's report. Nothing is counted again.

    Parameters
    ----------
    first
        The first of the two years.
    published
        The folder with the tables of all 24 months.
    into
        The folder of the result; made if it does not exist. Existing files with other content stay.
    """
    return _printed(publish(years_of(first, published), into))


def _printed(written: Sequence[Path]) -> Output:
    names = [path.name for path in written]
    return Output(names, names or ["nothing new: all files were published before"])


class TableRow(NamedTuple):
    """One row with its figures."""

    row: CountRow
    figures: Figures

    def hours(self, measure: Measure) -> str:
        median = self.figures.median_minutes(measure)
        return "" if median is None or self.figures.count(measure) < SMALL else f"{median / 60:.1f}"


def files_of(
    month: Month, figures: Mapping[str, Figures], directory: DirectoryIndex, *, exercises: bool = False
) -> dict[str, bytes]:
    """Return the files of a month by name; those of exercises have it in name and title.

    A kind of recipient with too few contributors in all has a table without rows.
    """
    named, title = (f"{month}-exercises", f"{month} (exercises)") if exercises else (f"{month}", f"{month}")
    made: dict[str, bytes] = {}
    parts: list[PageTable] = []

    def add(name: str, heading: str, table: bytes, *, plots: Mapping[str, tuple[str, Sequence[Bar]]]) -> None:
        pictures = {f"{named}-{name}{end}.svg": (f"{what}, {title}", drawn) for end, (what, drawn) in plots.items()}
        made[f"{named}-{name}.csv"] = table
        made.update({file: bars(what, drawn).encode() for file, (what, drawn) in pictures.items()})
        parts.append(PageTable(f"{named}-{name}.csv", heading, {file: what for file, (what, _) in pictures.items()}))

    for kind, name in _NAMES.items():
        lines = _lines(kind, figures, directory)
        plots = {end: (what, _plotted(of, lines)) for end, (of, what) in _PLOTTED[kind].items()}
        add(name, name.capitalize(), _table(kind, lines), plots=plots)
    gone = gone_rows(
        CountedParty(party, _country(directory, party), (counted.gone, counted.gone_while_held))
        for party, counted in _of_kind(PartyKind.INDUSTRY, figures, directory)
    )
    rows = [[row.country, len(row.parties), row.gone, row.held] for row in gone]
    table = csv_of(["country", "parties", *SUMMED["gone"]], rows)
    held = [Bar(row.country or "several countries", float(row.held)) for row in gone]
    add("gone", "Items that were already gone", table, plots={"": ("Items gone while held", held)})
    made[f"{named}.html"] = page(f"Statistics of {title}", parts, made).encode()
    return made


def publish(files: Mapping[str, bytes], folder: Path) -> Sequence[Path]:
    """Write new files; published ones stay.

    Raises `Refused("already_published")` if a published one differs. Published figures do not change: a reader could
    compare two editions and find the omitted numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        if path.exists() and path.read_bytes() != content:
            now = hashlib.sha256(content).hexdigest()[:16]
            raise Refused("already_published", f"{name} has other content, and stays: {now} now")
    written = [folder / name for name in files if not (folder / name).exists()]
    for path in written:
        part = path.with_name(f".{path.name}")
        part.write_bytes(files[path.name])
        part.replace(path)
    return written


def csv_of(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table as text (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([header, *rows])
    return text.getvalue().encode()


def _of_kind(
    kind: PartyKind, figures: Mapping[str, Figures], directory: DirectoryIndex
) -> Iterator[tuple[str, Figures]]:
    for party, counted in figures.items():
        if (known := directory.party(party)) is not None and known.kind == kind:
            yield party, counted


def _lines(kind: PartyKind, figures: Mapping[str, Figures], directory: DirectoryIndex) -> Sequence[TableRow]:
    """Return the rows of one kind of recipient."""
    parties = [
        CountedParty(party, _country(directory, party), tuple(counted.origins.get(each, {}) for each in MEASURES[kind]))
        for party, counted in _of_kind(kind, figures, directory)
    ]
    return [TableRow(row, Figures.sum(figures[each] for each in row.parties)) for row in merged(parties)]


def _country(directory: DirectoryIndex, party: str) -> str:
    """Return a party's country.

    It is the first place of its entry, without subdivision; without one it is empty, like several countries.
    """
    known = directory.party(party)
    return known.jurisdictions[0].split("-")[0] if known is not None and known.jurisdictions else ""


def _table(kind: PartyKind, lines: Sequence[TableRow]) -> bytes:
    measures = MEASURES[kind]
    timed = [each for each in measures if each not in _UNTIMED[kind]]
    header = ["recipient", "country", "parties", *measures, *(f"{each}_median_h" for each in timed)]
    rows = list[Sequence[object]]()
    for row, figures in lines:
        hours = map(TableRow(row, figures).hours, timed)
        rows.append([row.name, row.country, len(row.parties), *map(figures.count, measures), *hours])
    return csv_of(header, rows)


def _plotted(measure: Measure, lines: Sequence[TableRow]) -> Sequence[Bar]:
    named = [row.name or f"{len(row.parties)} others {row.country}".strip() for row, _ in lines]
    hours = [line.hours(measure) for line in lines]
    return [Bar(name, float(value)) for name, value in zip(named, hours, strict=True) if value]


class CountryYear(NamedTuple):
    """A country's rows in the months of a year: the number of months, and the sums by column."""

    year: int
    country: str
    months: int
    sums: Mapping[str, int]


def years_of(first: int, published: Path) -> dict[str, bytes]:
    """Return the tables of the year `first` and the next.

    Raises `Refused`: `month_unpublished`, `table_unknown`.
    """
    made, years = {}, f"{first}-{first + 1}"
    for table, columns in SUMMED.items():
        rows = [row for year in (first, first + 1) for row in _summed_rows(year, published, table)]
        made[f"{years}-{table}.csv"] = _summed_table(rows, dict(zip(columns, columns, strict=True)))
        if table == "agencies":
            made[f"{years}-article-8.csv"] = _summed_table(rows, ARTICLE_8)
    return made


def _summed_table(rows: Sequence[CountryYear], columns: Mapping[str, str | None]) -> bytes:
    """Return the sums under other names; empty if no party reports it."""
    named = ["year", "country", "months", *columns]
    return csv_of(named, [[*row[:3], *(of and row.sums[of] for of in columns.values())] for row in rows])


def _summed_rows(year: int, published: Path, table: str) -> Iterator[CountryYear]:
    """Yield the rows by country, several countries last."""
    months, sums = defaultdict[str, set[Month]](set), defaultdict[str, Counter[str]](Counter)
    for month in (Month(year, number) for number in range(1, 13)):
        for row in _read(published / f"{month}-{table}.csv", SUMMED[table]):
            months[row["country"]].add(month)
            sums[row["country"]].update({column: int(row[column]) for column in SUMMED[table]})
    for country in sorted(months, key=lambda each: (not each, each)):
        yield CountryYear(year, country, len(months[country]), sums[country])


def _read(path: Path, columns: Sequence[str]) -> Sequence[Mapping[str, str]]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise Refused("month_unpublished", f"{path.name} does not exist") from None
    table = csv.DictReader(text.splitlines())
    if not {"country", *columns} <= set(table.fieldnames or ()):
        raise Refused("table_unknown", f"{path.name} has other columns")
    return list(table)


_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


class PageTable(NamedTuple):
    """One table of a page: its file's name, its title, and the content of each plot by file name."""

    table: str
    title: str
    plots: Mapping[str, str]


class Bar(NamedTuple):
    name: str
    value: float


def page(title: str, parts: Sequence[PageTable], files: Mapping[str, bytes]) -> str:
    """Return the page. `files` has the published tables."""
    tables = [[*csv.reader(files[each.table].decode().splitlines())] for each in parts]
    return _TEMPLATES.get_template("page.html.j2").render(title=title, parts=zip(parts, tables, strict=True))


def bars(title: str, values: Sequence[Bar]) -> str:
    """Return a bar chart of `values`, none negative, scaled to the highest.

    Each bar has its name and number.
    """
    most = max((bar.value for bar in values), default=0.0) or 1.0
    return _TEMPLATES.get_template("bars.svg.j2").render(title=title, bars=values, most=most)
