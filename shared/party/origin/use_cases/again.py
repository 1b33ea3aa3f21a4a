"""Deciding again: an edge whose decision went stale before it was applied is decided, sealed and sent anew.

Two callers, one function: the relay before stamping (the broker was away), and the consumer when the other
side refused a message because its decision or its documents had lapsed.

Total: what cannot be decided or sealed any more is dropped, told to audit and put on the origin's work list. One
referral never holds up the others, nor the relay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from shared.envelope.sealing import Sealer
from shared.exchange.decided import Stated, decided_fact
from shared.exchange.prepare import Again, Documents, prepare_again
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused
from shared.party.origin.ports import Edges, StaleReferral
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.watch.logs import log
from shared.vocabulary.routing import WorkReason


class DecideAgain:
    """Replaces stale messages in one transaction: old edges retire, new ones are enqueued, audit is told."""

    def __init__(self, *, documents: Callable[[], Documents], instance: str, clock: Clock) -> None:
        self._documents = documents
        self._instance = instance
        self._clock = clock

    async def messages(self, edges: Edges, message_ids: Sequence[UUID]) -> None:
        """Replace messages within the caller's transaction, or drop them: then nothing of them stays in the outbox."""
        stale = await edges.stale(message_ids)
        sealer = Sealer()
        again = [self._again(each, sealer) for each in stale if not each.withdrawn]
        dropped = {edge.edge_id for each in again for edge in each.dropped}
        dropped |= {edge.edge_id for each in stale if each.withdrawn for edge in each.stale.values()}
        replaced = {edge.edge_id for each in stale for edge in each.stale.values()} - dropped
        # Also those whose edge is gone: nobody would take them.
        await edges.unsend(message_ids)
        await edges.replace(replaced, dropped, again)
        log("decided_again", count=len(replaced) + len(dropped))
        if gone := len(message_ids) - len(replaced):
            log("edges_dropped", count=gone)

    def _again(self, referral: StaleReferral, sealer: Sealer) -> Again:
        documents = self._documents()
        origin = documents.directory.party(referral.party)
        if origin is None or referral.content is None:
            return self._given_up(referral, documents.directory, sealer)
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
                sealer=sealer,
            )
        except Refused as error:
            log("referral_undecidable", code=error.code)
            return self._given_up(referral, documents.directory, sealer)

    def _given_up(self, referral: StaleReferral, directory: DirectoryIndex, sealer: Sealer) -> Again:
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
            sealer=sealer,
        )
        dropped = tuple(referral.stale.values())
        return Again(referral.referral_id, referral.party, (), (fact,), dropped, WorkReason.UNDELIVERABLE)
