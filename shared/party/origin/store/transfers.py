"""Transfers in PostgreSQL: who may claim a referral, and which of them has it.

Trust: whoever can write `transfer` can let a hotline claim that was not asked, of those that have the referral already.
Whoever has claimed it was told so in a numbered message that audit keeps: nobody can be told so twice unseen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.transfers import DoneSoFar
from shared.party.origin.domain import TransferStands
from shared.party.origin.records import Held, Offered
from shared.party.stores import PartyStore
from shared.runtime.timers.steps import end
from shared.vocabulary.transfers import TransferReason

_STANDS: Final = "SELECT state FROM referral WHERE referral_id = $1"
_LOCK: Final = """
SELECT referral_id, party, state, exercise, revision FROM referral WHERE referral_id = ANY($1::uuid[])
ORDER BY referral_id FOR UPDATE
"""
_OFFERED: Final = """
SELECT DISTINCT e.referral_id, e.recipient, e.reason, t.recipient IS NOT NULL AS claimable, NOT e.taken_back AS stands
FROM edge AS e LEFT JOIN transfer AS t USING (referral_id, recipient)
WHERE e.referral_id = ANY($1::uuid[]) AND e.notice_id IS NULL AND e.state = 'emitted'
ORDER BY e.recipient
"""
_OFFER: Final = """
INSERT INTO transfer (referral_id, recipient, party, reason, offered_at)
SELECT $1, one, $3, $4, $5 FROM unnest($2::text[]) AS one
ON CONFLICT (referral_id, recipient) DO UPDATE SET reason = excluded.reason
"""
_HAND_OVER: Final = """
UPDATE referral SET state = 'transferred', work_reason = NULL WHERE referral_id = $1
"""
_CLAIMED: Final = "UPDATE transfer SET claimed_at = $3 WHERE referral_id = $1 AND recipient = $2"
_DROP: Final = """
UPDATE edge SET state = 'dropped' WHERE referral_id = $1 AND state = 'planned' RETURNING edge_id
"""
_DONE: Final = """
SELECT n, count(e.edge_id) AS issued, count(e.edge_id) FILTER (WHERE e.answer = 'actioned') AS actioned
FROM edge AS mine, unnest(mine.items) AS n
LEFT JOIN edge AS e ON e.referral_id = $1 AND e.notice_id IS NOT NULL AND e.state = 'emitted' AND n = ANY(e.items)
WHERE mine.referral_id = $1 AND mine.recipient = $2 AND mine.notice_id IS NULL AND mine.state = 'emitted'
  AND n <> ALL (mine.gone)
GROUP BY n ORDER BY n
"""

_TOLD: Final = """
SELECT t.referral_id, t.recipient, t.reason, r.state = 'transferred' AND t.claimed_at IS NULL AS gone,
       CASE WHEN t.claimed_at IS NOT NULL THEN (
           SELECT act FROM answer_act AS a
           WHERE a.subject = t.referral_id AND a.sender = t.recipient AND a.answer = 'claimed' AND a.code IS NULL
           ORDER BY number LIMIT 1
       ) END AS claim
FROM transfer AS t JOIN referral AS r USING (referral_id)
WHERE t.referral_id = ANY($1::uuid[]) AND r.state IN ('routed', 'orphaned', 'transferred')
"""


class TransfersTold:
    """What hotlines were told of transfers, for whoever issues their edges anew."""

    _driver: asyncpg.Connection

    async def transfers(self, referral_ids: Collection[UUID]) -> list[TransferStands]:
        """What hotlines were told of transfers of these referrals."""
        rows = await self._driver.fetch(_TOLD, list(referral_ids)) if referral_ids else []
        return [TransferStands(**dict(row) | {"reason": TransferReason(row["reason"])}) for row in rows]


class PostgresTransfers(PartyStore):
    """Who may claim a referral, and who has."""

    async def stands(self, referral_id: UUID) -> str | None:
        """The state of a referral of the bound parties; absent and foreign ones are not there."""
        state: str | None = await self._driver.fetchval(_STANDS, referral_id)
        return state

    async def lock(self, referral_ids: Collection[UUID]) -> Mapping[UUID, Held]:
        """Referrals by their ids, locked in the order of these."""
        rows = await self._driver.fetch(_LOCK, list(referral_ids)) if referral_ids else []
        offered: dict[UUID, list[Offered]] = {row["referral_id"]: [] for row in rows}
        # Asked once they are locked: what another transaction has made of them is seen.
        for row in await self._driver.fetch(_OFFERED, list(offered)) if rows else []:
            referral_id, *each = row
            offered[referral_id].append(Offered(*each))
        return {row["referral_id"]: Held(**dict(row), offered=tuple(offered[row["referral_id"]])) for row in rows}

    async def offer(self, held: Held, to: Collection[str], *, reason: TransferReason, at: datetime) -> None:
        """Keep that these may claim the referral."""
        await self._driver.execute(_OFFER, held.referral_id, list(to), held.party, reason.value, at)

    async def hand_over(self, held: Held, to: str, at: datetime) -> None:
        """Keep that the referral has been transferred. What is planned of it is issued no more."""
        await self._driver.execute(_HAND_OVER, held.referral_id)
        await self._driver.execute(_CLAIMED, held.referral_id, to, at)
        await end(self._driver, [row["edge_id"] for row in await self._driver.fetch(_DROP, held.referral_id)])

    async def done(self, referral_id: UUID, recipient: str) -> tuple[DoneSoFar, ...]:
        """What was done about the items that a recipient has: of each how many notices, and how many actioned."""
        rows = await self._driver.fetch(_DONE, referral_id, recipient)
        return tuple(DoneSoFar(**dict(row)) for row in rows)
