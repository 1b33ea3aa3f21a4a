"""The last step of a transaction: apply acknowledgements, then number and store all its messages."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Final
from uuid import UUID

from shared.messaging.acks import Ack
from shared.messaging.exceptions import Outcome, OutcomeList
from shared.messaging.incarnations import handle_ack, open_incarnation
from shared.messaging.ports import MessageDraft
from shared.messaging.resync import exception_bytes, paginate
from shared.messaging.scope import Scope
from shared.messaging.segments import NewMessages, Segment, place_segment
from shared.messaging.streams import LANES, Lane, Outgoing, Reader, StreamPlace, WireRole

#: Messages of one segment: its proof record, which names each of them, stays far below the size of a record.
SEGMENT_MESSAGES_MAX: Final = 500
#: Acknowledgements of one peer's streams that a transaction applies: the last ones, as each states all taken numbers.
ACKS_MAX: Final = 3
#: Messages of a transaction above which they are sealed off the event loop.
APART_MIN: Final = 100
#: Only edges and withdrawals have places, because no answer is sent again.
_FEATURE_ROLES: Final = frozenset({WireRole.STATE, WireRole.WITHDRAWAL})


async def finish(scope: Scope) -> list[Segment]:
    """Place the messages of the transaction in their streams and return the new segments that the relay may append.

    A segment of a former incarnation is never appended: it is carried into the present one.

    Messages are sealed and proven before the stream rows are locked, in the order of peer and lane, until the commit.
    """
    drafts = [draft for each in scope.drafts.values() for draft in each]
    is_large = len(drafts) > APART_MIN or any(draft.role is WireRole.HOLDINGS for draft in drafts)
    if is_large and scope.compose_apart is not None:
        unplaced = await scope.compose_apart(partial(_compose, scope))
    else:
        unplaced = _compose(scope)
    acks: dict[str, deque[tuple[Reader, Ack]]] = {}
    for peer, reader, ack in scope.acks:
        acks.setdefault(peer, deque(maxlen=ACKS_MAX)).append((reader, ack))
    written = {*(each.pair.addressee for each in unplaced), *scope.asks, *scope.answered}
    peers = sorted({*written, *acks})
    if not peers:
        return []
    if scope.before_lock is not None:
        await scope.before_lock()
    found = await scope.tx.load_outgoing(peers, lock=True)
    changed: list[Outgoing] = []
    new_segments: list[Segment] = []
    for peer in peers:
        outgoing = found.get(peer)
        for reader, ack in acks.get(peer, ()):
            if outgoing is None and reader is Reader.AUDIT:
                # Audit names any peer. The peer itself, or the log, shows that streams to it were lost here.
                continue
            outgoing = await handle_ack(scope, peer, outgoing, reader=reader, ack=ack)
        if outgoing is None and peer not in written:
            continue
        if outgoing is None:
            outgoing = await open_incarnation(scope, peer, None)
        if outgoing.resync_nonce == scope.answered.get(peer):
            outgoing.resync_nonce = None
        outgoing.resync_nonce = scope.asks.get(peer, outgoing.resync_nonce)
        placed = [place(scope, outgoing, each) for each in unplaced if each.pair.addressee == peer]
        scope.placed += placed
        changed.append(outgoing)
        new_segments += placed
    await _note_places(scope, new_segments)
    present = {outgoing.incarnation for outgoing in changed}
    segments = [segment for segment in scope.placed if segment.incarnation in present]
    await scope.save(changed)
    scope.finished += segments
    scope.drafts, scope.outcomes, scope.asks, scope.answered, scope.acks = {}, {}, {}, {}, []
    return segments


async def _note_places(scope: Scope, segments: list[Segment]) -> None:
    """Have the features note the places of their own messages, once for all peers."""
    own = {message.message_id for each in segments for message in each.messages if message.role in _FEATURE_ROLES}
    places: dict[str, dict[UUID, StreamPlace]] = {}
    for each in segments:
        if of_features := {at: place for at, place in each.places().items() if at in own}:
            places.setdefault(each.pair.addressee, {}).update(of_features)
    if places:
        await scope.subjects.note_places(places)


def place(scope: Scope, outgoing: Outgoing, unplaced: NewMessages) -> Segment:
    """Place messages at the end of their stream.

    While messages of a former incarnation are still carried, new ones are placed behind them and carried, too. A resync
    request is placed in the present incarnation: a carried one would be dropped.
    """
    is_request = unplaced.messages[0].role is WireRole.RESYNC
    target = outgoing.sources[-1] if outgoing.sources and not is_request else outgoing
    return place_segment(unplaced, target.incarnation, target.lanes[unplaced.lane], day=scope.now.date())


def _compose(scope: Scope) -> list[NewMessages]:
    """Seal and prove all messages by peer, outcomes first. Resync requests have segments of their own."""
    said = {peer: _draft_outcomes(peer, outcomes) for peer, outcomes in scope.outcomes.items() if outcomes}
    unplaced = []
    for peer in sorted({*said, *(peer for peer, _ in scope.drafts)}):
        lanes = {lane: scope.drafts.get((peer, lane), []) for lane in LANES}
        urgent = said.get(peer, []) + lanes[Lane.URGENT]
        requests = [draft for draft in urgent if draft.role is WireRole.RESYNC]
        lanes[Lane.URGENT] = [draft for draft in urgent if draft.role is not WireRole.RESYNC]
        for start in range(0, max(map(len, lanes.values())), SEGMENT_MESSAGES_MAX):
            parts = {lane: drafts[start : start + SEGMENT_MESSAGES_MAX] for lane, drafts in lanes.items()}
            unplaced += scope.composer.compose(
                scope.pair_to(peer), {lane: drafts for lane, drafts in parts.items() if drafts}
            )
        if requests:
            unplaced += scope.composer.compose(scope.pair_to(peer), {Lane.URGENT: requests})
    return unplaced


def _draft_outcomes(peer: str, outcomes: list[Outcome]) -> list[MessageDraft]:
    """Return one message with these outcomes, or several if one would be too large."""
    pages = paginate(outcomes, exception_bytes)
    return [MessageDraft(peer, WireRole.OUTCOMES, WireRole.OUTCOMES, None, OutcomeList(page)) for page in pages]
