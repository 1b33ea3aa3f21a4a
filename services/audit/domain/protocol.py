"""The messages of the protocol as audit reads them: outcomes, holdings and acknowledgements. Pure."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from services.audit.domain.entries import Acknowledgement, ClosedEnd, Read, ReportedOutcome, StreamEnd
from shared.envelope.headers import Envelope
from shared.envelope.record_value import split_value
from shared.exchange.message import Record
from shared.messaging.arrival import StatedAck
from shared.messaging.contract import decode_control
from shared.messaging.exceptions import OutcomeList
from shared.messaging.resync import Holdings
from shared.messaging.streams import LANES, Pair, Place
from shared.runtime.delivery.control import ROLE_BY_TYPE


class Observed(NamedTuple):
    """A record that audit keeps: a message that was taken, or one without effect.

    `pair`: the streams that the message is of. `place` and `chain` (32 bytes, after it) are None for a record without
    effect; then `code` says why. `record` has its topic's id.
    """

    record: Record
    pair: Pair
    place: Place | None = None
    chain: bytes | None = None
    code: str | None = None


def note_body(observed: Observed, envelope: Envelope, read: Read) -> bool:
    """Add the outcomes or closed incarnations that a proven message of the protocol states.

    Return whether it is an outcome message. Raises `Refused("body_invalid")`.
    """
    body = decode_control(ROLE_BY_TYPE[envelope.attributes.type], split_value(envelope.body)[0])
    match body:
        case OutcomeList():
            _note_outcomes(observed, body, read, report_id=envelope.attributes.id)
        case Holdings():
            _note_closed(observed, body, read)
        case _:
            pass
    return isinstance(body, OutcomeList)


def _note_outcomes(observed: Observed, body: OutcomeList, read: Read, *, report_id: UUID) -> None:
    reporter, writer = observed.pair
    assert observed.place is not None
    read.outcomes += [
        ReportedOutcome(
            message_id=outcome.named.message_id,
            writer=writer,
            reported_by=reporter,
            outcome=outcome.kind.value,
            code=outcome.code,
            report_id=report_id,
            position=position,
            number=observed.place.number,
            reported_at=observed.record.broker_time,
        )
        for position, outcome in enumerate(body.outcomes)
    ]


def _note_closed(observed: Observed, body: Holdings, read: Read) -> None:
    """The instance that states holdings has left these incarnations of the other instance's streams."""
    reader, writer = observed.pair
    read.closed_ends += [
        ClosedEnd(writer, reader, closed.incarnation, int(lane), end.number, end.chain, observed.record.broker_time)
        for closed in body.closed
        for lane, end in zip(LANES, closed.lanes, strict=True)
        if end.number
    ]


def note_ack(stated: StatedAck, pair: Pair, read: Read) -> None:
    """Note the statements of an acknowledgement in the topic of this pair.

    The writer of the topic states the numbers that it took of the other instance's streams, and the ends of its own.
    The broker's time orders statements, so a writer's fast clock cannot make its statement the latest.
    """
    ack, at = stated.ack, stated.raw.broker_time
    if ack.reader != pair.writer or ack.pair != (pair.addressee, pair.writer):
        return
    if ack.incarnation is not None:
        read.acknowledgements += [
            Acknowledgement(*ack.pair, ack.incarnation, int(lane), said.through, said.chain, at)
            for lane, said in zip(LANES, ack.lanes, strict=True)
        ]
    if ack.own_incarnation is not None and ack.heads is not None:
        urgent, ordinary = (end.number for end in ack.heads)
        read.stream_ends.append(StreamEnd(*pair, ack.own_incarnation, urgent, ordinary, at))
