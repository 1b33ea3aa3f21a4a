"""Deciding again: an edge that its recipient refused as stale is decided, sealed and sent anew.

An outcome or an answer only sets the time. The edges that are due are decided in batches, apart from reading: no locked
referral and no expired document delays the messages of others.

Bounded: at most three times an edge, with growing pauses; then it goes on its origin's work list. A refusal counts only
if the documents of its decision were the ones in force when it was made: whoever decided by older ones, since no newer
had come, could not know. An edge that waited, because its recipient could not read it, is decided afresh once it can.

What a recipient has left behind where it was until it moved is decided again as well, and keeps its ids: the edge is
issued anew where its recipient is now, with what was answered so far. One transaction does it for one batch, and the
instance that stands at the edge says what is left to do: a crash repeats nothing. Where its recipient cannot read it
yet, it stays what it is and is issued anew once that can.

Total: what cannot be decided or sealed any more is dropped, told to audit and put on the work list. One referral never
holds up the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.exchange.decision_fact import Stated, decided_fact
from shared.exchange.message import Draft
from shared.exchange.outgoing_messages import StaleEdge
from shared.exchange.prepare import Again, Documents, prepare_again
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, Unavailable
from shared.party.failure_isolation import Taking
from shared.party.origin.domain import PAUSES
from shared.party.origin.records import Held, Hold, StaleReferral, TakenBack, Try
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.store.holds import PostgresPlanned
from shared.party.origin.store.referrals import PostgresMissing
from shared.party.origin.use_cases.holds import Holding
from shared.party.origin.use_cases.referrals import Letters, reachable, tombstone
from shared.party.origin.use_cases.transfers import told_again
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.watch.logs import log
from shared.vocabulary.preservation import HoldEnd
from shared.vocabulary.routing import WorkReason

#: So many edges are taken in one transaction.
DUE_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Law:
    """What an origin decides by: the documents of now, and those that were in force at a time, as known now.

    Both raise `Unavailable` where there are none.
    """

    now: Callable[[], Documents]
    at: Callable[[datetime], Documents]


@dataclass(frozen=True, slots=True)
class DecideAgain:
    """Replaces refused messages in one transaction: old edges retire, new ones are enqueued, audit is told."""

    law: Law
    instance: str
    clock: Clock

    async def refused(self, edges: PostgresEdges, message_ids: Sequence[UUID]) -> None:
        """Recipients refused these as stale: count that, and note when each is decided again, or given up."""
        await edges.note_tries([self._try(edge) for edge in await edges.refused(message_ids)])

    async def due(self, edges: PostgresEdges, taking: Taking) -> None:
        """Decide again what has waited for it long enough. Without documents it all waits on."""
        await self._replace(edges, await edges.due(self.clock.now(), taking))

    def _try(self, edge: StaleEdge) -> Try:
        at = self.clock.now()
        try:
            counts = self.law.at(edge.decided_at).law == edge.law
            self.law.now()
        except Unavailable:
            return Try(edge.edge_id, edge.tried, at)
        tried = edge.tried + counts
        return Try(edge.edge_id, tried, at if tried > len(PAUSES) else at + PAUSES[max(tried - 1, 0)])

    async def _replace(self, edges: PostgresEdges, stale: Sequence[StaleReferral]) -> None:
        again = [decided for each in stale if not each.withdrawn for decided in self._decided(each)]
        dropped = _dropped(stale, again)
        replaced = {edge.edge_id for each in stale for edge in each.stale.values()} - dropped
        if not replaced and not dropped:
            return
        await edges.replace(replaced, dropped, again)
        log("decided_again", count=len(replaced))
        if dropped:
            log("edges_dropped", count=len(dropped))

    async def issue(self, edges: PostgresEdges, after: UUID, taking: Taking) -> UUID | None:
        """Decide edges that wait, above the id `after`, within the caller's transaction; send those that can be read.

        Returns the id to go on after, None behind the last. One that still cannot be read stays as it is.
        """
        found = await edges.waiting(after, taking)
        again = [self.decide(each, self.law.now()) for each in found if not each.withdrawn]
        await _send_readable(edges, found, again)
        return _last(found) if taking.full else None

    async def issue_anew(self, edges: PostgresEdges, after: UUID, taking: Taking) -> UUID | None:
        """As `issue`, of edges that were to be issued anew and could not be read by their recipient."""
        found = await edges.unread(after, taking)
        await self._anew(edges, found, waited=True)
        return _last(found) if taking.full else None

    async def left_behind(self, edges: PostgresEdges, taking: Taking, *, recipient: str, instance: str) -> None:
        """Issue anew open edges that lie at an instance their recipient has left, within the caller's transaction."""
        await self._anew(edges, await edges.left_behind(recipient, instance, taking))

    async def missing(self, edges: PostgresEdges, taking: Taking) -> None:
        """Issue anew what the instance where it lies does not know."""
        await self._anew(edges, await edges.missing(taking))

    async def untold(self, missing: PostgresMissing, taking: Taking) -> None:
        """Tell again withdrawals that an instance of their recipient does not know of."""
        directory, at = self.law.now().directory, self.clock.now()
        withdrawn = await missing.taken_back(taking)
        await missing.tell_again([(each, _told_again(each, directory, at)) for each in withdrawn])

    async def _anew(self, edges: PostgresEdges, found: Sequence[StaleReferral], *, waited: bool = False) -> None:
        # What was sent before goes its way: it is answered `moved`, or was applied where nobody looks any more.
        # Of what `waited` and waits on nothing is written, and nobody told.
        again = [self.decide(each, self.law.now()) for each in found]
        changed = [each for each in again if each.emitted or each.dropped or not waited]
        ids = {each.referral_id for each in changed}
        issued = {edge.edge_id for each in found if each.referral_id in ids for edge in each.stale.values()}
        dropped = {edge.edge_id for each in changed for edge in each.dropped}
        if changed:
            await edges.replace(issued - dropped, dropped, await self._transfers_told(edges, found, changed))
            anew = [
                (each.referral_id, one.recipient) for each in changed for one in each.emitted if one.notice_id is None
            ]
            await edges.meet_again(anew)
            log("edges_reissued", count=sum(len(each.emitted) for each in changed))
        if dropped:
            log("edges_dropped", count=len(dropped))

    async def _transfers_told(
        self, edges: PostgresEdges, found: Sequence[StaleReferral], again: Sequence[Again]
    ) -> list[Again]:
        """Decisions made again, and behind each edge what its hotline was told of a transfer."""
        anew = {(each.referral_id, one.recipient) for each in again for one in each.emitted if one.notice_id is None}
        told = [each for each in await edges.transfers({referral for referral, _ in anew}) if each[:2] in anew]
        letters = Letters(self.law.now().directory, self.instance, self.clock.now())
        held = {each.referral_id: _held(each) for each in found}
        drafts = {each.referral_id: [*each.drafts] for each in again}
        for each in told:
            drafts[each.referral_id] += told_again(each, held[each.referral_id], letters)
        return [replace(each, drafts=tuple(drafts[each.referral_id])) for each in again]

    def _decided(self, referral: StaleReferral) -> list[Again]:
        """What becomes of a referral's edges: those that were tried often enough are given up, the others decided."""
        documents = self.law.now()
        tired = {key: edge for key, edge in referral.stale.items() if edge.tried > len(PAUSES)}
        others = {key: edge for key, edge in referral.stale.items() if key not in tired}
        found = [self._given_up(replace(referral, stale=tired), documents)] if tired else []
        return found + ([self.decide(replace(referral, stale=others), documents)] if others else [])

    def decide(self, referral: StaleReferral, documents: Documents) -> Again:
        """What becomes of these edges of a referral by these documents: what cannot be decided is given up."""
        origin = documents.directory.party(referral.party)
        if origin is None or origin.instance != self.instance or referral.content is None:
            return self._given_up(referral, documents)
        try:
            return prepare_again(
                referral.content,
                referral_id=referral.referral_id,
                origin=origin,
                exercise=referral.exercise,
                documents=documents,
                at=self.clock.now(),
                only=referral.stale,
                body_sha256=referral.body_sha256,
                traceparent=referral.traceparent,
                released=referral.released,
                revision=referral.revision,
            )
        except Refused as error:
            log("referral_undecidable", code=error.code)
            return self._given_up(referral, documents)

    def _given_up(self, referral: StaleReferral, documents: Documents) -> Again:
        """Nothing is decided: the origin has left, the content is erased, nothing can be made of it, or it was tried.

        The kept decision is stated once more, without its edges.
        """
        stated = Stated(
            referral_id=referral.referral_id,
            origin=referral.party,
            body_sha256=referral.body_sha256,
            disposition=referral.disposition,
            decision={name: value for name, value in referral.decision.items() if name != "salt"},
            salt=str(referral.decision["salt"]),
            facts=referral.facts,
            superseded=sorted(edge.edge_id for edge in referral.stale.values()),
            work_reason=WorkReason.UNDELIVERABLE,
            revision=referral.revision,
        )
        at = self.clock.now()
        fact = decided_fact(
            stated,
            instance=self.instance,
            directory=documents.directory,
            exercise=referral.exercise,
            at=at,
            traceparent=referral.traceparent,
        )
        return Again(
            referral.referral_id,
            referral.party,
            (),
            (),
            (fact,),
            dropped=tuple(referral.stale.values()),
            work_reason=WorkReason.UNDELIVERABLE,
            disposition=referral.disposition,
            law=documents.law,
            decided_at=at,
        )


