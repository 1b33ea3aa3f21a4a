"""The origin's machinery of a hotline around a real database: file, withdraw, decide again, see what would go out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

import httpx

from services.hotline.api import referrals_router
from services.hotline.app import LISTS
from services.hotline.domain import AUTHORITY
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.compose import Acceptor
from shared.exchange.prepare import Documents
from shared.guard import edition
from shared.kernel.authority import Role
from shared.kernel.canonical import digest
from shared.kernel.clock import ManualClock
from shared.kernel.ids import uuid7
from shared.party.origin.api.checking import Checked, Posted, check_posted
from shared.party.origin.api.routes import OriginApi, answer_filed
from shared.party.origin.bus import OriginBus
from shared.party.origin.domain import Request, Submission
from shared.party.origin.store.filing import PostgresFilings
from shared.party.origin.store.referrals import PostgresReferrals
from shared.party.origin.use_cases import referrals as use_cases
from shared.party.origin.use_cases.intake import Intake
from shared.party.origin.use_cases.referrals import Acting
from shared.runtime.database.feed import Numberer
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.http.acts import Acts
from shared.runtime.http.budgets import BudgetLimits, Budgets
from shared.runtime.post.outbox import PostgresOutbox
from shared.runtime.post.ports import OutboxRow
from shared.vocabulary.referral import WithdrawalReason
from tests.services.doors import door, identified_as
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
        signing = self.world.keys["hotline"].signing
        self.acceptor = Acceptor("hotline", signing, edition(), merge_delay_s=86_400)
        self.budgets = Budgets(BudgetLimits(1_000, 10_000_000), self.clock)
        self.intake = self.intake_of()
        self.numberer = Numberer(self.database, LISTS)
        self.api = OriginApi(
            self.database,
            Acts(self.database, lambda: None),
            self.intake,
            checking=self._checked,
            owe=self.budgets.owe,
            authority=AUTHORITY,
            directory=lambda: self._documents().directory,
            clock=self.clock,
            number=self.numberer.number,
        )
        self.bus = OriginBus(self.database, documents=self._documents, instance="hotline", kek=KEK, clock=self.clock)

    def intake_of(self, **bounds: Any) -> Intake:
        """An intake of this origin with these bounds."""
        return Intake(
            PostgresFilings(self.database, KEK),
            answering=partial(answer_filed, acceptor=self.acceptor),
            authority=AUTHORITY,
            documents=self._documents,
            instance="hotline",
            clock=self.clock,
            wake=lambda: None,
            owe=self.budgets.owe,
            **bounds,
        )

    def door(self) -> httpx.AsyncClient:
        """A client of the hotline's own HTTP door, as far as its own referrals go."""
        return door(referrals_router(self.api, identified_as("hotline")))

    async def file(self, *, traceparent: str | None = None, **changes: Any) -> UUID:
        """File a referral that reaches a hotline, three agencies and a provider."""
        content = submission(external_ref=f"ref-{next(_references)}", **changes)
        posted = digest(content.model_dump_json().encode())
        filing = Submission(self.intake.origin(HOTLINE), Role.MACHINE, content, traceparent, body_sha256=posted)
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
            await use_cases.withdraw_referral(referral_id, reason, self._acting(session, party, role))

    async def show(self, referral_id: UUID) -> dict[str, Any]:
        """The referral as its party is answered."""
        async with self.database.transaction(RowScope([HOTLINE], Role.ANALYST, "read")) as session:
            shown = await use_cases.show_referral(referral_id, self._acting(session))
        return shown.model_dump(mode="json", exclude_defaults=True)

    async def work(self, reason: str) -> list[UUID]:
        """The referrals on the work list for this reason, newest first."""
        await self.numberer.number()
        async with self.database.transaction(RowScope([HOTLINE], Role.ANALYST, "read")) as session:
            page = await use_cases.list_work(self._acting(session), reason=reason, cursor=None, limit=9)
        return [item.referral_id for item in page.items]

    async def decide_again(self, rows: list[OutboxRow]) -> None:
        """As the relay does with rows that have waited too long."""
        self.clock.advance(360)
        await self.bus.stale([row for row in rows if row.draft.decided_at is not None])

    async def waiting(self) -> list[OutboxRow]:
        """What the relay would take next: of one subject to one recipient only the first."""
        key = self.world.keys["hotline"].signing
        return await PostgresOutbox(self.database, instance="hotline", key=key).unstamped(500)

    async def forget(self) -> None:
        """Empty the outbox."""
        async with self.database.transaction() as session:
            await session.driver.execute("DELETE FROM outbox")

    def _acting(self, session: Session, party: str = HOTLINE, role: Role = Role.ANALYST) -> Acting:
        return Acting(
            party,
            role,
            PostgresReferrals(session.driver),
            authority=AUTHORITY,
            directory=lambda: self._documents().directory,
            at=self.clock.now(),
        )

    async def _checked(self, posted: Posted) -> Checked:
        """As the process beside the event loop does it."""
        return check_posted(posted, self._documents())

    def _documents(self) -> Documents:
        return self.world.documents
