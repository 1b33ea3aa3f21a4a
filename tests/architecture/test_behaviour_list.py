"""The listed behaviours are collected tests, or are deleted for a listed reason."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source import ROOT, Function

KEPT: Final = "kept"
DELETED: Final = "deleted"
REASONS: Final = ("reads an earlier release", "internals of a removed mechanism")
SAME_AS: Final = "same as "
DELETED_SHARE_MAX: Final = 0.2
#: Tests of this folder are kept without exception.
NEVER_DELETED: Final = "tests/journeys/"
#: The number of listed tests, and the SHA-256 of their names, one on a line and sorted.
LISTED_COUNT: Final = 365
LISTED_DIGEST: Final = "38848b41fac6bc265051c66cadc12ede7ef52d66e0b7d298f230ade146911fb2"


@dataclass(frozen=True, slots=True)
class ListedTest:
    """One line: a test at the commit of the list, its state, and its present name or the reason of its deletion."""

    test: str
    state: str
    note: str = ""

    @property
    def present(self) -> str:
        """The name of a kept test in this tree."""
        return self.note or self.test


def parse_list(text: str) -> list[ListedTest]:
    """Read the lines. Blank lines and lines that begin with `#` are skipped."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [ListedTest(*line.split("\t")) for line in lines]


def collected_tests(root: Path) -> set[str]:
    """Name the tests below `root`/tests that pytest collects: `path::function` or `path::Class::function`."""
    found: set[str] = set()
    for path in (root / "tests").rglob("test_*.py"):
        name = path.relative_to(root).as_posix()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                found.update(f"{name}::{node.name}::{test}" for test in _tests(node.body))
            found.update(f"{name}::{test}" for test in _tests([node]))
    return found


def faults(listed: Sequence[ListedTest], collected: Collection[str]) -> Iterator[str]:
    """Name each line that breaks a rule: its state, its reason, or a kept test that is not collected."""
    presents = Counter(line.present for line in listed if line.state == KEPT)
    for line in listed:
        if line.state == DELETED:
            yield from _deletion_faults(line, collected)
        elif line.state != KEPT:
            yield f"{line.test}: the state {line.state} is neither kept nor deleted"
        elif line.present not in collected:
            yield f"{line.test}: {line.present} is not collected"
        elif presents[line.present] > 1:
            yield f"{line.test}: another line names {line.present} too"
    deleted = sum(line.state == DELETED for line in listed)
    if deleted > DELETED_SHARE_MAX * len(listed):
        yield f"{deleted} of {len(listed)} tests are deleted"


def digest(listed: Sequence[ListedTest]) -> str:
    """Hash the names of the listed tests, so that no line can leave the list."""
    return hashlib.sha256("\n".join(sorted(line.test for line in listed)).encode()).hexdigest()


def _deletion_faults(line: ListedTest, collected: Collection[str]) -> Iterator[str]:
    if line.test.startswith(NEVER_DELETED):
        yield f"{line.test}: a journey is never deleted"
    if line.note.startswith(SAME_AS):
        if line.note.removeprefix(SAME_AS) not in collected:
            yield f"{line.test}: {line.note.removeprefix(SAME_AS)} is not collected"
    elif line.note not in REASONS:
        yield f"{line.test}: deleted without a listed reason"


def _tests(body: Sequence[ast.stmt]) -> list[str]:
    return [node.name for node in body if isinstance(node, Function) and re.match("test", node.name)]


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
