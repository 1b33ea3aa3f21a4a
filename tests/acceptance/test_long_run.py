"""Long promises run once per commit, are written line by line, and are never lost by a later run."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.acceptance.line import Line
from tests.acceptance.lines import LONG_LINES
from tests.acceptance.long_run import Result, read_page, run, written
from tests.acceptance.long_verbs import LONG_VERBS, Program, printed, said
from tests.acceptance.result_cache import Kept, code_commit
from tests.support.manual_clock import ManualClock

SOAK, STEADY = (next(line for line in LONG_LINES if line.verb == name) for name in ("the_soak", "the_steady_tests"))


class Runs:
    """Verbs that only count their runs."""

    def __init__(self, folder: Path) -> None:
        self.page = folder / "page.md"
        self.folder = folder
        self.count = 0

    def __call__(self, line: Line, *, commit: str, figure: str = "0 lost", fails: bool = False) -> int:
        def verb(_folder: Path) -> str:
            self.count += 1
            assert not fails
            return figure

        clock = ManualClock(datetime(2026, 3, 20, tzinfo=UTC))
        kept = Kept(commit, self.folder)
        return run([line], {str(line.verb): verb}, kept=kept, page=self.page, clock=clock)

    def results(self) -> dict[str, Result]:
        return dict(read_page(self.page.read_text(encoding="utf-8")))


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_a_line_that_was_kept_at_a_commit_is_not_run_again_there(runs: Runs) -> None:
    assert [runs(SOAK, commit="abc1234"), runs(SOAK, commit="abc1234")] == [0, 0]
    assert runs.count == 1
    assert runs(SOAK, commit="def5678") == 0
    assert runs.count == 2
    assert runs.results()["the_soak"] == Result("0 lost", "yes", "def5678", "2026-03-20")


def test_a_line_that_was_broken_is_run_again_and_says_so(runs: Runs) -> None:
    assert runs(SOAK, commit="abc1234", fails=True) == 1
    assert runs.results()["the_soak"].kept == "NO"
    assert runs(SOAK, commit="abc1234") == 0
    assert (runs.count, runs.results()["the_soak"].kept) == (2, "yes")


def test_the_page_keeps_the_rows_of_the_lines_that_were_not_run(runs: Runs) -> None:
    runs(SOAK, commit="abc1234", figure="0 lost | 0 twice")
    runs(STEADY, commit="def5678", figure="10 of 10")
    found = runs.results()
    assert (found["the_soak"].figure, found["the_soak"].commit) == ("0 lost / 0 twice", "abc1234")
    assert (found["the_steady_tests"].figure, found["the_steady_tests"].commit) == ("10 of 10", "def5678")
    assert found.keys() == LONG_VERBS.keys()
    assert found["the_bench"].kept == "not run yet"
    assert written(found) == runs.page.read_text(encoding="utf-8")


def test_the_commit_is_that_of_the_code_and_says_when_code_is_in_none(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=nobody", "-c", "user.email=nobody@causeway.example"]
        ran = subprocess.run(["git", *who, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    git("init", "--quiet")
    (tmp_path / "docs").mkdir()
    for file in ("code.py", "docs/page.md"):
        (tmp_path / file).write_text("1")
        git("add", file)
        git("commit", "--quiet", "--message", file)
    first = git("log", "-1", "--format=%h", "--skip=1")
    assert code_commit(tmp_path) == first
    (tmp_path / "docs" / "page.md").write_text("2")
    assert code_commit(tmp_path) == first
    (tmp_path / "code.py").write_text("2")
    assert code_commit(tmp_path) == f"{first}+"


def test_a_program_that_fails_or_does_not_say_what_it_must_breaks_its_line(tmp_path: Path) -> None:
    assert said(Program("a 1\nb 2\na 3\n", 0), "a ", "b ") == "a 3; b 2"
    with pytest.raises(AssertionError, match="not said"):
        said(Program("a 1\n", 0), "c ")
    with pytest.raises(AssertionError, match="exit code 2"):
        said(printed(tmp_path, "calendar", "--no-such-option"), "March")
    assert "March 2026" in said(printed(tmp_path, "calendar", "2026", "3"), "     March")


def test_figures_that_are_not_good_enough_are_written_down_as_such(runs: Runs) -> None:
    def verb(_folder: Path) -> str:
        return said(Program("took 3 s\n", 1), "took ")

    assert run([SOAK], {str(SOAK.verb): verb}, kept=Kept("abc1234", runs.folder), page=runs.page) == 1
    assert (runs.results()["the_soak"].figure, runs.results()["the_soak"].kept) == ("took 3 s", "NO")


def test_code_that_is_in_no_commit_is_run_each_time(runs: Runs) -> None:
    runs(SOAK, commit="abc1234+")
    runs(SOAK, commit="abc1234+")
    assert runs.count == 2