def _last(found: Sequence[StaleReferral]) -> UUID:
    return max(edge.edge_id for each in found for edge in each.stale.values())


def _held(referral: StaleReferral) -> Held:
    """What is told of a transfer needs no more."""
    return Held(
        referral.referral_id, referral.party, referral.disposition, referral.exercise, referral.revision, offered=()
    )


def _told_again(taken_back: TakenBack, directory: DirectoryIndex, at: datetime) -> Draft | None:
    if not reachable(taken_back.told, directory):
        return None
    return tombstone(
        taken_back.referral_id,
        taken_back.told,
        taken_back.filed,
        reason=taken_back.reason,
        sender=taken_back.party,
        directory=directory,
        at=at,
    )


#: So many planned notices are looked at in one transaction.
BATCH: Final = 100


class Checked(NamedTuple):
    """What the look for holds has found of due notices: what may go, and what somebody holds still."""

    free: list[StaleReferral]
    held: list[StaleReferral]


def hold_check(due: Sequence[StaleReferral], active: Mapping[UUID, Sequence[Hold]], at: datetime) -> Checked:
    """A notice may go where no hold is in force any more, or its referral was taken back."""
    found = Checked([], [])
    for each in due:
        holds = active.get(each.referral_id, ())
        stands = not each.withdrawn and any(hold.not_after > at for hold in holds)
        (found.held if stands else found.free).append(each)
    return found


