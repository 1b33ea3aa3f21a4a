"""Kafka handler for notices issued to providers, and for answers to their own referrals."""

from __future__ import annotations

from shared.core.acts.act import Track
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.features.filing.effects import OriginHandler
from shared.features.notices.rules import PROVIDER
from shared.features.notices.store import PostgresNotices
from shared.features.preservation.effects import PreservationHandler
from shared.features.preservation.store import ProviderPreservations
from shared.features.received.effects import RecipientHandler


def provider_handler(*, kek: KeyEncryptionKey, origin: OriginHandler) -> RecipientHandler:
    """Build the consumer's handler for this service."""
    preservations = PreservationHandler(Track.ANSWER, ProviderPreservations, kek)
    return RecipientHandler(PROVIDER, items=PostgresNotices, kek=kek, origin=origin, asked=preservations)
