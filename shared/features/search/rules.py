"""The filter of a party's lists. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from uuid import UUID

from shared.core.errors import Refused
from shared.core.vocabulary.referral import PriorityLevel

#: Only subjects with a child at risk.
OnlyP0 = Literal["p0"] | None


@dataclass(frozen=True, slots=True)
class ListFilter:
    """A filter: a subject must match all of its fields. None matches anything.

    `party` is the other side. `reference` is a reference or id by which the list's own party knows a subject.
    `priority` is the level. The period is from `since` to before `until`, by the time of submission or arrival.
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
    ) -> ListFilter:
        """Build a filter from whole days in UTC; `until` is the last one. Raises `Refused("period_empty")`."""
        if since is not None and until is not None and until < since:
            raise Refused("period_empty", "since must not be later than until", field="/query/until", status=400)
        return cls(
            party,
            reference,
            PriorityLevel.P0_CHILD_AT_RISK.value if priority else None,
            None if since is None else _begin(since),
            None if until is None else _begin(until + timedelta(days=1)),
        )

    @property
    def id(self) -> UUID | None:
        """The reference, if it is an id."""
        try:
            return None if self.reference is None else UUID(self.reference)
        except ValueError:
            return None


#: The filter that matches all subjects.
EVERYTHING = ListFilter()


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
