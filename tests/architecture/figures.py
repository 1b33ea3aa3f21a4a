"""Figures of a tree of Python files: sizes, parameters, annotations, docstrings and the word `Any`."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.architecture.source import Function, Module


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution by its median, its ninetieth percentile and its largest value."""

    middle: float
    p90: int
    most: int

    def __str__(self) -> str:
        return f"{self.middle:.0f}/{self.p90}/{self.most}"


@dataclass(frozen=True, slots=True)
class Figures:
    """What can be counted about some modules. Shares are percentages; a file of one line at most is not a module."""

    modules: int
    lines: int
    module_lines: Spread
    function_lines: Spread
    parameters: Spread
    annotated: float
    documented_modules: float
    documented_classes: float
    documented_functions: float
    any_per_1000_lines: float

    def __str__(self) -> str:
        return (
            f"{self.modules} modules of {self.module_lines} lines (median/p90/max), functions of "
            f"{self.function_lines}, parameters {self.parameters}, annotated {self.annotated:.0f} %, docstrings of "
            f"modules/classes/public functions {self.documented_modules:.0f}/{self.documented_classes:.0f}/"
            f"{self.documented_functions:.0f} %, Any {self.any_per_1000_lines:.1f} per 1,000 lines"
        )


def figures(sources: Sequence[Module]) -> Figures:
    """Count what `sources` are made of. Needs one function and one class at least."""
    named = [module for module in sources if module.lines > 1]
    functions = [function for module in sources for function in module.functions()]
    classes = [node for module in sources for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    lines = sum(module.lines for module in sources)
    return Figures(
        modules=len(named),
        lines=lines,
        module_lines=_spread(module.lines for module in named),
        function_lines=_spread((function.end_lineno or 0) - function.lineno + 1 for function in functions),
        parameters=_spread(len(_parameters(function)) for function in functions),
        annotated=_share(functions, _is_annotated),
        documented_modules=_share([module.tree for module in named], _is_documented),
        documented_classes=_share([each for each in classes if not each.name.startswith("_")], _is_documented),
        documented_functions=_share([each for each in functions if not each.name.startswith("_")], _is_documented),
        any_per_1000_lines=1000 * sum(said_any(module.text) for module in sources) / lines,
    )


def said_any(text: str) -> int:
    """How often the code, not its prose, says `Any`; importing it is saying it."""
    return sum(
        token.type == tokenize.NAME and token.string == "Any"
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
    )


def _parameters(function: Function) -> list[ast.arg]:
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    return [argument for argument in arguments if argument.arg not in ("self", "cls")]


def _is_annotated(function: Function) -> bool:
    return function.returns is not None and all(argument.annotation for argument in _parameters(function))


def _is_documented(node: ast.Module | ast.ClassDef | Function) -> bool:
    return ast.get_docstring(node, clean=False) is not None


def _share(nodes: Sequence[object], holds: Callable[..., bool]) -> float:
    return 100 * sum(holds(node) for node in nodes) / len(nodes)


def _spread(counts: Iterable[int]) -> Spread:
    ordered = sorted(counts)
    return Spread(median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))], ordered[-1])
