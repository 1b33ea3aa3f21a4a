"""A service's interface for messages: a handler's input, and the outcomes of its own messages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol
from uuid import UUID

from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.messaging.exceptions import OutcomeKind
from shared.platform.database.transactions import Session

#: Each outcome of messaging in the words of the exchange.
OUTCOMES: Final = MappingProxyType(
    {
        OutcomeKind.APPLIED: ReceiptOutcome.APPLIED,
        OutcomeKind.REFUSED: ReceiptOutcome.REFUSED,
        OutcomeKind.MOVED: ReceiptOutcome.MOVED,
        OutcomeKind.DEFERRED: ReceiptOutcome.DEFERRED,
        OutcomeKind.WAITING: ReceiptOutcome.WAITING,
        OutcomeKind.DEAD: ReceiptOutcome.PARKED,
    }
)


@dataclass(frozen=True, slots=True)
class Unit:
    """One transaction of messages. Effects are written through its connection.

    `are_new`: no track of its messages is known here. If a row of one of them exists nevertheless, an error of the
    database causes the transaction to be repeated with `is_careful`.
    """

    connection: Session
    are_new: bool = False


@dataclass(frozen=True, slots=True)
class Settlement:
    """The outcome of an own message, as instance `by` states it. `code` is that of the record table or of a feature.

    `parties`: those that the instance serves or served. Its statements on messages to other parties do not count.
    """

    message_id: UUID
    outcome: ReceiptOutcome
    code: str | None
    by: str
    parties: Collection[str]


class Handler(Protocol):
    """The features of a service."""

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> Mapping[UUID, str]:
        """Apply fresh messages in order; return by message id the codes of those that are refused."""
        ...

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """Note outcomes that one instance states. A message that was simply applied has none."""
        ...
