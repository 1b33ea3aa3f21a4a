"""Transfers to hotlines and contact suggestions to agencies, in PostgreSQL.

Trust: a writer of `transfer` can let a hotline that has the referral claim it without being asked. Each grant is a
numbered message that audit keeps, so a second grant cannot go unseen. A writer of `contact` can suppress or repeat a
suggestion. Its content follows from edges and links: to invent one, a writer needs those tables, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.core.contracts.answers import ItemProgress
from shared.core.vocabulary.answers import AnswerState
from shared.core.vocabulary.referral import TransferReason
from shared.party.failure_isolation import ClaimedBatch
from shared.party.origin.domain import TransferStatus
from shared.party.origin.records import ActResult, CaseMatch, LockedReferral, TransferOffer
from shared.party.stores import PartyStore
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
  AND n <> ALL (mine.dropped_items)
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

    async def stands(self, referral_id: UUID) -> str | None:
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


#: Answers of an agency that has a case of the referral.
_HAS_A_CASE: Final = sorted(each.value for each in (AnswerState.ACCEPTED, AnswerState.ONGOING, AnswerState.CLOSED))
#: Similar cases that are examined for each referral. A location may occur in ten thousand referrals.
LIKE_MAX: Final = 200
_ACCEPTED: Final = """
INSERT INTO contact_suggestion_queue (referral_id, party) SELECT * FROM unnest($1::uuid[], $2::text[])
"""
#: The other agency of a suggestion keeps its row, because it has not lost the suggestion.
_AGAIN: Final = """
WITH forgotten AS (
    DELETE FROM contact AS c USING unnest($1::uuid[], $2::text[]) AS k (referral_id, agency)
    WHERE (c.referral_id, c.agency) = (k.referral_id, k.agency) RETURNING c.referral_id, c.party
)
INSERT INTO contact_suggestion_queue (referral_id, party) SELECT DISTINCT referral_id, party FROM forgotten
"""
# Each entry is a row of its own, so that one added during an examination is examined later.
_DUE: Final = """
DELETE FROM contact_suggestion_queue WHERE id IN (
    SELECT id FROM contact_suggestion_queue WHERE referral_id <> ALL($2::uuid[]) ORDER BY id LIMIT $1)
RETURNING referral_id, party
"""
# A suggestion never concerns a location that the agency was not sent.
_MET: Final = """
WITH due AS (
    SELECT r.referral_id, r.party, r.revision, r.exercise FROM referral AS r
    WHERE r.referral_id = ANY($1::uuid[]) AND r.state <> 'withdrawn'
), likes AS (
    SELECT d.*, n.reason, n.other_referral_id, n.other_revision FROM due AS d CROSS JOIN LATERAL (
        SELECT 'same_referral' AS reason, d.referral_id AS other_referral_id, d.revision AS other_revision
        UNION ALL
        SELECT 'same_location', o.referral_id, o.revision FROM (
            SELECT DISTINCT t.referral_id
            FROM location_token AS m JOIN location_token AS t USING (party, version, token)
            WHERE m.party = d.party AND m.referral_id = d.referral_id AND t.referral_id <> d.referral_id
        ) AS named JOIN referral AS o USING (referral_id)
        WHERE o.party = d.party AND o.exercise = d.exercise AND o.state <> 'withdrawn' AND EXISTS (
            SELECT FROM edge AS e WHERE e.referral_id = o.referral_id AND e.notice_id IS NULL AND NOT e.is_retracted
              AND e.state IN ('emitted', 'referred') AND e.answer = ANY($3) AND e.recipient = ANY($2))
        ORDER BY reason DESC, other_referral_id LIMIT $4
    ) AS n
), cases AS (
    SELECT DISTINCT referral_id, recipient, items FROM edge
    WHERE referral_id IN (SELECT referral_id FROM likes UNION SELECT other_referral_id FROM likes) AND notice_id IS NULL
      AND state IN ('emitted', 'referred') AND NOT is_retracted AND answer = ANY($3) AND recipient = ANY($2)
), pairs AS (
    SELECT l.*, mine.recipient AS agency, other.recipient AS other_agency FROM likes AS l
    JOIN cases AS mine USING (referral_id) JOIN cases AS other ON other.referral_id = l.other_referral_id
    WHERE mine.recipient <> other.recipient AND (l.reason = 'same_referral' OR EXISTS (
        SELECT FROM location_token AS m JOIN location_token AS t USING (party, version, token)
        WHERE m.party = l.party AND m.referral_id = l.referral_id AND m.n = ANY(mine.items)
          AND t.referral_id = l.other_referral_id AND t.n = ANY(other.items)))
), told AS (
    SELECT party, referral_id, revision, exercise, agency, reason, other_referral_id, other_agency FROM pairs
    UNION ALL
    SELECT party, other_referral_id, other_revision, exercise, other_agency, reason, referral_id, agency FROM pairs
    WHERE reason = 'same_location'
), first AS (
    SELECT DISTINCT ON (referral_id, agency, other_agency) * FROM told
    ORDER BY referral_id, agency, other_agency, reason DESC, other_referral_id
), kept AS (
    INSERT INTO contact (party, referral_id, agency, other_agency, reason, other_referral_id)
    SELECT party, referral_id, agency, other_agency, reason, other_referral_id FROM first
    ORDER BY referral_id, agency, other_agency ON CONFLICT DO NOTHING RETURNING referral_id, agency, other_agency
)
SELECT f.party, f.referral_id, f.revision, f.exercise, f.agency, f.reason, f.other_referral_id, f.other_agency
FROM first AS f JOIN kept USING (referral_id, agency, other_agency)
"""


class PostgresContacts(PartyStore):
    """The contact suggestions that are due or were made."""

    async def note_accepted(self, judged: Collection[ActResult]) -> None:
        """Record the referrals that these acts have accepted."""
        states = [(each.referral_id, each.party, each.answered.state) for each in judged if each.answered is not None]
        found = sorted({(referral_id, party) for referral_id, party, state in states if state is AnswerState.ACCEPTED})
        if found:
            await self._driver.execute(_ACCEPTED, *map(list, zip(*found, strict=True)))

    async def meet_again(self, cases: Collection[tuple[UUID, str]]) -> None:
        """Record that these agencies get their suggestions again, because their edges are sent again."""
        if cases:
            await self._driver.execute(_AGAIN, *map(list, zip(*sorted(cases), strict=True)))

    async def due(self, taking: ClaimedBatch) -> Sequence[UUID]:
        """Take referrals that an agency has accepted since, or that were found to name a known location."""
        rows = await self._driver.fetch(_DUE, taking.limit, taking.passed_over)
        return list({row["referral_id"] for row in taking.take(rows)})

    async def met(self, referral_ids: Collection[UUID], among: Collection[str]) -> Sequence[CaseMatch]:
        """Store and return the new suggestions among these agencies. Each case gets each other agency once."""
        rows = await self._driver.fetch(_MET, list(referral_ids), sorted(among), _HAS_A_CASE, LIKE_MAX)
        return [CaseMatch(*row) for row in rows]
