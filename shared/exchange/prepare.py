"""`prepare`: guard → decide → minimise → seal. Every origin calls it; the outbox never holds S3 in the clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.contracts.referral import ReferralContent, ReferralSubmission
from shared.contracts.registry import NOTICE_ISSUED, REFERRAL_DECIDED, REFERRAL_OFFERED
from shared.exchange.compose import compose, compose_fact
from shared.exchange.facts import ReadFacts, read_facts
from shared.exchange.message import Draft
from shared.exchange.minimise import notice_record, referral_record, whole_record
from shared.guard import inspect
from shared.kernel.errors import Defect, Refused
from shared.kernel.ids import salt, uuid7
from shared.routing.directory_index import DirectoryIndex, PartyEntry
from shared.routing.engine import Outcome, PlannedEdge, Setting, judge
from shared.routing.policy_index import PolicyIndex
from shared.vocabulary.routing import PartyKind, PartyStatus, WorkReason


@dataclass(frozen=True, slots=True)
class Documents:
    """The directory and the policy in force at one time."""

    directory: DirectoryIndex
    policy: PolicyIndex


@dataclass(frozen=True, slots=True)
class Emitted:
    """One edge and the message that carries it."""

    edge: Mapping[str, Any]
    message_id: UUID
    notice_id: UUID | None

    @property
    def recipient(self) -> str:
        return str(self.edge["recipient"])

    @property
    def purpose(self) -> str:
        return str(self.edge["purpose"])

    @property
    def reason(self) -> str:
        return str(self.edge["reason"])

    @property
    def rules(self) -> Sequence[str]:
        rules: Sequence[str] = self.edge["rules"]
        return rules

    def as_json(self) -> dict[str, Any]:
        stated = {"edge": self.edge, "message_id": str(self.message_id)}
        return stated | ({"notice_id": str(self.notice_id)} if self.notice_id else {})


@dataclass(frozen=True, slots=True)
class Prepared:
    """A referral decided and sealed, ready to be stored in one transaction: nothing of it is durable yet.

    `content` is what the origin keeps, plaintext: the store encrypts it. `drafts` end with the fact for audit.
    """

    referral_id: UUID
    origin: str
    external_ref: str
    exercise: bool
    accepted_at: datetime
    facts: dict[str, Any]
    decision: dict[str, Any]
    disposition: str
    work_reason: str | None
    content: bytes
    emitted: tuple[Emitted, ...]
    drafts: tuple[Draft, ...]
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Again:
    """A stale decision made again: new edges and messages, and the old messages that nothing replaces.

    `work_reason` is why a person has to look at the referral, None if nobody has.
    """

    referral_id: UUID
    origin: str
    emitted: tuple[Emitted, ...]
    drafts: tuple[Draft, ...]
    dropped: tuple[UUID, ...]
    work_reason: WorkReason | None


@dataclass(frozen=True, slots=True)
class Filing:
    """One submission, who files it, and the trace of the request that it came in."""

    submission: ReferralSubmission
    origin: PartyEntry
    traceparent: str | None = None


def check(submission: ReferralSubmission, *, origin: PartyEntry, documents: Documents, at: datetime) -> Outcome:
    """Guard and decide, nothing else: what `prepare` would answer, for a look before sending. Raises `Refused`."""
    work = _Work(Filing(submission, origin), documents, at)
    for stage in (_guard, _read, _judge):
        stage(work)
    return work.outcome


def prepare(
    submission: ReferralSubmission,
    *,
    origin: PartyEntry,
    documents: Documents,
    at: datetime,
    traceparent: str | None = None,
) -> Prepared:
    """Guard, decide, minimise and seal one submission. Raises `Refused` if the guard or the directory says no.

    An edge whose recipient cannot be sealed for at this time has no message: the others go, and the referral is on
    the work list as `undeliverable`.
    """
    (prepared,) = prepare_batch([Filing(submission, origin, traceparent)], documents=documents, at=at)
    if isinstance(prepared, Refused):
        raise prepared
    return prepared


def prepare_batch(filings: Sequence[Filing], *, documents: Documents, at: datetime) -> list[Prepared | Refused]:
    """What `prepare` returns or raises for each filing, in order; one that is refused does not touch another.

    Each stage goes over all of them before the next begins, as in `accept_batch`, and for the same reason.
    """
    works = [_Work(filing, documents, at) for filing in filings]
    for stage in (_guard, _read, _judge, _address_all):
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
    only: Mapping[tuple[str, str], UUID],
    traceparent: str | None,
) -> Again:
    """Decide a stored referral again and seal anew the edges in `only`: (recipient, purpose) → the stale message.

    Used when an edge waited so long that its recipients would refuse it. The guard has passed this content before.
    """
    read = read_facts(content, origin, documents.directory)
    setting = Setting(documents.directory, documents.policy, exercise, at)
    outcome = judge(read.facts, setting, salt=salt(), unknown=read.unknown)
    record = whole_record(content)
    edges = [edge for edge in outcome.edges if (edge.recipient, edge.terms.purpose) in only]
    emitted, drafts, work_reason = _messages(
        outcome,
        edges,
        record,
        read=read,
        referral_id=referral_id,
        origin=origin,
        superseded=sorted(only.values()),
        traceparent=traceparent,
    )
    found = {(each.recipient, each.purpose) for each in emitted}
    dropped = tuple(message_id for key, message_id in only.items() if key not in found)
    return Again(referral_id, origin.id, emitted, drafts, dropped, work_reason)


def decided_fact(
    outcome: Outcome,
    emitted: Sequence[Emitted],
    facts: Mapping[str, Any],
    *,
    work_reason: WorkReason | None,
    referral_id: UUID,
    origin: PartyEntry,
    superseded: Sequence[UUID] = (),
    traceparent: str | None = None,
) -> Draft:
    """The fact that tells audit the whole decision, with what was not sent and why."""
    clear: dict[str, Any] = {
        "referral_id": str(referral_id),
        "revision": 1,
        "origin": origin.id,
        "exercise": outcome.setting.exercise,
        "disposition": outcome.disposition.value,
        "decision": outcome.ref,
        "salt": outcome.salt,
        "facts": facts,
        "emitted": [each.as_json() for each in emitted],
        "not_sent": outcome.not_sent,
        "superseded": [str(message_id) for message_id in superseded],
    }
    if work_reason is not None:
        clear["work_reason"] = work_reason.value
    return compose_fact(
        REFERRAL_DECIDED,
        clear,
        subject=referral_id,
        instance=origin.instance,
        directory=outcome.setting.directory,
        exercise=outcome.setting.exercise,
        at=outcome.setting.decided_at,
        traceparent=traceparent,
    )


def clear_of(edge: PlannedEdge, outcome: Outcome, *, referral_id: UUID, notice_id: UUID | None) -> dict[str, Any]:
    """The clear part of the message that carries `edge`: a notice if `notice_id` is given, else an offer."""
    stated = edge.as_json()
    origin = str(edge.facts["origin"])
    common = {"exercise": outcome.setting.exercise, "decision": outcome.ref, "edge": stated}
    if notice_id is None:
        return {"referral_id": str(referral_id), "revision": 1, "origin": origin} | common
    shared = {"basis": stated["basis"], "handling": stated["handling"]}
    return {"notice_id": str(notice_id), "contact": origin} | shared | common


class _Work:
    """One filing on its way through the stages: each sets what the next ones need, or the refusal that ends it."""

    __slots__ = (
        "at", "documents", "drafts", "emitted", "filing", "outcome", "read", "record", "referral_id", "refused",
        "work_reason",
    )  # fmt: skip

    read: ReadFacts
    outcome: Outcome
    record: dict[str, Any]
    referral_id: UUID
    emitted: tuple[Emitted, ...]
    drafts: tuple[Draft, ...]
    work_reason: WorkReason | None

    def __init__(self, filing: Filing, documents: Documents, at: datetime) -> None:
        self.filing = filing
        self.documents = documents
        self.at = at
        self.refused: Refused | None = None


def _guard(work: _Work) -> None:
    submission = work.filing.submission
    if submission.exercise != (work.filing.origin.status == PartyStatus.SANDBOX):
        raise Refused("exercise_mismatch", "a sandbox party files exercises, a live party none", field="/exercise")
    inspect(submission, now=work.at)


def _read(work: _Work) -> None:
    work.read = read_facts(work.filing.submission, work.filing.origin, work.documents.directory)


def _judge(work: _Work) -> None:
    setting = Setting(work.documents.directory, work.documents.policy, work.filing.submission.exercise, work.at)
    work.outcome = judge(work.read.facts, setting, salt=salt(), unknown=work.read.unknown)


def _address_all(work: _Work) -> None:
    work.record = whole_record(work.filing.submission)
    work.referral_id = uuid7()
    work.emitted, work.drafts, work.work_reason = _messages(
        work.outcome,
        work.outcome.edges,
        work.record,
        read=work.read,
        referral_id=work.referral_id,
        origin=work.filing.origin,
        traceparent=work.filing.traceparent,
    )


def _prepared(work: _Work) -> Prepared:
    submission, outcome = work.filing.submission, work.outcome
    return Prepared(
        referral_id=work.referral_id,
        origin=work.filing.origin.id,
        external_ref=submission.external_ref,
        exercise=submission.exercise,
        accepted_at=work.at,
        facts=work.read.facts,
        decision=outcome.ref | {"salt": outcome.salt},
        disposition=outcome.disposition.value,
        work_reason=work.work_reason.value if work.work_reason else None,
        content=referral_record(work.record, PartyKind.LAW_ENFORCEMENT, ()),
        emitted=work.emitted,
        drafts=work.drafts,
        traceparent=work.filing.traceparent,
    )


def _messages(
    outcome: Outcome,
    edges: Sequence[PlannedEdge],
    record: Mapping[str, Any],
    *,
    read: ReadFacts,
    referral_id: UUID,
    origin: PartyEntry,
    superseded: Sequence[UUID] = (),
    traceparent: str | None,
) -> tuple[tuple[Emitted, ...], tuple[Draft, ...], WorkReason | None]:
    """`edges` without those that cannot be sealed; their messages and, last, the fact; and the work list's reason."""
    emitted: list[Emitted] = []
    drafts: list[Draft] = []
    for edge in edges:
        try:
            each, draft = _address(
                edge,
                outcome,
                record,
                item_providers=read.item_providers,
                referral_id=referral_id,
                traceparent=traceparent,
            )
        except Refused as error:
            if error.code != "recipient_unknown":
                raise
            continue
        emitted.append(each)
        drafts.append(draft)
    work_reason = outcome.work_reason if len(emitted) == len(edges) else WorkReason.UNDELIVERABLE
    fact = decided_fact(
        outcome,
        emitted,
        read.facts,
        work_reason=work_reason,
        referral_id=referral_id,
        origin=origin,
        superseded=superseded,
        traceparent=traceparent,
    )
    return tuple(emitted), (*drafts, fact), work_reason


