"""The Kafka interface of a hotline: offers to it, and answers to its own referrals."""

from __future__ import annotations

from services.hotline.domain import HOTLINE
from services.hotline.store import PostgresOffers
from shared.envelope.datakeys import KeyEncryptionKey
from shared.party.origin.bus import OriginBus
from shared.party.recipient.bus import RecipientDoor


def hotline_door(*, kek: KeyEncryptionKey, origin: OriginBus) -> RecipientDoor:
    """Return the consumer's handler for this service."""
    return RecipientDoor(HOTLINE, items=PostgresOffers, kek=kek, origin=origin)
