"""The Kafka door: notices issued to providers, and answers to their own referrals."""

from __future__ import annotations

from services.industry.domain import PROVIDER
from services.industry.store import PostgresNotices
from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.clock import Clock
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.party.recipient.bus import Again, RecipientDoor


def industry_door(*, kek: KeyEncryptionKey, again: Again, clock: Clock) -> RecipientDoor:
    """The consumer's handler for this service."""
    return RecipientDoor(
        PROVIDER,
        items=PostgresNotices,
        kek=kek,
        edges=lambda driver: EdgeAnswers(driver, clock.now()),
        again=again,
    )
