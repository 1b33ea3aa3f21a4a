"""The Kafka interface of a hotline: offers to it, and answers to its own referrals."""

from __future__ import annotations

from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.features.filing.effects import OriginHandler
from shared.features.offers.rules import HOTLINE
from shared.features.offers.store import PostgresOffers
from shared.features.received.effects import RecipientHandler


def hotline_handler(*, kek: KeyEncryptionKey, origin: OriginHandler) -> RecipientHandler:
    """Return the consumer's handler for this service."""
    return RecipientHandler(HOTLINE, items=PostgresOffers, kek=kek, origin=origin)
