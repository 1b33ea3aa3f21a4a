"""The listed behaviours are collected tests, or are deleted for a listed reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.behaviour_list import (
    LISTED_COUNT,
    LISTED_DIGEST,
    ListedTest,
    collected_tests,
    digest,
    faults,
    parse_list,
)
from tests.architecture.source import ROOT

JOURNEY = "tests/journeys/test_a.py::test_journey"
FAILURE = "tests/failures/test_b.py::test_failure"
OTHER = "tests/shared/test_c.py::test_other"
#: Twelve kept lines, so that one deletion is below the permitted share.
KEPT_LINES = [ListedTest(f"tests/contracts/test_d.py::test_{number}", "kept") for number in range(12)]
COLLECTED = {JOURNEY, FAILURE, OTHER, *(line.test for line in KEPT_LINES)}


def test_the_list_agrees_with_the_collected_tests() -> None:
    listed = parse_list((ROOT / "tests/behaviour.tsv").read_text(encoding="utf-8"))
    assert list(faults(listed, collected_tests(ROOT))) == []


def test_the_list_names_every_test_of_its_commit() -> None:
    listed = parse_list((ROOT / "tests/behaviour.tsv").read_text(encoding="utf-8"))
    assert (len(listed), digest(listed)) == (LISTED_COUNT, LISTED_DIGEST)
    assert digest(listed[1:]) != LISTED_DIGEST


@pytest.mark.parametrize(
    "line",
    [
        ListedTest(JOURNEY, "kept"),
        ListedTest("tests/failures/test_old.py::test_old", "kept", FAILURE),
        ListedTest("tests/failures/test_old.py::test_old", "deleted", "reads an earlier release"),
        ListedTest("tests/failures/test_old.py::test_old", "deleted", "internals of a removed mechanism"),
        ListedTest("tests/failures/test_old.py::test_old", "deleted", f"same as {OTHER}"),
    ],
)
def test_a_correct_line_has_no_fault(line: ListedTest) -> None:
    assert list(faults([*KEPT_LINES, line], COLLECTED)) == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (ListedTest("tests/failures/test_b.py::test_gone", "kept"), "is not collected"),
        (ListedTest("tests/failures/test_b.py::test_gone", "kept", "tests/shared/test_c.py::test_no"), "not collected"),
        (ListedTest("tests/failures/test_b.py::test_gone", "kept", KEPT_LINES[0].test), "another line names"),
        (ListedTest(FAILURE, "moved"), "neither kept nor deleted"),
        (ListedTest(FAILURE, "deleted"), "without a listed reason"),
        (ListedTest(FAILURE, "deleted", "too slow"), "without a listed reason"),
        (ListedTest(FAILURE, "deleted", "same as tests/shared/test_c.py::test_no"), "is not collected"),
        (ListedTest(JOURNEY, "deleted", "reads an earlier release"), "a journey is never deleted"),
    ],
)
def test_a_planted_fault_is_found(line: ListedTest, fault: str) -> None:
    found = [each for each in faults([*KEPT_LINES, line], COLLECTED) if each.startswith(line.test)]
    assert [fault in each for each in found] == [True]


def test_too_many_deletions_are_found() -> None:
    deleted = [ListedTest(f"tests/failures/{n}::test", "deleted", "reads an earlier release") for n in range(4)]
    assert list(faults([*KEPT_LINES, *deleted[:3]], COLLECTED)) == []
    assert list(faults([*KEPT_LINES, *deleted], COLLECTED)) == ["4 of 16 tests are deleted"]


def test_functions_and_methods_of_test_modules_are_collected(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "journeys"
    folder.mkdir(parents=True)
    functions = "async def test_a(): ...\ndef other(): ...\n"
    classes = "class TestB:\n    def test_c(self): ...\nclass D:\n    def test_e(): ...\n"
    (folder / "test_module.py").write_text(functions + classes, encoding="utf-8")
    (folder / "module.py").write_text("def test_not_collected(): ...\n", encoding="utf-8")
    name = "tests/journeys/test_module.py"
    assert collected_tests(tmp_path) == {f"{name}::test_a", f"{name}::TestB::test_c"}
