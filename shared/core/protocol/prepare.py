"""Preparation of a submission: guard, decide, minimise, address.

Its transaction seals the messages last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.core.acts.act import Offering
from shared.core.canonical import Json, digest
from shared.core.clock import coarse
from shared.core.contracts.referral import ReferralContent, ReferralSubmission
from shared.core.envelope.base64url import to_base64url
from shared.core.errors import Refused
from shared.core.guard import (
    ADDED,
    BUDGET,
    CEILING,
    RecordCost,
    Redaction,
    as_kept,
    check_budget,
    cuts,
    inspect,
    respelled,
    trips,
)
from shared.core.ids import salt, uuid7
from shared.core.protocol.facts import ReadFacts, check_stated, closed, read_facts
from shared.core.protocol.message import Draft
from shared.core.protocol.minimise import own_record, whole_record
from shared.core.protocol.outgoing_messages import (
    AddressedEdge,
    DeferredEdge,
    EdgeFates,
    MessageContext,
    MessageSet,
    ScheduledEdge,
    StaleEdge,
    edge_key,
    left_of,
    write_letters,
)
from shared.core.protocol.preservation import Hours
from shared.core.protocol.read_capabilities import PeerReads
from shared.core.protocol.second_review import SecondReview
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.routing.engine import RoutingInput, RoutingResult, judge
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.routing import Disposition, PartyStatus, WorkReason


@dataclass(frozen=True, slots=True)
class Documents:
    """The directory and the policy in force at one time, and the versions that instances read by then."""

    directory: DirectoryIndex
    policy: PolicyIndex
    reads: PeerReads = field(default_factory=PeerReads)
    hours: Hours = field(default_factory=Hours)

    @property
    def law(self) -> str:
        """The key of both documents, from their digests."""
        return law_of(self.directory.digest, self.policy.digest)


def law_of(directory: str, policy: str) -> str:
    """Return the key by which an edge names the two documents of its decision: 128 bits of their digests."""
    return to_base64url(bytes.fromhex(digest(f"{directory}/{policy}".encode()))[:16])


@dataclass(slots=True)
class Prepared:
    """A decided referral, ready to be stored in one transaction. Nothing of it is durable yet.

    `content` is the origin's record in plaintext; the store encrypts it. `drafts` end with the fact for audit. `cut`
    has the numbers of items with redacted addresses, and the redaction rules. `respelled` has the numbers of items
    whose address was submitted in another form than the stored one. `spent` is the information cost. If the referral
    waits for a second review, `state` says so, `filed_by` is the submitter, and nothing is sent yet.
    `body_sha256` is the digest of the posted bytes: the acceptance and the fact both state it.
    """

    referral_id: UUID
    origin: str
    external_ref: str
    exercise: bool
    accepted_at: datetime
    body_sha256: str
    facts: Json
    decision: Json
    disposition: str
    state: str
    unrouted_reason: str | None
    filed_by: str | None
    content: bytes
    emitted: tuple[AddressedEdge, ...]
    waiting: tuple[DeferredEdge, ...]
    drafts: tuple[Draft, ...]
    cut: tuple[Json, ...]
    respelled: tuple[int, ...]
    spent: RecordCost
    items: int
    traceparent: str | None
    planned: tuple[ScheduledEdge, ...] = ()


@dataclass(frozen=True, slots=True)
class Redecision:
    """The result of deciding a stale referral again: new edges and messages, and dropped old edges.

    `unread` are edges that keep their ids: the recipient has them, but its present instance cannot read the new
    message. `work_reason` is the reason why a person must check the referral, None if none. `law` as in `StaleEdge`.
    """

    referral_id: UUID
    origin: str
    emitted: tuple[AddressedEdge, ...]
    waiting: tuple[DeferredEdge, ...]
    drafts: tuple[Draft, ...]
    dropped: tuple[StaleEdge, ...]
    work_reason: WorkReason | None
    disposition: str
    law: str
    decided_at: datetime
    unread: tuple[UUID, ...] = ()
    planned: tuple[ScheduledEdge, ...] = ()


@dataclass(frozen=True, slots=True)
class Filing:
    """One submission, its submitter, its request's trace, and the SHA-256 of its bytes in the request.

    `actor` is the opaque id of the person or machine that acts for the origin. With `waits`, the submission waits for
    a second review for that reason.
    """

    submission: ReferralSubmission
    origin: PartyEntry
    traceparent: str | None = None
    body_sha256: str = field(kw_only=True)
    actor: str | None = None
    waits: WorkReason | None = None


class RoutingPreview(NamedTuple):
    """The preview of a referral: its decision, the redactions of its addresses, and the items in another spelling.

    With `waits`, a second review must release it first.
    """

    judged: RoutingResult
    cut: tuple[Redaction, ...]
    respelled: tuple[int, ...]
    waits: WorkReason | None


def check(submission: ReferralSubmission, *, origin: PartyEntry, documents: Documents, at: datetime) -> RoutingPreview:
    """Guard and decide only, as `prepare_batch` would: a preview before submission. Raises `Refused`."""
    # A preview needs no digest of the body.
    setting = _setting(documents, submission.exercise, at)
    work = _Pending(Filing(submission, origin, body_sha256=""), documents, setting=setting, at=at)
    for stage in (_guard, _read, _judge):
        stage(work)
    spelt = respelled(each.locator for each in submission.items)
    return RoutingPreview(work.outcome, cuts(work.content), spelt, work.waits)


def prepare_batch(filings: Sequence[Filing], *, documents: Documents, at: datetime) -> list[Prepared | Refused]:
    """Guard, decide, minimise and address each filing, in order.

    A rejected filing does not affect the others. An edge whose recipient has no sealing key at this time gets no
    message. The other edges are sent, and the referral is listed as `undeliverable`. Each stage processes all filings
    before the next begins, for the same reason as in `accept_batch`.
    """
    settings = {exercise: _setting(documents, exercise, at) for exercise in (False, True)}
    works = [_Pending(filing, documents, setting=settings[filing.submission.exercise], at=at) for filing in filings]
    for stage in (_guard, _read, _judge, _address, _write):
        for work in works:
            if work.refused is None:
                try:
                    stage(work)
                except Refused as error:
                    work.refused = error
    return [work.refused or _prepared(work) for work in works]


def prepare_again(
    content: ReferralContent,
    *,
    referral_id: UUID,
    origin: PartyEntry,
    exercise: bool,
    documents: Documents,
    at: datetime,
    only: Mapping[tuple[str, str], StaleEdge] | None,
    body_sha256: str,
    traceparent: str | None,
    released: SecondReview | None = None,
    revision: int = 1,
) -> Redecision:
    """Decide a stored referral again and address the edges in `only`, by (recipient, purpose).

    None: all edges. Used after a second review has `released` it, when an edge waited too long for its recipients, and
    when a recipient has moved; then the edge keeps its ids. The guard has accepted the content before, perhaps in
    another edition.
    """
    content = as_kept(content)
    read = read_facts(content, origin, documents.directory)
    outcome = judge(read.facts, _setting(documents, exercise, at), salt=salt(), unknown=read.unknown)
    every, only = only is None, only or {}
    edges = [edge for edge in outcome.edges if every or edge_key(edge) in only]
    writing = MessageContext(
        outcome=outcome,
        record=whole_record(content),
        reads=documents.reads,
        referral_id=referral_id,
        at=at,
        traceparent=traceparent,
        released=released,
        windows=documents.hours if every else None,  # an edge that has waited for its window does not wait again
        known={key: each.known for key, each in only.items() if each.known is not None},
        revision=revision,
    )
    letters = write_letters(writing, edges)
    left = left_of(letters, only)
    drafts = letters.drafts(read.facts, origin, at=at, body_sha256=body_sha256, superseded=left.superseded)
    return redecided(letters, left, origin.id, drafts=drafts, law=documents.law, at=at)


def redecided(
    letters: MessageSet, left: EdgeFates, origin: str, *, drafts: tuple[Draft, ...], law: str, at: datetime
) -> Redecision:
    """Return the result of a repeated decision: the messages to send, and what becomes of each edge."""
    return Redecision(
        letters.referral_id,
        origin,
        letters.emitted,
        left.waiting,
        drafts,
        dropped=left.dropped,
        work_reason=letters.work_reason,
        disposition=letters.outcome.disposition.value,
        law=law,
        decided_at=at,
        unread=left.unread,
        planned=letters.planned,
    )


def _setting(documents: Documents, exercise: bool, at: datetime) -> RoutingInput:
    return RoutingInput(documents.directory, documents.policy, exercise, coarse(at))


class _Pending:
    """One filing during preparation.

    Each stage sets the fields that later stages need, or the error that ends it.
    """

    __slots__ = (
        "at", "content", "documents", "drafts", "filing", "letters", "outcome", "read", "record", "referral_id",
        "refused", "setting", "spent", "waits",
    )  # fmt: skip

    content: ReferralSubmission
    spent: RecordCost
    waits: WorkReason | None
    read: ReadFacts
    outcome: RoutingResult
    record: Json
    referral_id: UUID
    letters: MessageSet
    drafts: tuple[Draft, ...]

    def __init__(self, filing: Filing, documents: Documents, *, setting: RoutingInput, at: datetime) -> None:
        self.filing, self.documents = filing, documents
        self.setting, self.at = setting, at
        self.refused: Refused | None = None


def as_filed(filing: Filing, directory: DirectoryIndex, *, at: datetime) -> tuple[ReferralSubmission, RecordCost]:
    """Return a submission as it is stored, and its information cost.

    Raises `Refused` by the guard or the directory.
    """
    submission = filing.submission
    if submission.exercise != (filing.origin.status == PartyStatus.SANDBOX):
        raise Refused("exercise_mismatch", "a sandbox party submits exercises, a live party none", field="/exercise")
    # The cost is that of the sent form: closed labels, canonical addresses, without redacted parts.
    content = as_kept(closed(submission, directory))
    if any(len(each.assessments) > 1 for each in content.items):
        check_stated(each.model_dump(include={"assessments"}) for each in content.items)
    return content, inspect(content, now=at, limits=CEILING)


def _guard(work: _Pending) -> None:
    work.content, work.spent = as_filed(work.filing, work.documents.directory, at=work.at)
    over = None if work.spent.within(BUDGET, added=ADDED) else WorkReason.OVER_BUDGET
    if over and trips(work.content.spelt()):
        check_budget(work.spent, added=ADDED)  # text that looks like a file gets no second review
    work.waits = over or work.filing.waits


def _read(work: _Pending) -> None:
    work.read = read_facts(work.content, work.filing.origin, work.documents.directory)


def _judge(work: _Pending) -> None:
    work.outcome = judge(work.read.facts, work.setting, salt=salt(), unknown=work.read.unknown)


def _address(work: _Pending) -> None:
    if work.waits is not None:
        # A release decides the referral again. Until then only audit is notified, with the reason.
        work.outcome = replace(work.outcome, work_reason=work.waits, edges=(), not_sent=())
    work.record = whole_record(work.content)
    work.referral_id = uuid7()
    work.letters = _letters(work)


def _letters(work: _Pending) -> MessageSet:
    writing = MessageContext(
        outcome=work.outcome,
        record=work.record,
        reads=work.documents.reads,
        referral_id=work.referral_id,
        at=work.at,
        traceparent=work.filing.traceparent,
        windows=work.documents.hours,
    )
    return write_letters(writing, work.outcome.edges)


def _write(work: _Pending) -> None:
    try:
        work.drafts = _drafts(work)
    except Refused as error:
        if error.code != "sealed_too_large":
            raise
        # The decision exceeds one audit record. Nothing is sent, and a person decides.
        work.outcome = replace(
            work.outcome, disposition=Disposition.UNROUTABLE, work_reason=WorkReason.TOO_WIDE, edges=(), not_sent=()
        )
        work.letters = _letters(work)
        work.drafts = _drafts(work)


def _drafts(work: _Pending) -> tuple[Draft, ...]:
    return work.letters.drafts(work.read.facts, work.filing.origin, at=work.at, body_sha256=work.filing.body_sha256)


def _prepared(work: _Pending) -> Prepared:
    submission, outcome = work.filing.submission, work.outcome
    return Prepared(
        referral_id=work.referral_id,
        origin=work.filing.origin.id,
        external_ref=submission.external_ref,
        exercise=submission.exercise,
        accepted_at=work.at,
        body_sha256=work.filing.body_sha256,
        facts=work.read.facts,
        decision=outcome.ref | {"salt": outcome.salt},
        disposition=outcome.disposition.value,
        state=outcome.disposition.value if work.waits is None else Offering.UNRELEASED.value,
        unrouted_reason=work.letters.work_reason.value if work.letters.work_reason else None,
        filed_by=None if work.waits is None else work.filing.actor,
        content=own_record(work.record),
        emitted=work.letters.emitted,
        waiting=work.letters.waiting,
        drafts=work.drafts,
        cut=tuple({"n": each.n, "rules": each.rules} for each in cuts(work.content)),
        respelled=respelled(each.locator for each in submission.items),
        spent=work.spent,
        items=len(work.content.items),
        traceparent=work.filing.traceparent,
        planned=work.letters.planned,
    )
