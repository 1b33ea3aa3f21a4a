"""Import cycles, and code that services have in common. Sizes are measured by `tests/architecture/test_sizes.py`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.architecture.copies import Line, copies, service_modules, telling_lines
from tests.architecture.cycles import cycles, product_imports
from tests.architecture.source import parse

Record = Callable[[str, object], None]


STATEMENTS = """
def kept(rows: Rows) -> int:
    \"\"\"What the docstring says is no code.\"\"\"
    first = rows.first()
    if first is None:
        return 0
    for row in rows:
        first.add(row)
    return first.count
"""
#: The same statements with another layout.
REMARKED = """
from shared.core import ids


def kept(
    rows: Rows) -> int:  # as everybody does
    first  =  rows.first()

    if first is None:
        return 0  # nothing
    # One after the other.
    for row in rows:
        first.add(row)
    (
    )
    return first.count
"""


def test_no_modules_import_each_other_in_a_circle(record_property: Record) -> None:
    found = cycles(product_imports())
    record_property("import_cycles", len(found))
    assert found == []


@pytest.mark.parametrize(
    ("imports", "circle"),
    [
        ([("shared.core.ids", "shared.core.ids")], {"shared.core.ids"}),
        (
            [("shared.core.canonical", "shared.core.routing.documents")],
            {"shared.core.canonical", "shared.core.routing.documents"},
        ),
        (
            [
                ("shared.planted", "client.planted"),
                ("client.planted", "deploy.planted"),
                ("deploy.planted", "shared.planted"),
            ],
            {"shared.planted", "client.planted", "deploy.planted"},
        ),
    ],
    ids=["of one", "closed by one line", "of three"],
)
def test_a_circle_is_found(imports: list[tuple[str, str]], circle: set[str]) -> None:
    graph = product_imports()
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported)
    [found] = cycles(graph)
    assert circle <= set(found)


def test_a_chain_that_comes_back_by_no_way_is_no_circle() -> None:
    graph = product_imports()
    graph.add_import(importer="deploy.planted", imported="shared.core.ids")
    graph.add_import(importer="deploy.planted", imported="client.api")
    assert cycles(graph) == []


def test_no_two_services_have_six_lines_in_common(record_property: Record) -> None:
    found = copies([telling_lines(module) for module in service_modules()])
    record_property("copies", len(found))
    assert found == []


def test_a_copy_is_found_whatever_its_layout() -> None:
    one, other = lines("services/hotline/planted.py", STATEMENTS), lines("services/audit/other.py", REMARKED)
    assert copies([one, other]) == ["services/hotline/planted.py:4 = services/audit/other.py:7"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("services/audit/other.py", REMARKED.replace("first.count", "first.total")),
        ("services/audit/other.py", REMARKED.replace("for row", "count = 1\n    for row")),
        ("services/hotline/other.py", REMARKED),
    ],
    ids=["five lines", "six lines with one between", "within a service"],
)
def test_what_is_shorter_interrupted_or_at_home_is_no_copy(path: str, text: str) -> None:
    assert copies([lines("services/hotline/planted.py", STATEMENTS), lines(path, text)]) == []


def lines(path: str, text: str) -> list[Line]:
    return telling_lines(parse(text, path))
