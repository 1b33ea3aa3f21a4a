"""Each size of `docs/sizes.md` keeps its bound, and a planted excess is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.architecture.sizes import DOCSTRINGS, FILED, MEASURES, RECEIVED, Bound, bounds, page_bounds
from tests.architecture.source import ROOT

Record = Callable[[str, object], None]

#: A tree in which each size can be measured.
TREE: Mapping[str, str] = {
    "shared/a.py": '"""A module."""\n\nfrom typing import Any\n\n\nclass A:\n    x: Any = 1  # a remark\n',
    "services/hotline/migrations/catalogue.txt": "table alarm: kind r\ncolumn alarm.day: 1 date\n",
    "services/audit/migrations/catalogue.txt": "table a: kind r\ntable b: kind r\ntable c: kind r\n",
    "services/hotline/migrations/versions/0001.sql": "-- A remark.\nCREATE TABLE alarm (\n\n    day date\n);\n",
    "client/small.toml": f'short = "{"a" * 200}"\n',
    "deploy/b.py": '"""B."""\n',
    "tests/test_a.py": "def test_a():\n    # A remark.\n    assert True\n",
    "tests/support/a.py": "x = 1\n",
    "docs/decisions/0001-one.md": "# 0001 · One\n",
    "docs/glossary.md": "| **referral** | a **referral** of an **item** |\n",
}
#: Size → its figure in the tree, a planted file that exceeds it, and the figure after that.
PLANTED: Mapping[str, tuple[float, Mapping[str, str], float]] = {
    "product code lines": (3, {"docs/made.py": 'X = 1\n"""No docstring."""\n'}, 5),
    "test code lines": (3, {"tests/journeys/b.py": "x = 1\n"}, 4),
    "code lines of tests/support": (1, {"tests/support/b.py": "x = 1\n"}, 2),
    "code lines of test modules without tests": (1, {"tests/journeys/b.py": "x = 1\n"}, 2),
    "SQL code lines": (3, {"shared/features/schema.sql": "SELECT 1;\n"}, 4),
    "product files": (2, {"shared/empty.py": "", "shared/b.py": '"""B."""\n'}, 3),
    "tables of a party database": (1, {"services/industry/migrations/catalogue.txt": "table a: \ntable b: \n"}, 2),
    "class names in several modules": (0, {"deploy/c.py": "class A: ...\n"}, 1),
    "decision notes": (1, {"docs/decisions/0002-two.md": "# 0002 · Two\n"}, 2),
    "lines of the longest module": (7, {"tests/long.py": "x = 1\n" * 401}, 401),
    "lines of the longest function": (3, {"deploy/long.py": "def f():\n" + "    x = 1\n" * 50}, 51),
    "`Any` for 1,000 code lines": (2000 / 3, {"shared/b.py": "Any\n"}, 750),
    "glossary terms": (2, {"docs/glossary.md": "**a** **b** **c**\n"}, 3),
    DOCSTRINGS: (200 / 3, {"shared/a.py": "x = 1\n"}, 100),
}


def test_the_page_bounds_every_size() -> None:
    assert page_bounds().keys() == {*MEASURES, FILED, RECEIVED}
    assert PLANTED.keys() == MEASURES.keys()


@pytest.mark.parametrize("name", MEASURES)
def test_a_size_keeps_its_bound(name: str, record_property: Record) -> None:
    figure = MEASURES[name](ROOT)
    record_property(name.replace(" ", "_"), round(figure, 1))
    assert page_bounds()[name].permits(name, figure)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_excess_is_measured(name: str, tmp_path: Path) -> None:
    before, planted, after = PLANTED[name]
    write(tmp_path / "before", TREE)
    write(tmp_path / "after", {**TREE, **planted})
    assert MEASURES[name](tmp_path / "before") == pytest.approx(before)
    assert MEASURES[name](tmp_path / "after") == pytest.approx(after)


def test_a_figure_over_its_bound_is_not_permitted() -> None:
    page = "| size | now | goal | measured as |\n| --- | --- | --- | --- |\n| product files | 1,000 | 4.5 | files |\n"
    assert bounds(page) == {"product files": Bound(1000, 4.5)}
    bound = bounds(page)["product files"]
    assert bound.permits("product files", 1000)
    assert not bound.permits("product files", 1000.1)
    assert bound.permits(DOCSTRINGS, 1000)
    assert not bound.permits(DOCSTRINGS, 999.9)


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_long_text_in_a_data_file_counts_as_code(suffix: str, tmp_path: Path) -> None:
    text = f'"{"a" * 241}"'
    write(tmp_path, {**TREE, f"shared/data.{suffix}": f"text = {text}" if suffix == "toml" else f'{{"b": [{text}]}}'})
    assert MEASURES["product code lines"](tmp_path) == 3 + 3


def test_unformatted_code_counts_as_the_formatter_lays_it_out(tmp_path: Path) -> None:
    row = ", ".join(["1234567890"] * 20)
    write(tmp_path, {**TREE, "shared/packed.py": f"X = [{row}]  # fmt: skip\n"})
    assert MEASURES["product code lines"](tmp_path) == 3 + 22


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
