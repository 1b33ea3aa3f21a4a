"""What audit shows: flows, entries, topics, looks and reconciliations. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from pydantic import Field

from services.audit.domain.entries import EntryKind
from services.audit.domain.partitions import PartitionStatus
from services.audit.domain.scope import Within
from shared.contracts.base import (
    ActorId,
    Contract,
    Digest,
    ErrorCode,
    Flag,
    Instant,
    JsonObject,
    NextCursor,
    PartyId,
    RuleId,
    Uuid,
)
from shared.contracts.facts import TopicName
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.vocabulary.answers import ReceiptOutcome

#: What is looked for where no period is said.
DAYS: Final = 30
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Partition:
    """What is asked of one partition: entries from an offset on, in one life of its topic, else the newest."""

    topic: str
    partition: int
    from_offset: int
    topic_id: UUID | None


@dataclass(frozen=True, slots=True)
class Look:
    """Who looks, in which role, at which of the two worlds, and why; `within` which scope, None for everything.

    `actor` is the opaque name of the person or machine of the organisation.
    """

    auditor: str
    role: Role
    exercise: bool
    purpose: str | None
    within: Within | None = None
    actor: str | None = None

    @property
    def parties(self) -> frozenset[str] | None:
        """Those in scope; None for all."""
        return None if self.within is None else self.within.parties


class KeptEntry(Contract):
    """What audit keeps of one record: where it is, what it claims, whether its sender's proof held then.

    A topic that was deleted and made again has another `topic_id`. `problem` says why a record is not verified, what
    is wrong with what it states, or why a statement that is `not_entitled` does not count: its sender signed it, and
    it was not its sender's to make.
    `incarnation`, `lane` (0 urgent, 1 ordinary) and `number` are the place of a message in the streams of its two
    instances; None for a record without a number. `detail` is what a fact states: a decision with its facts and what
    was not sent, or a refusal. `rules` are there where a decided fact speaks of the message. `outcome` and `code` are
    those that the recipient's instance reported; a message that it has taken without a report is `applied`.
    """

    position: Count
    at: Instant
    topic: str
    topic_id: Uuid
    partition: Count
    offset: Count
    kind: EntryKind
    type: str | None
    subject: str | None
    sender: str | None
    recipient: str | None
    incarnation: UUID | None
    lane: Count | None
    number: Count | None
    message_id: Uuid | None
    digest: Digest
    verified: Flag
    problem: ErrorCode | None
    exercise: Flag | None
    detail: JsonObject | None
    rules: tuple[RuleId, ...]
    outcome: ReceiptOutcome | None
    code: ErrorCode | None


class Flow(Contract):
    """All messages of one referral, in the order of the broker's time."""

    referral_id: Uuid
    messages: Annotated[tuple[KeptEntry, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Sought:
    """A search for flows: by a party and a period, or by the id of a referral, a notice or a message.

    The period is that of the origin's first decision, and for a recipient that of the first message to it. `reference`
    is the id; a search by it ignores the rest.
    """

    party: str | None
    since: datetime
    until: datetime
    reference: UUID | None = None

    @classmethod
    def of(
        cls, party: str | None, reference: UUID | None, *, since: date | None, until: date | None, now: datetime
    ) -> Sought:
        """As it is asked for: by whole days, UTC, `until` the last of them; the last 30 days where none begins.

        Raises `Refused("period_empty")`.
        """
        if since is not None and until is not None and until < since:
            raise Refused("period_empty", "since is a day of until or before it", field="/query/until", status=400)
        begins = now - timedelta(days=DAYS) if since is None else datetime.combine(since, time(), UTC)
        ends = now if until is None else datetime.combine(until + timedelta(days=1), time(), UTC)
        return cls(party, begins, ends, reference)


class FoundFlow(Contract):
    """A referral by what audit knows of it: who filed it, when it was decided first, who was sent it."""

    referral_id: Uuid
    origin: PartyId | None
    decided_at: Instant
    recipients: tuple[PartyId, ...]


class FoundFlows(Contract):
    """A page of them, the newest first."""

    items: tuple[FoundFlow, ...]
    next: NextCursor


class NotedLook(Contract):
    """One look of an auditor's organisation: at what, why, when, and by which of its people, under an opaque name."""

    actor: ActorId | None = None
    what: str
    purpose: str
    at: Instant


class NotedLooks(Contract):
    """What an organisation has looked at, newest first."""

    items: tuple[NotedLook, ...]
    next: NextCursor


class OriginAccount(Contract):
    """What became of everything that one origin was asked to file (equation I). `exercise`: its world."""

    party: PartyId
    exercise: Flag
    submitted: Count
    refused: Count
    routed: Count
    unroutable: Count
    orphaned: Count
    unknown_code: Count


class PairAccount(Contract):
    """What became of all messages of one party to another (equation II); so many of them lie in sealed days."""

    sender: PartyId
    recipient: PartyId
    exercise: Flag
    numbered: Count
    applied: Count
    refused: Count
    moved: Count
    deferred: Count
    waiting: Count
    dead: Count
    in_flight: Count
    sealed: Count


class AccountDifference(Contract):
    """What does not add up, and where: by coordinates, ids and numbers. `parties` and their world where it is known."""

    equation: str
    what: str
    where: str
    parties: tuple[str, ...]
    exercise: bool | None = None


class Accounts(Contract):
    """One reconciliation, as the operator's tool has made it of the books of all sides. Days before are sealed."""

    compared_at: Instant
    sealed_until: date | None = None
    origins: tuple[OriginAccount, ...]
    pairs: tuple[PairAccount, ...]
    differences: tuple[AccountDifference, ...]


def within_scope(accounts: Accounts, parties: frozenset[str] | None, *, exercise: bool) -> Accounts:
    """Those of one world: origins in scope, pairs with a party in scope, and differences of such.

    A difference that names no party may be anybody's, and is of either world: told to who sees everything.
    """

    def is_seen(*named: str) -> bool:
        return parties is None or not parties.isdisjoint(named)

    return accounts.model_copy(
        update={
            "origins": tuple(each for each in accounts.origins if each.exercise is exercise and is_seen(each.party)),
            "pairs": tuple(
                each for each in accounts.pairs if each.exercise is exercise and is_seen(each.sender, each.recipient)
            ),
            "differences": tuple(
                each for each in accounts.differences if each.exercise in (exercise, None) and is_seen(*each.parties)
            ),
        }
    )


class AccountsPage(Contract):
    """The newest accounts, or those before the cursor, as far as they are one's to see; None where there are none."""

    accounts: Accounts | None
    next: NextCursor


class EntryPage(Contract):
    """Entries of one partition, in the order of their offsets; and the ids of its topic's lives, the newest last."""

    topic_ids: tuple[Uuid, ...]
    items: tuple[KeptEntry, ...]


class TopicState(Contract):
    """How audit stands to one partition of a topic, since when, and what was lost of it so far.

    `topic_id` and `next_offset` are left out before the first reading. `losses`: how often the topic no longer held
    what audit had not read. `holes`: numbers of this stream that its writer has stated and audit has not seen.
    """

    topic: TopicName
    partition: Count
    state: PartitionStatus
    since: Instant
    topic_id: UUID | None = None
    next_offset: Count | None = None
    losses: Count
    holes: Count


class TopicStates(Contract):
    """Every partition that audit reads, or should read; the troubled first."""

    items: tuple[TopicState, ...]


class FlowRead(NamedTuple):
    """All of a flow, and the positions of what is `seen`: of pairs with a party in scope, or stated about one."""

    messages: list[KeptEntry]
    seen: frozenset[int]
