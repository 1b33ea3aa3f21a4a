"""Deciding again: an edge whose decision went stale before it was applied is decided, sealed and sent anew.

Two callers, one function: the relay before stamping (the broker was away), and the consumer when the other
side refused a message because its decision or its documents had lapsed.

What a recipient has left behind where it was until it moved is decided again as well, and keeps its ids: the edge is
issued anew where its recipient is now, with what was answered so far. One transaction does it for one batch, and the
instance that stands at the edge says what is left to do: a crash repeats nothing.

Total: what cannot be decided or sealed any more is dropped, told to audit and put on the origin's work list. One
referral never holds up the others, nor the relay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from shared.envelope.sealing import Sealer
from shared.exchange.decided import Stated, decided_fact
from shared.exchange.origin import UNFINISHED
from shared.exchange.prepare import Again, Documents, prepare_again
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused
from shared.party.origin.ports import Edges, StaleReferral
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.watch.logs import log
from shared.vocabulary.routing import WorkReason

#: So many edges of a recipient that moved are issued anew in one transaction.
MOVED_AT_ONCE: Final = 100


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

    async def left_behind(self, edges: Edges, recipient: str, instance: str, *, limit: int = MOVED_AT_ONCE) -> int:
        """Issue anew `limit` of the open edges that lie at an instance their recipient has left; how many there were.

        Within the caller's transaction. 0: nothing is left behind there.
        """
        return await self._anew(edges, await edges.left_behind(recipient, instance, limit=limit))

    async def known(self, edges: Edges, edge_ids: Sequence[UUID]) -> None:
        """Issue these anew to where they lie, with what was answered so far, within the caller's transaction."""
        await self._anew(edges, await edges.known(edge_ids))

    async def moved(self, edges: Edges, message_ids: Sequence[UUID]) -> None:
        """Issue anew what these messages carry, where their recipient is elsewhere by the directory in force here."""
        directory = self._documents().directory
        found = [_elsewhere(each, directory) for each in await edges.known(message_ids)]
        await self._anew(edges, [each for each in found if each.stale])

    async def _anew(self, edges: Edges, found: Sequence[StaleReferral]) -> int:
        # What was sent before goes its way: it is answered `moved`, or was applied where nobody looks any more.
        sealer = Sealer()
        again = [self._again(each, sealer) for each in found]
        dropped = {edge.edge_id for each in again for edge in each.dropped}
        issued = {edge.edge_id for each in found for edge in each.stale.values()}
        if issued:
            await edges.replace(issued - dropped, dropped, again)
            log("edges_reissued", count=len(issued - dropped))
        if dropped:
            log("edges_dropped", count=len(dropped))
        return len(issued)

    def _again(self, referral: StaleReferral, sealer: Sealer) -> Again:
        documents = self._documents()
        origin = documents.directory.party(referral.party)
        if origin is None or origin.instance != self._instance or referral.content is None:
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


def _elsewhere(referral: StaleReferral, directory: DirectoryIndex) -> StaleReferral:
    """The referral with those of its edges alone that are open and do not lie where their recipient is."""
    left = {}
    for (recipient, purpose), edge in referral.stale.items():
        place = directory.instance_of(recipient)
        if edge.known is None or place is None or place.id == edge.known.instance:
            continue
        if edge.known.answered.answer in UNFINISHED:
            left[recipient, purpose] = edge
    return replace(referral, stale=left)
