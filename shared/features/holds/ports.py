"""Holds and planned notices as their store returns them, and the result of an override."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from shared.core.contracts.base import Contract, Uuid
from shared.core.vocabulary.preservation import HoldEnd


class OverrideResult(Contract):
    """The state of a hold: `proposed` until a second person confirms the override."""

    referral_id: Uuid
    hold: Uuid
    state: Literal["proposed", HoldEnd.OVERRIDDEN]


ACTIVE: Final = "active"


TOO_LATE: Final = "too_late"


@dataclass(frozen=True, slots=True)
class Hold:
    """One agency's hold of the notices of one referral."""

    hold_id: UUID
    referral_id: UUID
    agency: str
    party: str
    scope: str
    basis: str
    placed_at: datetime
    expires_at: datetime
    state: str
    exercise: bool


class HoldAct(NamedTuple):
    """One act on a hold, to be stored. `actor` is set if a person of the origin did it."""

    act: str
    at: datetime
    expires_at: datetime | None = None
    basis: str | None = None
    actor: str | None = None


class PlannedNotice(NamedTuple):
    """A planned notice, locked: no other transaction sends it before this one has ended."""

    edge_id: UUID
    referral_id: UUID
    window_ends: datetime
    rules: Sequence[str]


class IssuedNotices(NamedTuple):
    """The number of sent notices of a referral, and the time of the last one; None if there is none."""

    notices: int
    last_at: datetime | None
