"""The codes of errors, read from the code: arguments of error classes, traced to the literal text."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

from shared.core.errors import Refused, RetryLater, Unavailable
from shared.platform.http.problems import status_of
from tests.architecture.source import Function, Module, modules

#: Further roots besides the tree of errors: classes that are turned into an error with the same code.
_ROOTS = frozenset({"CausewayError", "Objection", "_Unacceptable"})
#: The HTTP status of errors of a class. A refusal may set another one.
_STATUSES: Final[Mapping[str, int]] = {
    name: status_of(each("code")) for name, each in {"Refused": Refused, "Unavailable": Unavailable}.items()
} | {"RetryLater": status_of(RetryLater("code", "", headers={}))}


class Found(NamedTuple):
    """The codes at one place, or None if the module does not show them. `status`: their HTTP status.

    `status` is None for codes that HTTP never answers by name, and for computed ones.
    """

    path: str
    line: int
    spelt: str
    codes: frozenset[str] | None
    status: int | None


class Classes(NamedTuple):
    """The error classes, those among them that receive their code (the others have a fixed one), and their statuses."""

    every: frozenset[str]
    told: frozenset[str]
    statuses: Mapping[str, int]


def error_classes(modules: tuple[Module, ...]) -> Classes:
    """Return the names of every class below `CausewayError`, and of the operator's objections."""
    bases = {
        node.name: {_name(base) for base in node.bases}
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }
    known = _ROOTS
    while more := {name for name, below in bases.items() if below & known} - known:
        known |= more
    told = known.difference(*(_naming_themselves(module, known) for module in modules))
    return Classes(known, told, {name: status for name in known if (status := _status_below(name, bases))})


def _status_below(name: str, bases: Mapping[str, set[str]]) -> int | None:
    """Return the status of errors of a class that define none themselves."""
    above = (_status_below(base, bases) for base in sorted(bases.get(name, ())))
    return _STATUSES.get(name) or next((status for status in above if status), None)


def constants(modules: tuple[Module, ...]) -> Mapping[str, str]:
    """Return the texts that modules assign to a name in capitals."""
    found = {}
    for node in (node for module in modules for node in module.tree.body):
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found |= {_name(target): value.value for target in targets if _name(target).isupper()}
    return found


def codes_in(module: Module, classes: Classes, named: Mapping[str, str]) -> Iterator[Found]:
    """Yield every place that makes an error, with its possible codes."""
    for inside, call in _calls(module.tree, None):
        if (given := _code_of(call, inside, classes, module)) is not None:
            codes, status = _read(given, inside, module, named), _status_of(call, inside, classes, module)
            yield Found(module.path, call.lineno, ast.unparse(given), codes, status)


def _status_of(call: ast.Call, inside: ast.AST | None, classes: Classes, module: Module) -> int | None:
    said = next((each.value for each in call.keywords if each.arg == "status"), None)
    if said is not None:
        return said.value if isinstance(said, ast.Constant) and isinstance(said.value, int) else None
    if _name(call.func) in classes.told:
        return classes.statuses.get(_name(call.func))
    own = next((each.name for each in _own(module, classes.every) if inside in ast.walk(each)), "")
    return classes.statuses.get(own)


@cache
def statuses() -> Mapping[str, frozenset[int]]:
    """Return the HTTP statuses of each code that a service raises."""
    every, found = modules(), dict[str, frozenset[int]]()
    classes, named = error_classes(every), constants(every)
    ours = [module for module in every if module.path.startswith(("services/", "shared/"))]
    for place in (place for module in ours for place in codes_in(module, classes, named)):
        if place.status is not None:
            found |= {code: found.get(code, frozenset()) | {place.status} for code in place.codes or ()}
    return found


def _calls(node: ast.AST, inside: ast.AST | None) -> Iterator[tuple[ast.AST | None, ast.Call]]:
    """Yield calls, each with the innermost function around it, or its class outside functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield inside, child
        yield from _calls(child, child if isinstance(child, Function) else inside)


def _code_of(call: ast.Call, inside: ast.AST | None, classes: Classes, module: Module) -> ast.expr | None:
    above = isinstance(call.func, ast.Attribute) and ast.unparse(call.func) == "super().__init__"
    if above and not any(inside in ast.walk(each) for each in _own(module, classes.every)):
        return None
    if not above and _name(call.func) not in classes.told:
        return None
    named = next((each.value for each in call.keywords if each.arg == "code"), None)
    return named or (call.args[0] if call.args and not isinstance(call.args[0], ast.Starred) else None)


def _own(module: Module, classes: frozenset[str]) -> list[ast.ClassDef]:
    return [node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef) and node.name in classes]


def _naming_themselves(module: Module, classes: frozenset[str]) -> frozenset[str]:
    return frozenset(
        each.name
        for each in _own(module, classes)
        for _, call in _calls(each, None)
        if ast.unparse(call.func) == "super().__init__" and call.args and isinstance(call.args[0], ast.Constant)
    )


def _read(given: ast.expr, inside: ast.AST | None, module: Module, named: Mapping[str, str]) -> frozenset[str] | None:
    match given:
        case ast.Constant(value=str(text)):
            return frozenset({text})
        case ast.IfExp():
            both = [_read(each, inside, module, named) for each in (given.body, given.orelse)]
            return None if None in both else frozenset().union(*(each for each in both if each))
        case ast.Name() | ast.Attribute() if _name(given) in named:
            return frozenset({named[_name(given)]})
        case ast.JoinedStr(values=[ast.Constant(value=str(before)), ast.FormattedValue(value=ast.Name() as part)]):
            rest = _read(part, inside, module, named)
            return None if rest is None else frozenset(before + each for each in rest)
        case ast.Name() if isinstance(inside, Function):
            return _of_local(given.id, inside, module, named)
    return None


def _of_local(name: str, inside: Function, module: Module, named: Mapping[str, str]) -> frozenset[str] | None:
    """Return the possible values of a function's name: values assigned there, or arguments of calls in the module."""
    given = [
        node.value
        for node in ast.walk(inside)
        if isinstance(node, ast.Assign) and [_name(each) for each in node.targets] == [name]
    ]
    if not given:
        given = [found for call in _calls_of(inside.name, module) if (found := _argument(name, inside, call))]
    read = [_read(each, None, module, named) for each in given]
    return None if not read or None in read else frozenset().union(*(each for each in read if each))


def _calls_of(function: str, module: Module) -> list[ast.Call]:
    return [node for node in ast.walk(module.tree) if isinstance(node, ast.Call) and _name(node.func) == function]


def _argument(name: str, function: Function, call: ast.Call) -> ast.expr | None:
    place = [each.arg for each in function.args.args].index(name) if name in _positional(function) else len(call.args)
    named = next((each.value for each in call.keywords if each.arg == name), None)
    return named or (call.args[place] if place < len(call.args) else None)


def _positional(function: Function) -> list[str]:
    return [each.arg for each in function.args.args]


def _name(node: ast.AST) -> str:
    return getattr(node, "id", None) or getattr(node, "attr", None) or ""
