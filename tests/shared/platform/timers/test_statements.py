"""Statements of timers find their rows by edges, regardless of how many other rows the parties have."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest

from shared.platform.database.columns import compress
from shared.platform.database.transactions import Database
from shared.platform.timers import store
from tests.shared.core.routing.test_clocks import AT
from tests.shared.platform.plans import generic_plan
from tests.shared.platform.timers.workers import PARTY, SCOPE

NAMED: Final = {
    "named": store._LOCK_NAMED, "edges": store._LOCK_EDGES, "write": store._WRITE.text, "begin": store._BEGIN.text,
}  # fmt: skip
#: Joined by their parties, without naming the edges.
JOINED: Final = """
UPDATE deadline AS d SET due_at = NULL FROM unnest($1::text[]) AS k (party) WHERE d.party = k.party
"""


LATE: Final = AT + timedelta(days=1)
#: Overdue deadlines, each with one timer of this consequence.
_DUE_ROWS: Final = """
INSERT INTO deadline (edge_id, party, subject, origin, recipient, purpose, clock_rules, started_at, timers, overdue_at,
                      late_at)
SELECT uuidv4(), $1, uuidv4(), 'hotline-nl.example', $1, $2, '', $5::timestamptz,
       $6::bytea, $5::timestamptz + i * interval '1 us',
       CASE WHEN $3 <> 'erase' THEN $5::timestamptz + i * interval '1 us' END
FROM generate_series(1, $4::int) AS i
"""


async def by_edge(database: Database, statement: str) -> bool:
    """Return whether each scan except those of permissions uses edges, in a plan made over empty tables."""
    async with database.transaction(SCOPE, keeps_plans=True) as session:
        plan = await generic_plan(session, statement)
    found = [line.partition("Index Cond: ")[2] for line in plan if "Index Cond" in line]
    scans = [each for each in found if "causeway." not in each]
    return len(scans) == 3 and all("edge_id" in scan or "subject" in scan for scan in scans)


@pytest.mark.parametrize("name", NAMED)
async def test_rows_are_found_by_their_edges_over_tables_that_were_empty_once(database: Database, name: str) -> None:
    assert await by_edge(database, NAMED[name])


@pytest.mark.parametrize("statement", [store._DUE, store._OVERDUE])
async def test_a_page_of_due_times_begins_at_its_place_in_the_index(database: Database, statement: str) -> None:
    async with database.transaction(SCOPE, keeps_plans=True) as session:
        lines = await generic_plan(session, statement)
    kinds = ["overdue", "ending"] if statement == store._DUE else ["overdue"]
    indexes = [f"{table}_{kind}" for kind in kinds for table in ("deadline", "edge", "received")]
    used = [line.split("using ")[1].split()[0] for line in lines if "using " in line and "permission" not in line]
    assert used == indexes
    assert sum("Index Cond" in line and "ROW(overdue_at, edge_id) > ROW" in line for line in lines) == len(indexes)
    assert not any("Sort  (" in line for line in lines)


async def test_ends_of_preservations_are_due_and_cost_the_overdue_list_nothing(database: Database) -> None:
    ended, others = "edge.end", "edge.alert"
    async with database.transaction(SCOPE, keeps_plans=True) as session:
        for purpose, then, count in ((ended, "erase", 50), (others, "alert", 2)):
            timers = compress(f'[[0,"clock",1,null,"act","{then}",0]]'.encode())
            await session.driver.execute(_DUE_ROWS, PARTY, purpose, then, count, AT, timers)
        page = PARTY, AT, UUID(int=0)
        due = await store.read_due(session.driver, PARTY, after=None, limit=200)
        assert Counter(each.purpose for each in due) == {ended: 50, others: 2}
        assert [each.place for each in due] == sorted(each.place for each in due)
        listed = *page, LATE, 10
        plan = await session.driver.fetch(f"EXPLAIN ANALYZE {store._OVERDUE}", *listed)
        found = await session.driver.fetch(store._OVERDUE, *listed)
    assert [row["purpose"] for row in found] == [others, others]
    assert not any("Removed by Filter" in line for (line,) in plan)


async def test_the_timers_of_a_subject_are_found_by_its_id_whatever_id_messages_carry(database: Database) -> None:
    async with database.transaction(SCOPE, keeps_plans=True) as session:
        lines = await generic_plan(session, store._DUE_OF_SUBJECT)
    used = [line.split("using ")[1].split()[0] for line in lines if "on deadline" in line]
    assert used == ["deadline_subject", "deadline_known"]


async def test_joined_by_their_parties_all_deadlines_would_be_read(database: Database) -> None:
    """The control: without the edges, the planner chooses the plan that the statements avoid."""
    assert not await by_edge(database, JOINED)
