"""What each record of a batch is, before anything of it takes effect: verified, a receipt, of delivery, or junk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from pydantic_core import from_json, to_json

from shared.contracts.answers import Answer
from shared.contracts.referral import EdgeClear
from shared.contracts.registry import STANDING, Family
from shared.exchange.accept import TurnedAway
from shared.exchange.message import Received, Record, told_digest
from shared.exchange.needs import Need, NeedKind
from shared.exchange.record_table import Fate, row_for
from shared.kernel.canonical import canonical_json
from shared.kernel.canonical import digest as sha256
from shared.kernel.errors import Refused, Unavailable
from shared.runtime.post.arrivals import Arrival, Parked, Step
from shared.runtime.post.stamping import UNNUMBERED
from shared.runtime.watch.logs import Fields, log

#: What became of each record of a batch: `accept_batch`.
Accept = Callable[[Sequence[Record]], Sequence[Received | Exception]]


@dataclass(frozen=True, slots=True)
class Verified:
    """An authentic record. `message` is None where `accept` turned it away, then `code` says why.

    `need` is what it lacks, where that is all.
    """

    record: Record
    arrival: Arrival
    message: Received | None = None
    code: str | None = None
    need: Need | None = None


@dataclass(slots=True)
class Judged:
    """A part of a batch after `accept`: what is receipted, receipts, what is said about delivery, and what is parked.

    `numbered` are the arrivals of all that is authentic and not receipted; `steps` what the batch moves cursors over,
    all of them in its last part. `unread` by instance: its newest statement in words of a later release.
    """

    verified: list[Verified] = field(default_factory=list)
    receipts: list[Received] = field(default_factory=list)
    said: list[Received] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    numbered: list[Arrival] = field(default_factory=list)
    unread: dict[str, UUID] = field(default_factory=dict)
    steps: Sequence[Step] = ()


def judge(records: Sequence[Record], steps: Sequence[Step], *, accept: Accept) -> list[Judged]:
    """Sort a batch. Each part ends with a standing: that is held against what came before it, and nothing else.

    Raises `Unavailable` before this instance has any directory: it can tell nobody's signature.
    """
    parts = [Judged()]
    records = _of_their_lives(records, steps)
    for record, accepted in zip(records, accept(records), strict=True):
        judged = parts[-1]
        match accepted:
            case Received():
                if accepted.message is STANDING:
                    parts.append(Judged())
                _sort_in(judged, verified(accepted))
            case TurnedAway():
                turn_away(judged, _turned(record, accepted))
            case Unavailable():
                raise accepted
            case Refused():
                _park(judged, record, accepted.code)
            case _:  # fail closed: whatever broke, the record has no effect and the others go on
                _park(judged, record, "accept_defect", error=accepted)
    parts[-1].steps = steps
    return parts


def turn_away(judged: Judged, turned: Verified, *, error: Exception | None = None) -> None:
    """Sort in what `accept` turned away, or the service's own code failed on (`error`)."""
    code = turned.code or ""
    if row_for(code).alarm:
        alarm(turned.record, code, error)
    if _is_told_nobody(turned.arrival):
        judged.parked.append(parked_row(turned.record, code, turned))
        judged.numbered.append(turned.arrival)
        if turned.arrival.sequence != UNNUMBERED and row_for(code).fate is Fate.DEFER:
            judged.unread[turned.arrival.sender_instance] = turned.arrival.message_id
    else:
        judged.verified.append(turned)


def verified(received: Received, *, code: str | None = None) -> Verified:
    """An accepted message, or with `code` one that was accepted and failed all the same."""
    record, clear = received.record, received.clear
    arrival = Arrival(
        message_id=received.message_id,
        sender=received.sender,
        sender_instance=received.sender_instance,
        recipient=received.recipient,
        epoch=received.epoch,
        sequence=received.sequence,
        type=received.message.type,
        subject=received.subject,
        digest=received.digest,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        broker_time=record.broker_time,
        topic_id=record.topic_id,
        said=_said(received),
        content=_content(received),
        revision=_revision(received),
    )
    need = Need(NeedKind.ACT, received.subject) if isinstance(clear, Answer) else None
    return Verified(record, arrival, received, code, need)


