"""Amendments of a referral: new content, and its effect on each recipient.

The content is decided by the law in force and compared with the edges that were sent. One transaction stores the new
revision, its messages, withdrawals to parties that are no longer recipients, and the fact for audit.

A reroute is an amendment that an answer causes: items that a provider does not host go to the provider that does. Each
such item gets a new hosting observation. Earlier observations stay, except that they no longer name the wrong provider.
That provider gets nothing more about these items; the other gets them as if it had been named first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from typing import Final
from uuid import UUID

from pydantic_core import from_json, to_json

from shared.core.acts.act import Act, Subject
from shared.core.acts.states import happened, row
from shared.core.canonical import Json, digest
from shared.core.contracts.base import Contract, PartyId, Uuid
from shared.core.contracts.facts import RecordRevealedClear
from shared.core.contracts.referral import Hosting, NumberedItem, ReferralContent, ReferralRecord, ReferralSubmission
from shared.core.errors import Refused, not_found
from shared.core.guard import ADDED, as_kept, check_budget, cuts, respelled
from shared.core.protocol.amend import (
    AmendmentInput,
    AmendmentResult,
    CurrentEdge,
    Revision,
    prepare_amended,
    renumbered,
)
from shared.core.protocol.facts import check_stated
from shared.core.protocol.findings import as_final, found_in
from shared.core.protocol.minimise import whole_record
from shared.core.protocol.prepare import Filing, as_filed
from shared.core.protocol.revision_diff import RevisionDiff, compared
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.referral import AmendmentCause, HostingMethod, PriorityLevel, WithdrawalReason
from shared.core.vocabulary.reveal import RevealReason
from shared.core.vocabulary.routing import PartyKind
from shared.features.amendments.ports import AmendableReferral, WrongProvider
from shared.features.amendments.store import PostgresAmendments
from shared.features.filing.ports import StoredReferral
from shared.features.filing.rules import AmendedReferral, Cut
from shared.features.filing.service.referrals import Actor, TombstoneSender, debit_one
from shared.features.record_access.store import record_access
from shared.platform.observability.logs import log

AMEND: Final = row(Subject.REFERRAL, "amend")
REROUTE: Final = row(Subject.REFERRAL, "reroute")


#: Maximum of hosting observations per item. A new one replaces the oldest.
HOSTING_MAX: Final = 4


class Rerouting(Contract):
    """The notice whose provider does not host items, and the provider that does; by default the suggested one."""

    notice_id: Uuid
    provider: PartyId | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The new content, and the hash of the posted bytes."""

    act: Act
    cause: AmendmentCause
    content: ReferralContent
    body_sha256: str
    cut: tuple[Cut, ...] = ()
    respelled: tuple[int, ...] = ()


async def compare_revisions(referral_id: UUID, acting: Actor, *, reason: RevealReason) -> Sequence[RevisionDiff]:
    """Return the changes of each amendment. Audit gets a fact about the access in the same transaction.

    Raises `Refused("not_found")` for absent and foreign referrals.
    """
    filed = await acting.filed(referral_id, "read")
    opened = RecordRevealedClear(party=acting.party, role=acting.role, actor=acting.actor, reason=reason)
    directory, at, amendments = acting.directory(), acting.at, PostgresAmendments(acting.referrals.driver, acting.kek)
    await record_access(referral_id, opened, amendments, exercise=filed.exercise, directory=directory, at=at)
    revisions = await amendments.list_revisions(referral_id)
    return compared([(f"revision {each.revision}", from_json(each.content)) for each in revisions])


async def find_amendable(referral_id: UUID, act: Act, acting: Actor) -> AmendableReferral:
    """Lock the referral to amend. Raises `Refused`: `forbidden`, `not_found`, `state_forbids`, `record_erased`."""
    acting.require(act.name)
    found = await PostgresAmendments(acting.referrals.driver, acting.kek).find(referral_id)
    if found is None:
        raise not_found()
    acting.require(act.name, found.state)
    if found.content is None:
        raise Refused("record_erased", "the record was erased; file a new referral", status=410)
    return found


