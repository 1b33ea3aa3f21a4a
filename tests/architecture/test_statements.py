"""Statements: more than eight numbered parameters cause errors, so such columns are named (`database/columns.py`)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import Module, modules, parse

POSITIONAL_MAX = 8
_PARAMETER = re.compile(r"\$(\d+)")


def crowded_statements(module: Module) -> Iterator[str]:
    """Yield strings with a parameter number above the limit.

    Docstrings count too, since no other text looks like one.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            highest = max(map(int, _PARAMETER.findall(node.value)), default=0)
            if highest > POSITIONAL_MAX:
                yield f"{module.path}:{node.lineno}: ${highest}"


def test_no_statement_counts_more_than_eight_parameters_by_hand() -> None:
    assert [finding for module in modules() for finding in crowded_statements(module)] == []


@pytest.mark.parametrize(
    "planted",
    [
        'ADD = "INSERT INTO t SELECT * FROM unnest($1::uuid[], $9::text[])"\n',
        "ADD = '''\nUPDATE t SET a = $1,\n b = $12 WHERE c = $2\n'''\n",
        'ADD = f"UPDATE {table} SET a = $10"\n',
    ],
    ids=["nine", "lines", "put together"],
)
def test_a_crowded_statement_is_found(planted: str) -> None:
    assert list(crowded_statements(parse(planted)))


def test_eight_parameters_are_not_a_crowd() -> None:
    assert list(crowded_statements(parse('ADD = "SELECT $1, $8"\n'))) == []
