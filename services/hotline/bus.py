"""The Kafka door: hands verified messages to the use cases within the batch's transaction. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.hotline import use_cases
from services.hotline.store import PostgresOffers
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Received
from shared.party.origin.bus import OriginBus
from shared.runtime.post.ports import Settlement, Unit


class HotlineDoor:
    """The consumer's handler for this service."""

    def __init__(self, *, kek: KeyEncryptionKey, origin: OriginBus) -> None:
        self._kek = kek
        self._origin = origin

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        driver = unit.connection.driver
        return await use_cases.receive(
            messages,
            offers=PostgresOffers(driver, self._kek),
            answers=self._origin.answers(unit),
        )

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        await self._origin.settled(unit, settlements)
