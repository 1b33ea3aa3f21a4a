"""Edges of agencies that cases were referred to, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from shared.party.origin.records import ReferredCase
from shared.party.stores import RecordStore
from shared.platform.timers.timers import begin_like, end

# An agency that this origin has already sent the referral answers on that edge. If the referral was withdrawn
# meanwhile, the withdrawal is sent to the agency (`missing`).
_REFER: Final = """
INSERT INTO edge (edge_id, instance, referral_id, party, recipient, purpose, reason, rules, items, dropped_items,
                  revision, document_digests, decided_at, priority_rank, is_retracted, is_missing, state)
SELECT $2, $4, e.referral_id, e.party, $3, e.purpose, e.reason, e.rules, e.items, e.dropped_items, e.revision,
       e.document_digests, e.decided_at, e.priority_rank, r.state = 'withdrawn', r.state = 'withdrawn', 'referred'
FROM edge AS e JOIN referral AS r USING (referral_id) WHERE e.edge_id = $1 AND NOT EXISTS (
    SELECT FROM edge AS had WHERE had.referral_id = e.referral_id AND had.recipient = $3
      AND had.state IN ('emitted', 'waiting', 'referred'))
ON CONFLICT DO NOTHING RETURNING NOT is_retracted
"""
_EXIST: Final = "SELECT edge_id FROM edge WHERE edge_id = ANY($1::uuid[])"
_UNREFER: Final = """
UPDATE edge SET state = 'dropped'
WHERE edge_id = $1 AND referral_id = $2 AND recipient = $3 AND state = 'referred' AND acts = 0 RETURNING true
"""


class ReferredEdges(RecordStore):
    """The edges on which agencies answer that a case was referred to."""

    async def exist(self, edge_ids: Collection[UUID]) -> Collection[UUID]:
        """Return the existing ones of these edges, of any party and in any state."""
        return frozenset(row["edge_id"] for row in await self._driver.fetch(_EXIST, list(edge_ids)))

    async def refer(self, referred: ReferredCase) -> None:
        """Add an edge for another agency, like that of the first. Its deadlines begin now.

        An agency that already has the referral answers as before.
        """
        of = referred.of, referred.edge, referred.agency
        if await self._driver.fetchval(_REFER, *of, referred.instance):  # a withdrawn referral has no deadlines
            await begin_like(self._driver, referred.of, referred.edge, recipient=referred.agency, at=referred.at)

    async def unrefer(self, edge: UUID, referral_id: UUID, *, agency: str) -> None:
        """End the edge of an agency that could not take a referred case, with its deadlines."""
        if await self._driver.fetchval(_UNREFER, edge, referral_id, agency):
            await end(self._driver, [edge])
