"""Rules for every module: headers, parameters, names. Each rule detects a planted violation."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import pytest

from tests.architecture.source import Function, Module, has_code, modules, parse

POSITIONAL_MAX = 3
#: Words that say nothing about the content, or that announce inheritance instead of convention.
EMPTY_WORDS = ("util", "helper", "common", "manager", "misc")
#: A docstring with this beginning makes no sense alone.
LEANING = ("It ", "Its ", "They ", "Their ", "Such ", "The same ", "The same,")

Rule = Callable[[Module], Iterator[str]]


def missing_docstrings(module: Module) -> Iterator[str]:
    if ast.get_docstring(module.tree) is None:
        yield f"{module.path}: no docstring"


def leaning_docstrings(module: Module) -> Iterator[str]:
    """Yield docstrings whose "it" or "the same" has no noun to refer to."""
    for node in ast.walk(module.tree):
        if isinstance(node, Function | ast.ClassDef | ast.Module):
            said = ast.get_docstring(node) or ""
            if said.startswith(LEANING):
                yield f"{module.path}: {said.splitlines()[0]}"


def evaluated_annotations(module: Module) -> Iterator[str]:
    if has_code(module) and "from __future__ import annotations" not in module.text:
        yield f"{module.path}: annotations are evaluated"


def positional_crowds(module: Module) -> Iterator[str]:
    """Yield functions with more than three parameters that can be confused with each other."""
    for function in module.functions():
        if called_by_a_framework(function):
            continue
        names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        named = [name for name in names if name not in ("self", "cls")]
        if len(named) > POSITIONAL_MAX:
            yield f"{module.path}: {function.name} takes {len(named)} positional parameters"


def called_by_a_framework(function: Function) -> bool:
    """Return whether it is a route, a command or an overridden hook, whose parameters a library passes."""
    decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
    return any(name.startswith(("router.", "app.")) or ".command" in name for name in decorators) or (
        function.name == "should_sample"  # opentelemetry.sdk.trace.sampling.Sampler
    )


def empty_names(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, Function | ast.ClassDef):
            lowered = node.name.lower()
            if any(word in lowered for word in EMPTY_WORDS) or lowered.startswith("base"):
                yield f"{module.path}: {node.name}"
    if any(word in module.path.lower() for word in EMPTY_WORDS):
        yield f"{module.path}: the file's own name"


RULES: dict[str, tuple[Rule, str]] = {
    "a module says what it is": (missing_docstrings, "x = 1\n"),
    "a docstring makes sense alone": (leaning_docstrings, '"""One."""\n\n\ndef f():\n    """The same of two."""\n'),
    "annotations are not evaluated": (evaluated_annotations, '"""A module."""\nx = 1\n'),
    "parameters after the third are named": (positional_crowds, "def f(self, a, b, c, d): ...\n"),
    "names say what is inside": (empty_names, "class BaseService: ...\n"),
}


@pytest.mark.parametrize("rule", RULES)
def test_every_module_keeps_the_rule(rule: str) -> None:
    check, _ = RULES[rule]
    assert [finding for module in modules() for finding in check(module)] == []


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_it_forbids(rule: str) -> None:
    check, planted = RULES[rule]
    assert list(check(parse(planted)))
