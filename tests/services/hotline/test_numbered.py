"""Whoever numbers what was committed finds each row by its own key, however many others its party has."""

from __future__ import annotations

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from tests.services.doors import LISTS

TABLES = {listed.table: listed for listed in LISTS["hotline"].values()}
#: As whoever numbers, with plans that are kept.
BEGIN = """
SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off;
SELECT set_config('causeway.parties', 'a,b', true), set_config('causeway.role', 'service', true),
       set_config('causeway.action', 'apply', true)
"""


async def by_subject(endpoint: DatabaseEndpoint, table: str, statement: str) -> bool:
    """Whether rows are looked for by the event's subject, in a plan that is made over an empty table."""
    owner = await asyncpg.connect(endpoint.owner_url)
    undone = owner.transaction()
    await undone.start()
    # Of its like the planner knows nothing, whatever other tests have left.
    await owner.execute(f"CREATE TABLE empty_{table} (LIKE {table} INCLUDING ALL); {BEGIN}")
    await owner.execute(f"PREPARE looked_at AS {statement.replace(f'UPDATE {table} ', f'UPDATE empty_{table} ')}")
    plan = await owner.fetch("EXPLAIN EXECUTE looked_at(NULL, NULL, NULL)")
    await undone.rollback()
    await owner.close()
    return any("Index Cond" in line and "n.subject" in line for (line,) in plan)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("table", TABLES)
async def test_rows_are_numbered_by_their_keys_over_tables_that_were_empty_once(
    endpoint: DatabaseEndpoint, table: str
) -> None:
    assert await by_subject(endpoint, table, TABLES[table].arrive)


@pytest.mark.usefixtures("database")
async def test_by_its_party_a_referral_would_be_sought_among_all_of_them(endpoint: DatabaseEndpoint) -> None:
    """The control: what the statement is spelt against is what the planner does."""
    joined = TABLES["referral"].arrive.replace("t.party || ''", "t.party")
    assert joined != TABLES["referral"].arrive
    assert not await by_subject(endpoint, "referral", joined)
