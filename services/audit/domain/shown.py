"""Views of the audit log: flows, entries, topics, record accesses and reconciliations. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, NamedTuple
from uuid import UUID

from pydantic import Field

from services.audit.domain.entries import EntryKind
from services.audit.domain.partitions import PartitionStatus
from shared.core.authority import AccessScope, Role
from shared.core.contracts.base import (
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
from shared.core.contracts.facts import TopicName
from shared.core.errors import Refused
from shared.core.protocol.authority import AUDIT
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.answers import ReceiptOutcome

#: The period of a search that names none.
DAYS: Final = 30
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Partition:
    """A query of one partition: its entries from an offset on in the given topic id, or else the newest entries."""

    topic: str
    partition: int
    from_offset: int
    topic_id: UUID | None


class ScopeSet(NamedTuple):
    """The scope of an auditor: parties and instances whose entries the auditor may read.

    `parties` are in scope. `instances` are those whose parties are all in scope, so every pair of their topics is, too.
    `places` are instances that serve a party in scope, or have served it. Audit is in neither, because its topics have
    the statements of every instance.
    """

    parties: frozenset[str]
    instances: frozenset[str]
    places: frozenset[str] = frozenset()


def within(auditor: str, scope: AccessScope | None, directory: DirectoryIndex, *, on: date) -> ScopeSet | None:
    """Return the part of the organisation's scope that the scope of the person's role permits; None for everything.

    An organisation with jurisdictions in the directory sees the parties below these. Without any, it sees all parties.
    """
    organisation = directory.party(auditor)
    places = frozenset(organisation.jurisdictions if organisation is not None else ())
    if not places and scope is None:
        return None
    seen = []
    for entry in directory.document["parties"]:
        party = directory.party(entry["id"])
        assert party is not None
        nodes = directory.nodes(party.jurisdictions, on)
        named = scope is None or party.id in scope.parties or not nodes.isdisjoint(scope.jurisdictions)
        if named and (not places or not nodes.isdisjoint(places)):
            seen.append(party.id)
    parties = frozenset(seen)
    served = {name: directory.parties_of(name) for name in directory.kinds() if name != AUDIT}
    instances = frozenset(name for name, all_of in served.items() if all_of and parties.issuperset(all_of))
    places = frozenset(place for each in parties for place in directory.places_of(each) if place != AUDIT)
    return ScopeSet(parties, instances, places)


@dataclass(frozen=True, slots=True)
class Access:
    """A reader of the audit log: organisation, role, sandbox or live traffic, purpose and scope.

    `within` is None for everything. `actor` is the opaque name of the organisation's person or machine.
    """

    auditor: str
    role: Role
    exercise: bool
    purpose: str | None
    within: ScopeSet | None = None
    actor: str | None = None

    @property
    def parties(self) -> frozenset[str] | None:
        """The parties in scope; None for all."""
        return None if self.within is None else self.within.parties


class EntryView(Contract):
    """The audit entry of one record: its coordinates, its claims, and whether its sender's proof was valid.

    A topic that was deleted and created again has another `topic_id`. `problem` is the reason why a record is not
    verified, why its statement is wrong, or why a statement that is `not_entitled` does not count. The sender signed
    such a statement but was not authorized to make it.
    `incarnation`, `lane` (0 urgent, 1 ordinary) and `number` are the place of a message in the streams of its two
    instances. They are None for a record without a number. `detail` is the content of a fact: a decision with its
    facts and the messages that were not sent, or a refusal. `rules` are present if a decision names the message.
    `outcome` and `code` are those that the recipient's instance reported. A message without a reported outcome that
    the recipient's instance acknowledged is `applied`.
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


class OutsiderCount(Contract):
    """The number of records of one sender without a part in the subject; 1,000 of a subject stand for more.

    A record of an instance about another party counts for that party. `unproven` is any sender that proved nothing.
    """

    sender: str
    count: Count


class Flow(Contract):
    """A page of the messages of one referral, in the order of the broker's time, with the last reports of each.

    It lists the origin, the parties to which the origin sent the referral, and their instances. The first page also has
    `outsiders`: the 100 others with the most records. `more_outsiders`: there are more than these.
    """

    referral_id: Uuid
    messages: tuple[EntryView, ...]
    outsiders: tuple[OutsiderCount, ...] = ()
    more_outsiders: Flag = False
    next: NextCursor


@dataclass(frozen=True, slots=True)
class FlowFilter:
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
    ) -> FlowFilter:
        """Return the search for a period of whole UTC days, including `until`. Without `since`, it is the last 30 days.

        Raises `Refused("period_empty")`.
        """
        if since is not None and until is not None and until < since:
            raise Refused("period_empty", "since must not be later than until", field="/query/until", status=400)
        begins = now - timedelta(days=DAYS) if since is None else datetime.combine(since, time(), UTC)
        ends = now if until is None else datetime.combine(until + timedelta(days=1), time(), UTC)
        return cls(party, begins, ends, reference)


