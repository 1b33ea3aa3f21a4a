"""An agency that a case was referred to, in PostgreSQL: an edge without a message of ours, on which it answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

import asyncpg

from shared.party.origin.records import Referred
from shared.runtime.timers.steps import begin_like, end

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
_EXIST: Final = "SELECT edge_id FROM edge WHERE edge_id = ANY($1::uuid[])"
_UNREFER: Final = """
UPDATE edge SET state = 'dropped'
WHERE edge_id = $1 AND referral_id = $2 AND recipient = $3 AND state = 'referred' AND acts = 0 RETURNING true
"""


class PassedOn:
    """The edges on which agencies answer that a case was passed on to."""

    _driver: asyncpg.Connection

    async def exist(self, edge_ids: Collection[UUID]) -> Collection[UUID]:
        """Which of these edges there are, whosever they are and whatever has become of them."""
        return frozenset(row["edge_id"] for row in await self._driver.fetch(_EXIST, list(edge_ids)))

    async def refer(self, referred: Referred) -> None:
        """Have another agency answer, on an edge like that of the first, whose clocks begin now.

        Whoever has the referral already answers as before.
        """
        of = referred.of, referred.edge, referred.agency
        if await self._driver.fetchval(_REFER, *of, referred.instance):  # of what was withdrawn nothing is owed
            await begin_like(self._driver, referred.of, referred.edge, recipient=referred.agency, at=referred.at)

    async def unrefer(self, edge: UUID, referral_id: UUID, *, agency: str) -> None:
        """End the edge of an agency that could not take what was passed on to it: nothing is owed on it."""
        if await self._driver.fetchval(_UNREFER, edge, referral_id, agency):
            await end(self._driver, [edge])
