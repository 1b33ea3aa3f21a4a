"""Code lines and docstring lines of Python text, as `ruff format` lays it out."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from dataclasses import dataclass
from functools import cache
from typing import Final

from tests.architecture.source import Function, Module, parse

#: Tokens that leave a line without code: comments, line ends and indentation.
_LAYOUT: Final = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)
#: A comment that keeps `ruff format` away from lines.
_UNFORMATTED: Final = re.compile(r"#\s*fmt:\s*(skip|off|on)\b")


@dataclass(frozen=True, slots=True)
class PythonLines:
    """The number of code lines and of docstring lines in a text. Blank lines and comments are neither."""

    code: int
    docstring: int


@cache
def python_lines(module: Module) -> PythonLines:
    """Count the lines of a module. Code with a `fmt` remark is formatted first; lint formats all other code."""
    if _UNFORMATTED.search(module.text):
        module = parse(_format(_UNFORMATTED.sub("#", module.text)), module.path)
    docstring = _docstring_lines(module.tree)
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type not in _LAYOUT:
            code.update(range(token.start[0], token.end[0] + 1))
    filled = {number for number, line in enumerate(module.text.splitlines(), start=1) if line.strip()}
    return PythonLines(len(code & filled - docstring), len(docstring))


def _docstring_lines(tree: ast.Module) -> set[int]:
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node, clean=False) is not None:
            found.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return found


def _format(text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "formatted.py", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
