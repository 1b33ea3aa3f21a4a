"""One line: a promise of the finished work, and its proof."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain


@dataclass(frozen=True, slots=True)
class Line:
    """One promise. It is kept if every test ran and passed and the verb, if any, confirmed it.

    A test is named as `module::function`, with all of its cases, or as a module, with all of its tests. A verb is a
    function of `tests.acceptance.verbs`, or of `tests.acceptance.long_verbs` in a long line.
    """

    promise: str
    tests: tuple[str, ...] = ()
    verb: str | None = None


def tests_of(module: str, *functions: str) -> tuple[str, ...]:
    """Return the full names of some tests of one module."""
    return tuple(f"{module}::{function}" for function in functions)


def line(promise: str, *tests: str | tuple[str, ...], verb: str | None = None) -> Line:
    """Return a line with these tests, each named alone or with others of its module."""
    named = [(each,) if isinstance(each, str) else each for each in tests]
    return Line(promise, tuple(chain.from_iterable(named)), verb)