async def amend_referral(
    referral_id: UUID, submission: ReferralSubmission, acting: Actor, *, revision: int, body_sha256: str
) -> AmendedReferral:
    """Replace `revision` with this submission. The same content changes nothing and sends nothing.

    The amendment counts against the daily quota as a filing does. Raises `Refused`: as `find_amendable`,
    `revision_changed` if the referral has another revision, `external_ref_differs`, and the errors of filing and
    `prepare_amended`.
    """
    documents = acting.documents()
    found = await find_amendable(referral_id, AMEND, acting)
    if found.revision != revision:
        raise Refused("revision_changed", "the referral has another revision; show it and amend that one", status=412)
    if submission.external_ref != found.external_ref:
        raise Refused("external_ref_differs", "the reference of a referral cannot change", field="/external_ref")
    origin = documents.directory.party(found.party)
    if origin is None:
        raise not_found()
    content, spent = as_filed(Filing(submission, origin, body_sha256=body_sha256), documents.directory, at=acting.at)
    check_budget(spent, added=ADDED)  # an amendment that would need a second person has to be filed as a new referral
    await debit_one(spent.whole, acting, is_p0=submission.priority.level is PriorityLevel.P0_CHILD_AT_RISK)
    cut = tuple(Cut(n=each.n, rules=each.rules) for each in cuts(content))
    spelt = respelled(each.locator for each in submission.items)
    return await change(found, Change(AMEND, AmendmentCause.AMENDED, content, body_sha256, cut, spelt), acting)


@dataclass(frozen=True, slots=True)
class CurrentReferral:
    """The current state of a referral, for a function that edits it. `content` is its record, as JSON."""

    external_ref: str
    exercise: bool
    content: bytes


async def amend_in_part(
    referral_id: UUID, edit: Callable[[CurrentReferral], ReferralSubmission], acting: Actor, *, revision: int
) -> AmendedReferral:
    """Replace `revision` with the result of `edit` on the current record, so that a caller states only the changes.

    Raises `Refused` as `amend_referral`, and the errors of `edit`.
    """
    found = await find_amendable(referral_id, AMEND, acting)
    assert found.content is not None
    submission = edit(CurrentReferral(found.external_ref, found.exercise, found.content))
    posted = digest(submission.model_dump_json(exclude_unset=True).encode())
    return await amend_referral(referral_id, submission, acting, revision=revision, body_sha256=posted)


async def reroute_referral(referral_id: UUID, wanted: Rerouting, acting: Actor, *, body_sha256: str) -> AmendedReferral:
    """Send the items that a notice's provider does not host to the provider that hosts them.

    Raises `Refused`: as `find_amendable`, `notice_unknown`, `nothing_disowned`, `provider_needed` if the answer
    suggests no provider, `provider_unknown`, and the errors of `change`.
    """
    directory = acting.documents().directory
    found = await find_amendable(referral_id, REROUTE, acting)
    disowned = await PostgresAmendments(acting.referrals.driver, acting.kek).disowned(referral_id, wanted.notice_id)
    if disowned is None:
        raise Refused("notice_unknown", "the referral has no such notice", field="/notice_id")
    hosts = _hosts(disowned, wanted.provider, directory)
    assert found.content is not None
    record = as_kept(ReferralRecord.model_validate_json(found.content))
    on = acting.at.astimezone(UTC).date()
    items = tuple(
        each if each.n not in hosts else _moved(each, disowned.recipient, hosts[each.n], directory=directory, on=on)
        for each in record.items
    )
    content = record.model_copy(update={"items": items})
    return await change(found, Change(REROUTE, AmendmentCause.REROUTED, content, body_sha256), acting)


