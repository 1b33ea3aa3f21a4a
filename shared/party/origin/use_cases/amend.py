"""Amending a referral: its content is another, and each recipient is told what that means to it.

Decided afresh by the law in force, held against what was sent, and durable in one transaction: the new revision, the
messages that tell of it, withdrawals where nothing is left to be told, and the fact for audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic_core import from_json, to_json

from shared.contracts.referral import ReferralContent, ReferralRecord, ReferralSubmission
from shared.exchange.act import Act, Subject
from shared.exchange.amend import Amended, Amending, Json, Revision, Standing, prepare_amended, renumbered
from shared.exchange.clocks import Happened, taken_back
from shared.exchange.events import happened
from shared.exchange.facts import check_stated
from shared.exchange.message import Draft
from shared.exchange.minimise import whole_record
from shared.exchange.prepare import Documents, Filing, as_filed
from shared.exchange.states import row
from shared.guard import ADDED, as_kept, check_budget, cuts
from shared.kernel.authority import Authority, Role
from shared.kernel.canonical import digest
from shared.kernel.errors import Refused, not_found
from shared.party.origin.domain import AmendedReferral, Cut, DaySpent
from shared.party.origin.records import Amendable, Filed, Told
from shared.party.origin.store.amendments import PostgresAmendments
from shared.party.origin.store.holds import PostgresHolds
from shared.party.origin.use_cases.day import Debit, debit, debit_whole
from shared.party.origin.use_cases.holds import Holding
from shared.party.origin.use_cases.referrals import reachable, tombstone
from shared.runtime.watch.logs import log
from shared.vocabulary.referral import AmendmentCause, PriorityLevel, WithdrawalReason
from shared.vocabulary.routing import Disposition

AMEND: Final = row(Subject.REFERRAL, "amend")
REROUTE: Final = row(Subject.REFERRAL, "reroute")


@dataclass(frozen=True, slots=True)
class Changing:
    """Who changes what the party has filed, when, and by which permits and documents.

    `then` are the documents of a time, as known now; `day_filled` raises the alarm that the party wanted more than its
    day has; `owe` charges it for work. `holds` are those of the same transaction, at this `instance`.
    """

    party: str
    role: Role
    amendments: PostgresAmendments
    holds: PostgresHolds
    instance: str
    authority: Authority
    documents: Callable[[], Documents]
    then: Callable[[datetime], Documents]
    at: datetime
    day_filled: Callable[[], None]
    owe: Callable[[int], None]

    async def found(self, referral_id: UUID, act: Act) -> Amendable:
        """Raises `Refused`: `forbidden`, `not_found`, `state_forbids`, `record_erased`."""
        self.authority.require("referral", self.role, action=act.name, state=Disposition.ROUTED)
        found = await self.amendments.find(referral_id)
        if found is None:
            raise not_found()
        self.authority.require("referral", self.role, action=act.name, state=found.state)
        if found.content is None:
            raise Refused("record_erased", "its record was erased: file another", status=410)
        return found

    def holding(self) -> Holding:
        """Who holds what is planned of it."""
        return Holding(self.holds, self.documents, self.instance, self.at)


@dataclass(frozen=True, slots=True)
class Change:
    """The content that is to stand, and the hash of the bytes that say so."""

    act: Act
    cause: AmendmentCause
    content: ReferralContent
    body_sha256: str
    cut: tuple[Cut, ...] = ()


async def amend_referral(
    referral_id: UUID, submission: ReferralSubmission, changing: Changing, *, revision: int, body_sha256: str
) -> AmendedReferral:
    """Have this stand in the place of `revision`. What is the same changes nothing, and tells nobody.

    It counts against the party's day as a filing does. Raises `Refused`: as `Changing.found`, `revision_changed` where
    another one stands, `external_ref_differs`, and whatever filing and `prepare_amended` refuse.
    """
    documents = changing.documents()
    found = await changing.found(referral_id, AMEND)
    if found.revision != revision:
        raise Refused("revision_changed", "another revision stands: look, and amend that", status=412)
    if submission.external_ref != found.external_ref:
        raise Refused("external_ref_differs", "a referral keeps its reference", field="/external_ref")
    origin = documents.directory.party(found.party)
    if origin is None:
        raise not_found()
    content, spent = as_filed(Filing(submission, origin, body_sha256=body_sha256), documents.directory, at=changing.at)
    check_budget(spent, added=ADDED)  # what only a second person may let go is filed anew
    await _debit(Debit.of(found.party, spent), changing, urgent=_is_urgent(content))
    cut = tuple(Cut(n=each.n, rules=each.rules) for each in cuts(content))
    return await change(found, Change(AMEND, AmendmentCause.AMENDED, content, body_sha256, cut), changing)


@dataclass(frozen=True, slots=True)
class Stands:
    """A referral as it stands, to whoever says what is to be otherwise. `content` is its record, as JSON."""

    external_ref: str
    exercise: bool
    content: bytes


async def amend_in_part(
    referral_id: UUID, edit: Callable[[Stands], ReferralSubmission], changing: Changing, *, revision: int
) -> AmendedReferral:
    """Have what `edit` makes of the record that stands follow `revision`: whoever edits need not say all of it.

    Raises `Refused` as `amend_referral`, and whatever `edit` refuses.
    """
    found = await changing.found(referral_id, AMEND)
    assert found.content is not None
    submission = edit(Stands(found.external_ref, found.exercise, found.content))
    posted = digest(submission.model_dump_json(exclude_unset=True).encode())
    return await amend_referral(referral_id, submission, changing, revision=revision, body_sha256=posted)


async def change(found: Amendable, wanted: Change, changing: Changing) -> AmendedReferral:
    """Have this content stand, and tell whom it concerns.

    The party owes the work as for a filing: the items that are looked at, and the messages that are sent.
    """
    documents, at = changing.documents(), changing.at
    assert found.content is not None
    origin = documents.directory.party(found.party)
    if origin is None:
        raise not_found()
    before = _before(found.content)
    numbered = max([found.numbered or 0, *(item["n"] for item in before.record["items"])])
    record, numbered = renumbered(whole_record(wanted.content), before.record, numbered=numbered)
    record = _of_record(record)
    changing.owe(1 + len(record["items"]))
    check_stated(record["items"], before.record["items"])
    if record == before.record:
        return _answer(found, None, revision=found.revision, cut=wanted.cut)
    amending = Amending(
        referral_id=found.referral_id,
        origin=origin,
        exercise=found.exercise,
        revision=found.revision,
        before=before,
        after=Revision(wanted.content, record),
        edges=found.edges,
        ended=found.ended,
        body_sha256=wanted.body_sha256,
        traceparent=found.traceparent,
    )
    amended = prepare_amended(amending, documents=documents, then=changing.then, at=at)
    changing.owe(len(amended.again.emitted) + len(amended.taken_back))
    _check_somebody_left(found, amended)
    store = changing.amendments
    await store.amend(found, amended, numbered=numbered, cause=wanted.cause, at=at)
    await _take_back(found, amended.taken_back, changing)
    await changing.holding().follow(found.referral_id)
    await store.note([happened(wanted.act, found.referral_id, party=found.party, state=amended.again.disposition)])
    log("referral_amended", count=len(amended.again.emitted))
    return _answer(found, amended, revision=found.revision + 1, cut=wanted.cut)


async def _take_back(found: Amendable, edges: Sequence[Standing], changing: Changing) -> None:
    """Tell whom it does not concern any more, wherever they ever had it. Who has left the directory is not told."""
    if not edges:
        return
    store, directory = changing.amendments, changing.documents().directory
    filed = Filed(found.state, found.exercise, found.traceparent)
    told = await store.told(edges)
    drafts: list[tuple[Draft, Told]] = [
        (
            tombstone(
                found.referral_id,
                each,
                filed,
                reason=WithdrawalReason.OTHER,
                sender=found.party,
                directory=directory,
                at=changing.at,
            ),
            each,
        )
        for each in told
        if reachable(each, directory)
    ]
    await store.send([draft for draft, _ in drafts])
    await store.take_back(edges, [(draft.message_id, each) for draft, each in drafts if each.there])
    over = [
        Happened.by(found.party, each.notice_id or found.referral_id, each.recipient, step=step)
        for each in told
        for step in taken_back(changing.at)
    ]
    await store.clock((), over)


def _check_somebody_left(found: Amendable, amended: Amended) -> None:
    """Whoever wants to tell nobody any more withdraws: a slip of the pen must not."""
    again, stay = amended.again, (*amended.unchanged, *amended.replaced, *amended.planned)
    if found.edges and not (stay or again.emitted or again.waiting or again.planned):
        raise Refused("nobody_left", "nobody would have it any more: mend what is named, or withdraw it", status=409)


async def _debit(spent: Debit, changing: Changing, *, urgent: bool) -> None:
    directory, days, at = changing.documents().directory, changing.amendments, changing.at
    if urgent:
        fits = await debit_whole(days, spent, directory=directory, at=at)
    else:
        fits = all(await debit(days, [spent], directory=directory, at=at))
    if not fits:
        changing.day_filled()
    if not fits and not urgent:
        raise DaySpent(at)


def _is_urgent(content: ReferralContent) -> bool:
    return content.priority.level is PriorityLevel.P0_CHILD_AT_RISK


def _before(content: bytes) -> Revision:
    return Revision(as_kept(ReferralRecord.model_validate_json(content)), from_json(content))


def _of_record(record: Json) -> Json:
    """The record as it is read back: the same values, whoever wrote them."""
    read: Json = from_json(to_json(record))
    return read


def _answer(found: Amendable, amended: Amended | None, *, revision: int, cut: tuple[Cut, ...]) -> AmendedReferral:
    if amended is None:
        state, reason, added = found.state, None, list[str]()
        unchanged: Iterable[Standing] = found.edges
        replaced: Iterable[Standing] = ()
        ended: Iterable[Standing] = ()
    else:
        state, reason = amended.again.disposition, amended.again.work_reason
        known = {each.known.edge_id for each in amended.replaced}
        added = [each.recipient for each in amended.again.emitted if each.edge_id not in known]
        added += [each.edge.recipient for each in amended.again.planned]
        unchanged, replaced, ended = amended.unchanged, (*amended.replaced, *amended.planned), amended.taken_back
    return AmendedReferral(
        referral_id=found.referral_id,
        revision=revision,
        state=state,
        work_reason=reason,
        unchanged=_parties(unchanged),
        replaced=_parties(replaced),
        added=tuple(sorted(set(added))),
        taken_back=_parties(ended),
        cut=cut,
    )


def _parties(edges: Iterable[Standing]) -> tuple[str, ...]:
    return tuple(sorted({each.recipient for each in edges}))
