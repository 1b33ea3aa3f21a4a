"""Acknowledgements: a reader's statement on a pair's streams, and its effect on the writer. All pure.

It is cumulative, unnumbered and never acknowledged itself. It moves positions, makes the relay go back, opens an
incarnation, or adds a row to the operator's list. Its record is signed canonical JSON in the urgent lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from re import compile as pattern
from typing import Annotated, Final, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.core.canonical import canonical_json, signed_statement
from shared.core.clock import coarse
from shared.core.envelope.base64url import from_base64url, to_base64url
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused
from shared.messaging.exceptions import NUMBER_MAX
from shared.messaging.placement import KIND, PlaceKeys
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import (
    DIGEST_BYTES,
    LANES,
    Incoming,
    Lane,
    LaneEnd,
    Outgoing,
    OutgoingLane,
    Pair,
    Probe,
    Reader,
)

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


def is_over(pause: timedelta, *, since: datetime | None, now: datetime) -> bool:
    """Return whether a pause is over. A pause that begins after `now`, because the clock was set back, is over."""
    return since is None or not timedelta() <= now - since < pause


class LaneAck(NamedTuple):
    """One lane of an acknowledgement. All numbers up to `through` were taken, with this chain there.

    `is_full`: reading stopped at a record. `has_gap`: a higher number arrived. `next_offset`: the position in Kafka.
    """

    through: int
    chain: bytes
    is_full: bool = False
    has_gap: bool = False
    topic_id: UUID | None = None
    next_offset: int = 0


@dataclass(frozen=True, slots=True)
class Ack:
    """A reader's statement on both streams of a pair.

    `incarnation` is None before the first record. `closed` names a closed incarnation whose record arrived. `nonce`
    asks for an acknowledgement in return, and `echo` repeats the nonce that is answered. `heads` are the ends of the
    reader's own streams to the writer, so that the last record of its topic always states its last numbers.
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


class OpeningReason(Enum):
    """The reason why an acknowledgement, or a read-back, opens a new incarnation."""

    AHEAD = "ahead"
    OTHER_CHAIN = "other_chain"
    CLOSED = "closed"
    NOT_KEPT = "not_kept"


#: Reasons that also go on the operator's list: the database was restored, or the reader states nonsense.
LISTED: Final = frozenset({OpeningReason.AHEAD, OpeningReason.OTHER_CHAIN})


@dataclass(slots=True)
class AckEffects:
    """The effects of one acknowledgement beyond positions.

    `opens`: a new incarnation for this reason, with `unknown` as the incarnation that the reader named and its writer
    never had. `is_listed`: one line on the operator's list.
    """

    opens: OpeningReason | None = None
    unknown: UUID | None = None
    is_listed: bool = False


@dataclass(frozen=True, slots=True)
class _Statement:
    """An acknowledgement while it is applied. `is_entered`: it is of the present incarnation."""

    outgoing: Outgoing
    reader: Reader
    is_entered: bool
    is_answer: bool
    now: datetime
    effects: AckEffects = field(default_factory=AckEffects)

    def open(self, why: OpeningReason, unknown: UUID | None = None) -> None:
        """Open an incarnation, unless this reader caused one within the hour: then list it once and ask again later."""
        last = self.outgoing.opened_at.get(self.reader)
        is_early = not is_over(INCARNATION_PAUSE, since=last, now=self.now)
        self.effects.is_listed = why in LISTED and not (is_early and self.outgoing.is_limited)
        if is_early:
            self.outgoing.is_limited = True
            return
        self.outgoing.opened_at[self.reader] = self.now
        self.effects.opens, self.effects.unknown = why, unknown


def apply_ack(
    outgoing: Outgoing,
    ack: Ack,
    reader: Reader,
    *,
    known: frozenset[UUID],
    chains: Mapping[Lane, bytes | None],
    now: datetime,
) -> AckEffects:
    """Apply an acknowledgement to the pair's own streams and return its effects.

    `known`: all earlier incarnations of the pair. `chains`: by lane, the writer's chain at the number that the reader
    states; None if that chain is not kept any more. An older number cannot be compared and counts as equal.
    """
    probe = outgoing.probe
    is_answer = probe is not None and ack.echo == probe.nonce
    if not is_answer and ack.at < outgoing.heard_at.get(reader, ack.at):
        # An old record: the topic was read again from its first one. An answer is new, even if a clock went back.
        return AckEffects()
    outgoing.heard_at[reader] = min(ack.at, now)
    statement = _Statement(outgoing, reader, ack.incarnation == outgoing.incarnation, is_answer, now)
    if is_answer and reader is Reader.RECIPIENT:
        outgoing.awaited_since = None
    if ack.closed == outgoing.incarnation:
        statement.open(OpeningReason.CLOSED)
        return statement.effects
    lanes = ack.lanes
    if ack.incarnation != outgoing.incarnation:
        if ack.incarnation is not None and ack.incarnation not in known:
            statement.open(OpeningReason.AHEAD, ack.incarnation)
            return statement.effects
        # An older incarnation: nothing of the present one was taken.
        lanes = _none_taken(lanes[0]), _none_taken(lanes[1])
    elif any(said.through > own.last for said, own in zip(lanes, outgoing.lanes, strict=True)):
        statement.open(OpeningReason.AHEAD)
        return statement.effects
    elif any(not _is_on_chain(said, chains.get(lane)) for lane, said in zip(LANES, lanes, strict=True)):
        statement.open(OpeningReason.OTHER_CHAIN)
        return statement.effects
    for lane, said in zip(LANES, lanes, strict=True):
        if statement.effects.opens is None:
            _apply_lane(statement, lane, said)
    if probe is not None and is_answer:
        is_recipient = reader is Reader.RECIPIENT
        outgoing.probe = probe._replace(acked=None) if is_recipient else probe._replace(audit_acked=None)
    return statement.effects


