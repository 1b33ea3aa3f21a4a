"""Acknowledgements: what a reader states of a pair's streams, and what its writer does about it.

An acknowledgement is cumulative, unnumbered and never acknowledged itself. It has no effect on subjects: it moves
positions, makes the relay go back, opens an incarnation, or adds one row to the operator's list. Everything is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple
from uuid import UUID

from shared.messaging.streams import LANES, Incoming, Lane, LaneEnd, Outgoing, Pair, Probe, Reader

ACK_PAUSE: Final = timedelta(seconds=10)
GAP_ACK_PAUSE: Final = timedelta(seconds=1)
PROBE_PAUSE_S: Final = 60
PROBE_PAUSE_MAX_S: Final = 3600
#: Between two returns of one stream, and between two returns to the same number.
RETURN_PAUSE: Final = timedelta(seconds=10)
SAME_RETURN_PAUSE: Final = timedelta(seconds=60)
#: Both, while a p0 message is unacknowledged.
URGENT_RETURN_PAUSE: Final = timedelta(seconds=2)
#: A return without a reported gap waits until the relay has been still for this time.
STILL_PAUSE: Final = timedelta(seconds=60)
#: Each reader causes at most one new incarnation in this time; each peer gets at most one holdings.
INCARNATION_PAUSE: Final = timedelta(hours=1)


class LaneAck(NamedTuple):
    """One lane of an acknowledgement. All numbers up to `through` were taken, with this chain there.

    `is_full`: reading stopped at a record. `has_gap`: a higher number came.
    """

    through: int
    chain: bytes
    is_full: bool = False
    has_gap: bool = False


@dataclass(frozen=True, slots=True)
class Ack:
    """A reader's statement on both streams of a pair.

    `incarnation` is None before the first record. `closed` names a closed incarnation whose record came. `nonce` asks
    for an acknowledgement in return, and `echo` repeats the nonce that is answered. `heads` are the ends of the
    reader's own streams to the writer, so that the last record of its topic always names its counter.
    """

    reader: str
    pair: Pair
    incarnation: UUID | None
    lanes: tuple[LaneAck, LaneAck]
    at: datetime
    closed: UUID | None = None
    nonce: UUID | None = None
    echo: UUID | None = None
    own_incarnation: UUID | None = None
    heads: tuple[LaneEnd, LaneEnd] | None = None


class Opening(Enum):
    """The reason why an acknowledgement, or a read-back, opens a new incarnation."""

    AHEAD = "ahead"
    OTHER_CHAIN = "other_chain"
    CLOSED = "closed"
    NOT_KEPT = "not_kept"


#: Reasons that also go on the operator's list: the database was restored, or the reader states nonsense.
LISTED: Final = frozenset({Opening.AHEAD, Opening.OTHER_CHAIN})


@dataclass(slots=True)
class AckEffects:
    """The effects of one acknowledgement.

    `opens`: a new incarnation for this reason, with `unknown` as the incarnation that the reader named and its writer
    never had. `is_postponed`: it would be the second one of this reader within an hour, so the writer asks again
    later. `copies`: lanes whose messages go to audit again. `progressed`: lanes whose acknowledged number rose.
    """

    opens: Opening | None = None
    unknown: UUID | None = None
    is_listed: bool = False
    is_postponed: bool = False
    progressed: list[Lane] = field(default_factory=list)
    copies: list[Lane] = field(default_factory=list)


def apply_ack(
    outgoing: Outgoing,
    ack: Ack,
    reader: Reader,
    *,
    known: frozenset[UUID],
    chains: Mapping[Lane, bytes | None],
    has_p0: bool,
    now: datetime,
) -> AckEffects:
    """Apply an acknowledgement to the pair's own streams and return its effects.

    `known`: all earlier incarnations of the pair. `chains`: by lane, the writer's chain at the number that the reader
    states, None where that is not kept any more (an older number cannot be compared and counts as equal).
    """
    effects = AckEffects()
    if outgoing.awaited_since is not None and ack.at >= outgoing.awaited_since:
        outgoing.awaited_since = None
    if ack.closed == outgoing.incarnation:
        return _open(outgoing, reader, Opening.CLOSED, effects, now)
    lanes = ack.lanes
    if ack.incarnation != outgoing.incarnation:
        if ack.incarnation is not None and ack.incarnation not in known:
            effects.unknown = ack.incarnation
            return _open(outgoing, reader, Opening.AHEAD, effects, now)
        # An older incarnation: nothing of the present one was taken.
        lanes = _none_taken(lanes[0]), _none_taken(lanes[1])
    elif any(said.through > own.last for said, own in zip(lanes, outgoing.lanes, strict=True)):
        return _open(outgoing, reader, Opening.AHEAD, effects, now)
    elif any(said.through and not _is_on_chain(said, chains[lane]) for lane, said in zip(LANES, lanes, strict=True)):
        return _open(outgoing, reader, Opening.OTHER_CHAIN, effects, now)
    probe = outgoing.probe if ack.echo is not None and outgoing.probe and outgoing.probe.nonce == ack.echo else None
    for lane, said in zip(LANES, lanes, strict=True):
        _apply_lane(outgoing, lane, said, reader, probe=probe, effects=effects, has_p0=has_p0, now=now)
        if effects.opens or effects.is_postponed:
            break
    if probe is not None and not outgoing.has_unacked(reader):
        outgoing.probe = None
    return effects


def _apply_lane(
    outgoing: Outgoing,
    lane: Lane,
    said: LaneAck,
    reader: Reader,
    *,
    probe: Probe | None,
    effects: AckEffects,
    has_p0: bool,
    now: datetime,
) -> None:
    own = outgoing.lanes[lane]
    is_recipient = reader is Reader.RECIPIENT
    if said.through > own.acked_by(reader) or (is_recipient and own.is_full and not said.is_full):
        outgoing.probe_pause_s = PROBE_PAUSE_S
    if said.through > own.acked_by(reader):
        effects.progressed.append(lane)
    if is_recipient:
        own.is_full = said.is_full
    own.note_acked(reader, said.through)
    if said.through >= own.sent:
        return
    had = None if probe is None else (probe.acked if is_recipient else probe.audit_acked)[lane]
    without_progress = had is not None and said.through <= had
    if not is_recipient:
        if without_progress:
            _copy(outgoing, lane, reader, effects, now)
        return
    is_still = without_progress and not said.is_full and now - own.moved_at >= STILL_PAUSE
    if is_still or (said.has_gap and _may_return(outgoing, lane, said.through, has_p0=has_p0, now=now)):
        _return_to(outgoing, lane, said.through, effects, now)


def _may_return(outgoing: Outgoing, lane: Lane, number: int, *, has_p0: bool, now: datetime) -> bool:
    """Return whether a reported gap makes the relay go back now."""
    own = outgoing.lanes[lane]
    if own.returned_at is None:
        return True
    since = now - own.returned_at
    if has_p0:
        return since >= URGENT_RETURN_PAUSE
    return since >= RETURN_PAUSE and (own.returned_to != number or since >= SAME_RETURN_PAUSE)


def _return_to(outgoing: Outgoing, lane: Lane, number: int, effects: AckEffects, now: datetime) -> None:
    """Make the relay append again from the number after this one, or open an incarnation if that is not kept."""
    own = outgoing.lanes[lane]
    if number < own.kept_above:
        _open(outgoing, Reader.RECIPIENT, Opening.NOT_KEPT, effects, now)
        return
    own.sent, own.moved_at = min(own.sent, number), now
    own.returned_to, own.returned_at = number, now


def _copy(outgoing: Outgoing, lane: Lane, reader: Reader, effects: AckEffects, now: datetime) -> None:
    own = outgoing.lanes[lane]
    if own.audit_acked < own.kept_above:
        _open(outgoing, reader, Opening.NOT_KEPT, effects, now)
        return
    own.copied_at = now
    effects.copies.append(lane)


def _open(outgoing: Outgoing, reader: Reader, why: Opening, effects: AckEffects, now: datetime) -> AckEffects:
    """Open an incarnation, unless this reader caused one within the hour."""
    effects.is_listed = why in LISTED
    last = outgoing.opened_at.get(reader)
    if last is not None and now - last < INCARNATION_PAUSE:
        outgoing.is_limited = effects.is_postponed = True
        return effects
    outgoing.opened_at[reader] = now
    effects.opens = why
    return effects


def _none_taken(said: LaneAck) -> LaneAck:
    return said._replace(through=0, chain=b"")


def _is_on_chain(said: LaneAck, own: bytes | None) -> bool:
    return own is None or own == said.chain


class AckTurn(NamedTuple):
    """An acknowledgement that is due. With `asks`, it also asks for one in return."""

    asks: bool


def find_ack_turn(incoming: Incoming, outgoing: Outgoing | None, now: datetime) -> AckTurn | None:
    """Return whether an acknowledgement to the peer is due.

    It is due after something was taken (at most one in 10 s), at once after a p0 or a gap (at most one in 1 s), and as
    a probe while own messages are unacknowledged.
    """
    since = None if incoming.acked_at is None else now - incoming.acked_at
    is_prompt = incoming.is_urgent or any(lane.has_gap for lane in incoming.lanes)
    if since is not None and since < (GAP_ACK_PAUSE if is_prompt else ACK_PAUSE):
        return None
    asks = outgoing is not None and _is_probe_due(outgoing, since)
    return AckTurn(asks) if asks or incoming.owes_ack or is_prompt else None


def _is_probe_due(outgoing: Outgoing, since: timedelta | None) -> bool:
    wants = outgoing.awaited_since is not None or any(outgoing.has_unacked(reader) for reader in Reader)
    return wants and (since is None or since >= timedelta(seconds=outgoing.probe_pause_s))


def build_ack(
    reader: str, incoming: Incoming, outgoing: Outgoing | None, turn: AckTurn, *, nonce: UUID, now: datetime
) -> Ack:
    """Return the acknowledgement of what was taken, and note that it was given.

    The caller saves both states, then appends the record: one that is lost is asked for again.
    """
    urgent, ordinary = (LaneAck(lane.through, lane.chain, lane.is_stopped, lane.has_gap) for lane in incoming.lanes)
    ack = Ack(
        reader=reader,
        pair=incoming.pair,
        incarnation=incoming.incarnation,
        lanes=(urgent, ordinary),
        at=now,
        closed=incoming.dropped_closed,
        nonce=nonce if turn.asks else None,
        echo=incoming.echo,
        own_incarnation=None if outgoing is None else outgoing.incarnation,
        heads=None if outgoing is None else _heads(outgoing),
    )
    incoming.owes_ack = incoming.is_urgent = False
    incoming.echo = incoming.dropped_closed = None
    for lane in incoming.lanes:
        lane.has_gap = False
    incoming.acked_at = now
    if outgoing is not None and turn.asks:
        _note_probe(outgoing, nonce, now)
    return ack


def _note_probe(outgoing: Outgoing, nonce: UUID, now: datetime) -> None:
    outgoing.probe_pause_s = min(PROBE_PAUSE_MAX_S, 2 * outgoing.probe_pause_s)
    urgent, ordinary = outgoing.lanes
    outgoing.probe = Probe(nonce, now, (urgent.acked, ordinary.acked), (urgent.audit_acked, ordinary.audit_acked))


def _heads(outgoing: Outgoing) -> tuple[LaneEnd, LaneEnd]:
    urgent, ordinary = (LaneEnd(lane.last, lane.chain) for lane in outgoing.lanes)
    return urgent, ordinary
