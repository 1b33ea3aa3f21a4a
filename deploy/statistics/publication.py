"""A month as it is published: a CSV file for each kind of recipient, plots beside it, a page of all, and once.

    recipient, country, parties, MEASURE …, MEASURE_median_h …
    country, parties, already_gone, gone_while_held

How long notices waited before they were sent is left out: a provider could tell from it that agencies held them.
`recipient` is empty where parties stand together, `country` where they are of several; `parties` says how many they
are. A median is of no fewer than five, in hours to one place, else empty.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from deploy.statistics.figures import MEASURES, Figures, Measure, Month
from deploy.statistics.merging import SMALL, GoneParty, Party, Row, gone_rows, merged
from deploy.statistics.page import Bar, Part, bars, page
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.routing import PartyKind

_NAMES: Final = {PartyKind.INDUSTRY: "providers", PartyKind.LAW_ENFORCEMENT: "agencies"}
#: Of what plots show the median, by the end of the file's name.
_PLOTTED: Final = {
    PartyKind.INDUSTRY: {
        "": (Measure.ACTIONED, "Median hours from notice to action"),
        "-confirmed": (Measure.CONFIRMED, "Median hours from notice to a removal that was confirmed"),
    },
    PartyKind.LAW_ENFORCEMENT: {"": (Measure.FED_BACK, "Median hours from referral to first feedback")},
}
#: What has no median: from whom it was is the same as that it was sent.
_UNTIMED: Final = {
    PartyKind.INDUSTRY: {Measure.SENT},
    PartyKind.LAW_ENFORCEMENT: {Measure.FROM_HOTLINES, Measure.FROM_PROVIDERS},
}


class Line(NamedTuple):
    """One row with its figures."""

    row: Row
    figures: Figures

    def hours(self, measure: Measure) -> str:
        median = self.figures.median_minutes(measure)
        return "" if median is None or self.figures.count(measure) < SMALL else f"{median / 60:.1f}"


def files_of(
    month: Month, figures: Mapping[str, Figures], directory: DirectoryIndex, *, exercises: bool = False
) -> dict[str, bytes]:
    """The files of a month by name; those of exercises say so in name and title.

    A kind of recipient all of which is too little has a table without rows.
    """
    named, title = (f"{month}-exercises", f"{month} (exercises)") if exercises else (f"{month}", f"{month}")
    made: dict[str, bytes] = {}
    parts: list[Part] = []

    def add(name: str, heading: str, table: bytes, plots: Mapping[str, tuple[str, Sequence[Bar]]]) -> None:
        pictures = {f"{named}-{name}{end}.svg": (f"{what}, {title}", drawn) for end, (what, drawn) in plots.items()}
        made[f"{named}-{name}.csv"] = table
        made.update({file: bars(what, drawn).encode() for file, (what, drawn) in pictures.items()})
        parts.append(Part(f"{named}-{name}.csv", heading, {file: what for file, (what, _) in pictures.items()}))

    for kind, name in _NAMES.items():
        lines = _lines(kind, figures, directory)
        plots = {end: (what, list(_plotted(of, lines))) for end, (of, what) in _PLOTTED[kind].items()}
        add(name, name.capitalize(), _table(kind, lines), plots)
    gone = gone_rows(
        GoneParty(party, _country(directory, party), (counted.gone, counted.gone_while_held))
        for party, counted in _of_kind(PartyKind.INDUSTRY, figures, directory)
    )
    header = ["country", "parties", "already_gone", "gone_while_held"]
    table = csv_of(header, [[row.country, len(row.parties), row.gone, row.held] for row in gone])
    held = [Bar(row.country or "several countries", float(row.held)) for row in gone]
    add("gone", "What was gone already", table, {"": ("Items gone while held", held)})
    made[f"{named}.html"] = page(f"What {title} came to", parts, made).encode()
    return made


def publish(files: Mapping[str, bytes], folder: Path) -> Sequence[Path]:
    """Write what was not published yet; what was stays. Raises `Refused("already_published")` if that says otherwise.

    Figures that were published do not change: whoever compares two editions could find what each leaves out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        if path.exists() and path.read_bytes() != content:
            now = hashlib.sha256(content).hexdigest()[:16]
            raise Refused("already_published", f"{name} says otherwise, and stays: {now} now")
    written = [folder / name for name in files if not (folder / name).exists()]
    for path in written:
        part = path.with_name(f".{path.name}")
        part.write_bytes(files[path.name])
        part.replace(path)
    return written


def csv_of(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A table as text (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([header, *rows])
    return text.getvalue().encode()


def _of_kind(
    kind: PartyKind, figures: Mapping[str, Figures], directory: DirectoryIndex
) -> Iterator[tuple[str, Figures]]:
    for party, counted in figures.items():
        if (known := directory.party(party)) is not None and known.kind == kind:
            yield party, counted


def _lines(kind: PartyKind, figures: Mapping[str, Figures], directory: DirectoryIndex) -> Sequence[Line]:
    """The rows of one kind of recipient."""
    parties = [
        Party(party, _country(directory, party), tuple(counted.origins.get(each, {}) for each in MEASURES[kind]))
        for party, counted in _of_kind(kind, figures, directory)
    ]
    return [Line(row, Figures.sum(figures[each] for each in row.parties)) for row in merged(parties)]


def _country(directory: DirectoryIndex, party: str) -> str:
    """Where it is established: the first place of its entry, without subdivision; several where it names none."""
    known = directory.party(party)
    return known.jurisdictions[0].split("-")[0] if known is not None and known.jurisdictions else ""


def _table(kind: PartyKind, lines: Sequence[Line]) -> bytes:
    measures = MEASURES[kind]
    timed = [each for each in measures if each not in _UNTIMED[kind]]
    header = ["recipient", "country", "parties", *measures, *(f"{each}_median_h" for each in timed)]
    rows = [
        [row.name, row.country, len(row.parties), *map(figures.count, measures), *map(Line(row, figures).hours, timed)]
        for row, figures in lines
    ]
    return csv_of(header, rows)


def _plotted(measure: Measure, lines: Sequence[Line]) -> Iterator[Bar]:
    for line in lines:
        if hours := line.hours(measure):
            yield Bar(line.row.name or f"{len(line.row.parties)} others {line.row.country}".strip(), float(hours))
