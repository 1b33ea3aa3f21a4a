"""The agencies' service over a real database: deliver messages, let parties act, read the sent messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.core.acts.act import Subject
from shared.core.acts.states import row
from shared.core.authority import Role
from shared.core.contracts.base import Contract
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.core.protocol.prepare import Documents
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.jurisdiction import TREE
from shared.delivery.sending import Settlement, Unit
from shared.features.cases.effects import AgencyHandler
from shared.features.cases.service import act_on_case
from shared.features.cases.store.cases import PostgresCases
from shared.features.received.service.items import ItemActor
from shared.platform.database.transactions import Database, RowScope
from tests.services.deliveries import AGENCY, AT, OTHER_AGENCY, directory, offered
from tests.services.doors import ACTOR, as_told
from tests.services.outgoing import about, clear_parts

POLICY = {"version": 1, "issued_on": "2026-01-01", "valid_until": "2099-01-01", "rules": []}
KEK = KeyEncryptionKey(bytes(range(32)))


class Agencies:
    """Both sample agencies, served by one instance."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.directory = directory()

    def documents(self) -> Documents:
        """Return the sample directory, and a policy without rules."""
        return Documents(self.directory, PolicyIndex(POLICY, "f" * 64, TREE))

    async def receive(self, *messages: Received) -> list[str | None]:
        """Apply one batch. Return the code of each refused message, and None for each applied one."""
        async with self._applying() as unit:
            refusals = await self._door().apply(unit, messages)
        return [refusals.get(message.message_id) for message in messages]

    async def offer(self, **changes: str) -> UUID:
        """Receive a referral that is offered to an agency."""
        referral_id = uuid7()
        assert await self.receive(offered(referral_id, **changes)) == [None]
        return referral_id

    async def receipted(self, *told: Settlement) -> None:
        """Report outcomes of messages, as the recipients' instances do."""
        async with self._applying() as unit:
            await self._door().settled(unit, told)

    def _door(self) -> AgencyHandler:
        return AgencyHandler(kek=KEK, documents=self.documents, now=lambda: AT)

    @asynccontextmanager
    async def _applying(self) -> AsyncIterator[Any]:
        scope = RowScope((AGENCY, OTHER_AGENCY), Role.SERVICE, "apply")
        async with self.database.transaction(scope) as session:
            yield Unit(session)

    @asynccontextmanager
    async def cases(
        self, action: str, *, party: str = AGENCY, role: Role = Role.ANALYST
    ) -> AsyncIterator[PostgresCases]:
        """Open the cases for `party` while it does `action`."""
        async with self.database.transaction(RowScope([party], role, action)) as session:
            yield PostgresCases(session.driver, KEK)

    async def act(
        self,
        name: str,
        said: Contract | None,
        referral_id: UUID,
        *,
        party: str = AGENCY,
        role: Role = Role.ANALYST,
        actor: str = ACTOR,
        at: datetime = AT,
    ) -> str:
        """Do one act as the HTTP routes do."""
        async with self.cases(name, party=party, role=role) as cases:
            acting = ItemActor(party, role, actor, cases, self.directory, at)
            return await act_on_case(
                row(Subject.CASE, name), referral_id, said=said, acting=acting, documents=self.documents
            )

    async def show(self, referral_id: UUID, *, party: str = AGENCY) -> dict[str, Any]:
        async with self.cases("read", party=party) as cases:
            shown = await cases.show(referral_id)
        return as_told(shown)

    async def sent(self, referral_id: UUID) -> list[tuple[Any, ...]]:
        """Return (type, sender, recipient, exercise, clear part, plaintext to seal) of a referral's messages."""
        sealed = [each.plaintext for each in await about(self.database, referral_id)]
        told = await clear_parts(self.database, referral_id)
        return [(*each, part) for each, part in zip(told, sealed, strict=True)]
