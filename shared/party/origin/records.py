"""What an origin keeps, as its store finds it and its use cases decide about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.contracts.base import JsonObject
from shared.contracts.referral import ReferralRecord
from shared.exchange.amend import Standing
from shared.exchange.items import Said
from shared.exchange.origin import Answered
from shared.exchange.outgoing_messages import StaleEdge
from shared.exchange.second_review import Released
from shared.kernel.errors import Refused
from shared.party.origin.domain import Reply
from shared.vocabulary.answers import ReceiptOutcome
from shared.vocabulary.referral import WithdrawalReason
from shared.vocabulary.routing import Reason


@dataclass(frozen=True, slots=True)
class Twin:
    """A request that stands in its batch twice, first at the place `of`: one answer serves both."""

    of: int


#: What a request's idempotency key says: None to do it, the answer that it was given before, a twin, or a refusal.
Claimed = Reply | Twin | Refused | None


@dataclass(frozen=True, slots=True)
class Filed:
    """A referral as its withdrawal finds it."""

    state: str
    exercise: bool
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """Who was sent a referral: a provider by a notice, anybody else by the referral itself.

    `instance` is where it was sent; `there` tells whether the recipient has it there still, or had until it moved.
    """

    recipient: str
    notice_id: UUID | None
    instance: str
    there: bool


@dataclass(frozen=True, slots=True)
class Unreleased:
    """A referral as a second person finds it. `content` is None once it was erased; `filed_by` is opaque."""

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
    """An edge as answers find it: by (referral or notice id, recipient). `items` as `answer_edge` takes them.

    `instance` is where it lies, `instances_before` where its recipient had it until it moved. `told` is what `instance`
    was told of the answers from there; empty as soon as it has answered itself. `gone` are the items that a notice has
    no more, `revision` the one that was sent last.
    """

    edge_id: UUID
    referral_id: UUID
    party: str
    recipient: str
    subject: UUID
    answer: Answered
    withdrawn: bool
    items: tuple[int, ...] = ()
    instance: str = ""
    instances_before: tuple[str, ...] = ()
    told: tuple[Answered, ...] = ()
    gone: frozenset[int] = frozenset()
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Taken:
    """An edge after an answer; `told` as in `OpenEdge`. With `retell`, its present instance is to be told of it."""

    answer: Answered
    told: tuple[Answered, ...] = ()
    retell: bool = False


class AnswerAct(NamedTuple):
    """An act of a recipient: what it is about, whose it is, and its own id."""

    subject: UUID
    sender: str
    act: UUID


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of an act when it first came: the code of a refusal, or what its edges came to.

    `said` are its own words in JSON, `reference` the recipient's own of what it took up, in the clear.
    """

    code: str | None
    referral_id: UUID
    party: str
    answered: Answered | None = None
    said: Mapping[str, object] | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class StaleReferral:
    """A referral some of whose edges went stale: `stale` has them by (recipient, purpose).

    `content` is None where it is erased, and of a withdrawn referral. `released`: by whom, where it was over budget.
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
    released: Released | None
    stale: Mapping[tuple[str, str], StaleEdge]
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Try:
    """How often an edge has been refused as stale, and when it is decided again."""

    edge_id: UUID
    tried: int
    again_at: datetime


@dataclass(frozen=True, slots=True)
class Referred:
    """A case that one agency has passed on: the edge `of` that one, and the `edge` on which the other answers now."""

    of: UUID
    edge: UUID
    agency: str
    instance: str
    at: datetime


#: Outcomes that are the last ones of a message.
FINAL: Final = frozenset({ReceiptOutcome.APPLIED, ReceiptOutcome.REFUSED, ReceiptOutcome.MOVED})


class Receipted(NamedTuple):
    """The outcome of a message, the code of one that was not applied, and the instance `by` which it was stated."""

    outcome: ReceiptOutcome
    code: str | None
    by: str


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


@dataclass(frozen=True, slots=True)
class IssuedEdge:
    """A notice as its origin knows it: its items by the origin's own numbers, and all that was said of them.

    `items` are all that it ever had, `gone` those that it has no more.
    """

    edge_id: UUID
    notice_id: UUID
    recipient: str
    instance: str
    items: tuple[int, ...]
    gone: frozenset[int]
    answer: Answered

    @property
    def standing(self) -> list[int]:
        return [n for n in self.items if n not in self.gone]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at items of a notice: an act of its origin, `found` by the origin's own numbers."""

    act: UUID
    party: str
    found: Said
    at: datetime


class TakenBack(NamedTuple):
    """A withdrawal that an instance of its recipient does not know of, to be told again: of which edge, and where."""

    edge_id: UUID
    referral_id: UUID
    party: str
    told: Told
    filed: Filed
    reason: WithdrawalReason


class SaidRevision(NamedTuple):
    """What one revision said: its record, as JSON."""

    revision: int
    content: bytes


ACTIVE: Final = "active"


TOO_LATE: Final = "too_late"


@dataclass(frozen=True, slots=True)
class Hold:
    """One agency's hold of the notices of one referral. `rank` is 0 where a child is at risk, else 1."""

    hold_id: UUID
    referral_id: UUID
    agency: str
    party: str
    scope: str
    basis: str
    placed_at: datetime
    not_after: datetime
    state: str
    exercise: bool


class HoldAct(NamedTuple):
    """One act of a hold, to be kept: what was done, when, by whom where that was a person of the origin."""

    act: str
    at: datetime
    not_after: datetime | None = None
    basis: str | None = None
    actor: str | None = None


class PlannedEdge(NamedTuple):
    """A planned notice, locked: nobody issues it before this transaction has ended."""

    edge_id: UUID
    referral_id: UUID
    window_ends: datetime
    rules: Sequence[str]


class Issued(NamedTuple):
    """How many notices of a referral were issued, and when the last was; None: none ever."""

    notices: int
    last_at: datetime | None


class Offered(NamedTuple):
    """An edge of a referral itself: whom it was sent to, why, and whether the recipient may claim it.

    It stands unless it was taken back.
    """

    recipient: str
    reason: str
    claimable: bool
    stands: bool

    @property
    def orphan(self) -> bool:
        """Whether its recipient has it by an orphan's mandate."""
        return self.reason == Reason.ORPHAN_MANDATE


@dataclass(frozen=True, slots=True)
class Held:
    """A referral as whoever transfers it or grants a claim finds it, locked: nobody else does either meanwhile."""

    referral_id: UUID
    party: str
    state: str
    exercise: bool
    revision: int
    offered: Sequence[Offered]

    def claimable_by(self, party: str) -> bool:
        """Whether it was transferred to the party, whatever has become of that since."""
        return any(each.recipient == party and each.claimable for each in self.offered)

    @property
    def claimants(self) -> frozenset[str]:
        """Who may claim it as things stand."""
        return frozenset(each.recipient for each in self.offered if each.claimable and each.stands)


class Met(NamedTuple):
    """An agency's case that another agency's is like: whom to tell of whom, and why.

    `their_referral_id` is the referral of which the other has made its case; `revision` that of the agency's own.
    """

    party: str
    referral_id: UUID
    revision: int
    exercise: bool
    agency: str
    ground: str
    their_referral_id: UUID
    other: str
