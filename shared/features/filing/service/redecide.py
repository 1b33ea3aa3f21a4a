"""Repeated decisions: an edge that its recipient refused as stale is decided, sealed and sent again.

An outcome or an answer only sets the time. Due edges are decided in batches, separately from reading: no locked
referral and no expired document delays the messages of others.

An edge is decided again at most three times, with growing pauses. After that its referral is listed as unrouted. A
refusal counts only if the decision used the documents that were in force at its time; without newer documents the
origin could not know better. An edge that waited because its recipient could not read it is decided afresh once the
recipient can.

If a recipient moves to another instance, its open edges are decided again and keep their ids. Each is sent to the new
instance with the answers so far, in one transaction per batch. The instance stored with the edge shows the remaining
work, so that a crash repeats nothing. If the new instance cannot read an edge yet, the edge stays unchanged and is sent
once it can.

An edge that can no longer be decided or sealed is dropped. Audit gets a fact, and the referral is listed as unrouted.
One referral never delays the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.core.clock import Clock
from shared.core.errors import Refused, Unavailable
from shared.core.protocol.decision_fact import FactBody, decided_fact
from shared.core.protocol.message import Draft
from shared.core.protocol.outgoing_messages import StaleEdge
from shared.core.protocol.prepare import Documents, Redecision, prepare_again
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.routing import WorkReason
from shared.features.filing.ports import MissedWithdrawal, Retry, StaleReferral
from shared.features.filing.rules import PAUSES
from shared.features.filing.service.referrals import OriginSender, TombstoneSender
from shared.features.filing.store.edges import PostgresEdges
from shared.features.filing.store.referrals import PostgresMissing
from shared.platform.database.failure_isolation import ClaimedBatch
from shared.platform.observability.logs import log

#: Edges that one transaction takes.
DUE_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class CurrentDocuments:
    """The documents that an origin decides by: the current ones, and those in force at a given time, as known now.

    Both raise `Unavailable` if there are no documents.
    """

    now: Callable[[], Documents]
    at: Callable[[datetime], Documents]


#: A referral whose edges are sent again, with the decision that replaces them.
DecidedAgain = tuple[StaleReferral, Redecision]
#: A feature's step for edges that are sent again: it returns the decisions with its own messages added.
SentAgain = Callable[[PostgresEdges, Sequence[DecidedAgain], OriginSender], Awaitable[Sequence[DecidedAgain]]]


@dataclass(frozen=True, slots=True)
class EdgeRedecider:
    """The replacement of refused messages, in one transaction with the new messages and the fact to audit.

    `followers` are the features that follow edges which are sent again.
    """

    law: CurrentDocuments
    instance: str
    clock: Clock
    followers: Sequence[SentAgain] = ()

    async def refused(self, edges: PostgresEdges, message_ids: Sequence[UUID]) -> None:
        """Count refusals as stale, and set the time at which each edge is decided again or dropped."""
        await edges.note_tries([self._try(edge) for edge in await edges.refused(message_ids)])

    async def due(self, edges: PostgresEdges, taking: ClaimedBatch) -> None:
        """Decide again the edges whose pause is over. Without documents, all of them wait."""
        await self._replace(edges, await edges.due(self.clock.now(), taking))

    def _try(self, edge: StaleEdge) -> Retry:
        at = self.clock.now()
        try:
            counts = self.law.at(edge.decided_at).law == edge.law
            self.law.now()
        except Unavailable:
            return Retry(edge.edge_id, edge.tried, at)
        tried = edge.tried + counts
        return Retry(edge.edge_id, tried, at if tried > len(PAUSES) else at + PAUSES[max(tried - 1, 0)])

    async def _replace(self, edges: PostgresEdges, stale: Sequence[StaleReferral]) -> None:
        again = [decided for each in stale if not each.withdrawn for decided in self._decided(each)]
        dropped = dropped_edges(stale, again)
        replaced = {edge.edge_id for each in stale for edge in each.stale.values()} - dropped
        if not replaced and not dropped:
            return
        await edges.replace(replaced, dropped, again)
        log("decided_again", count=len(replaced))
        if dropped:
            log("edges_dropped", count=len(dropped))

    async def issue(self, edges: PostgresEdges, after: UUID, taking: ClaimedBatch) -> UUID | None:
        """Decide waiting edges above the id `after`, and send those that can be read. The caller has the transaction.

        Return the id to continue after, or None after the last edge. An edge that still cannot be read stays unchanged.
        """
        found = await edges.waiting(after, taking)
        again = [self.decide(each, self.law.now()) for each in found if not each.withdrawn]
        await send_readable(edges, found, again)
        return _last(found) if taking.full else None

    async def issue_anew(self, edges: PostgresEdges, after: UUID, taking: ClaimedBatch) -> UUID | None:
        """Send again edges whose recipient could not read the last attempt. Otherwise as `issue`."""
        found = await edges.unread(after, taking)
        await self._anew(edges, found, waited=True)
        return _last(found) if taking.full else None

    async def left_behind(self, edges: PostgresEdges, taking: ClaimedBatch, *, recipient: str, instance: str) -> None:
        """Send again open edges at an instance that their recipient has left. The caller has the transaction."""
        await self._anew(edges, await edges.left_behind(recipient, instance, taking))

    async def missing(self, edges: PostgresEdges, taking: ClaimedBatch) -> None:
        """Send again the edges that are missing at the instance of their recipient."""
        await self._anew(edges, await edges.missing(taking))

    async def untold(self, missing: PostgresMissing, taking: ClaimedBatch) -> None:
        """Send withdrawals again to the recipients' instances that do not know them."""
        directory, at = self.law.now().directory, self.clock.now()
        withdrawn = await missing.taken_back(taking)
        await missing.send_again([(each, _compose_again(each, directory, at)) for each in withdrawn])

    async def _anew(self, edges: PostgresEdges, found: Sequence[StaleReferral], *, waited: bool = False) -> None:
        # The earlier message stays sent: its outcome is `moved`, or it was applied at the instance that the recipient
        # left. For an edge that `waited` and still waits, nothing is written or sent.
        again = [(each, self.decide(each, self.law.now())) for each in found]
        changed: Sequence[DecidedAgain] = [each for each in again if each[1].emitted or each[1].dropped or not waited]
        issued = {edge.edge_id for each, _ in changed for edge in each.stale.values()}
        dropped = {edge.edge_id for _, each in changed for edge in each.dropped}
        if changed:
            sender = OriginSender(self.law.now().directory, self.instance, self.clock.now())
            for follow in self.followers:
                changed = await follow(edges, changed, sender)
            await edges.replace(issued - dropped, dropped, [each for _, each in changed])
            log("edges_reissued", count=sum(len(each.emitted) for _, each in changed))
        if dropped:
            log("edges_dropped", count=len(dropped))

    def _decided(self, referral: StaleReferral) -> list[Redecision]:
        """Decide a referral's edges again. Those that were tried too often are dropped."""
        documents = self.law.now()
        tired = {key: edge for key, edge in referral.stale.items() if edge.tried > len(PAUSES)}
        others = {key: edge for key, edge in referral.stale.items() if key not in tired}
        found = [self._given_up(replace(referral, stale=tired), documents)] if tired else []
        return found + ([self.decide(replace(referral, stale=others), documents)] if others else [])

    def decide(self, referral: StaleReferral, documents: Documents) -> Redecision:
        """Decide these edges of a referral by these documents. An edge that cannot be decided is dropped."""
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

    def _given_up(self, referral: StaleReferral, documents: Documents) -> Redecision:
        """Drop edges: the origin has left, the content is erased or unusable, or they were tried too often.

        The fact states the stored decision once more, without these edges.
        """
        stated = FactBody(
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
        return Redecision(
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


def _compose_again(missed: MissedWithdrawal, directory: DirectoryIndex, at: datetime) -> Draft | None:
    sender, addressee = TombstoneSender(missed.party, missed.reason, directory, at), missed.addressee
    return sender.compose(missed.referral_id, addressee, missed.filed) if sender.reaches(addressee) else None


async def send_readable(edges: PostgresEdges, found: Sequence[StaleReferral], again: Sequence[Redecision]) -> set[UUID]:
    """Send the decided edges that can be read, and return the dropped ones. Waiting edges stay unchanged."""
    stale = {each.referral_id: each.stale for each in found}
    replaced = {
        stale[each.referral_id][edge.recipient, edge.purpose].edge_id for each in again for edge in each.emitted
    }
    dropped = dropped_edges(found, again)
    if replaced or dropped:
        changed = [replace(each, waiting=()) for each in again if each.emitted or each.dropped]
        await edges.replace(replaced, dropped, changed)
        log("edges_issued", count=len(replaced))
    return dropped


def dropped_edges(found: Sequence[StaleReferral], again: Sequence[Redecision]) -> set[UUID]:
    """Return the edges that are no longer sent: those that cannot be decided, and those that were withdrawn."""
    withdrawn = (edge_id for each in found if each.withdrawn for edge_id in edge_ids(each))
    return {*(edge.edge_id for each in again for edge in each.dropped), *withdrawn}


def edge_ids(referral: StaleReferral) -> list[UUID]:
    return [edge.edge_id for edge in referral.stale.values()]
