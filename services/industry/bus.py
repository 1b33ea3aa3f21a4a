"""Kafka handler for notices issued to providers, and for answers to their own referrals."""

from __future__ import annotations

from services.industry.domain import PROVIDER
from services.industry.store import PostgresNotices
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Track
from shared.party.origin.bus import OriginBus
from shared.party.preservation.bus import PreservationDoor
from shared.party.preservation.store.preservations import ProviderPreservations
from shared.party.recipient.bus import RecipientDoor


def industry_door(*, kek: KeyEncryptionKey, origin: OriginBus) -> RecipientDoor:
    """Build the consumer's handler for this service."""
    asked = PreservationDoor(Track.ANSWER, ProviderPreservations, kek)
    return RecipientDoor(PROVIDER, items=PostgresNotices, kek=kek, origin=origin, asked=asked)
