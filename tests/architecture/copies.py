"""Copied code: significant lines, and runs of them that occur in two services."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Sequence
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


def copies(files: Sequence[Sequence[Line]], *, run: int = RUN_LINES) -> list[str]:
    """Return the places of each run of `run` equal lines that two services have in common."""
    found: dict[tuple[str, ...], dict[str, Line]] = defaultdict(dict)
    for lines in files:
        for at in range(len(lines) - run + 1):
            found[tuple(line.text for line in lines[at : at + run])].setdefault(lines[at].service, lines[at])
    return [
        f"{here.path}:{here.number} = {there.path}:{there.number}"
        for places in found.values()
        for here, there in combinations(places.values(), 2)
    ]


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