class FlowSummary(Contract):
    """A referral in the audit log: its origin, the time of the first decision, and its recipients."""

    referral_id: Uuid
    origin: PartyId | None
    decided_at: Instant
    recipients: tuple[PartyId, ...]


class FlowPage(Contract):
    """A page of flows, the newest first."""

    items: tuple[FlowSummary, ...]
    next: NextCursor


class AccessLogEntry(Contract):
    """Record accesses by an auditor's organisation in one hour (UTC): object, purpose, and the person's opaque name.

    `at` is the time of the first, `count` the number of all.
    """

    actor: ActorId | None = None
    what: str
    purpose: str
    at: Instant
    count: Count


class AccessLogPage(Contract):
    """The record accesses of an organisation, the newest first."""

    items: tuple[AccessLogEntry, ...]
    next: NextCursor


class OriginAccount(Contract):
    """The results of all submissions to one origin (equation I). `exercise`: sandbox traffic."""

    party: PartyId
    exercise: Flag
    submitted: Count
    refused: Count
    routed: Count
    unroutable: Count
    orphaned: Count
    unknown_code: Count


class PairAccount(Contract):
    """The outcomes of all messages of one party to another (equation II). `sealed` counts those of sealed days."""

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
    """A difference in a reconciliation, with its coordinates, ids and numbers.

    `parties` and `exercise` are set as far as they are known.
    """

    equation: str
    what: str
    where: str
    parties: tuple[str, ...]
    exercise: bool | None = None


class AcceptedDifference(AccountDifference):
    """A known difference that persons of the operator accept, with their reason: it is closed with the second one."""

    reason: Annotated[str, Field(min_length=1, max_length=400)]
    accepted_by: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]
    accepted_at: Instant


class Accounts(Contract):
    """One reconciliation by the operator's tool, from the databases of all sides.

    Days before `sealed_until` are sealed. `differences` are the open ones. `accepted` is kept from one reconciliation
    to the next.
    """

    compared_at: Instant
    sealed_until: date | None = None
    origins: tuple[OriginAccount, ...]
    pairs: tuple[PairAccount, ...]
    differences: tuple[AccountDifference, ...]
    accepted: tuple[AcceptedDifference, ...] = ()


def within_scope(accounts: Accounts, parties: frozenset[str] | None, *, exercise: bool) -> Accounts:
    """Return the accounts of live or sandbox traffic: origins in scope, pairs with a party in scope, and differences.

    A difference that names no party can concern any party, so only a reader without a scope limit sees it. If its world
    is unknown, live and sandbox readers see it.
    """

    def is_seen(*named: str) -> bool:
        return parties is None or not parties.isdisjoint(named)

    return accounts.model_copy(
        update={
            "origins": tuple(each for each in accounts.origins if each.exercise is exercise and is_seen(each.party)),
            "pairs": tuple(
                each for each in accounts.pairs if each.exercise is exercise and is_seen(each.sender, each.recipient)
            ),
            **{
                name: tuple(each for each in listed if each.exercise in (exercise, None) and is_seen(*each.parties))
                for name, listed in (("differences", accounts.differences), ("accepted", accounts.accepted))
            },
        }
    )


class AccountsPage(Contract):
    """The newest accounts, or those before the cursor, limited to the reader's scope; None if there are none."""

    accounts: Accounts | None
    next: NextCursor


class EntryPage(Contract):
    """Entries of one partition in the order of their offsets, and all ids that its topic has had, the newest last."""

    topic_ids: tuple[Uuid, ...]
    items: tuple[EntryView, ...]


class TopicState(Contract):
    """The reading state of one partition: its status, since when, and the losses so far.

    `topic_id` and `next_offset` are absent before the first reading. `losses` counts how often the topic lost records
    that audit had not read. `missing_count` is the count of numbers of this stream that its writer stated and audit
    has not seen.
    """

    topic: TopicName
    partition: Count
    state: PartitionStatus
    since: Instant
    topic_id: UUID | None = None
    next_offset: Count | None = None
    losses: Count
    missing_count: Count


class TopicStates(Contract):
    """Every partition that audit reads, or should read; partitions with problems come first."""

    items: tuple[TopicState, ...]


class FlowRelations(NamedTuple):
    """The parties concerned with a subject, by which the statements of its flow are judged.

    `origin` submitted it; None for a preservation, and before audit has read its first message. `asked` are the
    requesting agency and the asked provider of a preservation. `speakers` are the instances that stated decisions of
    the origin. `sent` has (subject, origin, recipient) of each message with an edge, also passed on. `granted` are the
    parties to which the origin granted a claim.
    """

    origin: str | None = None
    asked: tuple[str | None, str | None] | None = None
    speakers: frozenset[str | None] = frozenset()
    sent: frozenset[tuple[str | None, str | None, str | None]] = frozenset()
    granted: frozenset[str | None] = frozenset()


class FlowContent(NamedTuple):
    """One page of a flow, not yet judged, with the relations of the whole flow."""

    messages: list[EntryView]
    relations: FlowRelations
    outsiders: tuple[OutsiderCount, ...]
    more_outsiders: bool
    next: str | None
