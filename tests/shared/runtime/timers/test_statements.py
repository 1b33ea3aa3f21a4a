"""A look finds its rows by their edges, however many other rows the parties have."""

from __future__ import annotations

import re
from typing import Final

import pytest

from shared.runtime.database.transactions import Database
from shared.runtime.timers import store
from tests.shared.runtime.timers.workers import SCOPE

NAMED: Final = {"named": store._LOCK_NAMED, "edges": store._LOCK_EDGES, "write": store._WRITE.text}
#: Joined alone, without naming the edges.
JOINED: Final = """
DELETE FROM deadline AS d USING unnest($1::uuid[], $2::text[]) AS k (edge_id, party)
WHERE d.edge_id = k.edge_id AND d.party = k.party
"""


async def by_edge(database: Database, statement: str) -> bool:
    """Tell whether the one scan that is not of permissions looks for edges, in a plan made over empty tables."""
    count = max(map(int, re.findall(r"\$(\d+)", statement)))
    async with database.transaction(SCOPE, keeps_plans=True) as session:
        await session.driver.execute(f"PREPARE looked_at AS {statement}")
        plan = await session.driver.fetch(f"EXPLAIN EXECUTE looked_at({', '.join(['NULL'] * count)})")
        await session.driver.execute("DEALLOCATE looked_at")
    found = [line.partition("Index Cond: ")[2] for (line,) in plan if "Index Cond" in line]
    (scan,) = [each for each in found if "causeway." not in each]
    return "edge_id" in scan or "told_by" in scan


@pytest.mark.parametrize("name", NAMED)
async def test_rows_are_found_by_their_edges_over_tables_that_were_empty_once(database: Database, name: str) -> None:
    assert await by_edge(database, NAMED[name])


@pytest.mark.parametrize("statement", [store._DUE, store._OVERDUE])
async def test_a_page_of_due_times_begins_at_its_place_in_the_index(database: Database, statement: str) -> None:
    count = max(map(int, re.findall(r"\$(\d+)", statement)))
    async with database.transaction(SCOPE, keeps_plans=True) as session:
        await session.driver.execute(f"PREPARE page AS {statement}")
        plan = await session.driver.fetch(f"EXPLAIN EXECUTE page({', '.join(['NULL'] * count)})")
        await session.driver.execute("DEALLOCATE page")
    lines = [line for (line,) in plan]
    assert any("using deadline_overdue" in line for line in lines)
    assert any("Index Cond" in line and "ROW(overdue_at, edge_id) > ROW" in line for line in lines)
    assert not any("Sort" in line for line in lines)


async def test_joined_alone_all_deadlines_of_a_party_would_be_read(database: Database) -> None:
    """The control: what the statements are spelt against is what the planner does."""
    assert not await by_edge(database, JOINED)
