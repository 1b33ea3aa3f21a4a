"""Mutants: every kind of site is found, each mutant is another module, and the draw has all kinds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.simulation.mutants import sites
from tests.simulation.mutants.equivalent import EQUIVALENT
from tests.simulation.mutants.sites import KINDS, draw, find_mutants

MODULE = '''
TEXT = "SELECT * FROM stream WHERE peer = $1 AND sent >= $2"
SAVE = "UPDATE stream SET sent = $1 WHERE sent BETWEEN $2 AND $3"
NOTE = "a sum = 2 of none"

def find(number, *, is_last):
    """Return another number."""
    if not is_last and number < 3:
        return number + 1
    return None
'''
SCHEMA = "CREATE TABLE t (a int) WITH (fillfactor = 30);\n-- a = b\nSELECT FROM t WHERE a = 1 AND b IS NULL LIMIT 1;\n"
CHANGES = {
    "comparison": {"Lt -> LtE", "Lt -> GtE"},
    "arithmetic": {"Add -> Sub", "3 -> 4", "1 -> 2"},
    "deletion": {"deleted: if not is_last and number < 3:", "deleted: return number + 1", "deleted: return None"},
    "logic": {"And -> Or", "not removed"},
    "sql": {"= -> <>", ">= -> >", "AND -> OR"},
}


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sites, "ROOM", tmp_path)
    monkeypatch.setattr(sites, "ROOT", tmp_path)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "planted.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "schema.sql").write_text(SCHEMA, encoding="utf-8")
    return tmp_path


def test_every_kind_of_site_is_found(room: Path) -> None:
    found = find_mutants(room / "store" / "planted.py")
    by_kind = {kind: {each.change.partition(" in: ")[0] for each in found if each.kind == kind} for kind in KINDS}
    assert by_kind == CHANGES
    assert len({each.text for each in found}) == len(found)
    assert all(ast.dump(ast.parse(each.text)) != ast.dump(ast.parse(MODULE)) for each in found)


def test_predicates_of_a_schema_are_sites_and_its_remarks_and_options_are_not(room: Path) -> None:
    found = find_mutants(room / "schema.sql")
    assert [(each.line, each.change.partition(" in: ")[0]) for each in found] == [
        *((3, "= -> <>"), (3, "AND -> OR"), (3, "IS NULL -> IS NOT NULL"))
    ]
    assert {each.text.count("fillfactor = 30") for each in found} == {1}


def test_a_draw_has_each_kind_by_turns_and_is_the_same_for_a_seed(room: Path) -> None:
    drawn = draw(27, 10)
    assert [each.kind for each in drawn[:5]] == [*KINDS]
    assert drawn == draw(27, 10)
    assert drawn != draw(28, 10)
    assert len(draw(27, 1000)) == len(find_mutants(room / "store" / "planted.py")) + 3


def test_each_mutant_that_is_called_equivalent_stands_in_the_room() -> None:
    """If its line has changed, a person checks the reason again."""
    lines = {
        line.strip() for path in sites.ROOM.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()
    }
    lines |= {line.strip() for line in (sites.ROOM / "schema.sql").read_text(encoding="utf-8").splitlines()}
    assert {source for source, _ in EQUIVALENT} <= lines
    assert all(EQUIVALENT.values())
