"""`make quick` runs only the tests of changed rooms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.site.settings import inherited_environment
from tests import quick
from tests.quick import ROOT, rooms, touched_files, touched_tests

TESTS = (
    *("tests/architecture/test_a.py", "tests/shared/exchange/test_a.py", "tests/shared/exchange/test_b.py"),
    *("tests/shared/exchange/rows/test_c.py", "tests/contracts/test_d.py", "tests/services/audit/test_e.py"),
    *("tests/services/schemas/test_f.py", "tests/journeys/test_g.py", "tests/support/test_h.py"),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (*TESTS, "shared/exchange/acts.py", "services/audit/migrations/versions/0001.sql"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("shared/exchange/acts.py", {"tests/shared/exchange"}),
        ("shared/exchange/rows/holds.py", {"tests/shared/exchange/rows"}),
        ("shared/exchange/data/codes.json", {"tests/shared/exchange"}),
        ("shared/contracts/fields.py", {"tests/contracts", "tests/shared"}),
        ("services/audit/migrations/versions/0001.sql", {"tests/services/audit", "tests/services/schemas"}),
        ("client/api.py", set()),
        ("tests/support/builders.py", {"tests/support"}),
        ("tests/journeys/parties.py", set()),
        ("tests/architecture/sizes.py", set()),
        ("tests/shared/exchange/test_a.py", set()),
        ("docs/events.md", set()),
        ("Makefile", set()),
    ],
)
def test_a_file_belongs_to_the_room_that_mirrors_its_folder(tree: Path, path: str, found: set[str]) -> None:
    assert rooms(path, tree) == found


def test_the_modules_of_a_room_run_without_those_of_folders_below_it(tree: Path) -> None:
    tests = ["tests/shared/exchange/test_a.py", "tests/shared/exchange/test_b.py"]
    assert touched_tests(["shared/exchange/acts.py"], tree) == tests
    assert touched_tests(["shared/exchange/b.py"], tree) == tests[::-1]
    assert touched_tests(["shared/exchange/a.py", tests[1]], tree) == tests[::-1]


def test_a_touched_test_runs_alone_and_a_slow_or_deleted_one_does_not(tree: Path) -> None:
    touched = ["tests/shared/exchange/test_b.py", "tests/journeys/test_g.py", "tests/shared/test_deleted.py"]
    assert touched_tests(touched, tree) == ["tests/shared/exchange/test_b.py"]


def test_files_of_the_branch_and_uncommitted_ones_are_touched(tree: Path) -> None:
    git(tree, "init", "--quiet", "--initial-branch", "main")
    commit(tree, "first")
    git(tree, "switch", "--quiet", "--create", "branch")
    (tree / "shared/exchange/committed.py").touch()
    commit(tree, "second")
    (tree / "shared/exchange/acts.py").write_text("x = 1\n", encoding="utf-8")
    (tree / "shared/exchange/untracked.py").touch()
    names = ("acts", "committed", "untracked")
    assert touched_files(tree) == {f"shared/exchange/{name}.py" for name in names}


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
