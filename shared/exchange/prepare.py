"""`prepare`: guard → decide → minimise → address. Every origin calls it; the last step of the transaction seals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from shared.contracts.referral import ReferralContent, ReferralSubmission
from shared.exchange.act import Offered
from shared.exchange.facts import ReadFacts, check_stated, closed, read_facts
from shared.exchange.message import Draft
from shared.exchange.minimise import own_record, whole_record
from shared.exchange.outgoing_messages import (
    Emitted,
    Left,
    Letters,
    Planned,
    StaleEdge,
    Waiting,
    Writing,
    left_of,
    write_letters,
)
from shared.exchange.preservation import Hours
from shared.exchange.read_capabilities import PeerReads
from shared.exchange.second_review import Released
from shared.guard import ADDED, BUDGET, CEILING, Charged, WasCut, as_kept, check_budget, cuts, inspect, trips
from shared.kernel.canonical import digest
from shared.kernel.clock import coarse
from shared.kernel.errors import Refused
from shared.kernel.ids import salt, uuid7
from shared.routing.directory_index import DirectoryIndex, PartyEntry
from shared.routing.engine import Judged, Setting, judge
from shared.routing.policy_index import PolicyIndex
from shared.vocabulary.routing import Disposition, PartyStatus, WorkReason


@dataclass(frozen=True, slots=True)
class Documents:
    """The directory and the policy in force at one time, and what instances read by then."""

    directory: DirectoryIndex
    policy: PolicyIndex
    reads: PeerReads = field(default_factory=PeerReads)
    hours: Hours = field(default_factory=Hours)

    @property
    def law(self) -> str:
        """Both by their digests."""
        return law_of(self.directory.digest, self.policy.digest)


def law_of(directory: str, policy: str) -> str:
    """Return the key by which an edge states the two documents of its decision: 128 bits of their digests."""
    return digest(f"{directory}/{policy}".encode())[:32]


@dataclass(slots=True)
class Prepared:
    """A referral that is decided, ready to be stored in one transaction: nothing of it is durable yet.

    `content` is what the origin keeps, plaintext: the store encrypts it. `drafts` end with the fact for audit.
    `cut` has the numbers of items from whose addresses something was cut, and by which rules. `spent` is what it costs.
    Of one that waits for a second person, `state` says so, `filed_by` who filed it, and nothing is sent yet.
    `body_sha256` is that of the bytes that were posted: the acceptance and the fact both state it.
    """

    referral_id: UUID
    origin: str
    external_ref: str
    exercise: bool
    accepted_at: datetime
    body_sha256: str
    facts: dict[str, Any]
    decision: dict[str, Any]
    disposition: str
    state: str
    work_reason: str | None
    filed_by: str | None
    content: bytes
    emitted: tuple[Emitted, ...]
    waiting: tuple[Waiting, ...]
    drafts: tuple[Draft, ...]
    cut: tuple[dict[str, Any], ...]
    spent: Charged
    items: int
    traceparent: str | None
    planned: tuple[Planned, ...] = ()


@dataclass(frozen=True, slots=True)
class Again:
    """A stale decision made again: new edges and messages, new ones that wait, and the old that nothing replaces.

    `unread` are those that stay what they are, known to their recipient, which cannot read them where it is now.
    `work_reason` is why a person has to look at the referral, None if nobody has. `law` as in `StaleEdge`.
    """

    referral_id: UUID
    origin: str
    emitted: tuple[Emitted, ...]
    waiting: tuple[Waiting, ...]
    drafts: tuple[Draft, ...]
    dropped: tuple[StaleEdge, ...]
    work_reason: WorkReason | None
    disposition: str
    law: str
    decided_at: datetime
    unread: tuple[UUID, ...] = ()
    planned: tuple[Planned, ...] = ()


@dataclass(frozen=True, slots=True)
class Filing:
    """One submission, who files it, the trace of its request, and the SHA-256 of its own bytes in that request.

    `actor` is who acts for the origin, opaque. With `waits`, it waits for a second person for that reason.
    """

    submission: ReferralSubmission
    origin: PartyEntry
    traceparent: str | None = None
    body_sha256: str = field(kw_only=True)
    actor: str | None = None
    waits: WorkReason | None = None


class Looked(NamedTuple):
    """What would become of a referral, and what would be cut from addresses.

    With `waits`, a second person would have to release it first.
    """

    judged: Judged
    cut: tuple[WasCut, ...]
    waits: WorkReason | None


def check(submission: ReferralSubmission, *, origin: PartyEntry, documents: Documents, at: datetime) -> Looked:
    """Guard and decide, nothing else: as `prepare_batch` would, for a look before sending. Raises `Refused`."""
    # Nothing states the hash of what is only looked at.
    setting = _setting(documents, submission.exercise, at)
    work = _Work(Filing(submission, origin, body_sha256=""), documents, setting=setting, at=at)
    for stage in (_guard, _read, _judge):
        stage(work)
    return Looked(work.outcome, cuts(work.content), work.waits)


def prepare_batch(filings: Sequence[Filing], *, documents: Documents, at: datetime) -> list[Prepared | Refused]:
    """Guard, decide, minimise and address each filing, in order; one that is refused does not touch another.

    An edge whose recipient cannot be sealed for at this time has no message: the others go, and the referral is on
    the work list as `undeliverable`. Each stage goes over all of them before the next begins, as in `accept_batch`,
    and for the same reason.
    """
    settings = {exercise: _setting(documents, exercise, at) for exercise in (False, True)}
    works = [_Work(filing, documents, setting=settings[filing.submission.exercise], at=at) for filing in filings]
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
    released: Released | None = None,
    revision: int = 1,
) -> Again:
    """Decide a stored referral again and address the edges in `only` anew, by (recipient, purpose); None: all of them.

    Used when a second person has `released` it, when an edge waited too long for its recipients, and when a recipient
    has moved: then the edge keeps its ids. The guard has passed the content before, perhaps by another edition.
    """
    content = as_kept(content)
    read = read_facts(content, origin, documents.directory)
    outcome = judge(read.facts, _setting(documents, exercise, at), salt=salt(), unknown=read.unknown)
    every, only = only is None, only or {}
    edges = [edge for edge in outcome.edges if every or (edge.recipient, edge.terms.purpose) in only]
    writing = Writing(
        outcome=outcome,
        record=whole_record(content),
        reads=documents.reads,
        referral_id=referral_id,
        at=at,
        traceparent=traceparent,
        released=released,
        windows=documents.hours if every else None,  # what has waited for its window does not wait again
        known={key: each.known for key, each in only.items() if each.known is not None},
        revision=revision,
    )
    letters = write_letters(writing, edges)
    left = left_of(letters, only)
    drafts = letters.drafts(read.facts, origin, at=at, body_sha256=body_sha256, superseded=left.superseded)
    return _again(letters, left, origin.id, drafts=drafts, law=documents.law, at=at)


def _again(letters: Letters, left: Left, origin: str, *, drafts: tuple[Draft, ...], law: str, at: datetime) -> Again:
    return Again(
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


def _setting(documents: Documents, exercise: bool, at: datetime) -> Setting:
    return Setting(documents.directory, documents.policy, exercise, coarse(at))


class _Work:
    """One filing on its way through the stages: each sets what the next ones need, or the refusal that ends it."""

    __slots__ = (
        "at", "content", "documents", "drafts", "filing", "letters", "outcome", "read", "record", "referral_id",
        "refused", "setting", "spent", "waits",
    )  # fmt: skip

    content: ReferralSubmission
    spent: Charged
    waits: WorkReason | None
    read: ReadFacts
    outcome: Judged
    record: dict[str, Any]
    referral_id: UUID
    letters: Letters
    drafts: tuple[Draft, ...]

    def __init__(self, filing: Filing, documents: Documents, *, setting: Setting, at: datetime) -> None:
        self.filing, self.documents = filing, documents
        self.setting, self.at = setting, at
        self.refused: Refused | None = None


def as_filed(filing: Filing, directory: DirectoryIndex, *, at: datetime) -> tuple[ReferralSubmission, Charged]:
    """What is posted as it is kept, and what that costs. Raises `Refused` if the guard or the directory says no."""
    submission = filing.submission
    if submission.exercise != (filing.origin.status == PartyStatus.SANDBOX):
        raise Refused("exercise_mismatch", "a sandbox party files exercises, a live party none", field="/exercise")
    # What is charged is what travels: labels closed, each address in its one spelling, without what was cut.
    content = as_kept(closed(submission, directory))
    if any(len(each.assessments) > 1 for each in content.items):
        check_stated(each.model_dump(include={"assessments"}) for each in content.items)
    return content, inspect(content, now=at, limits=CEILING)


def _guard(work: _Work) -> None:
    work.content, work.spent = as_filed(work.filing, work.documents.directory, at=work.at)
    over = None if work.spent.within(BUDGET, added=ADDED) else WorkReason.OVER_BUDGET
    if over and trips(work.content.spelt()):
        check_budget(work.spent, added=ADDED)  # no second person is asked about what looks like a file
    work.waits = over or work.filing.waits


def _read(work: _Work) -> None:
    work.read = read_facts(work.content, work.filing.origin, work.documents.directory)


def _judge(work: _Work) -> None:
    work.outcome = judge(work.read.facts, work.setting, salt=salt(), unknown=work.read.unknown)


def _address(work: _Work) -> None:
    if work.waits is not None:
        # Whoever releases it has it decided afresh: until then nobody is told anything, audit why.
        work.outcome = replace(work.outcome, work_reason=work.waits, edges=(), not_sent=())
    work.record = whole_record(work.content)
    work.referral_id = uuid7()
    work.letters = _letters(work)


def _letters(work: _Work) -> Letters:
    writing = Writing(
        outcome=work.outcome,
        record=work.record,
        reads=work.documents.reads,
        referral_id=work.referral_id,
        at=work.at,
        traceparent=work.filing.traceparent,
        windows=work.documents.hours,
    )
    return write_letters(writing, work.outcome.edges)


def _write(work: _Work) -> None:
    try:
        work.drafts = _drafts(work)
    except Refused as error:
        if error.code != "sealed_too_large":
            raise
        # Audit could not be told of it in one record: nobody is, and a person decides.
        work.outcome = replace(
            work.outcome, disposition=Disposition.UNROUTABLE, work_reason=WorkReason.TOO_WIDE, edges=(), not_sent=()
        )
        work.letters = _letters(work)
        work.drafts = _drafts(work)


def _drafts(work: _Work) -> tuple[Draft, ...]:
    filing = work.filing
    return work.letters.drafts(work.read.facts, filing.origin, at=work.at, body_sha256=filing.body_sha256)


def _prepared(work: _Work) -> Prepared:
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
        state=outcome.disposition.value if work.waits is None else Offered.UNRELEASED.value,
        work_reason=work.letters.work_reason.value if work.letters.work_reason else None,
        filed_by=None if work.waits is None else work.filing.actor,
        content=own_record(work.record),
        emitted=work.letters.emitted,
        waiting=work.letters.waiting,
        drafts=work.drafts,
        cut=tuple({"n": each.n, "rules": each.rules} for each in cuts(work.content)),
        spent=work.spent,
        items=len(work.content.items),
        traceparent=work.filing.traceparent,
        planned=work.letters.planned,
    )
