"""Access rules per role and row: the Python table and PostgreSQL agree in every cell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest

from shared.core.acts.act import NoticeState, OfferState
from shared.core.authority import Role
from shared.core.ids import uuid7
from shared.platform.database.transactions import RowScope
from tests.services.isolation.conftest import Scratch
from tests.services.isolation.matrix import ADDED, ADDS_ROW, Cell, Disagreement, disagreements, fill
from tests.services.isolation.tables import AUTHORITIES, DEADLINES, OFFER, PARTIES, TABLES, Isolated, Relation

Record = Callable[[str, object], None]


async def asked(scratch: dict[str, Scratch], held: Isolated) -> tuple[list[Disagreement], int]:
    place = scratch[held.service]
    return await disagreements(place.database, held, await fill(place.admin, held))


@asynccontextmanager
async def changed(admin: asyncpg.Connection, statement: str, *, undo: str) -> AsyncIterator[None]:
    await admin.execute(statement)
    try:
        yield
    finally:
        await admin.execute(undo)


@pytest.mark.parametrize("held", TABLES, ids=lambda held: f"{held.service}.{held.table}")
async def test_the_python_table_and_row_level_security_answer_every_cell_equally(
    scratch: dict[str, Scratch], held: Isolated, record_property: Record
) -> None:
    differing, cells = await asked(scratch, held)
    record_property("cells", cells)
    assert differing == []


@pytest.mark.parametrize("service", AUTHORITIES)
async def test_the_two_copies_of_the_table_hold_the_same_cells(scratch: dict[str, Scratch], service: str) -> None:
    rows = await scratch[service].admin.fetch("SELECT resource, role, action, state FROM permission")
    assert sorted(tuple(row) for row in rows) == [tuple(map(str, cell)) for cell in AUTHORITIES[service].cells()]


@pytest.mark.parametrize("service", AUTHORITIES)
async def test_every_table_with_a_party_is_isolated_even_from_its_owner(
    scratch: dict[str, Scratch], service: str
) -> None:
    rows = await scratch[service].admin.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relrowsecurity AND relforcerowsecurity"
    )
    assert {row["relname"] for row in rows} == {held.table for held in TABLES if held.service == service}


@pytest.mark.parametrize("held", TABLES, ids=lambda held: f"{held.service}.{held.table}")
async def test_a_transaction_bound_to_nobody_sees_nothing(scratch: dict[str, Scratch], held: Isolated) -> None:
    rows = await fill(scratch[held.service].admin, held)
    async with scratch[held.service].database.transaction() as session:
        assert await session.driver.fetch(f"SELECT 1 FROM {held.table}") == []
    assert await scratch[held.service].admin.fetchval(f"SELECT count(*) FROM {held.table}") == len(rows)


@pytest.mark.parametrize("held", DEADLINES, ids=lambda held: f"{held.service}.{held.table}")
async def test_what_falls_due_for_another_party_is_invisible(scratch: dict[str, Scratch], held: Isolated) -> None:
    """This holds for any statement. Control: without the policies the same statement finds it."""
    place, scope = scratch[held.service], RowScope([PARTIES[Relation.OWN]], Role.VIEWER, "read")
    await fill(place.admin, held)

    async def seen(party: str) -> int:
        async with place.database.transaction(scope) as session:
            count: int = await session.driver.fetchval(f"SELECT count(*) FROM {held.table} WHERE party = $1", party)
            return count

    own, foreign = PARTIES[Relation.OWN], PARTIES[Relation.FOREIGN]
    assert (await seen(own), await seen(foreign)) == (1, 0)
    off, on = (f"ALTER TABLE {held.table} {word} ROW LEVEL SECURITY" for word in ("DISABLE", "ENABLE"))
    async with changed(place.admin, off, undo=on):
        assert (await seen(own), await seen(foreign)) == (1, 1)


async def test_with_row_level_security_off_the_foreign_cells_are_found_open(scratch: dict[str, Scratch]) -> None:
    """Control of the first test: the policies give the answers, not the statements of the test."""
    off, on = (f"ALTER TABLE received {word} ROW LEVEL SECURITY" for word in ("DISABLE", "ENABLE"))
    async with changed(scratch["hotline"].admin, off, undo=on):
        differing, cells = await asked(scratch, OFFER)
    assert len(differing) == cells
    assert any(each.cell.relation == Relation.FOREIGN and "changes" in each.postgres for each in differing)


async def test_one_cell_too_many_in_the_database_is_found_by_name(scratch: dict[str, Scratch]) -> None:
    where = "('offer', 'acknowledge_withdrawal', 'analyst', 'offered')"
    add = f"INSERT INTO permission (resource, action, role, state) VALUES {where}"
    remove = f"DELETE FROM permission WHERE (resource, action, role, state) = {where}"
    async with changed(scratch["hotline"].admin, add, undo=remove):
        differing, _ = await asked(scratch, OFFER)
    cell = Cell("hotline.received", "analyst", "own", "acknowledge_withdrawal", "offered")
    assert differing == [Disagreement(cell, ("changes", "sees"), ("sees",))]


async def test_a_row_of_a_kind_that_the_service_does_not_permit_is_out_of_reach(
    scratch: dict[str, Scratch],
) -> None:
    """The row's kind decides, not the service's. Control: an offer in the same state."""
    notice = replace(OFFER, resource="notice", states=NoticeState)
    rows = await fill(scratch["hotline"].admin, notice)
    scope = RowScope([PARTIES[Relation.OWN]], Role.SERVICE, "apply")
    for held, added in ((notice, False), (OFFER, True)):
        await scratch["hotline"].admin.execute(ADDS_ROW.format(held.insert))
        async with scratch["hotline"].database.transaction(scope) as session:
            assert await session.driver.fetch("SELECT 1 FROM received") == []
            assert await session.driver.fetch("UPDATE received SET party = party RETURNING 1") == []
            row = [uuid7()], [PARTIES[Relation.OWN]], ["withdrawn"]
            assert await session.driver.fetchval(ADDED, *row) == [added]
    assert await scratch["hotline"].admin.fetchval("SELECT count(*) FROM received") == len(rows) + 1


async def test_one_cell_too_few_in_the_database_is_found_by_name(scratch: dict[str, Scratch]) -> None:
    where = "('offer', 'acknowledge_withdrawal', 'machine', 'withdrawn')"
    add = f"INSERT INTO permission (resource, action, role, state) VALUES {where}"
    remove = f"DELETE FROM permission WHERE (resource, action, role, state) = {where}"
    async with changed(scratch["hotline"].admin, remove, undo=add):
        differing, _ = await asked(scratch, OFFER)
    assert {each.cell.state for each in differing} == {*OfferState}
    assert {(each.cell.role, each.cell.action) for each in differing} == {("machine", "acknowledge_withdrawal")}
