"""Incarnations of a pair's own streams: opening one, carrying messages into it, and reading back the own topics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.messaging.acks import INCARNATION_PAUSE, PROBE_PAUSE_S, Ack, apply_ack, is_over
from shared.messaging.ports import OperatorKind, OperatorLine
from shared.messaging.resync_steps import draft_request
from shared.messaging.scope import Scope
from shared.messaging.segments import place_segment, select_kept
from shared.messaging.streams import (
    LANES,
    Lane,
    Outgoing,
    Pair,
    Reader,
    Source,
    SourceLane,
    StreamPlace,
    begin_outgoing,
    extend_chain,
)

#: Messages that one transaction carries into a new incarnation.
CARRIED_MAX: Final = 1000


async def open_incarnation(scope: Scope, peer: str, old: Outgoing | None, *, unknown: UUID | None = None) -> Outgoing:
    """Open an incarnation of both lanes: the resync request first, then the kept messages again.

    The caller has locked the old streams and saves the new ones. `unknown`: an incarnation that a reader named and
    this side does not know; it is not acted on twice.
    """
    tx, pair = scope.tx, scope.pair_to(peer)
    is_audited = peer != scope.audit
    new = begin_outgoing(pair, scope.new_id(), scope.now, is_audited=is_audited, pause_s=PROBE_PAUSE_S)
    if old is not None:
        if scope.placed:
            # The old incarnation may be of this same transaction: its segments are carried from the store.
            await scope.save([old])
        await tx.add_known(peer, old.incarnation)
        new.opened_at, new.awaited_since, new.is_limited = old.opened_at, old.awaited_since, old.is_limited
        new.heard_at = old.heard_at
        new.sources = [_leave(old), *old.sources]
    if unknown is not None:
        await tx.add_known(peer, unknown)
    new.resync_nonce = scope.new_id()
    request = await draft_request(scope, peer, new.resync_nonce, is_first=True)
    (unplaced,) = scope.composer.compose(pair, {Lane.URGENT: request})
    scope.placed.append(place_segment(unplaced, new.incarnation, new.lanes[Lane.URGENT], day=scope.now.date()))
    await carry_on(scope, new)
    return new


def _leave(old: Outgoing) -> Source:
    urgent, ordinary = (
        SourceLane(old.lowest_acked(lane), own.last, own.chain) for lane, own in zip(LANES, old.lanes, strict=True)
    )
    return Source(old.incarnation, (urgent, ordinary))


async def carry_on(scope: Scope, outgoing: Outgoing, *, messages_max: int = CARRIED_MAX) -> None:
    """Carry messages of former incarnations into the present one: a limited number, or one segment.

    States and answers whose subject was erased here are not carried. The places of the others are rewritten.
    """
    places: dict[UUID, StreamPlace] = {}
    left = messages_max
    while outgoing.sources and left > 0:
        source = outgoing.sources[0]
        lane = next((each for each in LANES if source.lanes[each].position < source.lanes[each].last), None)
        if lane is None:
            for each in LANES:
                last = source.lanes[each].last
                await scope.tx.drop_segments(outgoing.pair.addressee, source.incarnation, each, through=last)
            outgoing.sources.pop(0)
            continue
        left -= await _carry_lane(scope, outgoing, lane, messages_max=left, places=places)
    if places:
        await scope.subjects.note_places({outgoing.pair.addressee: places})


async def _carry_lane(
    scope: Scope, outgoing: Outgoing, lane: Lane, *, messages_max: int, places: dict[UUID, StreamPlace]
) -> int:
    """Carry the next segments of the first source; return how many messages were read."""
    tx, peer, source = scope.tx, outgoing.pair.addressee, outgoing.sources[0]
    at = source.lanes[lane]
    segments = await tx.list_segments(peer, source.incarnation, lane, above=at.position, messages_max=messages_max)
    subjects = {message.subject for segment in segments for message in segment.messages if message.subject is not None}
    erased = await scope.subjects.find_erased(peer, subjects)
    for segment in segments:
        kept = select_kept(segment, above=at.position, erased=erased)
        if kept is not None:
            placed = place_segment(kept, outgoing.incarnation, outgoing.lanes[lane], day=scope.now.date())
            scope.placed.append(placed)
            places.update(placed.places())
    at.position = segments[-1].last if segments else at.last
    await tx.drop_segments(peer, source.incarnation, lane, through=at.position)
    return sum(len(segment.messages) for segment in segments)


async def handle_ack(scope: Scope, peer: str, outgoing: Outgoing | None, *, reader: Reader, ack: Ack) -> Outgoing:
    """Apply a reader's acknowledgement to the locked streams; return them, or those of a new incarnation."""
    tx = scope.tx
    if outgoing is None:
        return await open_incarnation(scope, peer, None, unknown=ack.incarnation)
    is_present = ack.incarnation == outgoing.incarnation
    known = frozenset[UUID]() if is_present or ack.incarnation is None else await tx.load_known(peer)
    chains = {}
    for lane in LANES if is_present else ():
        chains[lane] = await find_own_chain(scope, outgoing, lane, number=ack.lanes[lane].through)
    effects = apply_ack(outgoing, ack, reader, known=known, chains=chains, now=scope.now)
    if effects.is_listed:
        await tx.add_operator_lines([OperatorLine(OperatorKind.AHEAD, peer)])
    if effects.opens is not None:
        return await open_incarnation(scope, peer, outgoing, unknown=effects.unknown)
    return outgoing


