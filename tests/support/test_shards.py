"""The suite in several runs: every test in exactly one of them, and no failure is lost between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import shards
from tests.shards import NAMED, ROOT, Ended, chosen_by_shard, main, run

RECORDED = """
from pathlib import Path
def test_ran():
    with Path("ran").open("a") as file:
        file.write(__file__.rpartition("/tests/")[2] + "\\n")
"""
FAILING = "def test_failing():\n    raise AssertionError\n"
FOLDERS = ("named/test_one.py", "named/below/test_two.py", "later/test_three.py", "test_four.py")


def written(root: Path, files: Mapping[str, str]) -> Path:
    (root / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (root / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "tests" / name).write_text(text)
    return root


def test_every_test_is_run_once_wherever_it_lies(tmp_path: Path) -> None:
    root = written(tmp_path, dict.fromkeys(FOLDERS, RECORDED))
    ended = run(chosen_by_shard("tests", [["named"]]), at_once=2, cwd=root)
    assert [each.code for each in ended] == [0, 0]
    assert sorted((root / "ran").read_text().split()) == sorted(FOLDERS)
    assert all(each.last.startswith("2 passed") for each in ended)


def test_a_failure_in_one_run_and_nothing_to_run_in_the_other_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = written(tmp_path, {"named/test_one.py": FAILING, "later/empty.py": ""})
    ended = run(chosen_by_shard("tests", [["named"]]), at_once=2, cwd=root)
    assert [each.code for each in ended] == [1, 5]
    assert "1 | FAILED tests/named/test_one.py::test_failing" in capsys.readouterr().out
    assert ended[0].last.startswith("1 failed")
    assert [each.partition(" - ")[0] for each in ended[0].failed] == ["FAILED tests/named/test_one.py::test_failing"]


def test_what_failed_is_told_again_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [Ended(1, "1 failed", 1.0, ("FAILED tests/a.py::test_one - why",)), Ended(0, "1 passed", 1.0)]
    monkeypatch.setattr(shards, "run", lambda *_args, **_named: runs)
    main([])
    assert capsys.readouterr().out.splitlines()[-1] == "shard 1: FAILED tests/a.py::test_one - why"


@pytest.mark.parametrize(("codes", "code"), [((0, 0), 0), ((1, 0), 1), ((0, 2), 1), ((5, 0), 1)])
def test_the_suite_passes_if_every_run_does(codes: tuple[int, int], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "run", lambda *_args, **_named: [Ended(each, "", 1.0) for each in codes])
    assert main([]) == code


def test_what_is_named_is_there_and_named_once() -> None:
    folders = [folder for named in NAMED for folder in named]
    assert len(set(folders)) == len(folders)
    assert all(any((ROOT / "tests" / folder).rglob("test_*.py")) for folder in folders)
