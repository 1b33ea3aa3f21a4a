"""Every cell of role × relation × action × state, as the Python table answers it and as PostgreSQL alone does.

PostgreSQL is asked without any use case. A transaction bound to a party, a role and an action tries every effect on
real rows. There is one row in each state for the acting party and one for another party.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from shared.core.ids import uuid7
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
    await owner_or_admin.execute(f"TRUNCATE {held.table}")
    rows: Rows = {uuid7(): (relation, state) for relation in tables.Relation for state in held.states}
    for row_id, (relation, state) in rows.items():
        await owner_or_admin.execute(held.insert, row_id, tables.PARTIES[relation], state)
    return rows


async def disagreements(database: Database, held: tables.Isolated, rows: Rows) -> tuple[list[Disagreement], int]:
    """Ask both sides about every cell of one table; return the differences and the number of cells."""
    differing: list[Disagreement] = []
    count = 0
    for role in tables.ROLES:
        for action in tables.ACTIONS:
            allowed = await _allowed(
                database, held, rows, scope=RowScope([tables.PARTIES[tables.Relation.OWN]], role, action)
            )
            for cell, expected in _expected(held, role, action):
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


#: Tries each row under the caller's policies. An added row stays until the transaction ends.
EACH_ADDED = """
CREATE FUNCTION each_added(statement text, ids uuid[], parties text[], states text[]) RETURNS boolean[]
LANGUAGE plpgsql AS $$
DECLARE
    added boolean[] := '{}';
BEGIN
    FOR n IN 1..cardinality(ids) LOOP
        BEGIN
            EXECUTE statement USING ids[n], parties[n], states[n];
            added := added || true;
        EXCEPTION WHEN insufficient_privilege THEN
            added := added || false;
        END;
    END LOOP;
    RETURN added;
END $$
"""


class _Undone(Exception):
    """Rolls back a transaction whose effects were only inspected."""


async def _allowed(database: Database, held: tables.Isolated, rows: Rows, *, scope: RowScope) -> Effects:
    """Return the effects that PostgreSQL allows on each row, and roll all of them back."""
    effects: Effects = {(relation, state): set() for relation in tables.Relation for state in held.states}
    statements = {
        tables.SEES: f"SELECT {held.key} FROM {held.table}",
        # The service never changes the party of a deadline.
        tables.CHANGES: f"UPDATE {held.table} SET {{0}} = {{0}} RETURNING {held.key}".format(
            "due_at" if held.table == "deadline" else "party"
        ),
        tables.REMOVES: f"DELETE FROM {held.table} RETURNING {held.key}",
    }
    try:
        async with database.transaction(scope) as session:
            for row in await _added(session.driver, held.insert, list(effects)):
                effects[row].add(tables.ADDS)
            for effect, statement in statements.items():
                for row in await _unless_refused(session.driver, statement):
                    if row[0] in rows:
                        effects[rows[row[0]]].add(effect)
            raise _Undone
    except _Undone:
        return effects


async def _added(
    driver: asyncpg.Connection, insert: str, rows: Sequence[tuple[tables.Relation, str]]
) -> list[tuple[tables.Relation, str]]:
    """Return the rows that may be added, each tried separately, in one query because there are 10⁵ of them."""
    parties, states = [tables.PARTIES[relation] for relation, _ in rows], [state for _, state in rows]
    allowed: list[bool] = await driver.fetchval(
        "SELECT each_added($1, $2, $3, $4)", insert, [uuid7() for _ in rows], parties, states
    )
    return [row for row, added in zip(rows, allowed, strict=True) if added]


async def _unless_refused(driver: asyncpg.Connection, statement: str) -> list[asyncpg.Record]:
    """Return the affected rows, or none if the role has no such right on the table."""
    await driver.execute("SAVEPOINT touching")
    try:
        rows: list[asyncpg.Record] = await driver.fetch(statement)
    except asyncpg.InsufficientPrivilegeError:
        await driver.execute("ROLLBACK TO SAVEPOINT touching")
        return []
    return rows
