"""Base classes of a party's stores: sending messages, events, clocks, and the log of record openings.

Each opening of a record is reported to audit. The people of the party can see the name of the person that opened it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.acts.states import Event
from shared.core.contracts.facts import RecordRevealedClear
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.clocks import EdgeClock, EdgeStep
from shared.core.protocol.message import Draft, compose_revealed
from shared.core.routing.directory_index import DirectoryIndex
from shared.delivery.sending import send
from shared.platform.database.feed import note_acts
from shared.platform.timers.timers import clock


class AccessLogRow(NamedTuple):
    """The openings of a record by one actor in an hour: first time, actor, role, reason, number and display name.

    A machine has no reason and no name.
    """

    at: datetime
    actor: str
    role: str
    reason: str | None
    times: int
    called: str | None


async def record_access(
    subject: UUID,
    opened: RecordRevealedClear,
    opening: PartyStore,
    *,
    exercise: bool,
    directory: DirectoryIndex,
    at: datetime,
) -> None:
    """Log an opening for the party, and report it to audit if it is the actor's first in its hour, for its reason.

    The report has the number of further openings in the last hour before. Raises `Refused("not_found")` if no instance
    serves the party.
    """
    further = await opening.note_look(subject, opened, at)
    if further is not None:
        told = opened.model_copy(update={"further": further or None})
        await opening.send([compose_revealed(subject, told, exercise=exercise, directory=directory, at=at)])


_NOTE: Final = """
INSERT INTO record_access_log AS l (subject, party, actor, role, reason, at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (party, subject, actor, role, reason, date_trunc('hour', at AT TIME ZONE 'UTC'))
DO UPDATE SET count = l.count + 1
RETURNING CASE WHEN l.count = 1 THEN coalesce((
    SELECT b.count - 1 FROM record_access_log AS b
    WHERE (b.party, b.subject, b.actor, b.role) = ($2, $1, $3, $4) AND b.reason IS NOT DISTINCT FROM $5
    ORDER BY b.at DESC LIMIT 1), 0) END
"""
#: The most openings of one record that are shown, the newest first.
_SHOWN_MAX: Final = 50
_LOOKS: Final = """
SELECT at, actor, role, reason, count AS times FROM record_access_log WHERE party = $1 AND subject = $2
ORDER BY number DESC LIMIT $3
"""
_CALLED: Final = "SELECT actor, display_name FROM console_account WHERE party = $1 AND display_name IS NOT NULL"


async def looks_at(
    driver: asyncpg.Connection, kek: KeyEncryptionKey, *, party: str, subject: UUID
) -> Sequence[AccessLogRow]:
    """Return the newest openings by people and machines of `party` only, newest first."""
    rows = await driver.fetch(_LOOKS, party, subject, _SHOWN_MAX)
    people = await driver.fetch(_CALLED, party) if rows else []
    called = {kek.actor_id(party, bytes.fromhex(each["actor"])): each["display_name"] for each in people}
    return [AccessLogRow(**dict(each), called=called.get(each["actor"])) for each in rows]


class PartyStore:
    """A store within one transaction, which is bound to the acting party."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    @property
    def driver(self) -> asyncpg.Connection:
        """Return the connection, for a store of another feature in the same transaction."""
        return self._driver

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Send messages when this transaction commits."""
        send(self._driver, drafts)

    async def note(self, events: Sequence[Event]) -> None:
        """Add events to the feeds of parties of this instance when this transaction commits."""
        note_acts(self._driver, events)

    async def note_look(self, subject: UUID, opened: RecordRevealedClear, at: datetime) -> int | None:
        """Log the opening of a record for the people of the party.

        Returns None if it is only counted, otherwise the number of openings that the last row like it has only counted.
        """
        values = subject, opened.party, opened.actor, opened.role, opened.reason, at
        further: int | None = await self._driver.fetchval(_NOTE, *values)
        return further

    async def clock(self, begun: Sequence[EdgeClock], steps: Sequence[EdgeStep]) -> None:
        """Begin the clocks of new edges, and store the steps of edges for their clocks."""
        await clock(self._driver, begun, steps)


class RecordStore(PartyStore):
    """A store that encrypts and decrypts records under data keys, which the key `kek` wraps."""

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey) -> None:
        super().__init__(driver)
        self._kek = kek

    async def looks_at(self, party: str, subject: UUID) -> Sequence[AccessLogRow]:
        """Return the openings of a record by people and machines of the party."""
        return await looks_at(self._driver, self._kek, party=party, subject=subject)
