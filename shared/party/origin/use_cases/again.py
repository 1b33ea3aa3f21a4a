"""Deciding again: an edge whose decision went stale before it was applied is decided, sealed and sent anew.

Two callers, one function: the relay before stamping (the broker was away), and the consumer when the other
side refused a message because its decision or its documents had lapsed. An edge that waited, because its recipient
could not read it, is decided afresh as well, once it can.

Total: what cannot be decided or sealed any more is dropped, told to audit and put on the origin's work list. One
referral never holds up the others, nor the relay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from shared.exchange.decided import Stated, decided_fact
from shared.exchange.prepare import Again, Documents, prepare_again
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused
from shared.party.origin.ports import Edges, StaleReferral
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.watch.logs import log
from shared.vocabulary.routing import WorkReason

#: So many edges that waited are decided in one transaction.
ISSUED_AT_ONCE: Final = 100


class DecideAgain:
    """Replaces stale messages in one transaction: old edges retire, new ones are enqueued, audit is told."""

    def __init__(self, *, documents: Callable[[], Documents], instance: str, clock: Clock) -> None:
        self._documents = documents
        self._instance = instance
        self._clock = clock

    async def messages(self, edges: Edges, message_ids: Sequence[UUID]) -> None:
        """Replace messages within the caller's transaction, or drop them: then nothing of them stays in the outbox."""
        stale = await edges.stale(message_ids)
        again = [self._again(each) for each in stale if not each.withdrawn]
        dropped = {edge.edge_id for each in again for edge in each.dropped}
        dropped |= {edge.edge_id for each in stale if each.withdrawn for edge in each.stale.values()}
        replaced = {edge.edge_id for each in stale for edge in each.stale.values()} - dropped
        # Also those whose edge is gone: nobody would take them.
        await edges.unsend(message_ids)
        await edges.replace(replaced, dropped, again)
        log("decided_again", count=len(replaced) + len(dropped))
        if gone := len(message_ids) - len(replaced):
            log("edges_dropped", count=gone)

    async def issue(self, edges: Edges, after: UUID) -> UUID | None:
        """Decide edges that wait, above the id `after`, within the caller's transaction; send those that can be read.

        Returns the id to go on after, None behind the last. One that still cannot be read stays as it is.
        """
        waiting = await edges.waiting(after, ISSUED_AT_ONCE)
        again = [self._again(each) for each in waiting if not each.withdrawn]
        replaced = {
            each.stale[edge.recipient, edge.purpose].edge_id
            for each, decided in zip((each for each in waiting if not each.withdrawn), again, strict=True)
            for edge in decided.emitted
        }
        dropped = {edge.edge_id for each in again for edge in each.dropped}
        dropped |= {edge.edge_id for each in waiting if each.withdrawn for edge in each.stale.values()}
        moved = [replace(each, waiting=()) for each in again if each.emitted or each.dropped]
        await edges.replace(replaced, dropped, moved)
        if replaced or dropped:
            log("edges_issued", count=len(replaced))
        looked_at = [edge.edge_id for each in waiting for edge in each.stale.values()]
        return max(looked_at) if len(looked_at) == ISSUED_AT_ONCE else None

    def _again(self, referral: StaleReferral) -> Again:
        documents = self._documents()
        origin = documents.directory.party(referral.party)
        if origin is None or referral.content is None:
            return self._given_up(referral, documents.directory)
        try:
            return prepare_again(
                referral.content,
                referral_id=referral.referral_id,
                origin=origin,
                exercise=referral.exercise,
                documents=documents,
                at=self._clock.now(),
                only=referral.stale,
                body_sha256=referral.body_sha256,
                traceparent=referral.traceparent,
            )
        except Refused as error:
            log("referral_undecidable", code=error.code)
            return self._given_up(referral, documents.directory)

    def _given_up(self, referral: StaleReferral, directory: DirectoryIndex) -> Again:
        """Nothing is decided: the origin has left, the content is erased, or nothing can be made of it any more.

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
        )
        fact = decided_fact(
            stated,
            instance=self._instance,
            directory=directory,
            exercise=referral.exercise,
            at=self._clock.now(),
            traceparent=referral.traceparent,
        )
        dropped = tuple(referral.stale.values())
        return Again(
            referral.referral_id, referral.party, (), (), (fact,), dropped, work_reason=WorkReason.UNDELIVERABLE
        )
