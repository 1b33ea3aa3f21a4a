"""Journeys and failures use the product through HTTP, Kafka, the CLI, operator tools and the driver only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import Module, modules, parse

FOLDERS = ("tests/journeys", "tests/failures")
#: Pure modules of the product that its client uses: messages, codes, ids, roles, clock, errors.
PURE = (
    *("shared.core.contracts", "shared.core.vocabulary", "shared.core.authority", "shared.core.clock"),
    *("shared.core.errors", "shared.core.ids"),
)
#: Tools of the operator, which start, configure and reconcile an exchange.
TOOLS = (
    *("deploy.accounting", "deploy.devstack", "deploy.directory", "deploy.operator", "deploy.policy"),
    *("deploy.sample", "deploy.scenarios", "deploy.site"),
)
#: Tests of the product's inside.
INSIDE = ("tests.services", "tests.shared", "tests.conformance", "tests.simulation", "tests.deploy")
#: Functions of the driver that take SQL, for its own modules only.
UNDRIVEN = ("read_rows", "read_value")
_SQL = re.compile(
    r"\b(SELECT|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|TRUNCATE|(ALTER|CREATE|DROP)\s+(TABLE|INDEX|VIEW))\b"
)


def breaches(module: Module) -> Iterator[str]:
    """Name each import of the product's inside, each SQL text, and each use of a driver function that takes SQL."""
    for node in ast.walk(module.tree):
        for imported in _imported(node):
            if _is_below(imported, ("shared", "services", "deploy", *INSIDE)) and not _is_below(imported, PURE + TOOLS):
                yield f"{module.path}:{node.lineno}: {imported}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.search(node.value):
            yield f"{module.path}:{node.lineno}: SQL"
        if isinstance(node, ast.Name | ast.Attribute | ast.alias) and _name(node) in UNDRIVEN:
            yield f"{module.path}:{node.lineno}: {_name(node)}"


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{each.name}" for each in node.names]
    return []


def _is_below(name: str, packages: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def _name(node: ast.Name | ast.Attribute | ast.alias) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else node.name


def test_journeys_and_failures_see_the_product_from_outside() -> None:
    assert [breach for module in modules(*FOLDERS) for breach in breaches(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "from shared.platform.post.relay import Relay\n",
        "from shared.core.protocol import topics\n",
        "from shared.core import canonical\n",
        "import shared.features.offers.effects\n",
        "def f():\n    import shared.features\n",
        "from deploy.serve import serve\n",
        "from tests.services.doors import door\n",
        "X = 'SELECT count(*) FROM inbox'\n",
        "X = f'{1} DELETE\\n FROM inbox'\n",
        "X = 'UPDATE inbox SET outcome = 1'\n",
        "from tests.support.driver_delivery import read_rows\n",
        "driver.read_value(exchange)\n",
    ],
)
def test_a_planted_look_inside_is_found(text: str) -> None:
    assert len(list(breaches(parse(text)))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "from shared.core.contracts.answers import ItemStatement\n",
        "from shared.core.ids import uuid7\n",
        "from deploy.accounting.run import reconciled\n",
        "from client.api import CausewayClient\n",
        "from tests.support.driver import list_cases\n",
        "X = 'Select a referral and update it'\n",
    ],
)
def test_a_look_from_outside_is_permitted(text: str) -> None:
    assert list(breaches(parse(text))) == []