def parked_row(record: Record, reason: str, of: Verified | None = None) -> Parked:
    """The quarantine row. The record is kept only if it is authentic and nothing about it is unguarded."""
    guarded = of is not None and (of.code is None or row_for(of.code).keeps_body)
    kept = guarded and row_for(reason).keeps_body
    # What an instance states itself nobody waits for: where nothing of it is kept it is counted, as junk is.
    alone = of is not None and (kept or not _is_told_nobody(of.arrival))
    return Parked(
        same=of.arrival.digest if of and alone else f"{record.topic} {reason} {record.broker_time:%Y-%m-%dT%H}",
        topic=record.topic,
        topic_id=record.topic_id,
        partition=record.partition,
        offset=record.offset,
        broker_time=record.broker_time,
        length_bytes=len(record.value or b""),
        digest=of.arrival.digest if of else told_digest(record),
        reason=reason,
        sender=of.arrival.sender if of else None,
        message_id=of.arrival.message_id if of else None,
        record=record if kept else None,
    )


def alarm(record: Record, code: str, error: Exception | None = None) -> None:
    """Say that something about a record is wrong, by its coordinates; of an `error` only the name."""
    line: Fields = {"code": code, "topic": record.topic, "partition": record.partition, "offset": record.offset}
    if error is not None:
        line["error"] = type(error).__name__
    log("record_alarm", **line)


def _is_told_nobody(arrival: Arrival) -> bool:
    """What instances state themselves, under whatever name, is not receipted, nor what has no number: only parked."""
    return arrival.sender == arrival.sender_instance or arrival.sequence == UNNUMBERED


def _of_their_lives(records: Sequence[Record], steps: Sequence[Step]) -> Sequence[Record]:
    topic_ids = {step.after.topic: step.after.topic_id for step in steps}
    return [replace(each, topic_id=topic_ids[each.topic]) if each.topic in topic_ids else each for each in records]


def _sort_in(judged: Judged, each: Verified) -> None:
    assert each.message is not None
    match each.message.message.family:
        case Family.RECEIPT:
            judged.receipts.append(each.message)
            judged.numbered.append(each.arrival)
        case Family.DELIVERY:
            judged.said.append(each.message)
            judged.numbered.append(each.arrival)
        case _:
            judged.verified.append(each)


def _park(judged: Judged, record: Record, code: str, *, error: Exception | None = None) -> None:
    alarm(record, code, error)
    judged.parked.append(parked_row(record, code))


def _turned(record: Record, error: TurnedAway) -> Verified:
    attributes = error.envelope.attributes
    arrival = Arrival(
        message_id=attributes.id,
        sender=attributes.sender,
        sender_instance=error.sender_instance,
        recipient=attributes.recipient,
        epoch=attributes.epoch,
        sequence=attributes.sequence,
        type=attributes.type,
        subject=attributes.subject,
        digest=error.digest,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        broker_time=record.broker_time,
        topic_id=record.topic_id,
    )
    return Verified(record, arrival, code=error.code, need=error.need)


def _said(received: Received) -> UUID | None:
    """The id of the edge or of the act that the message tells, which is the same however often it is told."""
    clear = received.clear
    if isinstance(clear, EdgeClear):
        return clear.edge_id
    return clear.act if isinstance(clear, Answer) else None


def _content(received: Received) -> str | None:
    """The digest of what is told, without what differs at each telling: time, salt and documents of the decision.

    Of what came, not of our models: what is held was told to a release whose models had fewer members.
    """
    if received.edge is not None and received.spelt is not None:
        edge = from_json(received.spelt.edge)
        return sha256(to_json({name: edge[name] for name in edge if name != "digest"}) + received.spelt.record)
    if isinstance(received.clear, Answer):
        clear = from_json(received.record.value or b"")["clear"]
        told = canonical_json({name: clear[name] for name in clear if name != "number"})
        return sha256(told + (received.plaintext or b""))
    return None


def _revision(received: Received) -> int | None:
    """The revision that a message names, if it names one."""
    revision = getattr(received.clear, "revision", None)
    return revision if isinstance(revision, int) else None
