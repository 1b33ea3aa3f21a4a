"""What an origin does with a referral after it was filed, as the typed client does it."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from pydantic import JsonValue

from client.calls import Calls
from client.views import ReferralState, View
from shared.contracts.questions import Reply, Verdict
from shared.contracts.referral import ReferralSubmission

Submission = ReferralSubmission | Mapping[str, JsonValue]


class AmendedView(View):
    """A referral as it is now decided: for whom nothing has changed, and whom that is told."""

    referral_id: UUID
    revision: int
    state: str
    work_reason: str | None = None
    unchanged: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    taken_back: tuple[str, ...] = ()


class ReferralChanges(Calls):
    """What an origin changes a filed referral with."""

    async def amend(
        self,
        referral_id: UUID,
        referral: Submission,
        *,
        revision: int,
        key: str | None = None,
    ) -> AmendedView:
        """Have this stand in the place of a revision. Whom it changes nothing for is told nothing."""
        body = as_json(referral)
        match = {"If-Match": f'"{revision}"'}
        return await self.post(f"/v1/referrals/{referral_id}:amend", body, key, view=AmendedView, headers=match)

    async def reroute(
        self, referral_id: UUID, notice_id: UUID, *, provider: str | None = None, key: str | None = None
    ) -> AmendedView:
        """Send what a provider has disowned to whom it has named, or to `provider`."""
        body = {"notice_id": str(notice_id)} | ({} if provider is None else {"provider": provider})
        return await self.post(f"/v1/referrals/{referral_id}:reroute", body, key, view=AmendedView)

    async def answer_question(
        self, referral_id: UUID, said: Reply | Verdict, *, key: str | None = None
    ) -> ReferralState:
        """Answer what a recipient asks or contests of a referral; it is told."""
        verb = "reply" if isinstance(said, Reply) else "uphold"
        body = said.model_dump(mode="json", exclude_none=True)
        return await self.post(f"/v1/referrals/{referral_id}:{verb}", body, key, view=ReferralState)


def as_json(referral: Submission) -> Mapping[str, JsonValue]:
    """A referral as it is posted."""
    return referral.model_dump(mode="json") if isinstance(referral, ReferralSubmission) else referral
