"""The Kafka door: referrals offered to agencies. Agencies file none: no message of theirs carries a decision."""

from __future__ import annotations

from services.law_enforcement.domain import AGENCY
from services.law_enforcement.store import PostgresCases
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Track
from shared.party.preservation.bus import PreservationDoor
from shared.party.preservation.store.preservations import PostgresPreservations
from shared.party.recipient.bus import RecipientDoor


def law_enforcement_door(*, kek: KeyEncryptionKey) -> RecipientDoor:
    """The consumer's handler for this service."""
    asked = PreservationDoor(Track.OFFER, PostgresPreservations, kek)
    return RecipientDoor(AGENCY, items=PostgresCases, kek=kek, asked=asked)
