"""A referral that its origin cannot keep, and whoever takes it over, as the typed client does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar
from uuid import UUID

from pydantic import JsonValue

from client.transport import Transport
from client.views import View
from shared.contracts.transfers import Transferring

ViewT = TypeVar("ViewT", bound=View)


class TransferView(View):
    """Who may claim a referral from now on."""

    referral_id: UUID
    state: str
    offered: tuple[str, ...] = ()


class _Acts(Protocol):
    async def _act(
        self,
        path: str,
        body: Mapping[str, object],
        key: str | None,
        *,
        view: type[ViewT],
        headers: Mapping[str, str] | None = None,
    ) -> ViewT: ...


class _Calls(Protocol):
    _transport: Transport


class Transfers:
    """Its methods for it, and for what was handed over."""

    async def draft_of(self: _Calls, referral_id: UUID) -> dict[str, JsonValue]:
        """What to file of a referral that the party has by a claim: the body of a submission."""
        return await self._transport.call("GET", f"/v1/inbox/{referral_id}/draft")

    async def transfer(self: _Acts, referral_id: UUID, said: Transferring, *, key: str | None = None) -> TransferView:
        """Let one hotline that has the referral claim it, or whoever has it by an orphan's mandate."""
        body = said.model_dump(mode="json", exclude_none=True)
        return await self._act(f"/v1/referrals/{referral_id}:transfer", body, key, view=TransferView)
