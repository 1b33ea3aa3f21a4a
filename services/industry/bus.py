"""The Kafka door: hands verified messages to the use cases within the batch's transaction. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.industry import use_cases
from services.industry.store import PostgresNotices
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Received
from shared.exchange.record_table import DECIDE_AGAIN
from shared.kernel.clock import Clock
from shared.party.origin.use_cases.again import DecideAgain
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.runtime.post.ports import Settlement, Unit


class IndustryDoor:
    """The consumer's handler for this service."""

    def __init__(self, *, kek: KeyEncryptionKey, again: DecideAgain, clock: Clock) -> None:
        self._kek = kek
        self._again = again
        self._clock = clock

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        driver = unit.connection.driver
        return await use_cases.receive(
            messages,
            notices=PostgresNotices(driver, self._kek),
            answers=EdgeAnswers(driver, self._clock.now()),
        )

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        stale = [entry.message_id for entry in settlements if entry.code in DECIDE_AGAIN]
        if stale:
            await self._again.messages(unit.connection.driver, stale)
