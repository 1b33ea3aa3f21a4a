"""Cases that go from one agency to another: what their stores are to answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from uuid import UUID

from shared.exchange.passed import Passable


@dataclass(frozen=True, slots=True)
class PassedCase:
    """A case that went by a message: on which edge the other agency was to answer, and as what it `stood` before.

    `urgent`: a child is at risk, as its record stands.
    """

    message_id: UUID
    referral_id: UUID
    party: str
    edge_id: UUID
    stood: str
    urgent: bool = False


@runtime_checkable
class Passings(Protocol):
    """Items that can be passed on, within one transaction."""

    async def passable(self, referral_id: UUID) -> Sequence[Passable] | None:
        """What there is to be passed on of a case, an edge each; none once it was erased. None for absent and foreign
        ids alike."""
        ...

    async def note_passing(self, passed: PassedCase) -> None:
        """Keep by which message a case went."""
        ...

    async def note_amended(self, passed: PassedCase) -> None:
        """Keep that by this message, too, a case went; as what it stood, it keeps. Nothing where it is not known."""
        ...

    async def passings(self, message_ids: Collection[UUID]) -> Sequence[PassedCase]:
        """What went by these messages, in the order of their cases."""
        ...

    async def refuse_passings(self, message_ids: Collection[UUID]) -> Sequence[PassedCase]:
        """Keep that these messages were refused: what the other agency has none of now, each by the newest of them.

        Their cases are locked. What went by another message as well, which is under way or taken, is not among it.
        """
        ...