async def find_own_chain(scope: Scope, outgoing: Outgoing, lane: Lane, *, number: int) -> bytes | None:
    """Return the chain after a number of the present incarnation, or None if it is not kept."""
    own = outgoing.lanes[lane]
    if number == own.last:
        return own.chain
    if number == own.kept_above:
        return own.kept_chain
    if not own.kept_above < number < own.last:
        return None
    return await scope.tx.find_chain(outgoing.pair.addressee, outgoing.incarnation, lane, number=number)


class Head(NamedTuple):
    """A number that the log shows for an own stream: of the last record, or in the own last acknowledgement.

    A record shows its digest, an acknowledgement the chain. `is_taken`: it is of the peer's stream, as the own last
    acknowledgement states it.
    """

    incarnation: UUID
    lane: Lane
    number: int
    chain: bytes | None = None
    digest: bytes | None = None
    is_taken: bool = False


async def read_back(scope: Scope, peer: str, outgoing: Outgoing | None, *, heads: Sequence[Head]) -> Outgoing:
    """Compare the locked streams with the last records of their topic, before anything is accepted.

    A head that this database does not know opens a new incarnation. This does not count towards the hourly limit.
    """
    if outgoing is None:
        outgoing = await open_incarnation(scope, peer, None)
    known = await scope.tx.load_known(peer)
    for head in heads:
        if head.number and head.incarnation not in known and not await _is_own_head(scope, outgoing, head):
            is_other = head.incarnation != outgoing.incarnation
            outgoing = await open_incarnation(scope, peer, outgoing, unknown=head.incarnation if is_other else None)
            known = await scope.tx.load_known(peer)
    return outgoing


async def has_taken(scope: Scope, peer: str, heads: Sequence[Head]) -> bool:
    """Return whether this database has taken from the peer all that the own last acknowledgement states."""
    incoming = await scope.tx.load_incoming(Pair(peer, scope.instance), lock=False)
    return all(
        head.number <= incoming.lanes[head.lane].through
        if head.incarnation == incoming.incarnation
        else head.incarnation in incoming.closed
        for head in heads
    )


async def _is_own_head(scope: Scope, outgoing: Outgoing, head: Head) -> bool:
    if head.incarnation != outgoing.incarnation or head.number > outgoing.lanes[head.lane].last:
        return False
    chain = await find_own_chain(scope, outgoing, head.lane, number=head.number)
    if chain is None:
        return True
    if head.chain is not None:
        return chain == head.chain
    before = await find_own_chain(scope, outgoing, head.lane, number=head.number - 1)
    if before is None or head.digest is None:
        return True
    return extend_chain(before, (head.digest,)) == chain


def await_reply(outgoing: Outgoing, at: datetime) -> None:
    """Probe the peer until it answers a probe that was sent from now on: at each start, and nightly."""
    outgoing.awaited_since, outgoing.probe, outgoing.probe_pause_s = at, None, PROBE_PAUSE_S


def lift_limit(outgoing: Outgoing, now: datetime) -> None:
    """Ask the peer again when the hour after the last incarnation is over, instead of acting on an old statement."""
    last = max(outgoing.opened_at.values(), default=None)
    if outgoing.is_limited and is_over(INCARNATION_PAUSE, since=last, now=now):
        outgoing.is_limited = False
        await_reply(outgoing, now)
