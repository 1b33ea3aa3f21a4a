"""Who of an agency works on a case. A party's own: no message tells anybody of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.contracts.base import ActorId, Contract, Instant
from shared.vocabulary.agencies import LEASE_H, LEASE_H_MAX

_Hours = Annotated[int, Field(strict=True, ge=1, le=LEASE_H_MAX)]


class Claim(Contract):
    """For how many hours whoever claims the case has it alone. Then it is anybody's of the agency again."""

    hours: _Hours = LEASE_H


class HandOver(Contract):
    """Who has the case next, and for how many hours; it is anybody's where nobody is named."""

    to: ActorId | None = None
    hours: _Hours = LEASE_H


class Leased(Contract):
    """Who has claimed the case last, opaque, and until when: once that has passed it is anybody's again."""

    claimed_by: ActorId | None
    claimed_until: Instant | None