def _apply_lane(statement: _Statement, lane: Lane, said: LaneAck) -> None:
    outgoing, own = statement.outgoing, statement.outgoing.lanes[lane]
    is_recipient = statement.reader is Reader.RECIPIENT
    if said.through > own.acked_by(statement.reader) or (is_recipient and own.is_full and not said.is_full):
        outgoing.probe_pause_s = PROBE_PAUSE_S
    if is_recipient:
        own.is_full = said.is_full
    own.note_acked(statement.reader, said.through)
    # A gap shows that more was appended: the relay notes its pointer late, and numbers before an entry are dropped.
    has_gap = is_recipient and said.has_gap and said.through < own.last
    if said.through >= own.sent and not has_gap:
        return
    has_progress = not statement.is_answer or _has_progress(outgoing.probe, lane, said, is_recipient=is_recipient)
    if not is_recipient:
        if not has_progress and statement.is_entered:
            _copy(statement, own)
        elif not has_progress:
            # Audit takes no copy of an incarnation that it has not entered in the pair's own topic.
            _return_to(statement, own, said.through)
        return
    is_still = not has_progress and not said.is_full and is_over(STILL_PAUSE, since=own.moved_at, now=statement.now)
    if is_still or (has_gap and _may_return(own, said.through, statement.now)):
        _return_to(statement, own, said.through)


def _has_progress(probe: Probe | None, lane: Lane, said: LaneAck, *, is_recipient: bool) -> bool:
    """Return whether the reader has taken something since the probe (each answers it once), or lacked nothing then."""
    before = None if probe is None else (probe.acked if is_recipient else probe.audit_acked)
    return probe is None or before is None or said.through > before[lane] or said.through >= probe.last[lane]


def _may_return(own: OutgoingLane, number: int, now: datetime) -> bool:
    """Return whether a reported gap makes the relay go back now: at most once in 10 s, to one number once in 60 s.

    While a p0 message is not acknowledged, both limits are 2 s.
    """
    if own.acked < own.p0_last:
        pause = URGENT_RETURN_PAUSE
    else:
        pause = SAME_RETURN_PAUSE if own.returned_to == number else RETURN_PAUSE
    return is_over(pause, since=own.returned_at, now=now)


def _return_to(statement: _Statement, own: OutgoingLane, number: int) -> None:
    """Make the relay append again from the number after this one, or open an incarnation if that is not kept."""
    if number < own.kept_above:
        statement.open(OpeningReason.NOT_KEPT)
        return
    own.sent, own.moved_at = min(own.sent, number), statement.now
    own.returned_to, own.returned_at = number, statement.now


def _copy(statement: _Statement, own: OutgoingLane) -> None:
    """Send audit copies of the messages that it lacks: the addressee does not read its stream again."""
    if own.audit_acked < own.kept_above:
        statement.open(OpeningReason.NOT_KEPT)
    else:
        own.copy_above = own.audit_acked


def _none_taken(said: LaneAck) -> LaneAck:
    return said._replace(through=0, chain=b"")


def _is_on_chain(said: LaneAck, own: bytes | None) -> bool:
    return own is None or said.through == 0 or own == said.chain


class AckTurn(NamedTuple):
    """An acknowledgement that is due. With `asks`, it also asks for one in return."""

    asks: bool


def find_ack_turn(incoming: Incoming, outgoing: Outgoing | None, now: datetime) -> AckTurn | None:
    """Return whether an acknowledgement to the peer is due.

    It is due after messages were taken (one in 10 s), at once after a p0 or a gap (one in 1 s), and as a probe while
    own messages are unacknowledged. Audit has no `outgoing` streams in a pair that it only reads.
    """
    since = incoming.acked_at
    is_prompt = incoming.is_urgent or any(lane.has_gap for lane in incoming.lanes)
    if not is_over(GAP_ACK_PAUSE if is_prompt else ACK_PAUSE, since=since, now=now):
        return None
    asks = outgoing is not None and _is_probe_due(outgoing, since, now)
    return AckTurn(asks) if asks or incoming.owes_ack or is_prompt else None


