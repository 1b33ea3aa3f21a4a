"""What the lists of a party are looked through for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from uuid import UUID

from shared.kernel.errors import Refused
from shared.vocabulary.referral import PriorityLevel

#: Only what has a child at risk.
OnlyP0 = Literal["p0"] | None


@dataclass(frozen=True, slots=True)
class Sought:
    """Of a list only what all of these hold for; None: whatever.

    `party` is the other side. `reference` is one that the list's own party knows a subject by, an id of it among them.
    `priority` is the level. The period goes from `since` to before `until`, by when a subject was filed or came.
    """

    party: str | None = None
    reference: str | None = None
    priority: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def of(
        cls,
        *,
        party: str | None = None,
        reference: str | None = None,
        priority: OnlyP0 = None,
        since: date | None = None,
        until: date | None = None,
    ) -> Sought:
        """As it is asked for: by whole days, UTC, `until` the last of them. Raises `Refused("period_empty")`."""
        if since is not None and until is not None and until < since:
            raise Refused("period_empty", "since is a day of until or before it", field="/query/until", status=400)
        return cls(
            party,
            reference,
            PriorityLevel.P0_CHILD_AT_RISK.value if priority else None,
            None if since is None else _begin(since),
            None if until is None else _begin(until + timedelta(days=1)),
        )

    @property
    def id(self) -> UUID | None:
        """The reference, where it is an id."""
        try:
            return None if self.reference is None else UUID(self.reference)
        except ValueError:
            return None


#: Whatever a list has.
EVERYTHING = Sought()


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
