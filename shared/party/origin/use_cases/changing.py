"""What changing a referral needs from outside, over domain types, beside the ports of filing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from shared.exchange.amend import Amended, Standing
from shared.exchange.clocks import Happened
from shared.exchange.events import Event
from shared.exchange.message import Draft
from shared.party.origin.ports import Days, Told
from shared.vocabulary.referral import AmendmentCause


@dataclass(frozen=True, slots=True)
class Amendable:
    """A referral as an amendment finds it, locked with its edges. `content` in the clear, None once it was erased.

    `numbered` is the highest number that any of its items had, None where that is its items' own. `edges` are those
    that stand, `ended` as in `Amending`.
    """

    referral_id: UUID
    party: str
    external_ref: str
    exercise: bool
    state: str
    revision: int
    content: bytes | None
    numbered: int | None
    body_sha256: str
    traceparent: str | None
    edges: tuple[Standing, ...]
    ended: frozenset[str]


class DisownedItems(NamedTuple):
    """What the provider of a notice does not host of what is still asked of it.

    By the origin's own numbers, each with whom the provider suggests, if anybody.
    """

    recipient: str
    items: Mapping[int, str | None]


class Amendments(Days, Protocol):
    """The acting party's referrals that are amended. Absent and foreign ones are not there."""

    async def find(self, referral_id: UUID) -> Amendable | None:
        """One referral of the acting party, whatever its state; nobody else changes it until we have ended."""
        ...

    async def disowned(self, referral_id: UUID, notice_id: UUID) -> DisownedItems | None:
        """What was disowned of one of its notices; None where it has no such notice that stands."""
        ...

    async def amend(
        self, found: Amendable, amended: Amended, *, numbered: int, cause: AmendmentCause, at: datetime
    ) -> None:
        """Have this stand and be sent, and keep what stood before."""
        ...

    async def told(self, taken_back: Sequence[Standing]) -> list[Told]:
        """Who was sent these edges, once for each instance that ever got one."""
        ...

    async def take_back(self, taken_back: Sequence[Standing], by: Sequence[tuple[UUID, Told]]) -> None:
        """Mark these edges as taken back, by these messages."""
        ...

    async def clock(self, steps: Sequence[Happened]) -> None:
        """Keep what has happened to edges, for their clocks."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Send messages when this transaction commits."""
        ...

    async def note(self, events: Sequence[Event]) -> None:
        """Tell parties of this instance what happened, once this transaction has committed."""
        ...