def _is_probe_due(outgoing: Outgoing, since: datetime | None, now: datetime) -> bool:
    if outgoing.awaited_since is None and not outgoing.has_unacked():
        return False
    return is_over(timedelta(seconds=_find_probe_pause_s(outgoing)), since=since, now=now)


def _find_probe_pause_s(outgoing: Outgoing) -> int:
    """Return the pause before the next probe. New messages since the last probe reset it."""
    has_news = outgoing.probe is not None and _last_numbers(outgoing) != outgoing.probe.last
    return PROBE_PAUSE_S if has_news else outgoing.probe_pause_s


def build_ack(
    reader: str, incoming: Incoming, outgoing: Outgoing | None, *, turn: AckTurn, nonce: UUID, now: datetime
) -> Ack:
    """Return an acknowledgement of all numbers taken, and note that it was given.

    The caller saves both states, then appends the record: one that is lost is asked for again.
    """
    urgent, ordinary = (
        LaneAck(lane.through, lane.chain, lane.is_stopped, lane.has_gap, lane.topic_id, lane.next_offset)
        for lane in incoming.lanes
    )
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
        heads=None if outgoing is None else _find_heads(outgoing),
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
    outgoing.probe_pause_s = min(PROBE_PAUSE_MAX_S, 2 * _find_probe_pause_s(outgoing))
    urgent, ordinary = outgoing.lanes
    acked, audit_acked = (urgent.acked, ordinary.acked), (urgent.audit_acked, ordinary.audit_acked)
    outgoing.probe = Probe(nonce, now, _last_numbers(outgoing), acked, audit_acked)


def _last_numbers(outgoing: Outgoing) -> tuple[int, int]:
    return outgoing.lanes[Lane.URGENT].last, outgoing.lanes[Lane.ORDINARY].last


def _find_heads(outgoing: Outgoing) -> tuple[LaneEnd, LaneEnd]:
    urgent, ordinary = (LaneEnd(lane.last, lane.chain) for lane in outgoing.lanes)
    return urgent, ordinary


CONTEXT: Final = "causeway-ack/v1"
ACK: Final = b"ack"
ACK_BYTES_MAX: Final = 4096
#: An instance's id, as topic names have it.
_NAME: Final = pattern("[a-z][a-z0-9_-]{0,63}")


class _AckText(BaseModel):
    """An acknowledgement as its record states it: bytes in hexadecimal, a lane as a list of its members."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_bytes="hex", val_json_bytes="hex")

    version: Literal[1] = 1
    ack: Ack
    key_id: Annotated[str, Field(max_length=64)]
    signature: Annotated[str, Field(max_length=128)] = ""


def build_ack_record(ack: Ack, key: SigningKey) -> RecordBytes:
    """Sign an acknowledgement and return its record."""
    stated = _AckText(ack=replace(ack, at=coarse(ack.at)), key_id=key.key_id)
    signed = stated.model_dump(mode="json", exclude={"signature"})
    signature = to_base64url(key.sign(signed_statement(CONTEXT, signed)))
    return RecordBytes(b"", ((KIND, ACK),), canonical_json(signed | {"signature": signature}))


def parse_ack_record(value: bytes, keys: PlaceKeys, at: datetime) -> Ack:
    """Read an acknowledgement that the broker took at `at`, and check its signature.

    Raises `Refused` with `ack_malformed`, `key_unknown` or `signature_invalid`. The caller checks that its reader may
    acknowledge the pair.
    """
    if len(value) > ACK_BYTES_MAX:
        raise Refused("ack_malformed")
    try:
        stated = _AckText.model_validate_json(value)
        signature = from_base64url(stated.signature)
    except (ValidationError, ValueError):
        raise Refused("ack_malformed") from None
    signed = stated.model_dump(mode="json", exclude={"signature"})
    if not _is_bounded(stated.ack) or canonical_json(signed | {"signature": stated.signature}) != value:
        raise Refused("ack_malformed")
    key = keys(stated.ack.reader, stated.key_id, at)
    if key is None:
        raise Refused("key_unknown")
    key.verify(signature, signed_statement(CONTEXT, signed))
    return stated.ack


def _is_bounded(ack: Ack) -> bool:
    """Return whether names, numbers and digests have their form, and the time is of UTC."""
    heads = ack.heads or ()
    numbers = [number for lane in ack.lanes for number in (lane.through, lane.next_offset)]
    return (
        all(_NAME.fullmatch(name) for name in (ack.reader, *ack.pair))
        and all(0 <= number <= NUMBER_MAX for number in (*numbers, *(end.number for end in heads)))
        and all(len(lane.chain) in (0, DIGEST_BYTES) for lane in ack.lanes)
        and all(len(end.chain) == DIGEST_BYTES for end in heads)
        and ack.at.utcoffset() == timedelta()
    )
