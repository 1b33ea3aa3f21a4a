"""The options by which a list is looked through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from client.lists import Sought


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Filters:
    """Whatever is said of them holds for what is listed; what nothing is said of does not matter."""

    party: str | None = None
    """Only those with this party on the other side: whom they were sent to or, of what you were sent, who sent them."""
    reference: str | None = None
    """Only what you call so (your own reference), or what has this id."""
    priority: Literal["p0"] | None = None
    """Only where a child is at risk, as far as you are told: p0."""
    since: str | None = None
    """Only those of this day (UTC) or later, for example 2026-05-04."""
    until: str | None = None
    """Only those of this day (UTC) or before it."""

    def sought(self, state: str | None) -> Sought:
        """As the client takes it."""
        return {
            "state": state,
            "party": self.party,
            "reference": self.reference,
            "priority": self.priority,
            "since": self.since,
            "until": self.until,
        }
