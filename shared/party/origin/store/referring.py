"""An agency that a case was referred to, in PostgreSQL: an edge without a message of ours, on which it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from shared.party.origin.ports import Referred
from shared.runtime.timers.steps import end

# Who has been sent the referral by us answers on that edge. What was withdrawn meanwhile it is told of (`missing`).
_REFER: Final = """
INSERT INTO edge (edge_id, instance, referral_id, party, recipient, purpose, reason, rules, items, gone, revision, law,
                  decided_at, rank, taken_back, missing, state)
SELECT $2, $4, e.referral_id, e.party, $3, e.purpose, e.reason, e.rules, e.items, e.gone, e.revision, e.law,
       e.decided_at, e.rank, r.state = 'withdrawn', r.state = 'withdrawn', 'referred'
FROM edge AS e JOIN referral AS r USING (referral_id) WHERE e.edge_id = $1 AND NOT EXISTS (
    SELECT FROM edge AS had WHERE had.referral_id = e.referral_id AND had.recipient = $3
      AND had.state IN ('emitted', 'waiting', 'referred'))
ON CONFLICT DO NOTHING RETURNING NOT taken_back
"""
_UNREFER: Final = "UPDATE edge SET state = 'dropped' WHERE edge_id = ANY($1::uuid[]) AND state = 'referred'"
_CLOCK: Final = """
INSERT INTO clocked
    (edge_id, party, subject, told_by, origin, recipient, purpose, rules, acknowledge_h, act_h, begun_at)
SELECT $2, party, subject, told_by, origin, $3, purpose, rules, acknowledge_h, act_h, $4
FROM clocked WHERE edge_id = $1 ON CONFLICT DO NOTHING
"""


async def refer(driver: asyncpg.Connection, referred: Sequence[Referred]) -> None:
    """Have other agencies answer, each on an edge like that of the first, whose clocks begin now."""
    for each in referred:
        of = each.of, each.edge, each.agency
        if await driver.fetchval(_REFER, *of, each.instance):  # of what was withdrawn nothing is owed
            await driver.execute(_CLOCK, *of, each.at)


async def unrefer(driver: asyncpg.Connection, refused: Sequence[UUID]) -> None:
    """End the edges of those who could not take what was passed on to them: nothing is owed on them."""
    if refused:
        await driver.execute(_UNREFER, list(refused))
        await end(driver, refused)
