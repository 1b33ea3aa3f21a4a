"""`make test` runs the suite as several runs of pytest; `make quick` runs the tests of changed rooms."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.site.settings import inherited_environment
from tests import quick, shards
from tests.quick import rooms, touched_files, touched_tests
from tests.shards import NAMED, OF_COMMIT, ROOT, Ended, chosen_by_shard, main, run

RECORDED = """
from pathlib import Path
def test_ran():
    with Path("ran").open("a") as file:
        file.write(__file__.rpartition("/tests/")[2] + "\\n")
"""
TOLD_WHERE = """
from pathlib import Path
def test_told(tmp_path):
    with Path("made").open("a") as file:
        file.write(f"{tmp_path.parent.parent.parent}\\n")
"""
FAILING = "def test_failing():\n    raise AssertionError\n"
#: Its child process runs for a second.
WORKING = """
import subprocess, sys
def test_working():
    subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 1: pass"], check=True)
"""
FOLDERS = ("named/test_one.py", "named/below/test_two.py", "later/test_three.py", "test_four.py")


def written(root: Path, files: Mapping[str, str]) -> Path:
    (root / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (root / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "tests" / name).write_text(text)
    return root


def test_a_module_that_is_named_is_run_beside_its_folder(tmp_path: Path) -> None:
    root = written(tmp_path, dict.fromkeys(FOLDERS, RECORDED))
    ended = run(chosen_by_shard("tests", [["named"], ["named/below/test_two.py"]]), at_once=2, cwd=root)
    assert [each.last.partition(" in ")[0] for each in ended] == ["1 passed", "1 passed", "2 passed"]
    assert sorted((root / "ran").read_text().split()) == sorted(FOLDERS)


def test_each_run_makes_its_folders_where_no_other_takes_any_away(tmp_path: Path) -> None:
    root = written(tmp_path, dict.fromkeys(FOLDERS, TOLD_WHERE))
    ended = run(chosen_by_shard("tests", [["named"]]), at_once=2, cwd=root)
    assert [each.code for each in ended] == [0, 0]
    one, _, _, other = sorted(Path(line) for line in (root / "made").read_text().splitlines())
    assert one.parent == other.parent
    assert {one.name, other.name} == {"1", "2"}
    assert not one.parent.exists()


def test_what_its_processes_worked_is_told_of_each_run(tmp_path: Path) -> None:
    root = written(tmp_path, {"named/test_one.py": WORKING, "test_four.py": RECORDED})
    worked, rested = run(chosen_by_shard("tests", [["named"]]), at_once=2, cwd=root)
    assert worked.processor_s > rested.processor_s + 0.5


def test_a_failure_and_an_empty_run_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = written(tmp_path, {"named/test_one.py": FAILING, "later/empty.py": ""})
    ended = run(chosen_by_shard("tests", [["named"]]), at_once=2, cwd=root)
    assert [each.code for each in ended] == [1, 5]
    assert "1 | FAILED tests/named/test_one.py::test_failing" in capsys.readouterr().out
    assert ended[0].last.startswith("1 failed")
    assert [each.partition(" - ")[0] for each in ended[0].failed] == ["FAILED tests/named/test_one.py::test_failing"]


def replace_runs(monkeypatch: pytest.MonkeyPatch, ended: list[Ended], reports: Path) -> None:
    """Replace the preparation and the runs by this result."""
    monkeypatch.setattr(shards, "REPORTS", reports / "suite")
    for name in ("compile_once", "prepare"):
        monkeypatch.setattr(shards, name, lambda *_: None)
    monkeypatch.setattr(shards, "run", lambda *_args, **_named: ended)


@pytest.mark.parametrize(("codes", "code"), [((0, 0), 0), ((1, 0), 1), ((0, 2), 1), ((5, 0), 1)])
def test_it_passes_if_all_do(
    codes: tuple[int, int], code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    replace_runs(monkeypatch, [Ended(each, "", 1.0, 1.0) for each in codes], tmp_path)
    assert main([]) == code


def test_a_result_is_of_a_commit_unless_it_was_told_what(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_runs(monkeypatch, [], tmp_path)
    for told, found in ((["-k", "one"], []), ([], [OF_COMMIT])):
        main(told)
        assert [each.name for each in (tmp_path / "suite").iterdir()] == found


def test_what_it_found_of_two_trees_is_of_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace_runs(monkeypatch, [], tmp_path)
    commits = iter(("one", "two"))
    monkeypatch.setattr(shards, "whole_commit", lambda: next(commits))
    main([])
    assert [*(tmp_path / "suite").iterdir()] == []


def test_what_is_named_is_there_and_named_once() -> None:
    named = [path for paths in NAMED for path in paths]
    assert len(set(named)) == len(named)
    for path in (ROOT / "tests" / each for each in named):
        assert path.is_file() or any(path.rglob("test_*.py"))


# -- `make quick` runs only the tests of changed rooms.


TESTS = (
    *("tests/architecture/test_a.py", "tests/shared/core/protocol/test_a.py", "tests/shared/core/protocol/test_b.py"),
    *("tests/shared/core/protocol/rows/test_c.py", "tests/contracts/test_d.py", "tests/services/audit/test_e.py"),
    *("tests/services/schemas/test_f.py", "tests/journeys/test_g.py", "tests/support/test_h.py"),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (*TESTS, "shared/core/protocol/acts.py", "services/audit/migrations/versions/0001.sql"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("shared/core/protocol/acts.py", {"tests/shared/core/protocol"}),
        ("shared/core/protocol/rows/holds.py", {"tests/shared/core/protocol/rows"}),
        ("shared/core/protocol/data/codes.json", {"tests/shared/core/protocol"}),
        ("shared/core/contracts/fields.py", {"tests/contracts", "tests/shared/core"}),
        ("services/audit/migrations/versions/0001.sql", {"tests/services/audit", "tests/services/schemas"}),
        ("client/api.py", set()),
        ("tests/support/builders.py", {"tests/support"}),
        ("tests/journeys/parties.py", set()),
        ("tests/architecture/sizes.py", set()),
        ("tests/shared/core/protocol/test_a.py", set()),
        ("docs/events.md", set()),
        ("Makefile", set()),
    ],
)
def test_a_file_belongs_to_the_room_that_mirrors_its_folder(tree: Path, path: str, found: set[str]) -> None:
    assert rooms(path, tree) == found


def test_the_modules_of_a_room_run_without_those_of_folders_below_it(tree: Path) -> None:
    tests = ["tests/shared/core/protocol/test_a.py", "tests/shared/core/protocol/test_b.py"]
    assert touched_tests(["shared/core/protocol/acts.py"], tree) == tests
    assert touched_tests(["shared/core/protocol/b.py"], tree) == tests[::-1]
    assert touched_tests(["shared/core/protocol/a.py", tests[1]], tree) == tests[::-1]


def test_a_touched_test_runs_alone_and_a_slow_or_deleted_one_does_not(tree: Path) -> None:
    touched = ["tests/shared/core/protocol/test_b.py", "tests/journeys/test_g.py", "tests/shared/test_deleted.py"]
    assert touched_tests(touched, tree) == ["tests/shared/core/protocol/test_b.py"]


def test_files_of_the_branch_and_uncommitted_ones_are_touched(tree: Path) -> None:
    git(tree, "init", "--quiet", "--initial-branch", "main")
    commit(tree, "first")
    git(tree, "switch", "--quiet", "--create", "branch")
    (tree / "shared/core/protocol/committed.py").touch()
    commit(tree, "second")
    (tree / "shared/core/protocol/acts.py").write_text("x = 1\n", encoding="utf-8")
    (tree / "shared/core/protocol/untracked.py").touch()
    names = ("acts", "committed", "untracked")
    assert touched_files(tree) == {f"shared/core/protocol/{name}.py" for name in names}


def test_no_test_starts_when_the_time_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "test_a.py").write_text("def test_a(): ...\ndef test_b(): raise AssertionError\n", encoding="utf-8")
    (tmp_path / "late.py").write_text("from tests import quick\nquick.TIME_S_MAX = 0.0\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.quick", "test_a.py"]
    environment = inherited_environment() | {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    ended = subprocess.run([*command, "-p", "late"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "2 tests did not start within 0 s; `make check` runs them" in ended.stdout
    assert ended.returncode == 0
    monkeypatch.setattr(quick, "TIME_S_MAX", float("inf"))
    assert quick.pytest_runtest_protocol(None) is None


def commit(tree: Path, subject: str) -> None:
    git(tree, "add", "--all")
    git(tree, "-c", "user.name=test", "-c", "user.email=test@hotline.example", "commit", "--quiet", "-m", subject)


def git(tree: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=tree, check=True, capture_output=True)
