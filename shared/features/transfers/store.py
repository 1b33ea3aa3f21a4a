"""Transfers of referrals to hotlines, in PostgreSQL.

Trust: a writer of `transfer` can let a hotline that has the referral claim it without being asked. Each grant is a
numbered message that audit keeps, so a second grant cannot go unseen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.core.contracts.answers import ItemProgress
from shared.core.vocabulary.referral import TransferReason
from shared.features.record_access.store import PartyStore
from shared.features.transfers.ports import LockedReferral, TransferOffer, TransferStatus
from shared.platform.timers.timers import end

_STANDS: Final = "SELECT state FROM referral WHERE referral_id = $1"
_LOCK: Final = """
SELECT referral_id, party, state, exercise, revision FROM referral WHERE referral_id = ANY($1::uuid[])
ORDER BY referral_id FOR UPDATE
"""
_OFFERED: Final = """
SELECT DISTINCT e.referral_id, e.recipient, e.reason, t.recipient IS NOT NULL AS claimable, NOT e.is_retracted AS stands
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
UPDATE referral SET state = 'transferred', unrouted_reason = NULL WHERE referral_id = $1
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
  AND n <> ALL (coalesce(mine.dropped_items, '{}'))
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


class PostgresTransfers(PartyStore):
    """The permissions to claim referrals, and the claims."""

    async def transfers(self, referral_ids: Collection[UUID]) -> list[TransferStatus]:
        """Return the transfer messages that hotlines have received about these referrals."""
        rows = await self._driver.fetch(_TOLD, list(referral_ids)) if referral_ids else []
        return [TransferStatus(**dict(row) | {"reason": TransferReason(row["reason"])}) for row in rows]

    async def load_state(self, referral_id: UUID) -> str | None:
        """Return the state of a referral of the bound parties, None for absent and foreign ones."""
        state: str | None = await self._driver.fetchval(_STANDS, referral_id)
        return state

    async def lock(self, referral_ids: Collection[UUID]) -> Mapping[UUID, LockedReferral]:
        """Lock referrals in the order of their ids, and return them by id."""
        rows = await self._driver.fetch(_LOCK, list(referral_ids)) if referral_ids else []
        offered: dict[UUID, list[TransferOffer]] = {row["referral_id"]: [] for row in rows}
        # Read after the lock, so that the changes of another transaction are visible.
        for row in await self._driver.fetch(_OFFERED, list(offered)) if rows else []:
            referral_id, *each = row
            offered[referral_id].append(TransferOffer(*each))
        return {
            row["referral_id"]: LockedReferral(**dict(row), offered=tuple(offered[row["referral_id"]])) for row in rows
        }

    async def offer(self, held: LockedReferral, to: Collection[str], *, reason: TransferReason, at: datetime) -> None:
        """Store that these hotlines may claim the referral."""
        await self._driver.execute(_OFFER, held.referral_id, list(to), held.party, reason.value, at)

    async def hand_over(self, held: LockedReferral, to: str, at: datetime) -> None:
        """Store that the referral was transferred. Its planned notices are dropped."""
        await self._driver.execute(_HAND_OVER, held.referral_id)
        await self._driver.execute(_CLAIMED, held.referral_id, to, at)
        await end(self._driver, [row["edge_id"] for row in await self._driver.fetch(_DROP, held.referral_id)])

    async def done(self, referral_id: UUID, recipient: str) -> tuple[ItemProgress, ...]:
        """Return the progress on a recipient's items: for each, the number of notices, and of those acted on."""
        rows = await self._driver.fetch(_DONE, referral_id, recipient)
        return tuple(ItemProgress(**dict(row)) for row in rows)
