"""A record is opened: audit is told, and the people of the party can see who of them it was. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from shared.contracts.facts import RecordRevealedClear
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