@dataclass(frozen=True, slots=True)
class IssuePlanned:
    """Issues one batch within the caller's transaction."""

    planned: PostgresPlanned
    edges: PostgresEdges
    again: DecideAgain
    holding: Holding

    async def issue(self, taking: Taking) -> None:
        """Issue what is due, and say how each hold of it has ended."""
        at, hours = self.holding.at, self.holding.documents().hours
        due = await self.planned.due(at, taking)
        if not due:
            # A hold ends in its own slot, also where others hold on: else its agency could tell that they do.
            await self.holding.end(await self.planned.over(hours.begun(at), at, taking), HoldEnd.EXPIRED)
            return
        active = await self.planned.active([each.referral_id for each in due])
        checked = hold_check(due, active, at)
        again = [self.again.decide(each, self.holding.documents()) for each in checked.free if not each.withdrawn]
        await self._replace(checked.free, again)
        later = {
            edge_id: hours.slot(max(h.not_after for h in active[each.referral_id]))
            for each in checked.held
            for edge_id in _ids(each)
        }
        # Whoever could not be written to yet is written to in another slot: its time is as any other.
        later |= {edge_id: hours.slot(at + hours.slot_length / 2) for edge_id in self._unread(checked.free, again)}
        await self.planned.plan(later)
        await self._end(checked.free, again, active)

    async def _replace(self, free: Sequence[StaleReferral], again: Sequence[Again]) -> None:
        if dropped := await _send_readable(self.edges, free, [_listed(each) for each in again]):
            log("edges_dropped", count=len(dropped))

    def _unread(self, free: Sequence[StaleReferral], again: Sequence[Again]) -> list[UUID]:
        """The notices whose recipients cannot read them yet."""
        stale = {each.referral_id: each.stale for each in free}
        return [
            stale[each.referral_id][waiting.edge.recipient, waiting.edge.terms.purpose].edge_id
            for each in again
            for waiting in each.waiting
        ]

    async def _end(
        self, free: Sequence[StaleReferral], again: Sequence[Again], active: Mapping[UUID, Sequence[Hold]]
    ) -> None:
        """A hold of what went has expired; one of what is not sent any more has lapsed."""
        gone = {each.referral_id for each in again if each.emitted or each.waiting}
        for each in free:
            end = HoldEnd.EXPIRED if each.referral_id in gone else HoldEnd.LAPSED
            await self.holding.end(active.get(each.referral_id, ()), end)


def _listed(again: Again) -> Again:
    """What is decided again; a notice that the law permits no more needs a person."""
    return replace(again, work_reason=again.work_reason or (WorkReason.NO_BASIS if again.dropped else None))


async def _send_readable(edges: PostgresEdges, found: Sequence[StaleReferral], again: Sequence[Again]) -> set[UUID]:
    """Send what was decided of these and can be read; what waits on stays as it is. The edges that are dropped."""
    stale = {each.referral_id: each.stale for each in found}
    replaced = {
        stale[each.referral_id][edge.recipient, edge.purpose].edge_id for each in again for edge in each.emitted
    }
    dropped = _dropped(found, again)
    if replaced or dropped:
        changed = [replace(each, waiting=()) for each in again if each.emitted or each.dropped]
        await edges.replace(replaced, dropped, changed)
        log("edges_issued", count=len(replaced))
    return dropped


def _dropped(found: Sequence[StaleReferral], again: Sequence[Again]) -> set[UUID]:
    """The edges that are sent no more: what cannot be decided, and what was withdrawn."""
    withdrawn = (edge_id for each in found if each.withdrawn for edge_id in _ids(each))
    return {*(edge.edge_id for each in again for edge in each.dropped), *withdrawn}


def _ids(referral: StaleReferral) -> list[UUID]:
    return [edge.edge_id for edge in referral.stale.values()]