async def change(found: AmendableReferral, wanted: Change, acting: Actor) -> AmendedReferral:
    """Replace the content, and send the messages that this causes.

    The party is charged as for a filing: for the items examined and the messages sent.
    """
    documents, at = acting.documents(), acting.at
    assert found.content is not None
    origin = documents.directory.party(found.party)
    if origin is None:
        raise not_found()
    before = _before(found.content)
    numbered = max([found.numbered or 0, *(item["n"] for item in before.record["items"])])
    record, numbered = renumbered(whole_record(wanted.content), before.record, numbered=numbered)
    record = from_json(to_json(record))  # the same values as when it is read from the database
    acting.owe(1 + len(record["items"]))
    check_stated(record["items"], before.record["items"])
    _check_findings(record, before.record, found.edges)
    if record == before.record:
        return _answer(found, None, wanted, revision=found.revision)
    amending = AmendmentInput(
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
    amended = prepare_amended(amending, documents=documents, then=acting.then, at=at)
    acting.owe(len(amended.again.emitted) + len(amended.taken_back))
    # An amendment must not remove every recipient by mistake. A withdrawal does that on purpose.
    again, stay = amended.again, (*amended.unchanged, *amended.replaced, *amended.planned)
    if found.edges and not (stay or again.emitted or again.waiting or again.planned):
        raise Refused(
            "nobody_left", "no recipient would remain; correct the fields, or withdraw the referral", status=409
        )
    store = PostgresAmendments(acting.referrals.driver, acting.kek)
    await store.amend(found, amended, numbered=numbered, cause=wanted.cause, at=at)
    await _take_back(found, amended.taken_back, acting)
    for follow in acting.edges_changed:
        await follow(found.referral_id, acting)
    await store.note([happened(wanted.act, found.referral_id, party=found.party, state=amended.again.disposition)])
    log("referral_amended", count=len(amended.again.emitted))
    return _answer(found, amended, wanted, revision=found.revision + 1)


def _check_findings(record: Json, before: Json, edges: Iterable[CurrentEdge]) -> None:
    """Compare new assessments with the findings of hotlines. One that crossed an earlier amendment forbids no further.

    Raises `Refused("assessment_final")`.
    """
    kept = {each["n"]: each.get("assessments") for each in before["items"]}
    stated = [{} if each.get("assessments") == kept.get(each["n"]) else each for each in record["items"]]
    check_stated(stated, [each for edge in edges for each in as_final(found_in(edge.known.answered.detail))])


async def _take_back(found: AmendableReferral, edges: Sequence[CurrentEdge], acting: Actor) -> None:
    """Send withdrawals to parties that are no longer recipients, at every instance that had the edges.

    A party that has left the directory gets no message.
    """
    if not edges:
        return
    store = PostgresAmendments(acting.referrals.driver, acting.kek)
    filed = StoredReferral(found.state, found.exercise, found.traceparent)
    sender = TombstoneSender(found.party, WithdrawalReason.OTHER, acting.documents().directory, acting.at)
    withdrawals = await sender.send(found.referral_id, await store.list_addressees(edges), filed, store=store)
    await store.take_back(edges, withdrawals)


def _before(content: bytes) -> Revision:
    return Revision(as_kept(ReferralRecord.model_validate_json(content)), from_json(content))


def _answer(
    found: AmendableReferral, amended: AmendmentResult | None, wanted: Change, *, revision: int
) -> AmendedReferral:
    if amended is None:
        parties = {"unchanged": _parties(found.edges), "replaced": (), "added": (), "taken_back": ()}
        return AmendedReferral(
            referral_id=found.referral_id,
            revision=revision,
            state=found.state,
            work_reason=None,
            cut=wanted.cut,
            respelled=wanted.respelled,
            **parties,
        )
    again, known = amended.again, {each.known.edge_id for each in amended.replaced}
    added = {each.recipient for each in again.emitted if each.edge_id not in known}
    return AmendedReferral(
        referral_id=found.referral_id,
        revision=revision,
        state=again.disposition,
        work_reason=again.work_reason,
        unchanged=_parties(amended.unchanged),
        replaced=_parties((*amended.replaced, *amended.planned)),
        added=tuple(sorted(added | {each.edge.recipient for each in again.planned})),
        taken_back=_parties(amended.taken_back),
        cut=wanted.cut,
        respelled=wanted.respelled,
    )


def _parties(edges: Iterable[CurrentEdge]) -> tuple[str, ...]:
    return tuple(sorted({each.recipient for each in edges}))


def _hosts(disowned: WrongProvider, provider: str | None, directory: DirectoryIndex) -> Mapping[int, str]:
    """Return the provider that hosts each item instead, by item number."""
    hosts = {n: provider or suggested for n, suggested in disowned.items.items()}
    if not hosts:
        raise Refused("nothing_disowned", "the provider answered wrong provider for no open item", status=409)
    found = {}
    for n, host in hosts.items():
        if host is None:
            raise Refused(
                "provider_needed",
                "the answer suggests no provider; name the one that hosts the item",
                field="/provider",
            )
        party = directory.party(host)
        if party is None or party.kind != PartyKind.INDUSTRY or party.id == disowned.recipient:
            raise Refused("provider_unknown", "the directory has no other provider with this id", field="/provider")
        found[n] = party.id
    return found


def _moved(item: NumberedItem, before: str, host: str, *, directory: DirectoryIndex, on: date) -> NumberedItem:
    """Return the item with the new hosting observation. Earlier observations no longer name the wrong provider."""
    kept = [
        each
        for each in (_without(each, before, directory=directory, on=on) for each in item.hosting)
        if each is not None
    ]
    observed = Hosting(provider=host, method=HostingMethod.PROVIDER, observed_on=on)
    return item.model_copy(update={"hosting": (*kept[1 - HOSTING_MAX :], observed)})


def _without(hosting: Hosting, provider: str, *, directory: DirectoryIndex, on: date) -> Hosting | None:
    """Return the observation without this provider, or None if nothing else remains in it."""
    stated = None if hosting.provider is None else directory.party_by_alias(hosting.provider, on) or hosting.provider
    by_asn = None if hosting.asn is None else directory.provider_by_asn(hosting.asn, on)
    if provider not in (stated, by_asn):
        return hosting
    left = hosting.model_copy(update={"provider": None, "asn": None})
    return None if left.jurisdiction is None else left
