"""Every cell of role × relation × action × state, as the Python table answers it and as PostgreSQL alone does.

PostgreSQL is asked without any use case. A transaction bound to a party, a role and an action tries every effect on
real rows. There is one row in each state for the acting party and one for another party.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from uuid import UUID

import asyncpg

from shared.core.ids import uuid7
from shared.platform.database import transactions
from shared.platform.database.transactions import Database, RowScope
from tests.services.isolation import tables


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One question: may this role do this to such a row in this state?"""

    table: str
    role: str
    relation: str
    action: str
    state: str


@dataclass(frozen=True, slots=True, order=True)
class Disagreement:
    """A cell whose two answers differ: the effects that PostgreSQL allows, and those that the Python table allows."""

    cell: Cell
    postgres: tuple[str, ...]
    python: tuple[str, ...]


#: The rows in a table: (relation, state) by the row's id.
Rows = dict[UUID, tuple[tables.Relation, str]]
Effects = dict[tuple[tables.Relation, str], set[str]]


async def fill(owner_or_admin: asyncpg.Connection, held: tables.Isolated) -> Rows:
    """Put one row in each state for each party into an empty table, despite its policies."""
    await owner_or_admin.execute(f"TRUNCATE {held.table}; {ADDS_ROW.format(held.insert)}")
    rows: Rows = {uuid7(): (relation, state) for relation in tables.Relation for state in held.states}
    await owner_or_admin.fetch(ADDED, *_arguments(rows))
    return rows


async def disagreements(database: Database, held: tables.Isolated, rows: Rows) -> tuple[list[Disagreement], int]:
    """Ask both sides about every cell of one table; return the differences and the number of cells."""
    differing: list[Disagreement] = []
    count = 0
    scopes = [RowScope([tables.PARTIES[tables.Relation.OWN]], *each) for each in product(tables.ROLES, tables.ACTIONS)]
    for scope, allowed in zip(scopes, await _allowed(database, held, rows, scopes), strict=True):
        for cell, expected in _expected(held, scope.role, scope.action):
            count += 1
            found = allowed[tables.Relation(cell.relation), cell.state]
            if found != expected:
                differing.append(Disagreement(cell, tuple(sorted(found)), tuple(sorted(expected))))
    return differing, count


def _expected(held: tables.Isolated, role: str, action: str) -> Iterator[tuple[Cell, set[str]]]:
    """Return the effects on rows that the Python table allows.

    `read` sees, `submit` adds, `apply` adds and changes, any other act changes; `release` adds edges, too. A row on
    which its party's role may act in some state is visible in every state: its answer is `state_forbids`, not a missing
    row.
    """
    for relation in tables.Relation:
        permitted = [state for state in held.states if _permits(held, role, relation, action=action, state=state)]
        for state in held.states:
            effects = {tables.SEES} if permitted else set()
            if state in permitted if held.has_state else permitted:
                effects |= (held.allows or _of_acts)(action)
                if held.timeline:
                    effects = {tables.SEES} if action == "read" else {tables.SEES, tables.ADDS}
                effects |= (
                    {tables.ADDS} if held.table == "edge" and action in ("release", "amend", "reroute") else set()
                )
            yield Cell(f"{held.service}.{held.table}", role, relation, action, state), effects


def _of_acts(action: str) -> set[str]:
    return {"read": set(), "submit": {tables.ADDS}, "apply": {tables.ADDS, tables.CHANGES}}.get(
        action, {tables.CHANGES}
    )


def _permits(held: tables.Isolated, role: str, relation: tables.Relation, *, action: str, state: str) -> bool:
    """Return whether the table has the cell. No action is permitted on a foreign row."""
    cells = tables.CELLS[held.service]
    any_state = held.resource == tables.ANY and any(cell[1:3] == (role, action) for cell in cells)
    return relation is tables.Relation.OWN and (any_state or (held.resource, role, action, state) in cells)


#: Tries to add one row of the filled table. The insert is planned once for all rows: there are 10⁵ of them.
ADDS_ROW = """
CREATE OR REPLACE FUNCTION adds_row(uuid, text, text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN {}; RETURN true; EXCEPTION WHEN insufficient_privilege THEN RETURN false; END $$
"""
#: Whether each row may be added under the caller's policies, in order.
ADDED = "SELECT array_agg(adds_row(id, party, state) ORDER BY n)"
ADDED += " FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS row (id, party, state, n)"
#: Adds the rows and runs the statements under each scope, undoes both, and returns the results.
EACH_EFFECT = f"""
CREATE FUNCTION each_effect(uuid[], text[], text[], scopes text[], statements text[]) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$ DECLARE scope text; statement text; touched uuid[]; effects jsonb; BEGIN
    FOREACH scope IN ARRAY scopes LOOP BEGIN
        EXECUTE scope;
        effects := jsonb_build_array(({ADDED}));
        FOREACH statement IN ARRAY statements LOOP
            BEGIN EXECUTE statement INTO touched; EXCEPTION WHEN insufficient_privilege THEN touched := NULL; END;
            effects := effects || jsonb_build_array(coalesce(touched, '{{}}'));
        END LOOP;
        RAISE SQLSTATE 'UNDO1';
    EXCEPTION WHEN SQLSTATE 'UNDO1' THEN RETURN NEXT effects; END; END LOOP;
END $$
"""


def _arguments(rows: Rows) -> tuple[list[UUID], list[str], list[str]]:
    return [*rows], [tables.PARTIES[relation] for relation, _ in rows.values()], [state for _, state in rows.values()]


async def _allowed(
    database: Database, held: tables.Isolated, rows: Rows, scopes: Sequence[RowScope]
) -> Iterator[Effects]:
    """Return the effects that PostgreSQL allows on each row in each scope. All of them are undone."""
    # The service never changes the party of a deadline, nor of an access.
    column = {"deadline": "due_at", "record_access_log": "count"}.get(held.table, "party")
    statements = {
        tables.SEES: f"SELECT array_agg({held.key}) FROM {held.table}",
        tables.CHANGES: _touched(held, f"UPDATE {held.table} SET {column} = {column}"),
        tables.REMOVES: _touched(held, f"DELETE FROM {held.table}"),
    }
    added = {uuid7(): row for row in rows.values()}
    bound = [f"SELECT {transactions._bound(each)}" for each in scopes]
    async with database.transaction(keeps_plans=True) as session:
        found = await session.driver.fetch(
            "SELECT each_effect($1, $2, $3, $4, $5)", *_arguments(added), bound, [*statements.values()]
        )
    return (_effects(added, rows, dict(zip(statements, touched, strict=True)), adds) for [[adds, *touched]] in found)


def _touched(held: tables.Isolated, statement: str) -> str:
    return f"WITH touched AS ({statement} RETURNING {held.key}) SELECT array_agg({held.key}) FROM touched"


def _effects(added: Rows, rows: Rows, touched: dict[str, list[str]], adds: list[bool]) -> Effects:
    effects: Effects = {row: {tables.ADDS} if each else set() for row, each in zip(added.values(), adds, strict=True)}
    for effect, ids in touched.items():
        for row_id in rows.keys() & map(UUID, ids):
            effects[rows[row_id]].add(effect)
    return effects
