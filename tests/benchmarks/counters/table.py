"""The table that `make counters` prints: figures, bounds, targets, and the most costly tables and topics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tests.benchmarks.counters.bounds import Verdict
from tests.benchmarks.counters.run import Report

#: Tables and topics with a lower count than this, per referral, are not printed.
_SHOWN_MIN: Final = 0.05


def table(report: Report, verdicts: Sequence[Verdict], *, places: bool) -> str:
    """Return the figures of each load with bound and target; with `places`, also by table and topic."""
    return "\n".join(_lines(report, verdicts, places=places))


def _lines(report: Report, verdicts: Sequence[Verdict], *, places: bool) -> Iterator[str]:
    judged = {(each.bound.load, each.bound.figure): each for each in verdicts}
    for load, figures in report.figures.items():
        yield f"{load:<44}{'figure':>10}{'bound':>10}{'target':>10}"
        for figure, value in figures.items():
            yield _line(figure, value, judged.pop((load, figure), None))
        yield ""
        if places:
            yield from _places(report, load)
    yield from (f"{load}: {figure} was not measured: BROKEN" for load, figure in judged)
    idle = ", ".join(f"{kind} {count:.2f}" for kind, count in report.idle.items() if abs(count) >= 0.005)
    yield f"subtracted background work, a second: {idle}"


def _line(figure: str, value: float, verdict: Verdict | None) -> str:
    if verdict is None:
        return f"  {figure:<42}{value:>10.2f}"
    target = "" if verdict.bound.target is None else f"{verdict.bound.target:.2f}"
    said = "BROKEN" if verdict.is_broken else "target missed" if verdict.misses_target else ""
    return f"  {figure:<42}{value:>10.2f}{verdict.limit:>10.2f}{target:>10}  {said}".rstrip()


def _places(report: Report, load: str) -> Iterator[str]:
    for kind, places in sorted(report.places[load].items()):
        shown = {place: count for place, count in places.items() if abs(count) >= _SHOWN_MIN}
        if shown:
            said = ", ".join(f"{place} {count:.2f}" for place, count in sorted(shown.items(), key=lambda e: -e[1]))
            yield f"  {kind}: {said}"
    yield ""
