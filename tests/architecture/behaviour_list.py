"""The list of behaviours in `tests/behaviour.tsv`: its lines, and the differences between list and tests."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.architecture.source import Function

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
