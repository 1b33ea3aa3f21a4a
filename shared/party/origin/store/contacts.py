"""Which agencies an origin has told of each other, in PostgreSQL.

Trust: whoever can write these tables can have two agencies not told of each other, or told once more. Whom they are
told of follows from edges and links: to invent one takes those, too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

import asyncpg

from shared.party.origin.records import Judged, Met
from shared.party.stores import PartyStore
from shared.party.taking import Taking
from shared.vocabulary.answers import AnswerState

#: What an agency has answered that has a case of it.
_HAS_A_CASE: Final = sorted(each.value for each in (AnswerState.ACCEPTED, AnswerState.ONGOING, AnswerState.CLOSED))
#: So many cases that are like it are looked at for each referral: a place may have been named ten thousand times.
LIKE_MAX: Final = 200
_ACCEPTED: Final = """
INSERT INTO contact_due (referral_id, party) SELECT * FROM unnest($1::uuid[], $2::text[])
"""
#: Whoever they were told of keeps what it was told: it has not forgotten.
_AGAIN: Final = """
WITH forgotten AS (
    DELETE FROM contact AS c USING unnest($1::uuid[], $2::text[]) AS k (referral_id, agency)
    WHERE (c.referral_id, c.agency) = (k.referral_id, k.agency) RETURNING c.referral_id, c.party
)
INSERT INTO contact_due (referral_id, party) SELECT DISTINCT referral_id, party FROM forgotten
"""
# Each is a row of its own: one that was added while another is looked at is looked at after it.
_DUE: Final = """
DELETE FROM contact_due WHERE id IN (
    SELECT id FROM contact_due WHERE referral_id <> ALL($2::uuid[]) ORDER BY id LIMIT $1)
RETURNING referral_id, party
"""
# Of a place that it was not sent nobody is told anything.
_MET: Final = """
WITH due AS (
    SELECT r.referral_id, r.party, r.revision, r.exercise FROM referral AS r
    WHERE r.referral_id = ANY($1::uuid[]) AND r.state <> 'withdrawn'
), likes AS (
    SELECT d.*, n.ground, n.their_referral_id, n.their_revision FROM due AS d CROSS JOIN LATERAL (
        SELECT 'same_referral' AS ground, d.referral_id AS their_referral_id, d.revision AS their_revision
        UNION ALL
        SELECT 'same_location', o.referral_id, o.revision FROM (
            SELECT DISTINCT t.referral_id
            FROM location_token AS m JOIN location_token AS t USING (party, version, token)
            WHERE m.party = d.party AND m.referral_id = d.referral_id AND t.referral_id <> d.referral_id
        ) AS named JOIN referral AS o USING (referral_id)
        WHERE o.party = d.party AND o.exercise = d.exercise AND o.state <> 'withdrawn' AND EXISTS (
            SELECT FROM edge AS e WHERE e.referral_id = o.referral_id AND e.notice_id IS NULL AND NOT e.taken_back
              AND e.state IN ('emitted', 'referred') AND e.answer = ANY($3) AND e.recipient = ANY($2))
        ORDER BY ground DESC, their_referral_id LIMIT $4
    ) AS n
), cases AS (
    SELECT DISTINCT referral_id, recipient, items FROM edge
    WHERE referral_id IN (SELECT referral_id FROM likes UNION SELECT their_referral_id FROM likes) AND notice_id IS NULL
      AND state IN ('emitted', 'referred') AND NOT taken_back AND answer = ANY($3) AND recipient = ANY($2)
), pairs AS (
    SELECT l.*, mine.recipient AS agency, other.recipient AS other FROM likes AS l
    JOIN cases AS mine USING (referral_id) JOIN cases AS other ON other.referral_id = l.their_referral_id
    WHERE mine.recipient <> other.recipient AND (l.ground = 'same_referral' OR EXISTS (
        SELECT FROM location_token AS m JOIN location_token AS t USING (party, version, token)
        WHERE m.party = l.party AND m.referral_id = l.referral_id AND m.n = ANY(mine.items)
          AND t.referral_id = l.their_referral_id AND t.n = ANY(other.items)))
), told AS (
    SELECT party, referral_id, revision, exercise, agency, ground, their_referral_id, other FROM pairs
    UNION ALL
    SELECT party, their_referral_id, their_revision, exercise, other, ground, referral_id, agency FROM pairs
    WHERE ground = 'same_location'
), first AS (
    SELECT DISTINCT ON (referral_id, agency, other) * FROM told
    ORDER BY referral_id, agency, other, ground DESC, their_referral_id
), kept AS (
    INSERT INTO contact (party, referral_id, agency, other, ground, their_referral_id)
    SELECT party, referral_id, agency, other, ground, their_referral_id FROM first ORDER BY referral_id, agency, other
    ON CONFLICT DO NOTHING RETURNING referral_id, agency, other
)
SELECT f.party, f.referral_id, f.revision, f.exercise, f.agency, f.ground, f.their_referral_id, f.other
FROM first AS f JOIN kept USING (referral_id, agency, other)
"""


async def note_accepted(driver: asyncpg.Connection, judged: Collection[Judged]) -> None:
    """Leave word of what these acts have accepted: who has may have something in common with another."""
    states = [(each.referral_id, each.party, each.answered.state) for each in judged if each.answered is not None]
    found = sorted({(referral_id, party) for referral_id, party, state in states if state is AnswerState.ACCEPTED})
    if found:
        await driver.execute(_ACCEPTED, *map(list, zip(*found, strict=True)))


async def meet_again(driver: asyncpg.Connection, cases: Collection[tuple[UUID, str]]) -> None:
    """Leave word that these agencies are to be told again what they were told: their edges are issued anew."""
    if cases:
        await driver.execute(_AGAIN, *map(list, zip(*sorted(cases), strict=True)))


class PostgresContacts(PartyStore):
    """Which agencies are to be told of each other, and which were."""

    async def due(self, taking: Taking) -> Sequence[UUID]:
        """Referrals that an agency has accepted since, or that were found to name a known place; each taken once."""
        rows = await self._driver.fetch(_DUE, taking.limit, taking.passed_over)
        return list({row["referral_id"] for row in taking.take(rows)})

    async def met(self, referral_ids: Collection[UUID], among: Collection[str]) -> Sequence[Met]:
        """Whom to tell of whom, of the agencies `among`; kept, so that each case is told of each other agency once."""
        rows = await self._driver.fetch(_MET, list(referral_ids), sorted(among), _HAS_A_CASE, LIKE_MAX)
        return [Met(*row) for row in rows]
