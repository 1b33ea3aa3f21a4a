"""Places in a module where one small fault can be put, by kind. Declarations of ports have none.

A comparison gets another operator, arithmetic another sign or number, logic its opposite; a statement is deleted; a
predicate of an SQL text gets another operator.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[3]
ROOM = ROOT / "shared" / "messaging"
KINDS = ("comparison", "arithmetic", "deletion", "sql", "logic")

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
#: Statements whose deletion changes the behaviour of a function.
_DELETED = (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Raise, ast.Break, ast.Continue, ast.If)
#: A text is SQL if it contains one of these.
_SQL = re.compile(r"\b(?:SELECT|UPDATE|DELETE|WHERE|ON CONFLICT)\b|= ANY\(|= \{\}|> \(\{\}")
_OPERATOR = re.compile(r"(?<=\s)(<=|>=|<>|=|<|>|IS NOT NULL|IS NULL|AND)(?=\s)")
_OTHERS = {
    "<=": "<",
    ">=": ">",
    "<": "<=",
    ">": ">=",
    "=": "<>",
    "<>": "=",
    "AND": "OR",
    "IS NULL": "IS NOT NULL",
    "IS NOT NULL": "IS NULL",
}
#: The last of these words in a statement decides whether an operator is part of a predicate.
_CLAUSE = re.compile(r"\b(SET|BETWEEN|WHERE|ON|OR|AND)\b")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: its place, its kind, the change, and the text of the module with it."""

    path: Path
    line: int
    kind: str
    change: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.kind}: {self.change}"

    @property
    def source(self) -> str:
        """Return the line with the fault.

        With the change, it is also its name when lines above are added or removed.
        """
        return self.path.read_text(encoding="utf-8").splitlines()[self.line - 1].strip()


def draw(seed: int, count: int, module: str | None = None) -> list[Mutant]:
    """Draw mutants of all modules, or of one, by turns from each kind."""
    paths = sorted([*ROOM.rglob("*.py"), *ROOM.glob("*.sql")])
    found = [each for path in paths if module in (None, path.stem) for each in find_mutants(path)]
    Random(seed).shuffle(found)
    piles = [[each for each in found if each.kind == kind] for kind in KINDS]
    turns = [each for at in range(count) for pile in piles for each in pile[at : at + 1]]
    return turns[:count]


def find_mutants(path: Path) -> list[Mutant]:
    """Return all mutants of a module or of a schema, in the order of their places."""
    text = path.read_text(encoding="utf-8")
    found = list(_find_in_schema(path, text) if path.suffix == ".sql" else _find_in_module(path, ast.parse(text)))
    unique = {(each.line, each.change, each.text): each for each in found}
    return sorted(unique.values(), key=lambda each: (each.line, each.change))


def _find_in_schema(path: Path, text: str) -> Iterator[Mutant]:
    for at, change, after in _change_sql(text):
        yield Mutant(path, text.count("\n", 0, at) + 1, "sql", change, after)


def _find_in_module(path: Path, tree: ast.Module) -> Iterator[Mutant]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_declaration(function):
            for node in ast.walk(function):
                for kind, change in _apply(node):
                    yield Mutant(path, _line(node), kind, change, _render(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.search(node.value):
            before = node.value
            for at, change, node.value in _change_sql(before):
                yield Mutant(path, _line(node) + before.count("\n", 0, at), "sql", change, _render(tree))
            node.value = before


def _change_sql(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each predicate of an SQL text with another operator: its place, the change, and the changed text."""
    for found in _OPERATOR.finditer(text):
        statement = text[: found.start()].rpartition(";")[2]
        is_remark = "--" in statement.rpartition("\n")[2]
        clause = ["WHERE" if "{}" in text else "SET", *_CLAUSE.findall(statement)][-1]
        if is_remark or clause in ("SET", "BETWEEN"):
            continue
        near = " ".join(text[max(0, found.start() - 24) : found.end() + 16].split())
        other, at = _OTHERS[found.group()], found.start()
        yield at, f"{found.group()} -> {other} in: {near}", text[:at] + other + text[found.end() :]


def _is_declaration(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether it only states a signature, as a port does."""
    last = function.body[-1]
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant)


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _render(tree: ast.Module) -> str:
    return ast.unparse(ast.fix_missing_locations(deepcopy(tree)))


def _apply(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Put each fault into the node in turn, yield its kind and description, and remove it again."""
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            for other in _COMPARISONS.get(type(operator), ()):
                node.ops[at] = other()
                yield "comparison", f"{type(operator).__name__} -> {other.__name__}"
                node.ops[at] = operator
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        before, node.op = node.op, _ARITHMETIC[type(node.op)]()
        yield "arithmetic", f"{type(before).__name__} -> {type(node.op).__name__}"
        node.op = before
    elif isinstance(node, ast.BoolOp):
        before_op, node.op = node.op, ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "logic", f"{type(before_op).__name__} -> {type(node.op).__name__}"
        node.op = before_op
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        before_operand, node.operand = node.operand, ast.UnaryOp(ast.Not(), node.operand)
        yield "logic", "not removed"
        node.operand = before_operand
    elif isinstance(node, ast.Constant) and type(node.value) in (bool, int):
        value = node.value
        node.value = (not value) if isinstance(value, bool) else value + 1
        yield "logic" if isinstance(value, bool) else "arithmetic", f"{value} -> {node.value}"
        node.value = value
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        name, node.id = node.id, _NAMES[node.id]
        yield "logic", f"{name} -> {node.id}"
        node.id = name
    for change in _delete_statements(node):
        yield "deletion", change


def _delete_statements(node: ast.AST) -> Iterator[str]:
    for block in (getattr(node, "body", None), getattr(node, "orelse", None)):
        if not isinstance(block, list) or isinstance(node, ast.ClassDef | ast.Module):
            continue
        for at, statement in enumerate(block):
            is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if isinstance(statement, _DELETED) and not is_docstring:
                block[at] = ast.copy_location(ast.Pass(), statement)
                yield f"deleted: {ast.unparse(statement).splitlines()[0][:60]}"
                block[at] = statement
