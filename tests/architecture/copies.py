"""Copied code: significant lines, and runs of them that occur in two services."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from tests.architecture.source import Module, modules

#: Six lines in a row are a copy; shorter runs are normal in Python.
RUN_LINES: Final = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One significant line: its place, and its text without layout and comments."""

    path: str
    number: int
    text: str

    @property
    def service(self) -> str:
        return self.path.split("/")[1]


@dataclass(frozen=True, slots=True)
class Copy:
    """Consecutive lines that occur in two services, from the first to the last."""

    lines: int
    here: Line
    there: Line

    def __str__(self) -> str:
        return f"{self.lines} lines: {self.here.path}:{self.here.number} = {self.there.path}:{self.there.number}"


def service_modules() -> list[Module]:
    """Return the services' modules.

    Migrations are left out, because each is a separate file that is never edited again.
    """
    return [module for module in modules("services") if "/migrations/" not in module.path]


def telling_lines(module: Module) -> list[Line]:
    """Yield the lines without imports, docstrings, comments, blank lines and lines of punctuation alone."""
    silent = _silent_lines(module.tree)
    remarks = _remarks(module.text)
    found = []
    for number, line in enumerate(module.text.splitlines(), start=1):
        said = " ".join(line[: remarks.get(number)].split())
        if number not in silent and re.search(r"\w", said):
            found.append(Line(module.path, number, said))
    return found


def copies(files: Sequence[Sequence[Line]], *, run: int = RUN_LINES) -> list[Copy]:
    """Return every run of at least `run` equal lines that two services have in common, each in full length."""
    starts: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for file, lines in enumerate(files):
        for at in range(len(lines) - run + 1):
            starts[tuple(line.text for line in lines[at : at + run])].append((file, at))
    matches = {
        (here, there)
        for places in starts.values()
        for here, there in combinations(places, 2)
        if files[here[0]][here[1]].service != files[there[0]][there[1]].service
    }
    return sorted(_longest(files, matches, run), key=lambda copy: (-copy.lines, copy.here.path, copy.here.number))


def _longest(
    files: Sequence[Sequence[Line]], matches: set[tuple[tuple[int, int], tuple[int, int]]], run: int
) -> Iterator[Copy]:
    """Join matching places: one that follows another on both sides is the same copy, one line longer."""
    for (one, at), (other, there) in matches:
        if ((one, at - 1), (other, there - 1)) in matches:
            continue
        more = 0
        while ((one, at + more + 1), (other, there + more + 1)) in matches:
            more += 1
        yield Copy(run + more, files[one][at], files[other][there])


def _silent_lines(tree: ast.Module) -> set[int]:
    """Return the numbers of the lines of imports and docstrings."""
    silent: set[int] = set()
    for node in ast.walk(tree):
        nothing: list[ast.stmt] = []
        if isinstance(node, ast.Import | ast.ImportFrom):
            nothing = [node]
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            nothing = node.body[:1] if ast.get_docstring(node, clean=False) is not None else []
        for statement in nothing:
            silent.update(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    return silent


def _remarks(text: str) -> dict[int, int]:
    """Return line number → where its comment begins."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}
