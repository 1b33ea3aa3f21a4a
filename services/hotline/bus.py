"""The Kafka door: offers made to hotlines, and answers to their own referrals."""

from __future__ import annotations

from services.hotline.domain import HOTLINE
from services.hotline.store import PostgresOffers
from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.clock import Clock
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.party.recipient.bus import Again, RecipientDoor


def hotline_door(*, kek: KeyEncryptionKey, again: Again, clock: Clock) -> RecipientDoor:
    """The consumer's handler for this service."""
    return RecipientDoor(
        HOTLINE,
        items=PostgresOffers,
        kek=kek,
        edges=lambda driver: EdgeAnswers(driver, clock.now()),
        again=again,
    )
