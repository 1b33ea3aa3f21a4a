"""The Kafka door: referrals offered to agencies. Agencies file none: no message of theirs carries a decision."""

from __future__ import annotations

from collections.abc import Callable

from services.law_enforcement.domain import AGENCY
from services.law_enforcement.store import PostgresCases
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Track
from shared.exchange.contacts import check_contact
from shared.exchange.message import Received
from shared.party.preservation.bus import PreservationDoor
from shared.party.preservation.store.preservations import PostgresPreservations
from shared.party.recipient.bus import RecipientDoor
from shared.routing.directory_index import DirectoryIndex


def law_enforcement_door(*, kek: KeyEncryptionKey, directory: Callable[[], DirectoryIndex]) -> RecipientDoor:
    """The consumer's handler for this service. The directory in force says which agencies have opted in to contact."""

    def check(message: Received) -> None:
        check_contact(message, directory())

    asked = PreservationDoor(Track.OFFER, PostgresPreservations, kek)
    return RecipientDoor(AGENCY, items=PostgresCases, kek=kek, asked=asked, check=check)
