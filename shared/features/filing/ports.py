"""Rows of filing, as its use cases read and write them, and the features that follow answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.acts.states import Event
from shared.core.contracts.base import JsonObject
from shared.core.contracts.referral import ReferralRecord
from shared.core.errors import Refused
from shared.core.protocol.items import ItemLog
from shared.core.protocol.message import Received
from shared.core.protocol.origin import EdgeAnswer
from shared.core.protocol.outgoing_messages import StaleEdge
from shared.core.protocol.second_review import SecondReview
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.filing.rules import HttpReply


@dataclass(frozen=True, slots=True)
class Repeat:
    """A request that occurs twice in its batch, first at index `of`. One answer serves both."""

    of: int


#: The result of an idempotency key: None for a new request, the earlier answer, a twin, or a refusal.
Claimed = HttpReply | Repeat | Refused | None


@dataclass(frozen=True, slots=True)
class StoredReferral:
    """The fields of a referral that its withdrawal needs."""

    state: str
    exercise: bool
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Addressee:
    """A recipient of a referral: a provider by a notice, any other party by the referral itself.

    `instance` is the instance that it was sent to. `is_current`: the recipient is still served there.
    """

    recipient: str
    notice_id: UUID | None
    instance: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class PendingReview:
    """A referral as a second person sees it. `content` is None after erasure; `filed_by` is opaque."""

    referral_id: UUID
    party: str
    exercise: bool
    state: str
    filed_by: str | None
    body_sha256: str
    traceparent: str | None
    content: ReferralRecord | None = None


@dataclass(frozen=True, slots=True)
class OpenEdge:
    """An edge for an answer, found by (referral or notice id, recipient). `items` have the form of `answer_edge`.

    `instance` is the edge's present instance; `instances_before` are those before its recipient moved. `forwarded` are
    the answers from there that `instance` was sent; it is empty once `instance` has answered. `gone` are the removed
    items of a notice, and `revision` is the one sent last.
    """

    edge_id: UUID
    referral_id: UUID
    party: str
    recipient: str
    subject: UUID
    answer: EdgeAnswer
    withdrawn: bool
    items: tuple[int, ...] = ()
    instance: str = ""
    instances_before: tuple[str, ...] = ()
    forwarded: tuple[EdgeAnswer, ...] = ()
    gone: frozenset[int] = frozenset()
    revision: int = 1


@dataclass(frozen=True, slots=True)
class EdgeUpdate:
    """An edge after an answer; `forwarded` as in `OpenEdge`. `needs_send`: its present instance must get the answer."""

    answer: EdgeAnswer
    forwarded: tuple[EdgeAnswer, ...] = ()
    needs_send: bool = False


class AnswerAct(NamedTuple):
    """An act of a recipient: its subject, its sender and its own id."""

    subject: UUID
    sender: str
    act: UUID


@dataclass(frozen=True, slots=True)
class ActResult:
    """The first result of an act: the code of a refusal, or the new answer of its edges.

    `said` is the act's content in JSON. `reference` is the recipient's own for its case, in the clear.
    """

    code: str | None
    referral_id: UUID
    party: str
    answered: EdgeAnswer | None = None
    said: Mapping[str, object] | None = None
    reference: str | None = None


class AppliedAnswers(NamedTuple):
    """The answers of one batch: those `applied`, those of them that are `moving` an edge, and the `results` of acts.

    An answer from a recipient's old instance moves nothing after the new one has answered.
    """

    applied: Sequence[Received]
    moving: Sequence[Received]
    results: Collection[ActResult]


class AnswerFollower:
    """A feature that follows the answers of one batch, in their transaction. By default it does nothing."""

    async def lock(self, messages: Sequence[Received]) -> None:
        """Lock rows of the feature before the edges are locked."""

    async def read(self, messages: Sequence[Received]) -> None:
        """Read rows of the feature after the edges are locked."""

    def check(self, message: Received) -> None:
        """Check a message before its edges change. Raises `Refused`."""

    def take(self, message: Received, edge: OpenEdge) -> None:
        """Record a message that nothing else refuses; `edge` is as before it. Raises `Refused`."""

    async def apply(self, answers: AppliedAnswers) -> Sequence[Event]:
        """Apply the batch after its edges were stored. Return events for the origin's parties."""
        return ()


@dataclass(frozen=True, slots=True)
class StaleReferral:
    """A referral with stale edges: `stale` has them by (recipient, purpose).

    `content` is None after erasure, and for a withdrawn referral. `released` names the person that released a referral
    above its budget.
    """

    referral_id: UUID
    party: str
    exercise: bool
    withdrawn: bool
    body_sha256: str
    disposition: str
    facts: JsonObject
    decision: JsonObject
    content: ReferralRecord | None
    traceparent: str | None
    released: SecondReview | None
    stale: Mapping[tuple[str, str], StaleEdge]
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Retry:
    """The number of stale refusals of an edge, and the time at which it is decided again."""

    edge_id: UUID
    tried: int
    again_at: datetime


@dataclass(frozen=True, slots=True)
class ReferredCase:
    """A case that one agency has referred: its edge `of`, and the `edge` on which the other agency answers now."""

    of: UUID
    edge: UUID
    agency: str
    instance: str
    at: datetime


#: Final outcomes of a message.
FINAL: Final = frozenset({ReceiptOutcome.APPLIED, ReceiptOutcome.REFUSED, ReceiptOutcome.MOVED})


class Receipt(NamedTuple):
    """The outcome of a message, the code if it was not applied, and the instance `by` which it was stated."""

    outcome: ReceiptOutcome
    code: str | None
    by: str


@dataclass(frozen=True, slots=True)
class IssuedEdge:
    """A notice at its origin, with its items by the origin's own numbers and all answers about them.

    `items` are all that it ever had, `gone` those that were removed.
    """

    edge_id: UUID
    notice_id: UUID
    recipient: str
    instance: str
    items: tuple[int, ...]
    gone: frozenset[int]
    answer: EdgeAnswer

    @property
    def standing(self) -> list[int]:
        return [n for n in self.items if n not in self.gone]


@dataclass(frozen=True, slots=True)
class Recheck:
    """One recheck of a notice's items: an act of its origin, `found` by the origin's own numbers."""

    act: UUID
    party: str
    found: ItemLog
    at: datetime


class MissedWithdrawal(NamedTuple):
    """A withdrawal to send again to an instance that does not know it, with its edge and destination."""

    edge_id: UUID
    referral_id: UUID
    party: str
    addressee: Addressee
    filed: StoredReferral
    reason: WithdrawalReason
