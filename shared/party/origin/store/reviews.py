"""Referrals that wait for a second person, in PostgreSQL: found, let go, erased."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.prepare import Again
from shared.party.origin.records import Unreleased
from shared.party.origin.store.days import PostgresDays
from shared.party.origin.store.edges import PostgresEdges, opened
from shared.party.stores import RecordStore
from shared.party.taking import Taking
from shared.runtime.database.journal import Erased, Kept
from shared.runtime.database.transactions import gather

_FIND: Final = """
SELECT referral_id, party, exercise, state, filed_by, body_sha256, traceparent, content, wrapped_key
FROM referral WHERE referral_id = $1
"""
_RELEASE: Final = """
UPDATE referral SET state = $2, reviewed_by = $3, work_reason = NULL
WHERE referral_id = $1 AND state = 'unreleased' RETURNING referral_id
"""
_DROP: Final = """
UPDATE referral SET state = 'dropped', reviewed_by = $2, work_reason = NULL, content = '', wrapped_key = NULL
WHERE referral_id = $1 AND state = 'unreleased' RETURNING party
"""
# Whoever is at one of them, a second person or a twin of ours, is let be: it is looked at again.
_EXPIRE: Final = """
WITH late AS (
    SELECT referral_id FROM referral WHERE state = 'unreleased' AND accepted_at < $1 AND referral_id <> ALL($3::uuid[])
    ORDER BY accepted_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE referral SET state = 'dropped', work_reason = NULL, content = '', wrapped_key = NULL
WHERE referral_id IN (SELECT referral_id FROM late)
RETURNING referral_id, party, exercise, state, filed_by, body_sha256, traceparent
"""
#: What the journal of erasures calls an origin's own record.
ERASED: Final = "referral"
#: Erases referrals of these ids and parties again, after a restore. The key also opens the earlier revisions.
ERASE_AGAIN: Final = """
UPDATE referral AS r SET wrapped_key = NULL, content = '' FROM unnest($1::uuid[], $2::text[]) AS e (subject, party)
WHERE r.referral_id = e.subject AND r.party = e.party AND r.wrapped_key IS NOT NULL
"""


class PostgresReviews(PostgresDays, RecordStore):
    """The referrals that wait for a second person, and what comes of them. Absent and foreign ones are not there."""

    async def find(self, referral_id: UUID) -> Unreleased | None:
        """One referral of the acting party, whatever its state."""
        row = await self._driver.fetchrow(_FIND, referral_id)
        return None if row is None else _unreleased(row, self._kek if row["wrapped_key"] is not None else None)

    async def release(self, by: str, again: Again) -> bool:
        """Let it go as it was decided again; False if somebody else has let it go or dropped it meanwhile."""
        if await self._driver.fetchval(_RELEASE, again.referral_id, again.disposition, by) is None:
            return False
        await PostgresEdges(self._driver, self._kek).replace((), (), [again])
        gather(self._driver, [Kept(ERASED, again.referral_id, again.origin)])
        return True

    async def drop(self, referral_id: UUID, by: str) -> bool:
        """Erase it; False as for `release`."""
        party = await self._driver.fetchval(_DROP, referral_id, by)
        if party is None:
            return False
        gather(self._driver, [Erased(ERASED, referral_id, party)])
        return True

    async def expire(self, before: datetime, taking: Taking) -> list[Unreleased]:
        """Erase referrals of the bound parties that have waited since before then, the longest first."""
        rows = taking.take(await self._driver.fetch(_EXPIRE, before, taking.limit, taking.passed_over))
        gather(self._driver, [Erased(ERASED, row["referral_id"], row["party"]) for row in rows])
        return [_unreleased(row, None) for row in rows]


def _unreleased(row: asyncpg.Record, kek: KeyEncryptionKey | None) -> Unreleased:
    of = {name: row[name] for name in Unreleased.__slots__ if name != "content"}
    return Unreleased(**of, content=None if kek is None else opened(row, kek))
