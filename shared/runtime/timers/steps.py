"""The clock steps of a party's acts: gathered during a transaction, and written to its deadlines in the last step.

An act costs one update of a row, and no look of the scheduler, where the law is at hand (`Database.law_at`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

import asyncpg

from shared.exchange.clocks import Clocked, Happened
from shared.exchange.timers import Deadline, StepEntry, add_steps, count_at_act, step_entry
from shared.routing.clocks import Did, LawAt, Step
from shared.runtime.database.transactions import Late, RowScope, bind, gather_late
from shared.runtime.timers import store

#: The id in messages, the party and its counterpart: the name by which a step finds its edges.
_Name = tuple[UUID, str, str]
_Steps = dict[_Name, set[StepEntry]]


class _Noted(NamedTuple):
    """The calls of a transaction under one scope."""

    scope: RowScope | None
    begun: Sequence[Clocked] = ()
    steps: Sequence[Happened] = ()
    ended: Collection[UUID] = ()


async def clock(driver: asyncpg.Connection, begun: Sequence[Clocked], steps: Sequence[Happened]) -> None:
    """Begin deadlines for new edges, then add steps to these and to older edges. Repeated steps change nothing."""
    if begun or steps:
        _gather(driver, _Noted(driver.scope, begun, steps))


async def note_steps(driver: asyncpg.Connection, steps: Sequence[Happened]) -> None:
    """Add steps to the edges that they name. Repeated steps change nothing."""
    await clock(driver, (), steps)


async def count_steps(driver: asyncpg.Connection, steps: Sequence[Happened]) -> list[Deadline]:
    """Lock the rows that these steps name, and return those that they change. The caller writes them."""
    named = _by_name(steps)
    rows = await store.lock_named(driver, named) if named else []
    counted = [(row, add_steps(row, _of(row, named), find_law(driver))) for row in rows]
    return [new for old, new in counted if new is not old]


async def begin_like(
    driver: asyncpg.Connection, edge_id: UUID, new_edge_id: UUID, *, recipient: str, at: datetime
) -> None:
    """Begin deadlines for an edge to another recipient, on the terms of an edge that has deadlines."""
    gathered = (edge for noted in driver.late.get(Late.STEPS, ()) for edge in noted.begun if edge.edge_id == edge_id)
    edge = next(gathered, None) or await store.read_edge(driver, edge_id)
    if edge is not None:
        await clock(driver, [replace(edge, edge_id=new_edge_id, recipient=recipient, begun_at=at)], ())


async def end(driver: asyncpg.Connection, edge_ids: Collection[UUID]) -> None:
    """End the clocks of these edges from their beginning: another edge replaces each."""
    if edge_ids:
        _gather(driver, _Noted(driver.scope, ended=edge_ids))


def new_rows(edges: Sequence[Clocked], law_at: LawAt | None) -> list[Deadline]:
    """Return the rows of edges that begin, with their timers where the law is at hand."""
    return [count_at_act(Deadline(edge), law_at) for edge in edges]


def take_begun(driver: asyncpg.Connection, keys: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], Deadline]:
    """Take the deadlines that the transaction begins for these edges and parties. The caller inserts them.

    They have their steps. No earlier edge has one of their names, so these steps are of no other row.
    """
    noted: list[_Noted] = driver.late.get(Late.STEPS, [])
    named, taken = _by_name(step for each in noted for step in each.steps), dict[tuple[UUID, str], Deadline]()
    for at, each in enumerate(noted):
        rest = []
        for edge in each.begun:
            key = (edge.edge_id, edge.party)
            if key not in keys or key in taken:
                rest.append(edge)
                continue
            row = new_rows([edge], find_law(driver))[0]
            taken[key] = add_steps(row, _of(row, named), find_law(driver))
        noted[at] = each._replace(begun=rest)
    if not any(each.begun for each in noted):
        names = {name for row in taken.values() for name in _names(row)}
        noted[:] = [each._replace(steps=[step for step in each.steps if _name(step) not in names]) for each in noted]
    return taken


def find_law(driver: asyncpg.Connection) -> LawAt | None:
    """Return the law by which the transactions of this connection count; None while there is none."""
    law_at: LawAt | None = driver.database.law_at
    return law_at


def _gather(driver: asyncpg.Connection, noted: _Noted) -> None:
    gather_late(driver, Late.STEPS, [noted], write=_write_late)


async def _write_late(driver: asyncpg.Connection, entries: Sequence[_Noted]) -> None:
    """Write each scope's calls under that scope: under another one, row-level security hides the rows."""
    last = driver.scope
    is_one = all(each.scope == last for each in entries)
    for scope, noted in groupby(entries, key=lambda each: each.scope):
        if scope is not None and scope != driver.scope:
            await bind(driver, scope)
        await _write(driver, list(noted), is_last=is_one)
    if last is not None and last != driver.scope:
        await bind(driver, last)


async def _write(driver: asyncpg.Connection, noted: Sequence[_Noted], *, is_last: bool) -> None:
    """End edges, begin edges, add steps. Each row is locked, counted and written once.

    `is_last`: nothing of the transaction looks for new edges behind this.
    """
    law_at = find_law(driver)
    named = _by_name(step for each in noted for step in each.steps)
    locked, added = dict[tuple[UUID, str], Deadline](), defaultdict[tuple[UUID, str], set[StepEntry]](set)
    if ended := {edge_id for each in noted for edge_id in each.ended}:
        for row in await store.lock_edges(driver, ended):
            locked[_key(row)] = row
            added[_key(row)].add(_end_of(row.edge))
    if begun := new_rows([edge for each in noted for edge in each.begun], law_at):
        over = _ended_after_begin(noted)
        first = [_of(row, named) | ({_end_of(row.edge)} if row.edge.edge_id in over else set()) for row in begun]
        store.gather_rows(driver, [add_steps(row, steps, law_at) for row, steps in zip(begun, first, strict=True)])
    if named or not is_last:
        for row in await store.lock_named(driver, named):
            locked[_key(row)] = row
            added[_key(row)] |= _of(row, named)
    after = [(row, add_steps(row, added[key], law_at)) for key, row in sorted(locked.items())]
    await store.write(driver, [new for old, new in after if new is not old])


def _ended_after_begin(noted: Sequence[_Noted]) -> set[UUID]:
    """Return the edges that the transaction has begun and then ended."""
    begun, over = set[UUID](), set[UUID]()
    for each in noted:
        over |= begun.intersection(each.ended)
        begun |= {edge.edge_id for edge in each.begun}
    return over


def _end_of(edge: Clocked) -> StepEntry:
    return step_entry(Step(edge.begun_at, Did.ENDS))


def _by_name(steps: Iterable[Happened]) -> _Steps:
    named: _Steps = defaultdict(set)
    for each in steps:
        named[_name(each)].add(step_entry(each))
    return named


def _key(row: Deadline) -> tuple[UUID, str]:
    return row.edge.edge_id, row.edge.party


def _name(step: Happened) -> _Name:
    return step.told_by, step.party, step.counterpart


def _names(row: Deadline) -> set[_Name]:
    edge = row.edge
    return {(edge.told_by, edge.party, edge.origin), (edge.told_by, edge.party, edge.recipient)}


def _of(row: Deadline, named: _Steps) -> set[StepEntry]:
    return {step for name in _names(row) for step in named.get(name, ())}
