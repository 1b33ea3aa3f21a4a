"""Who has opened a record here, in PostgreSQL, by what people of the party call one another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.facts import RecordRevealedClear
from shared.envelope.datakeys import KeyEncryptionKey
from shared.party.opened import ShownLook

_NOTE: Final = "INSERT INTO record_look (subject, party, actor, role, reason, at) VALUES ($1, $2, $3, $4, $5, $6)"
#: So many looks at one record are shown, the newest.
_SHOWN_MAX: Final = 50
_LOOKS: Final = """
SELECT at, actor, role, reason FROM record_look WHERE party = $1 AND subject = $2 ORDER BY number DESC LIMIT $3
"""
_CALLED: Final = "SELECT actor, called FROM console_person WHERE party = $1 AND called IS NOT NULL"


async def note_look(driver: asyncpg.Connection, subject: UUID, opened: RecordRevealedClear, *, at: datetime) -> None:
    """Keep one opening. The transaction is bound to who opens it."""
    await driver.execute(_NOTE, subject, opened.party, opened.actor, opened.role, opened.reason, at)


async def looks_at(
    driver: asyncpg.Connection, kek: KeyEncryptionKey, *, party: str, subject: UUID
) -> Sequence[ShownLook]:
    """The newest openings by people and machines of `party`, and of nobody else: the newest first."""
    rows = await driver.fetch(_LOOKS, party, subject, _SHOWN_MAX)
    people = await driver.fetch(_CALLED, party) if rows else []
    called = {kek.actor_id(party, bytes.fromhex(each["actor"])): each["called"] for each in people}
    return [ShownLook(**dict(each), called=called.get(each["actor"])) for each in rows]
