"""Kafka handler of preservations: passes their messages to the use case in the batch's transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from shared.core.acts.act import Track
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.message import Received
from shared.delivery.sending import Unit
from shared.features.preservation.service import receive
from shared.features.preservation.store import PostgresPreservations


@dataclass(frozen=True, slots=True)
class PreservationHandler:
    """The handler of preservation messages in a service's consumer; `track` is the track of its own parties."""

    track: Track
    preservations: Callable[[asyncpg.Connection, KeyEncryptionKey], PostgresPreservations]
    kek: KeyEncryptionKey

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        if not messages:
            return {}
        return await receive(messages, self.preservations(unit.connection.driver, self.kek), track=self.track)

    async def refused(self, unit: Unit, codes: Mapping[UUID, str], by: Collection[str]) -> None:
        """Mark the acts of the service's own parties that one of the parties `by` has refused."""
        await self.preservations(unit.connection.driver, self.kek).refused(codes, by)
