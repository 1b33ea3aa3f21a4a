"""`python -m tests.acceptance`: run every promise of the finished work and write docs/acceptance.md."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from shared.core.errors import CausewayError
from tests.acceptance.line import Line
from tests.acceptance.lines import LINES
from tests.acceptance.result_cache import whole_commit
from tests.acceptance.verbs import VERBS, WholeDemo
from tests.shards import OF_COMMIT, REPORTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "acceptance.md"
#: A JUnit report puts the test class after the module name.
_CLASSES = re.compile(r"(\.Test\w*)+$")
HEAD = """\
# What finished work must show

Written by `make acceptance`, which proves every line of this page: it runs the tests and verbs of each line. If
`make test` has run at the same commit, its results are used, and only the tests and verbs that it leaves out run again.
A line is kept only if all of its tests ran and passed and its verb succeeded. Figures are those of the last run. Longer
proofs are on [a page of their own](acceptance-long.md).
"""


@dataclass(slots=True)
class Tested:
    """The result of one test in a run, over all of its cases."""

    cases: int = 0
    failed: int = 0
    figures: list[str] = field(default_factory=list)
    sums: dict[str, int] = field(default_factory=dict)

    def beside(self, other: Tested) -> Tested:
        """Return the sum of this result and another one."""
        sums = {name: self.sums.get(name, 0) + other.sums.get(name, 0) for name in {**self.sums, **other.sums}}
        return Tested(self.cases + other.cases, self.failed + other.failed, [*self.figures, *other.figures], sums)


@dataclass(frozen=True, slots=True)
class Shown:
    """One line, and whether it is kept."""

    line: Line
    kept: bool
    figure: str


def main() -> int:
    """Return exit code 0 if every line is kept, else 1."""
    lines = [line for lines in LINES.values() for line in lines]
    suite = of_the_suite(REPORTS, whole_commit())
    named = apart({test for line in lines for test in line.tests})
    tested = together(suite, run_tests(named, marked="long" if suite else ""))
    with tempfile.TemporaryDirectory(prefix="causeway-acceptance-") as folder:
        whole = WholeDemo(Path(folder))
        shown = {title: [show(line, tested, whole) for line in lines] for title, lines in LINES.items()}
    PAGE.write_text(page(shown), encoding="utf-8")
    failed = sum(not each.kept for found in shown.values() for each in found)
    print(f"{len(lines) - failed} of {len(lines)} lines kept; written to {PAGE.relative_to(ROOT)}")
    return 1 if failed else 0


def of_the_suite(reports: Path, commit: str) -> dict[str, Tested]:
    """Return the results of the whole suite at this commit, by test.

    They are empty if it did not run or code has changed.
    """
    noted = reports / OF_COMMIT
    if "+" in commit or not noted.exists() or noted.read_text(encoding="utf-8") != commit:
        return {}
    tested: dict[str, Tested] = {}
    for report in sorted(reports.glob("*.xml")):
        tested |= read_report(report.read_text(encoding="utf-8"))
    print(f"of the run of {len(tested)} tests at {commit}", flush=True)
    return tested


def apart(tests: Iterable[str]) -> list[str]:
    """Return the tests in order, without those whose whole module is also listed."""
    named = set(tests)
    return sorted(test for test in named if "::" not in test or test.partition("::")[0] not in named)


def run_tests(tests: Sequence[str], marked: str) -> dict[str, Tested]:
    """Run the tests with marker `marked`, or all if it is empty. Return their results by name."""
    with tempfile.TemporaryDirectory(prefix="causeway-acceptance-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", marked, f"--junitxml={report}", *tests]
        print(f"running {len(tests)} tests and modules of tests", flush=True)
        ran = subprocess.run(command, cwd=ROOT, check=False)
        if not report.exists():
            sys.exit(f"pytest ended with {ran.returncode}, without a report")
        return read_report(report.read_text(encoding="utf-8"))


def together(suite: Mapping[str, Tested], apart_from_it: Mapping[str, Tested]) -> dict[str, Tested]:
    """Return the sum of both runs. A test with some long cases has cases in each."""
    tested = dict(suite)
    for name, each in apart_from_it.items():
        tested[name] = tested[name].beside(each) if name in tested else each
    return tested


def read_report(text: str) -> dict[str, Tested]:
    """Read a JUnit report by test. Cases of a test are merged: figures are listed, numbers added up."""
    tested: dict[str, Tested] = {}
    for case in ElementTree.fromstring(text).iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
        function = case.attrib["name"].partition("[")[0]
        module = _CLASSES.sub("", case.attrib["classname"]).replace(".", "/")
        found = tested.setdefault(f"{module}.py::{function}", Tested())
        found.cases += 1
        found.failed += any(case.find(tag) is not None for tag in ("failure", "error", "skipped"))
        for each in case.iter("property"):
            name, value = each.attrib["name"], each.attrib["value"]
            if value.isdecimal() and name != "figure":
                found.sums[name] = found.sums.get(name, 0) + int(value)
            else:
                found.figures.append(value if name == "figure" else f"{name} {value}")
    return tested


def show(line: Line, tested: Mapping[str, Tested], whole: WholeDemo) -> Shown:
    """Judge one line, and print the result."""
    kept, figures = judge(line, tested)
    if line.verb is not None:
        try:
            figures.insert(0, VERBS[line.verb](whole))
        except (AssertionError, CausewayError, subprocess.SubprocessError, LookupError) as error:
            kept = False
            figures.insert(0, f"{type(error).__name__} in {line.verb}")
            print(f"        {str(error)[:500]}")
    shown = Shown(line, kept, "; ".join(figures))
    print(f"{'kept  ' if kept else 'BROKEN'}  {line.promise}\n        {shown.figure}", flush=True)
    return shown


def judge(line: Line, tested: Mapping[str, Tested]) -> tuple[bool, list[str]]:
    """Return whether all tests of a line ran and passed, and their figures. A test that did not run breaks the line."""
    found = [each for test in line.tests for each in _tests_of(test, tested)]
    kept = all(each.cases and not each.failed for each in found)
    figures = [figure for each in found for figure in each.figures]
    figures += [f"{value:,} {name}" for each in found for name, value in each.sums.items()]
    if line.tests:
        passed = sum(each.cases - each.failed for each in found)
        figures.append(f"{passed} of {sum(each.cases for each in found)} tests passed")
    return kept, figures


def _tests_of(test: str, tested: Mapping[str, Tested]) -> list[Tested]:
    """Return the result of a test or of each test of a module. If there is none, return an empty result."""
    if "::" in test:
        return [tested.get(test, Tested())]
    return [found for name, found in tested.items() if name.startswith(f"{test}::")] or [Tested()]


def page(shown: Mapping[str, Sequence[Shown]]) -> str:
    return "\n".join([HEAD, *(text for title, found in shown.items() for text in _section(title, found))])


def _section(title: str, found: Sequence[Shown]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| line | shown by | figure | kept |"
    yield "| --- | --- | --- | --- |"
    for each in found:
        files = sorted({test.partition("::")[0] for test in each.line.tests})
        shown_by = [f"`{each.line.verb}`"] if each.line.verb else []
        shown_by += [f"`{file}`" for file in files]
        yield f"| {each.line.promise} | {', '.join(shown_by)} | {each.figure} | {'yes' if each.kept else 'NO'} |"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
