"""What an agency's use cases need from outside, over domain types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from services.law_enforcement.domain import CaseState
from shared.exchange.message import Draft, Received
from shared.vocabulary.answers import CaseDeclineReason, CaseOutcome, CloseReason, YesNoUnknown

#: A case is known by its referral and the agency it was offered to.
CaseKey = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One case as its state machine sees it; `purposes` are those that the referral was offered for."""

    referral_id: UUID
    party: str
    origin: str
    exercise: bool
    state: CaseState
    purposes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """What has come of a case so far, in NCMEC's published vocabulary."""

    outcome: CaseOutcome
    close_reason: CloseReason | None = None
    child_identified: YesNoUnknown
    child_safeguarded: YesNoUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNote:
    """What an act adds to a case; None leaves what is there. `case_reference` is class S2: kept encrypted."""

    accepted_at: datetime | None = None
    case_reference: str | None = None
    decline_reason: CaseDeclineReason | None = None
    report: CaseReport | None = None


class Cases(Protocol):
    """The cases within one transaction, limited to the parties that it is bound to."""

    async def find(self, referral_ids: Sequence[UUID]) -> dict[CaseKey, Case]:
        """What there is; absent and foreign cases are both simply not there."""
        ...

    async def lock(self, referral_ids: Sequence[UUID]) -> dict[CaseKey, Case]:
        """The same, and no act changes them before this transaction has ended. For the instance itself only."""
        ...

    async def add(self, messages: Sequence[Received]) -> None:
        """Store newly offered edges, each sealed part under a data key of its own, and the cases they begin."""
        ...

    async def change(self, changes: Mapping[CaseKey, tuple[CaseState, CaseState]]) -> None:
        """Move cases from one state to another. Raises `Refused("state_forbids")` if one is no longer in the first."""
        ...

    async def act(self, case: Case, following: CaseState, note: CaseNote) -> None:
        """Move one case and keep the note. Raises `Refused("state_forbids")` if it is no longer in its state."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Put messages into the outbox of this transaction."""
        ...

    async def page(self, *, state: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
        """The acting party's cases, newest first."""
        ...

    async def show(self, referral_id: UUID) -> dict[str, Any]:
        """One case with its opened records. Raises `Refused("not_found")` for absent and foreign ids alike."""
        ...
