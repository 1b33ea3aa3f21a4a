"""The origin's machinery of a hotline around a real database: file, withdraw, decide again, see what would go out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from services.hotline.domain import AUTHORITY
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.prepare import Documents
from shared.kernel.authority import Role
from shared.kernel.clock import ManualClock
from shared.kernel.ids import uuid7
from shared.party.origin.use_cases.again import DecideAgain
from shared.party.origin.use_cases.intake import Intake, Request, Submission
from shared.party.origin.use_cases.referrals import Referrals
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.post.outbox import PostgresOutbox
from shared.runtime.post.ports import OutboxRow
from shared.vocabulary.referral import WithdrawalReason
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import World, submission

KEK = KeyEncryptionKey(bytes(range(32)))
_references = count(1)


@dataclass
class Origin:
    """The sample hotline. Nothing is sent: the outbox keeps what would be."""

    database: Database
    world: World

    def __post_init__(self) -> None:
        self.clock = ManualClock(AT)
        self.intake = Intake(
            self.database,
            documents=self._documents,
            instance="hotline",
            kek=KEK,
            clock=self.clock,
            wake=lambda: None,
        )
        self.referrals = Referrals(
            self.database, self.intake, authority=AUTHORITY, documents=self._documents, clock=self.clock
        )
        self.again = DecideAgain(
            self.database, documents=self._documents, instance="hotline", kek=KEK, clock=self.clock
        )

    async def file(self, *, traceparent: str | None = None) -> UUID:
        """File a referral that reaches a hotline, three agencies and a provider."""
        content = submission(external_ref=f"ref-{next(_references)}")
        filing = Submission(self.referrals.origin(HOTLINE), Role.MACHINE, content, traceparent)
        running = asyncio.create_task(self.intake.run())
        try:
            answer = await self.intake.submit(Request([filing], uuid7().bytes * 2, bytes(32), single=True))
        finally:
            running.cancel()
        assert answer.status == 202
        return UUID(json.loads(answer.body)["referral_id"])

    async def withdraw(
        self, referral_id: UUID, reason: WithdrawalReason, *, party: str = HOTLINE, role: Role = Role.ANALYST
    ) -> None:
        async with self.database.transaction(RowScope([party], role, "withdraw")) as session:
            await self.referrals.withdraw(session, referral_id, reason, party=party, role=role)

    async def show(self, referral_id: UUID) -> dict[str, Any]:
        return await self.referrals.show(referral_id, party=HOTLINE, role=Role.ANALYST)

    async def decide_again(self, rows: list[OutboxRow]) -> None:
        """As the relay does with rows that have waited too long."""
        self.clock.advance(360)
        await self.again.rows([row for row in rows if row.draft.decided_at is not None])

    async def waiting(self) -> list[OutboxRow]:
        """What the relay would take next: of one subject to one recipient only the first."""
        key = self.world.keys["hotline"].signing
        return await PostgresOutbox(self.database, instance="hotline", key=key).unstamped(500)

    async def forget(self) -> None:
        """Empty the outbox."""
        async with self.database.transaction() as session:
            await session.driver.execute("DELETE FROM outbox")

    def _documents(self) -> Documents:
        return self.world.documents
