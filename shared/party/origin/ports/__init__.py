"""What an origin's use cases need from outside, over domain types. Each store is that of one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from shared.contracts.base import JsonObject
from shared.contracts.referral import ReferralRecord
from shared.exchange.clocks import Happened
from shared.exchange.events import Event
from shared.exchange.letters import StaleEdge
from shared.exchange.message import Draft
from shared.exchange.origin import Answered
from shared.exchange.prepare import Again, Prepared
from shared.exchange.released import Released
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.party.origin.domain import (
    ListedReferral,
    ReferralPage,
    Reply,
    Request,
    ShownReferral,
    Spent,
    Ticks,
    TransferStands,
    WorkPage,
)
from shared.party.origin.ports.outcomes import Receipted
from shared.party.sought import Sought
from shared.party.taking import Taking
from shared.vocabulary.referral import WithdrawalReason


@dataclass(frozen=True, slots=True)
class Twin:
    """A request that stands in its batch twice, first at the place `of`: one answer serves both."""

    of: int


#: What a request's idempotency key says: None to do it, the answer that it was given before, a twin, or a refusal.
Claimed = Reply | Twin | Refused | None


class ToFile(NamedTuple):
    """What is filed in one transaction: referrals, how many each party has submitted, and the debits to its day.

    `rooms` are what the days of these parties have room for.
    """

    prepared: Sequence[Prepared]
    submitted: Mapping[str, int]
    day: date
    debits: Mapping[str, Spent]
    rooms: Mapping[str, Spent]


class Otherwise(NamedTuple):
    """Why not all is filed: claims that are not all new, or days with all debits that are more than their room, or
    references that are taken, each by the referral whose id this is."""

    claims: Sequence[Claimed] = ()
    spent: Mapping[str, Spent] = {}
    taken: Mapping[UUID, UUID] = {}


class Days(Protocol):
    """What parties have spent of their days."""

    async def debit(self, day: date, spent: Mapping[str, Spent]) -> Mapping[str, Spent]:
        """Add this to what each party has spent of `day`, and say how much that is now.

        Until the transaction ends nobody else does. What is given back is negative.
        """
        ...


class Filing(Days, Protocol):
    """What is filed in one transaction: all of it is durable together, answers included."""

    async def file(self, asked: Sequence[tuple[Request, Reply]], filing: ToFile) -> Otherwise | None:
        """Keep the answer of each request under its key, debit the days of parties, store referrals with edges and data
        keys, and count what was submitted. None where all of it is done; otherwise the transaction must not commit.
        """
        ...

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Send messages when this transaction commits."""
        ...


class Filings(Protocol):
    """Where intake opens its transactions."""

    def open(self, parties: Sequence[str], role: Role) -> AbstractAsyncContextManager[Filing]:
        """A transaction that may file for these parties; it commits on normal exit."""
        ...


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


class Reviews(Days, Protocol):
    """The referrals that wait for a second person, and what comes of them. Absent and foreign ones are not there."""

    async def find(self, referral_id: UUID) -> Unreleased | None:
        """One referral of the acting party, whatever its state."""
        ...

    async def release(self, by: str, again: Again) -> bool:
        """Let it go as it was decided again; False if somebody else has let it go or dropped it meanwhile."""
        ...

    async def drop(self, referral_id: UUID, by: str) -> bool:
        """Erase it; False as for `release`."""
        ...

    async def expire(self, before: datetime, taking: Taking) -> list[Unreleased]:
        """Erase referrals of the bound parties that have waited since before then, the longest first."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Send messages when this transaction commits."""
        ...

    async def note(self, events: Sequence[Event]) -> None:
        """Tell parties of this instance what happened, once this transaction has committed."""
        ...


class Referrals(Protocol):
    """The referrals of the acting party. Absent and foreign ones are both simply not there."""

    async def page(
        self, party: str, sought: Sought, *, state: str | None, cursor: str | None, limit: int
    ) -> ReferralPage:
        """The party's referrals, newest first. Of those that a party was sent a page may be short, and more follow."""
        ...

    async def show(self, referral_id: UUID) -> ShownReferral | None:
        """One referral with its ticks and edges."""
        ...

    async def ticked(self, listed: Sequence[ListedReferral]) -> dict[UUID, Ticks]:
        """The ticks of each of a page."""
        ...

    async def work(self, party: str, *, reason: str | None, cursor: str | None, limit: int) -> WorkPage:
        """The work list: referrals that went nowhere, each with the named reason."""
        ...

    async def find(self, referral_id: UUID) -> Filed | None: ...

    async def withdraw(self, referral_id: UUID, reason: WithdrawalReason, at: datetime) -> bool:
        """Mark it withdrawn; False if it was before, or by somebody else while we waited for the row."""
        ...

    async def told(self, referral_id: UUID) -> list[Told]:
        """Who was sent the referral and counts on it still, once for each instance that ever got it."""
        ...

    async def clock(self, steps: Sequence[Happened]) -> None:
        """Keep what has happened to edges, for their clocks."""
        ...

    async def mark_withdrawn(self, referral_id: UUID, by: Sequence[tuple[UUID, Told]]) -> None:
        """Note on each edge the message that takes it back."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Send messages when this transaction commits."""
        ...

    async def note(self, events: Sequence[Event]) -> None:
        """Tell parties of this instance what happened, once this transaction has committed."""
        ...


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


