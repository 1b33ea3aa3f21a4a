"""Which kinds of service send a party's message, and which receive it: derived from the rows of acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.contracts.registry import MessageType
from shared.exchange.acts import ACTS, Subject, Track

ORIGINS: Final = ("hotline", "industry")


@dataclass(frozen=True, slots=True)
class Route:
    """The kinds of service that send a message and those that receive it."""

    senders: tuple[str, ...]
    recipients: tuple[str, ...]


#: The kind of service that has each kind of subject.
_HELD_BY: Final[Mapping[Subject, str]] = {
    Subject.OFFER: "hotline",
    Subject.CASE: "law_enforcement",
    Subject.NOTICE: "industry",
}


def between_parties(message: MessageType) -> Route | None:
    """Between an origin and its recipients; None for receipts and facts, which no act tells."""
    rows = [row for row in ACTS if row.message is message]
    if not rows:
        return None
    recipients = tuple(_HELD_BY[row.subject] for row in rows)
    return Route(ORIGINS, recipients) if rows[0].track is Track.OFFER else Route(recipients, ORIGINS)
