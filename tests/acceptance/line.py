"""One line of what finished work must show."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain


@dataclass(frozen=True, slots=True)
class Line:
    """One promise. It is kept if every test ran and passed and the verb, if any, found what it must.

    A test is named by its module and function, `module::function`, all of whose cases count, or by its module alone,
    all of whose tests count. A verb is a function of `tests.acceptance.verbs`, or of `tests.acceptance.long_verbs` in
    a line that takes long.
    """

    promise: str
    tests: tuple[str, ...] = ()
    verb: str | None = None


def tests_of(module: str, *functions: str) -> tuple[str, ...]:
    """The names of some tests of one module."""
    return tuple(f"{module}::{function}" for function in functions)


def line(promise: str, *tests: str | tuple[str, ...], verb: str | None = None) -> Line:
    """A line with these tests, each named by itself or with others of its module."""
    named = [(each,) if isinstance(each, str) else each for each in tests]
    return Line(promise, tuple(chain.from_iterable(named)), verb)
