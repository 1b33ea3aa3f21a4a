"""The Kafka door: hands verified messages to the use cases within the batch's transaction. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.law_enforcement import use_cases
from services.law_enforcement.store import PostgresCases
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Received
from shared.runtime.post.ports import Settlement, Unit


class LawEnforcementDoor:
    """The consumer's handler for this service."""

    def __init__(self, *, kek: KeyEncryptionKey) -> None:
        self._kek = kek

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        return await use_cases.receive(messages, cases=PostgresCases(unit.connection.driver, self._kek))

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """Agencies file no referrals: none of their messages carries a decision that could be decided again."""
