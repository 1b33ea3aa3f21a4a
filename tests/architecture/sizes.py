"""The sizes of the repository, each measured on a tree, and their bounds, which are the rows of `docs/sizes.md`."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.architecture.names import homonyms
from tests.architecture.source import PRODUCT, ROOT, Function, Module, modules, parse

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


#: A text in a .toml or .json file counts from this length on, as one code line per started 120 characters.
TEXT_CHARACTERS_MIN: Final = 201
LINE_CHARACTERS: Final = 120
#: Measured by tests/services/test_walk.py, which submits and receives a referral.
FILED, RECEIVED = "files entered by filing", "files entered by receiving"
_ROW = re.compile(r"^\| (?P<name>[^|]+) \| (?P<bound>[\d,.]+) \| (?P<target>[\d,.]+) \| [^|]+ \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Bound:
    """A row of the table: the permitted size today, and the permitted size at the end of the contraction."""

    today: float
    target: float

    def permits(self, name: str, figure: float) -> bool:
        """Return whether the figure keeps today's bound. The share of docstrings is the only lower bound."""
        return figure >= self.today if name == DOCSTRINGS else figure <= self.today


def bounds(page: str) -> dict[str, Bound]:
    """Read the rows of the page: name → bound."""
    return {
        row["name"]: Bound(*(float(row[column].replace(",", "")) for column in ("bound", "target")))
        for row in _ROW.finditer(page)
    }


def product_code_lines(root: Path) -> float:
    """Count Python code outside the tests, and long texts in data files of the product."""
    python = sum(python_lines(module).code for module in _product_modules(root))
    return python + sum(
        -(-len(text) // LINE_CHARACTERS)
        for path in (*_product_files(root, "*.json"), *_product_files(root, "*.toml"))
        for text in _texts(_load(path))
        if len(text) >= TEXT_CHARACTERS_MIN
    )


def suite_code_lines(root: Path) -> float:
    return sum(python_lines(module).code for module in modules("tests", root=root))


def support_code_lines(root: Path) -> float:
    return sum(python_lines(module).code for module in modules("tests/support", root=root))


def testless_code_lines(root: Path) -> float:
    """Count the code of the modules below `tests` that pytest does not collect."""
    testless = [each for each in modules("tests", root=root) if not Path(each.path).name.startswith("test_")]
    return sum(python_lines(module).code for module in testless)


def sql_code_lines(root: Path) -> float:
    """Count the lines of .sql files of the product that are neither blank nor a comment."""
    lines = [
        line.strip() for path in _product_files(root, "*.sql") for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return sum(bool(line) and not line.startswith("--") for line in lines)


def product_files(root: Path) -> float:
    """Count the Python files of the product that are not empty."""
    return sum(bool(module.text.strip()) for module in _product_modules(root))


def party_tables(root: Path) -> float:
    """Count the tables of the party database that has most, without partitions, as its catalogue lists them."""
    catalogues = (root / "services").glob("*/migrations/catalogue.txt")
    return max(
        len(re.findall(r"^table ", path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in catalogues
        if path.parts[-3] != "audit"
    )


def shared_class_names(root: Path) -> float:
    return len(homonyms(_product_modules(root)))


def decision_notes(root: Path) -> float:
    return len(list((root / "docs/decisions").glob("*.md")))


def longest_module(root: Path) -> float:
    return max(module.lines for module in (*_product_modules(root), *modules("tests", root=root)))


def longest_function(root: Path) -> float:
    every = (*_product_modules(root), *modules("tests", root=root))
    return max((each.end_lineno or 0) - each.lineno + 1 for module in every for each in module.functions())


def any_per_1000(root: Path) -> float:
    """Count the word `Any` in code, its imports included, for 1,000 code lines of the product."""
    product = _product_modules(root)
    said = sum(
        token.type == tokenize.NAME and token.string == "Any"
        for module in product
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline)
    )
    return 1000 * said / sum(python_lines(module).code for module in product)


def glossary_terms(root: Path) -> float:
    """Count the terms that the glossary prints in bold."""
    return len(set(re.findall(r"\*\*(.*?)\*\*", (root / "docs/glossary.md").read_text(encoding="utf-8"))))


def docstring_share(root: Path) -> float:
    """Count the docstring lines for 100 code lines of the product."""
    counted = [python_lines(module) for module in _product_modules(root)]
    return 100 * sum(each.docstring for each in counted) / sum(each.code for each in counted)


DOCSTRINGS: Final = "docstring lines for 100 code lines"
MEASURES: Final[Mapping[str, Callable[[Path], float]]] = {
    "product code lines": product_code_lines,
    "test code lines": suite_code_lines,
    "code lines of tests/support": support_code_lines,
    "code lines of test modules without tests": testless_code_lines,
    "SQL code lines": sql_code_lines,
    "product files": product_files,
    "tables of a party database": party_tables,
    "class names in several modules": shared_class_names,
    "decision notes": decision_notes,
    "lines of the longest module": longest_module,
    "lines of the longest function": longest_function,
    "`Any` for 1,000 code lines": any_per_1000,
    "glossary terms": glossary_terms,
    DOCSTRINGS: docstring_share,
}


def page_bounds() -> dict[str, Bound]:
    """Read the bounds of this repository."""
    return bounds((ROOT / "docs/sizes.md").read_text(encoding="utf-8"))


def _product_modules(root: Path) -> tuple[Module, ...]:
    """Return every Python file outside the tests, except in generated folders (`.venv`, `.state`)."""
    elsewhere = sorted(
        folder.name
        for folder in root.iterdir()
        if folder.is_dir() and folder.name not in (*PRODUCT, "tests") and not folder.name.startswith(".")
    )
    return modules(*PRODUCT, *elsewhere, root=root)


def _product_files(root: Path, pattern: str) -> Iterator[Path]:
    for folder in PRODUCT:
        yield from sorted((root / folder).rglob(pattern))


def _load(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
