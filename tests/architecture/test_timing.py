"""Every test that depends on durations has a marker: `make steady` runs it next to a busy core.

A wait for an event with a deadline of half a minute or more does not count: it only guards against waiting for ever.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import Function, Module, modules, parse

#: A shorter wait may end too early on a busy machine. A pause this long means "never".
SHORT_S = 30.0
#: Names of time-outs and pauses. Rates per second are excluded.
_TIMES = re.compile(r"(?<!per)_(s|ms|s_max)$|timeout", re.IGNORECASE)
_MARK = "pytest.mark.timing"


def timed(module: Module) -> Iterator[str]:
    """Yield the tests that pause, shorten a time-out or have a short deadline, directly or through calls."""
    functions = {node.name: node for node in module.tree.body if isinstance(node, Function) and not _prepares(node)}
    constants = dict(_constants(module))
    for name in functions:
        if name.startswith("test_") and any(
            _looks_at_the_clock(functions[each], constants) for each in _reached(name, functions)
        ):
            yield name


def marked(module: Module) -> Iterator[str]:
    """Yield the marked tests of a module, all of them if the module has the marker."""
    everything = any("pytestmark" in ast.unparse(each) and _MARK in ast.unparse(each) for each in module.tree.body)
    for node in module.tree.body:
        if isinstance(node, Function) and (everything or any(_MARK in ast.unparse(d) for d in node.decorator_list)):
            yield node.name


def _prepares(function: Function) -> bool:
    """Return whether it is a fixture: its waits end before the test begins."""
    return any("fixture" in ast.unparse(each) for each in function.decorator_list)


def _constants(module: Module) -> Iterator[tuple[str, float]]:
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = _number(node.value, {})
            if value is not None:
                yield node.targets[0].id, value


def _reached(name: str, functions: dict[str, Function]) -> set[str]:
    """Return the function, those of its module that it calls, and so on."""
    found, ahead = {name}, [name]
    while ahead:
        called = {node.id for node in ast.walk(functions[ahead.pop()]) if isinstance(node, ast.Name)}
        ahead += (called & functions.keys()) - found
        found |= called & functions.keys()
    return found


def _looks_at_the_clock(function: Function, constants: dict[str, float]) -> bool:
    nodes = [node for statement in function.body for node in ast.walk(statement)]
    polled = {each for loop in nodes if isinstance(loop, ast.While) for each in ast.walk(loop)}
    return any(_is_short(node, constants, node in polled) for node in nodes if isinstance(node, ast.Call))


def _is_short(call: ast.Call, constants: dict[str, float], polled: bool) -> bool:
    """Return whether a call pauses, sets a short time-out, or waits with a short deadline."""
    name = ast.unparse(call.func).rpartition(".")[2]
    numbers = [_number(each, constants) for each in call.args]
    if name == "sleep" and not polled and (numbers == [None] or _short(numbers[0])):
        return True
    if name in ("timeout", "wait_for") and any(map(_short, numbers)):
        return True
    if name == "setattr" and _TIMES.search(ast.unparse(call.args[-2]).strip("\"'")) and _short(numbers[-1]):
        return True
    return name != "timedelta" and any(
        _short(_number(each.value, constants))
        for each in call.keywords
        if each.arg in ("seconds", "seconds_max", "timeout") or (each.arg and _TIMES.search(each.arg))
    )


def _short(number: float | None) -> bool:
    return number is not None and 0 < number < SHORT_S


def _number(node: ast.expr, constants: dict[str, float]) -> float | None:
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    return None


def test_every_test_that_looks_at_the_clock_is_marked() -> None:
    unmarked = [
        f"{module.path}::{name}" for module in modules("tests") for name in sorted({*timed(module)} - {*marked(module)})
    ]
    assert unmarked == []


@pytest.mark.parametrize(
    "body",
    [
        "await asyncio.sleep(0.5)",
        "time.sleep(pause)",
        "async with asyncio.timeout(10): ...",
        "await asyncio.wait_for(event.wait(), PATIENCE)",
        "monkeypatch.setattr('shared.edge.HEAD_TIMEOUT_S', 0.2)",
        "assert eventually(lambda: gone, seconds=1.0)",
        "served(body_timeout_s=0.2)",
        "indirect()",
    ],
)
def test_a_planted_test_is_found(body: str) -> None:
    planted = parse(f"PATIENCE = 2.0\ndef indirect():\n    time.sleep(1)\nasync def test_it():\n    {body}\n")
    assert list(timed(planted)) == ["test_it"]
    assert list(marked(planted)) == []


@pytest.mark.parametrize(
    "body",
    [
        "while not done(): time.sleep(0.02)",
        "await asyncio.sleep(0)",
        "await asyncio.sleep(60)",
        "async with asyncio.timeout(60): ...",
        "limits(requests_per_s=0.5)",
        "clock.advance(timedelta(seconds=1))",
    ],
)
def test_waiting_for_something_is_not_looking_at_the_clock(body: str) -> None:
    assert list(timed(parse(f"async def test_it():\n    {body}\n"))) == []


@pytest.mark.parametrize("text", ["pytestmark = pytest.mark.timing\n", "@pytest.mark.timing\n"])
def test_a_mark_is_seen(text: str) -> None:
    assert list(marked(parse(f"{text}def test_it():\n    time.sleep(1)\n"))) == ["test_it"]
