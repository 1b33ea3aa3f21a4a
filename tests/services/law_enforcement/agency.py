"""The agencies' service over a real database."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from services.law_enforcement.app import FEATURES
from shared.core.acts.act import Subject
from shared.core.ids import uuid7
from shared.core.protocol.prepare import Documents
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.jurisdiction import TREE
from shared.features.cases.effects import AgencyHandler
from shared.features.cases.service import act_on_case
from shared.features.cases.store.cases import PostgresCases
from shared.platform.database.transactions import Database
from tests.services.deliveries import AGENCY, AT, OTHER_AGENCY, offered
from tests.services.outgoing import about, clear_parts
from tests.services.recipients import KEK, Recipients

POLICY = {"version": 1, "issued_on": "2026-01-01", "valid_until": "2099-01-01", "rules": []}


class Agencies(Recipients):
    """Both sample agencies, served by one instance."""

    subject, items, parties = Subject.CASE, PostgresCases, (AGENCY, OTHER_AGENCY)
    cases = Recipients.opened

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.act_on = partial(act_on_case, documents=self.documents)
        self.door = AgencyHandler(kek=KEK, documents=self.documents, now=lambda: AT, features=FEATURES)

    def documents(self) -> Documents:
        """Return the present directory, and a policy without rules."""
        return Documents(self.directory, PolicyIndex(POLICY, "f" * 64, TREE))

    async def offer(self, **changes: str) -> UUID:
        """Receive a referral that is offered to an agency."""
        referral_id = uuid7()
        assert await self.receive(offered(referral_id, **changes)) == [None]
        return referral_id

    async def sent(self, referral_id: UUID) -> list[tuple[Any, ...]]:
        """Return (type, sender, recipient, exercise, clear part, plaintext to seal) of a referral's messages."""
        sealed = [each.plaintext for each in await about(self.database, referral_id)]
        told = await clear_parts(self.database, referral_id)
        return [(*each, part) for each, part in zip(told, sealed, strict=True)]
