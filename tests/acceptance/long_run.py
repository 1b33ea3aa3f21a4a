"""`python -m tests.acceptance.long_run [VERB ...]`: run the long promises and write docs/acceptance-long.md.

A line that was kept at this commit is not run again, so an interrupted run can continue.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.core.clock import Clock, SystemClock
from shared.core.errors import CausewayError
from tests.acceptance.line import Line
from tests.acceptance.lines import LONG_LINES
from tests.acceptance.long_verbs import LONG_VERBS, Missed
from tests.acceptance.result_cache import STATE, Kept, code_commit

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "acceptance-long.md"
HEAD: Final = """\
# What takes long to show

Written by `make acceptance-long`, line by line; `make acceptance-long LINE=the_soak` runs one. Each takes an hour at
most, and a line that was kept at a commit is not run again at it. Each figure was measured at the commit in its row.
[measurements.md](measurements.md) explains the figures. [acceptance.md](acceptance.md) has the faster proofs.

| line | shown by | figure | kept | commit | date |
| --- | --- | --- | --- | --- | --- |
"""
NOT_RUN: Final = ("", "not run yet", "", "")


@dataclass(frozen=True, slots=True)
class Result:
    """The last result of a line: its figure, whether it was kept, the commit and the day."""

    figure: str
    kept: str
    commit: str
    date: str


def main(arguments: Sequence[str]) -> int:
    """Return exit code 0 if every requested line is kept, else 1."""
    options = argparse.ArgumentParser(prog="python -m tests.acceptance.long_run", description=__doc__)
    options.add_argument("verbs", nargs="*", metavar="VERB", help=", ".join(LONG_VERBS))
    wanted: list[str] = options.parse_args(arguments).verbs or list(LONG_VERBS)
    if unknown := sorted(set(wanted) - LONG_VERBS.keys()):
        options.error(f"no such line: {', '.join(unknown)}")
    STATE.mkdir(parents=True, exist_ok=True)
    lines = [line for line in LONG_LINES if line.verb in wanted]
    broken = run(lines, LONG_VERBS, kept=Kept(code_commit()), page=PAGE)
    print(f"{len(lines) - broken} of {len(lines)} lines kept; written to {PAGE.relative_to(ROOT)}")
    return 1 if broken else 0


def run(
    lines: Sequence[Line],
    verbs: Mapping[str, Callable[[Path], str]],
    *,
    kept: Kept,
    page: Path,
    clock: Clock | None = None,
) -> int:
    """Run each line that was not kept at this commit, and write each result at once.

    Return the number of broken lines.
    """
    clock, broken = clock or SystemClock(), 0
    for line in lines:
        assert line.verb is not None
        if (before := kept.get(line.verb)) is not None:
            result = Result(*before)
            print(f"kept before  {line.promise}", flush=True)
        else:
            print(f"running      {line.promise}", flush=True)
            figure, is_kept = shown(verbs[line.verb])
            result = Result(figure, "yes" if is_kept else "NO", kept.commit, clock.now().date().isoformat())
            if is_kept:
                kept.keep(line.verb, [result.figure, result.kept, result.commit, result.date])
            print(f"{'kept  ' if is_kept else 'BROKEN'}       {figure}", flush=True)
        broken += result.kept != "yes"
        results = dict(read_page(page.read_text(encoding="utf-8"))) if page.exists() else {}
        page.write_text(written(results | {line.verb: result}), encoding="utf-8")
    return broken


def shown(verb: Callable[[Path], str]) -> tuple[str, bool]:
    """Return the verb's figure, and whether its line is kept."""
    try:
        return verb(STATE), True
    except Missed as missed:
        return str(missed), False
    except (AssertionError, CausewayError, subprocess.SubprocessError, LookupError) as error:
        print(str(error)[-2000:])
        return f"{type(error).__name__} in {verb.__name__}", False


def read_page(text: str) -> Iterator[tuple[str, Result]]:
    """Yield the results in the page's lines, by verb."""
    for row in text.splitlines():
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        if len(cells) == 6 and cells[1].startswith("`the_"):
            yield cells[1].strip("`"), Result(*cells[2:])


def written(results: Mapping[str, Result], lines: Sequence[Line] = LONG_LINES) -> str:
    """Return the page, with a row for every line, including lines that never ran."""
    return HEAD + "".join(_row(line, results.get(str(line.verb), Result(*NOT_RUN))) for line in lines)


def _row(line: Line, result: Result) -> str:
    cells = (line.promise, f"`{line.verb}`", result.figure, result.kept, result.commit, result.date)
    return f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') or '–' for cell in cells)} |\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
