"""What a provider's use cases need from outside, over domain types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from services.industry.domain import NoticeState
from shared.exchange.message import Draft, Received
from shared.vocabulary.answers import NoticeAction, NoticeRejection

#: A notice is known by its id and the provider it was issued to. There is no earlier id: no referral shows here.
NoticeKey = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice as its state machine sees it; `contact` is the notifier, to whom answers go."""

    notice_id: UUID
    party: str
    contact: str
    exercise: bool
    state: NoticeState


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeNote:
    """What an act adds to a notice; None leaves what is there."""

    actions: Sequence[NoticeAction] | None = None
    effective_at: datetime | None = None
    rejection: NoticeRejection | None = None
    suggested: str | None = None


class Notices(Protocol):
    """The notices within one transaction, limited to the parties that it is bound to."""

    async def find(self, notice_ids: Sequence[UUID]) -> dict[NoticeKey, Notice]:
        """What there is; absent and foreign notices are both simply not there."""
        ...

    async def lock(self, notice_ids: Sequence[UUID]) -> dict[NoticeKey, Notice]:
        """The same, and no act changes them before this transaction has ended. For the instance itself only."""
        ...

    async def add(self, messages: Sequence[Received]) -> None:
        """Store newly issued notices, their sealed part under a data key of its own."""
        ...

    async def change(self, changes: Mapping[NoticeKey, tuple[NoticeState, NoticeState]]) -> None:
        """Move notices to another state. Raises `Refused("state_forbids")` if one is no longer in its present one."""
        ...

    async def act(self, notice: Notice, following: NoticeState, note: NoticeNote) -> None:
        """Move one notice and keep the note. Raises `Refused("state_forbids")` if it is no longer in its state."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Put messages into the outbox of this transaction."""
        ...

    async def page(self, *, state: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
        """The acting party's notices, newest first."""
        ...

    async def show(self, notice_id: UUID) -> dict[str, Any]:
        """One notice with its opened record. Raises `Refused("not_found")` for absent and foreign ids alike."""
        ...


class Answers(Protocol):
    """The origin's edges within one transaction."""

    async def apply(self, messages: Sequence[Received]) -> dict[UUID, str]: ...