class Edges(Protocol):
    """The edges of the parties that the instance serves, for the instance itself."""

    async def answerable(self, subjects: Sequence[UUID]) -> dict[tuple[UUID, str], list[OpenEdge]]:
        """The open edges of referral or notice ids, locked, by (subject, recipient): one for each purpose."""
        ...

    async def transfers(self, referral_ids: Collection[UUID]) -> Sequence[TransferStands]:
        """What hotlines were told of transfers of these referrals."""
        ...

    async def judged(self, acts: Sequence[AnswerAct]) -> dict[AnswerAct, str | None]:
        """What became of these acts when they first came: the code of a refusal, None where one was applied."""
        ...

    async def answer(self, taken: Mapping[UUID, Taken], judged: Mapping[AnswerAct, Judged], at: datetime) -> None:
        """Store the new answer of each edge, keyed by its id, and what became of the acts that came first now.

        What is to be told on is decided again from then on.
        """
        ...

    async def exist(self, edge_ids: Collection[UUID]) -> Collection[UUID]:
        """Which of these edges there are, whosever they are and whatever has become of them."""

    async def refer(self, referred: Referred) -> None:
        """Have the agency answer that a case was passed on to. Whoever has the referral already answers as before."""

    async def unrefer(self, edge: UUID, referral_id: UUID, *, agency: str) -> None:
        """Have it answer no more on this edge, if it is its own: its instance has refused what was passed on."""

    async def meet_again(self, cases: Collection[tuple[UUID, str]]) -> None:
        """Have agencies told of each other again, as far as these have forgotten it: each a referral and its agency."""

    async def refused(self, message_ids: Sequence[UUID]) -> list[StaleEdge]:
        """The edges that these messages carry, locked with their referrals, of which nothing is opened."""

    async def waiting(self, after: UUID, taking: Taking) -> list[StaleReferral]:
        """Referrals some of whose edges wait, both locked: of the next edges above the id `after`."""
        ...

    async def unread(self, after: UUID, taking: Taking) -> list[StaleReferral]:
        """Referrals with edges that were to be issued anew and could not be read; they stay known (`StaleEdge`)."""
        ...

    async def note_outcomes(self, outcomes: Mapping[UUID, Receipted], at: datetime) -> Collection[UUID]:
        """Write the outcomes of messages to the edges that they carry or take back; `applied` clears the last one.

        Return the messages whose outcome counts: only the instance where an edge lies states it. A withdrawal also
        went where the edge was before.

        A referral with a message whose outcome is not final goes on the work list. It leaves the list when no such
        message is left.
        """
        ...

    async def left_behind(self, recipient: str, instance: str, taking: Taking) -> list[StaleReferral]:
        """The referrals of open edges that lie at an instance their recipient has left, both locked.

        Open: not answered for good, and not withdrawn. Their ids stay (`StaleEdge.known`).
        """
        ...

    async def missing(self, taking: Taking) -> list[StaleReferral]:
        """Referrals with edges of which the instance where they lie does not know all."""
        ...

    async def due(self, at: datetime, taking: Taking) -> list[StaleReferral]:
        """Referrals with edges that are to be decided again by `at`, both locked, the longest due first.

        Not those that another is at.
        """

    async def clock(self, steps: Sequence[Happened]) -> None:
        """Keep what has happened to edges, for their clocks."""
        ...

    async def note_tries(self, tries: Sequence[Try]) -> None:
        """Keep how often edges were refused, and when they are decided again."""
        ...

    async def replace(self, replaced: Collection[UUID], dropped: Collection[UUID], again: Sequence[Again]) -> None:
        """Retire edges as superseded or dropped, and put in those that were decided again, with their messages.

        Edges are named by their ids. One that was decided again under its own id lies where its new message goes. What
        a recipient of referrals has answered stays: it answers for the referral, not an edge. A notice that replaces
        another is new to its provider. Those with a work reason go on the work list; those none of whose edges waits
        any more leave it.
        """
        ...
