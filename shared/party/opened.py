"""A record is opened: audit is told, and the people of the party can see who of them it was, by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import asyncpg

from shared.contracts.facts import RecordRevealedClear
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.compose import compose_revealed
from shared.exchange.message import Draft
from shared.routing.directory_index import DirectoryIndex


class ShownLook(NamedTuple):
    """One opening: when, by whom, in which role, and what for. A machine says no reason, and is called nothing."""

    at: datetime
    actor: str
    role: str
    reason: str | None
    called: str | None


class Opening(Protocol):
    """Where openings are kept, within the transaction that opens the record."""

    async def note_look(self, subject: UUID, opened: RecordRevealedClear, at: datetime) -> None:
        """Keep it for the people of the party."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Send messages when this transaction commits."""
        ...


async def tell_opened(
    subject: UUID,
    opened: RecordRevealedClear,
    opening: Opening,
    *,
    exercise: bool,
    directory: DirectoryIndex,
    at: datetime,
) -> None:
    """Tell audit, and the people of the party. Raises `Refused("not_found")` for a party that nobody serves."""
    told = compose_revealed(subject, opened, exercise=exercise, directory=directory, at=at)
    await opening.note_look(subject, opened, at)
    await opening.send([told])


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
