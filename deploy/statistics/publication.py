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
from deploy.statistics.held import GoneParty, GoneRow, gone_rows
from deploy.statistics.merging import SMALL, Party, Row, merged
from deploy.statistics.page import Part, page
from deploy.statistics.plots import Bar, bars
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
    (PartyKind.INDUSTRY, Measure.SENT),
    (PartyKind.LAW_ENFORCEMENT, Measure.FROM_HOTLINES),
    (PartyKind.LAW_ENFORCEMENT, Measure.FROM_PROVIDERS),
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
    for kind in MEASURES:
        lines, file = lines_of(kind, figures, directory), f"{named}-{_NAMES[kind]}"
        made[f"{file}.csv"] = _table(kind, lines).encode()
        plots = {f"{file}{end}.svg": (measure, f"{what}, {title}") for end, (measure, what) in _PLOTTED[kind].items()}
        made |= {name: bars(what, list(_plotted(of, lines))).encode() for name, (of, what) in plots.items()}
        shown = {name: what for name, (_, what) in plots.items()}
        parts.append(Part(f"{file}.csv", _NAMES[kind].capitalize(), shown))
    gone, what = gone_of(figures, directory), f"Items gone while held, {title}"
    made[f"{named}-gone.csv"] = _gone_table(gone).encode()
    held = [Bar(row.country or "several countries", float(row.held)) for row in gone]
    made[f"{named}-gone.svg"] = bars(what, held).encode()
    parts.append(Part(f"{named}-gone.csv", "What was gone already", {f"{named}-gone.svg": what}))
    made[f"{named}.html"] = page(f"What {title} came to", parts, made).encode()
    return made


def lines_of(kind: PartyKind, figures: Mapping[str, Figures], directory: DirectoryIndex) -> Sequence[Line]:
    """The rows of one kind of recipient."""
    parties = [
        Party(party, _country(directory, party), tuple(counted.origins.get(each, {}) for each in MEASURES[kind]))
        for party, counted in figures.items()
        if (known := directory.party(party)) is not None and known.kind == kind
    ]
    return [Line(row, Figures.sum(figures[each] for each in row.parties)) for row in merged(parties)]


def gone_of(figures: Mapping[str, Figures], directory: DirectoryIndex) -> Sequence[GoneRow]:
    """The rows of what was gone."""
    return gone_rows(
        GoneParty(party, _country(directory, party), (counted.gone, counted.gone_while_held))
        for party, counted in figures.items()
        if (known := directory.party(party)) is not None and known.kind == PartyKind.INDUSTRY
    )


def publish(files: Mapping[str, bytes], folder: Path) -> Sequence[Path]:
    """Write what was not published yet; what was stays. Raises `Refused("already_published")` if that says otherwise.

    Figures that were published do not change: whoever compares two editions could find what each leaves out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        if path.exists() and path.read_bytes() != content:
            raise Refused(
                "already_published", f"{name} says otherwise, and stays: {hashlib.sha256(content).hexdigest()[:16]} now"
            )
    written = [folder / name for name in files if not (folder / name).exists()]
    for path in written:
        part = path.with_name(f".{path.name}")
        part.write_bytes(files[path.name])
        part.replace(path)
    return written


def _country(directory: DirectoryIndex, party: str) -> str:
    """Where it is established: the first place of its entry, without subdivision; several where it names none."""
    known = directory.party(party)
    return known.jurisdictions[0].split("-")[0] if known is not None and known.jurisdictions else ""


def _table(kind: PartyKind, lines: Sequence[Line]) -> str:
    measures = MEASURES[kind]
    timed = [each for each in measures if (kind, each) not in _UNTIMED]
    header = ["recipient", "country", "parties", *measures, *(f"{each}_median_h" for each in timed)]
    return csv_of(
        header,
        [
            [
                line.row.name,
                line.row.country,
                len(line.row.parties),
                *line.figures.counts(measures),
                *(line.hours(each) for each in timed),
            ]
            for line in lines
        ],
    )


def _gone_table(rows: Sequence[GoneRow]) -> str:
    header = ["country", "parties", "already_gone", "gone_while_held"]
    return csv_of(header, [[row.country, len(row.parties), row.gone, row.held] for row in rows])


def csv_of(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as text (RFC 4180)."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerows([header, *rows])
    return text.getvalue()


def _plotted(measure: Measure, lines: Sequence[Line]) -> Iterator[Bar]:
    for line in lines:
        if hours := line.hours(measure):
            yield Bar(line.row.name or f"{len(line.row.parties)} others {line.row.country}".strip(), float(hours))
