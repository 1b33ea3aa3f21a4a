"""What an origin's pages do with referrals: the use cases that its other doors have, wired to its transactions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from shared.contracts.base import Contract
from shared.exchange.act import Act
from shared.party.compared import Comparison
from shared.party.opened import ShownLook
from shared.party.origin.domain import AmendedReferral, Reply
from shared.party.origin.use_cases.amend import Changing
from shared.party.origin.use_cases.referrals import Acting
from shared.party.questions.domain import ShownQuestion
from shared.runtime.database.transactions import Session
from shared.runtime.http.identity import Identity
from shared.vocabulary.reveal import RevealReason

Doing = Callable[[Session], Awaitable[Contract]]
Changed = Callable[[Changing], Awaitable[AmendedReferral]]


class OriginUse(Protocol):
    """The use cases of an origin, wired to its transactions: the same that its other doors have."""

    def reading(self, identity: Identity) -> AbstractAsyncContextManager[Acting]: ...

    async def checked(self, identity: Identity, body: bytes, kind: str | None) -> bytes: ...

    async def file_spelt(self, identity: Identity, body: bytes, *, key: bytes, route: str) -> Reply: ...

    async def raised(self, referral_id: UUID, identity: Identity) -> Sequence[ShownQuestion]: ...

    async def compared(
        self, referral_id: UUID, identity: Identity, *, reason: RevealReason
    ) -> Sequence[Comparison]: ...

    async def looks(self, referral_id: UUID, identity: Identity) -> Sequence[ShownLook]: ...

    def doing(self, act: Act, referral_id: UUID, said: Contract | None, *, identity: Identity) -> Doing: ...

    def changing(self, wanted: Changed, identity: Identity) -> Doing: ...
