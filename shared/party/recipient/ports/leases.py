"""Leases of cases: which officer has one, until when, and what that keeps others from. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

from shared.kernel.authority import Role
from shared.kernel.errors import Refused


@dataclass(frozen=True, slots=True)
class Lease:
    """The `number`th lease of a case. `actor` has it until `until`; nobody has one that was handed over to nobody."""

    number: int
    actor: str | None
    until: datetime

    def stands(self, at: datetime) -> bool:
        """Whether anybody has the case by it. At its end it is over: then whoever comes first may act."""
        return self.actor is not None and at < self.until

    def keeps(self, actor: str, at: datetime) -> bool:
        """Whether this actor has to wait for another."""
        return self.stands(at) and self.actor != actor


#: Before anybody has claimed a case.
UNCLAIMED = Lease(0, None, datetime.min.replace(tzinfo=UTC))


class Leases(Protocol):
    """The leases of cases within one transaction, each a row that stays."""

    async def newest(self, referral_id: UUID, party: str) -> Lease:
        """The one that counts; `UNCLAIMED` where there is none."""
        ...

    async def add(self, referral_id: UUID, party: str, lease: Lease, *, by: str, at: datetime) -> bool:
        """Have this lease count. False where another one has its number: somebody was sooner."""
        ...

    async def is_officer(self, party: str, actor: str, roles: Collection[Role]) -> bool:
        """Whether this is somebody of the party, or a key of it, that acts as one of these roles now."""
        ...


@runtime_checkable
class Leasing(Protocol):
    """Items that have leases."""

    @property
    def leases(self) -> Leases: ...


def claimed() -> Refused:
    """Another one has the case. Who that is, and until when, is in the list of cases, and not in an error."""
    return Refused("case_claimed", "another officer has it: claimed_until says how long", status=409)
