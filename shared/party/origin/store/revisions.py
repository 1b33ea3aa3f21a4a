"""What a referral said under each revision, in PostgreSQL: under the key of its record, and ended with that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from shared.envelope.datakeys import KeyEncryptionKey, Place, reveal, unwrap
from shared.party.origin.records import SaidRevision
from shared.party.origin.store.filing import places
from shared.party.stores import RecordStore

_SAID: Final = """
SELECT v.revision, v.party, v.content, true AS before, r.wrapped_key
FROM referral_revision AS v JOIN referral AS r USING (referral_id)
WHERE v.referral_id = $1 AND r.wrapped_key IS NOT NULL
UNION ALL SELECT revision, party, content, false, wrapped_key
FROM referral WHERE referral_id = $1 AND wrapped_key IS NOT NULL
ORDER BY revision
"""


class PostgresRevisions(RecordStore):
    """What the acting party's referrals said."""

    async def said(self, referral_id: UUID) -> Sequence[SaidRevision]:
        """Of each revision, the first first; none once the record was erased."""
        return [_said(row, self._kek, referral_id) for row in await self._driver.fetch(_SAID, referral_id)]


def revision_place(referral_id: UUID, revision: int, party: str) -> bytes:
    """Where the content of a revision that stands no more belongs."""
    return Place("referral_revision", f"{referral_id}.{revision}", party).column("content")


def _said(row: asyncpg.Record, kek: KeyEncryptionKey, referral_id: UUID) -> SaidRevision:
    wrapped, stands = places(referral_id, row["party"])
    place = revision_place(referral_id, row["revision"], row["party"]) if row["before"] else stands
    return SaidRevision(row["revision"], reveal(row["content"], unwrap(row["wrapped_key"], kek, wrapped), place))
