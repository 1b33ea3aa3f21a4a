"""What a referral said under each revision, in PostgreSQL: under the key of its record, and ended with that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.facts import RecordRevealedClear
from shared.envelope.datakeys import KeyEncryptionKey, Place, reveal, unwrap
from shared.exchange.message import Draft
from shared.party.looks import note_look
from shared.party.origin.store.filing import places
from shared.party.origin.use_cases.revisions import SaidRevision
from shared.runtime.delivery.sending import send

_SAID: Final = """
SELECT v.revision, v.party, v.content, true AS before, r.wrapped_key
FROM referral_revision AS v JOIN referral AS r USING (referral_id)
WHERE v.referral_id = $1 AND r.wrapped_key IS NOT NULL
UNION ALL SELECT revision, party, content, false, wrapped_key
FROM referral WHERE referral_id = $1 AND wrapped_key IS NOT NULL
ORDER BY revision
"""


class PostgresRevisions:
    """`Revisions` within one transaction, which is bound to the acting party."""

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey) -> None:
        self._driver = driver
        self._kek = kek

    async def note_look(self, subject: UUID, opened: RecordRevealedClear, at: datetime) -> None:
        await note_look(self._driver, subject, opened, at=at)

    async def send(self, drafts: Sequence[Draft]) -> None:
        send(self._driver, drafts)

    async def said(self, referral_id: UUID) -> Sequence[SaidRevision]:
        return [_said(row, self._kek, referral_id) for row in await self._driver.fetch(_SAID, referral_id)]


def revision_place(referral_id: UUID, revision: int, party: str) -> bytes:
    """Where the content of a revision that stands no more belongs."""
    return Place("referral_revision", f"{referral_id}.{revision}", party).column("content")


def _said(row: asyncpg.Record, kek: KeyEncryptionKey, referral_id: UUID) -> SaidRevision:
    wrapped, stands = places(referral_id, row["party"])
    place = revision_place(referral_id, row["revision"], row["party"]) if row["before"] else stands
    return SaidRevision(row["revision"], reveal(row["content"], unwrap(row["wrapped_key"], kek, wrapped), place))
