"""What a party learns: one event for each act that concerns it, its own and those of others.

Thin on purpose: which act, on what, and codes. Whoever wants more looks at the subject, and is asked for its permit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.exchange.act import Act, Subject
from shared.exchange.states import LOOKING
from shared.kernel.authority import Permit

#: An event that has its number: what a feed shows.
NUMBERED: Final = "numbered"
#: Whoever may look at what a party has may look at its feed. It is part of the table of every service that has one.
PERMIT: Final = Permit("event", "read", LOOKING, frozenset({NUMBERED}))


@dataclass(frozen=True, slots=True)
class Event:
    """An act as one party learns of it. `subject` is the id under which this party knows what was acted on.

    `type` is `<subject>.<act>`, as the rows of `acts` name them. `state` is what the subject has come to, `by` the
    party that did it, where that was another.
    """

    party: str
    type: str
    subject: UUID
    state: str | None = None
    by: str | None = None


def event_type(subject: Subject, act: str) -> str:
    """What an event of this act is called, at whichever party."""
    return f"{subject}.{act}"


def happened(row: Act, subject_id: UUID, *, party: str, state: str) -> Event:
    """An act on what `party` holds itself, and the state that it has come to."""
    return Event(party, event_type(row.subject, row.name), subject_id, state=state)
