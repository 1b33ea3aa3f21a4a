"""Places in a module where one small fault can be put: comparisons, arithmetic, logic, constants and statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOM = ROOT / "shared" / "messaging"

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


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: its place, the change, and the text of the module with it."""

    path: Path
    line: int
    change: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.change}"


def find_mutants(path: Path) -> list[Mutant]:
    """Return all mutants of a module, in the order of their places."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_declaration(function):
            for node in ast.walk(function):
                found += [Mutant(path, _line(node), change, _render(tree)) for change in _apply(node)]
    unique = {(mutant.line, mutant.change, mutant.text): mutant for mutant in found}
    return sorted(unique.values(), key=lambda mutant: (mutant.line, mutant.change))


def _is_declaration(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it only states a signature, as a port does."""
    last = function.body[-1]
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant)


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _render(tree: ast.Module) -> str:
    return ast.unparse(ast.fix_missing_locations(deepcopy(tree)))


def _apply(node: ast.AST) -> Iterator[str]:
    """Put each fault into the node in turn, name it, and take it out again."""
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            for other in _COMPARISONS.get(type(operator), ()):
                node.ops[at] = other()
                yield f"{type(operator).__name__} -> {other.__name__}"
                node.ops[at] = operator
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        before, node.op = node.op, _ARITHMETIC[type(node.op)]()
        yield f"{type(before).__name__} -> {type(node.op).__name__}"
        node.op = before
    elif isinstance(node, ast.BoolOp):
        before_op, node.op = node.op, ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{type(before_op).__name__} -> {type(node.op).__name__}"
        node.op = before_op
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        before_operand, node.operand = node.operand, ast.UnaryOp(ast.Not(), node.operand)
        yield "not removed"
        node.operand = before_operand
    elif isinstance(node, ast.Constant) and type(node.value) in (bool, int):
        value = node.value
        node.value = (not value) if isinstance(value, bool) else value + 1
        yield f"{value} -> {node.value}"
        node.value = value
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        name, node.id = node.id, _NAMES[node.id]
        yield f"{name} -> {node.id}"
        node.id = name
    yield from _delete_statements(node)


def _delete_statements(node: ast.AST) -> Iterator[str]:
    for block in (getattr(node, "body", None), getattr(node, "orelse", None)):
        if not isinstance(block, list) or isinstance(node, ast.ClassDef | ast.Module):
            continue
        for at, statement in enumerate(block):
            is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if isinstance(statement, _DELETED) and not is_docstring:
                block[at] = ast.copy_location(ast.Pass(), statement)
                yield f"line {_line(statement)} deleted: {ast.unparse(statement).splitlines()[0][:60]}"
                block[at] = statement
