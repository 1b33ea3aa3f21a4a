"""A referral that its origin cannot keep, and whoever takes it over, as the typed client does it."""

from __future__ import annotations

from uuid import UUID

from pydantic import JsonValue

from client.calls import Calls
from client.views import View
from shared.contracts.transfers import Transferring


class TransferView(View):
    """Who may claim a referral from now on."""

    referral_id: UUID
    state: str
    offered: tuple[str, ...] = ()


class Transfers(Calls):
    """What an origin lets others claim with, and whoever has claimed drafts with."""

    async def draft_of(self, referral_id: UUID) -> dict[str, JsonValue]:
        """What to file of a referral that the party has by a claim: the body of a submission."""
        return await self._transport.call("GET", f"/v1/inbox/{referral_id}/draft")

    async def transfer(self, referral_id: UUID, said: Transferring, *, key: str | None = None) -> TransferView:
        """Let one hotline that has the referral claim it, or whoever has it by an orphan's mandate."""
        body = said.model_dump(mode="json", exclude_none=True)
        return await self.post(f"/v1/referrals/{referral_id}:transfer", body, key, view=TransferView)
