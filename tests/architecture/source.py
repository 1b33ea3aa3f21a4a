"""The source of this repository as data: modules, functions, and the text files in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("services", "shared", "client", "deploy")
#: Folders with versioned files. Generated folders (environment, state, caches) are elsewhere and not checked.
KEPT = (*PRODUCT, "tests", "docs", "requirements", "changelog.d", ".ci")
_MADE = {"__pycache__", "node_modules"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: its path, text and syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    def functions(self) -> Iterator[Function]:
        yield from (node for node in ast.walk(self.tree) if isinstance(node, Function))


def parse(text: str, path: str = "planted.py") -> Module:
    return Module(path, text, ast.parse(text))


def modules(*folders: str, root: Path = ROOT) -> tuple[Module, ...]:
    """Return all modules in `folders` of the tree, sorted; those of the product if none is named."""
    return tuple(module for folder in folders or PRODUCT for module in _folder_modules(folder, root))


@cache
def _folder_modules(folder: str, root: Path) -> tuple[Module, ...]:
    paths = sorted((root / folder).rglob("*.py"))
    return tuple(parse(path.read_text(encoding="utf-8"), str(path.relative_to(root))) for path in paths)


@cache
def kept_files() -> tuple[Path, ...]:
    """Yield every file of the repository."""
    inside = [path for folder in KEPT for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    # In a linked worktree `.git` is a file.
    beside = [path for path in sorted(ROOT.iterdir()) if path.is_file() and path.name != ".git"]
    return tuple(path for path in inside + beside if not _MADE.intersection(path.parts))


def has_code(module: Module) -> bool:
    """Return whether there is more in it than a docstring."""
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in module.tree.body)