def _address(
    edge: PlannedEdge,
    outcome: Outcome,
    record: Mapping[str, Any],
    *,
    item_providers: Sequence[frozenset[str]],
    referral_id: UUID,
    traceparent: str | None,
) -> tuple[Emitted, Draft]:
    directory = outcome.setting.directory
    recipient = directory.party(edge.recipient)
    if recipient is None:
        raise Defect("edge_without_recipient")
    withheld = edge.terms.withheld
    if recipient.kind == PartyKind.INDUSTRY:
        # A notice has an id of its own: industry never sees a referral id, an earlier time or a revision.
        message, notice_id = NOTICE_ISSUED, uuid7()
        plaintext = notice_record(record, item_providers, edge.recipient, withheld=withheld)
    else:
        message, notice_id = REFERRAL_OFFERED, None
        plaintext = referral_record(record, recipient.kind, withheld)
    draft = compose(
        message,
        clear_of(edge, outcome, referral_id=referral_id, notice_id=notice_id),
        sealed=plaintext,
        subject=notice_id or referral_id,
        sender=str(edge.facts["origin"]),
        recipient=edge.recipient,
        directory=directory,
        exercise=outcome.setting.exercise,
        at=outcome.setting.decided_at,
        decided_at=outcome.setting.decided_at,
        traceparent=traceparent,
    )
    return Emitted(edge.as_json(), draft.message_id, notice_id), draft
