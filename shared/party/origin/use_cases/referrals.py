"""An origin's referrals as its use cases see them: submit, look, withdraw; each bound to the acting party."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from shared.contracts.referral import ReferralSubmission
from shared.exchange.prepare import Documents, check
from shared.kernel.authority import Authority, Role
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, not_found
from shared.party.origin.store import looking as views
from shared.party.origin.use_cases.intake import Intake, Reply, Request
from shared.party.origin.use_cases.withdrawal import withdraw
from shared.routing.directory_index import PartyEntry
from shared.routing.engine import Judged
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.vocabulary.referral import WithdrawalReason
from shared.vocabulary.routing import Disposition


class Referrals:
    """One origin's referrals. Absent and foreign rows raise the same `Refused("not_found")`."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        *,
        authority: Authority,
        documents: Callable[[], Documents],
        clock: Clock,
    ) -> None:
        self._database = database
        self._intake = intake
        self._authority = authority
        self._documents = documents
        self._clock = clock

    async def submit(self, request: Request, *, role: Role) -> Reply:
        """Durable when it returns; see `Intake`."""
        self._require(role, "submit")
        return await self._intake.submit(request)

    def check(
        self, submissions: Sequence[ReferralSubmission | Refused], *, party: str, role: Role
    ) -> list[Judged | Refused]:
        """Guard and decide without storing anything: of each what `submit` would answer."""
        self._require(role, "submit")
        return [self._checked(submission, self.origin(party)) for submission in submissions]

    def origin(self, party: str) -> PartyEntry:
        """The acting party's directory entry. Raises `Refused` if it has none any more."""
        entry = self._documents().directory.party(party)
        if entry is None:
            raise not_found()
        return entry

    async def show(self, referral_id: UUID, *, party: str, role: Role) -> dict[str, Any]:
        self._require(role, "read")
        async with self._database.transaction(RowScope([party], role, "read")) as session:
            return await views.show(session.driver, referral_id)

    async def page(
        self, *, party: str, role: Role, state: str | None, cursor: str | None, limit: int
    ) -> dict[str, Any]:
        self._require(role, "read")
        async with self._database.transaction(RowScope([party], role, "read")) as session:
            return await views.page(session.driver, state=state, cursor=cursor, limit=limit)

    async def work(
        self, *, party: str, role: Role, reason: str | None, cursor: str | None, limit: int
    ) -> dict[str, Any]:
        self._require(role, "read")
        async with self._database.transaction(RowScope([party], role, "read")) as session:
            return await views.work(session.driver, reason=reason, cursor=cursor, limit=limit)

    async def withdraw(
        self, session: Session, referral_id: UUID, reason: WithdrawalReason, *, party: str, role: Role
    ) -> None:
        """Withdraw within the caller's transaction, which is bound to `party` and the action `withdraw`."""
        await withdraw(
            session,
            referral_id,
            reason,
            party=party,
            role=role,
            authority=self._authority,
            directory=self._documents().directory,
            clock=self._clock,
        )

    def _checked(self, submission: ReferralSubmission | Refused, origin: PartyEntry) -> Judged | Refused:
        if isinstance(submission, Refused):
            return submission
        try:
            return check(submission, origin=origin, documents=self._documents(), at=self._clock.now())
        except Refused as error:
            return error

    def _require(self, role: Role, action: str) -> None:
        """Raises `Refused("forbidden")` for a role that never may, before anything is looked up for it."""
        self._authority.require("referral", role, action=action, state=Disposition.ROUTED)
