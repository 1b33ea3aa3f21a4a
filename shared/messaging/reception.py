"""Reception: one consumed batch of a stream, in one transaction.

The batch moves the position, applies messages, stores exceptions, sends outcomes and handles acknowledgements. A record
is one of three: a numbered message, an acknowledgement, or unreadable (skipped; the consumer raises the alarm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.errors import Unavailable
from shared.core.protocol.message import Record
from shared.messaging.acks import Ack
from shared.messaging.exceptions import (
    EXCEPTION_BYTES_MAX,
    EXCEPTIONS_MAX,
    MALFORMED,
    OPEN,
    Coordinates,
    NamedMessage,
    OpenException,
    Outcome,
    OutcomeKind,
    OutcomeList,
    RefusalCode,
    TakenMessage,
    bound_name,
)
from shared.messaging.ports import OperatorKind, OperatorLine
from shared.messaging.resync import Holdings, ResyncRequest
from shared.messaging.resync_steps import apply_outcomes, take_holdings, take_request
from shared.messaging.scope import Scope
from shared.messaging.sending import finish
from shared.messaging.streams import ENTERED_MAX, Incoming, Lane, Pair, Reader, RecordFit, StreamPlace, WireRole

#: Exceptions that are read at once, bytes included.
ROWS_MAX: Final = 100


class ArrivedMessage(NamedTuple):
    """A numbered message as the consumer has verified it. `body` is that of a message of the protocol."""

    place: StreamPlace
    digest: bytes
    named: NamedMessage
    record: bytes | Record
    is_p0: bool = False
    body: OutcomeList | ResyncRequest | Holdings | None = None


class ArrivedRecord(NamedTuple):
    """One record of a partition. `content` is None if it is unreadable."""

    topic_id: UUID
    offset: int
    broker_time: datetime
    content: ArrivedMessage | Ack | None


@dataclass(slots=True)
class BatchPlan:
    """The decision on a batch: the messages that are taken, and the acknowledgements in it.

    `read_count`: the records before the end of the batch, or before the record where reading stopped.
    """

    taken: list[tuple[TakenMessage, ArrivedMessage]] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    read_count: int = 0


def plan_batch(incoming: Incoming, lane: Lane, records: Sequence[ArrivedRecord], *, room: int) -> BatchPlan:
    """Decide on each record in order, and move the receive state after the last one read.

    `room`: the number of exceptions that the stream may still have. Each message may become one, except withdrawals and
    those of the protocol, so the plan ends after this number of them. Without room, reading stops at the record, and
    the acknowledgement states the stop to the writer.
    """
    plan = BatchPlan()
    position = incoming.lanes[lane]
    if position.is_stopped and room > 0:
        position.is_stopped, incoming.owes_ack = False, True
    exception_count = 0
    for record in records:
        content = record.content
        if isinstance(content, Ack):
            plan.acks.append(content)
        elif content is not None and content.place.lane is lane:
            fit = incoming.fit(content.place, record.broker_time)
            if fit is not RecordFit.DROP:
                if content.body is None and content.named.role is not WireRole.WITHDRAWAL:
                    if exception_count >= room:
                        position.is_stopped = position.is_stopped or room <= 0
                        break
                    exception_count += 1
                plan.taken.append((_take(incoming, fit, record, arrived=content), content))
        position.topic_id, position.next_offset = record.topic_id, record.offset + 1
        plan.read_count += 1
    return plan


def _take(incoming: Incoming, fit: RecordFit, record: ArrivedRecord, *, arrived: ArrivedMessage) -> TakenMessage:
    if fit is RecordFit.ENTER:
        incoming.enter(arrived.place.incarnation, record.broker_time)
    incoming.take(arrived.place, arrived.digest, is_p0=arrived.is_p0)
    return _taken(incoming, record, arrived=arrived, chain=incoming.lanes[arrived.place.lane].chain)


def _taken(incoming: Incoming, record: ArrivedRecord, *, arrived: ArrivedMessage, chain: bytes) -> TakenMessage:
    return TakenMessage(
        writer=incoming.pair.writer,
        place=arrived.place,
        chain=chain,
        named=bound_name(arrived.named),
        record=arrived.record,
        where=Coordinates(record.topic_id, record.offset, record.broker_time),
    )


async def receive_batch(
    scope: Scope, pair: Pair, lane: Lane, *, records: Sequence[ArrivedRecord], exceptions_max: int = EXCEPTIONS_MAX
) -> int:
    """Take one batch as the addressee; return how many records were read. The caller commits.

    If it returns fewer than all, the stream has no room for exceptions, and the rest is read again later.
    """
    incoming = await scope.tx.load_incoming(pair, lock=True)
    room = find_room(incoming, lane, exceptions_max=exceptions_max)
    plan = plan_batch(incoming, lane, records, room=room)
    messages = [taken for taken, arrived in plan.taken if arrived.body is None]
    await apply_messages(scope, pair.writer, messages, room=room)
    for taken, arrived in plan.taken:
        if arrived.body is not None:
            await _take_control(scope, incoming, taken, arrived=arrived)
    for ack in plan.acks:
        _hear_ack(scope, incoming, ack)
    if incoming.missed is not None and incoming.entered_count >= ENTERED_MAX:
        await scope.tx.add_operator_lines([OperatorLine(OperatorKind.UNKNOWN, pair.writer)])
    await scope.tx.save_incoming(incoming)
    await finish(scope)
    return plan.read_count


def find_room(incoming: Incoming, lane: Lane, *, exceptions_max: int = EXCEPTIONS_MAX) -> int:
    """Return the number of exceptions that a stream may still have: none if their records reach the byte limit."""
    is_full = incoming.exception_bytes[lane] >= EXCEPTION_BYTES_MAX
    return 0 if is_full else exceptions_max - incoming.exception_counts[lane]


async def apply_inbound(scope: Scope, taken: Sequence[TakenMessage]) -> list[Outcome]:
    """Have the features apply messages, and return their outcomes. A malformed one is dead; no feature sees it."""
    readable = [each for each in taken if not _is_malformed(each.named)]
    found = iter(await scope.inbound.apply(scope, readable) if readable else ())
    return [
        Outcome(each.named, OutcomeKind.DEAD, MALFORMED) if _is_malformed(each.named) else next(found) for each in taken
    ]


def _is_malformed(named: NamedMessage) -> bool:
    """Return whether a message cannot be applied. A withdrawal needs its subject alone."""
    return named.kind == MALFORMED and named.role is not WireRole.WITHDRAWAL


async def apply_messages(scope: Scope, writer: str, taken: Sequence[TakenMessage], *, room: int) -> None:
    """Apply messages of one writer, keep those that are exceptions, and send each outcome but `applied`.

    `room`: as in `plan_batch`. A withdrawal is always read, but is refused if it would become an exception without
    room.
    """
    outcomes = await apply_inbound(scope, taken)
    withdrawn = {
        each.named.subject
        for each, outcome in zip(taken, outcomes, strict=True)
        if each.named.role is WireRole.WITHDRAWAL and outcome.kind is OutcomeKind.APPLIED
    }
    kept: dict[UUID, OpenException] = {}
    settled: dict[UUID, Outcome] = {}
    for each, outcome in zip(taken, outcomes, strict=True):
        said = outcome
        if outcome.kind in OPEN:
            if each.named.role is WireRole.STATE and each.named.subject in withdrawn:
                said = replace(outcome, kind=OutcomeKind.REFUSED, code=RefusalCode.WITHDRAWN)
            elif each.named.role is WireRole.WITHDRAWAL and len(kept) >= room:
                said = replace(outcome, kind=OutcomeKind.REFUSED)
            else:
                kept[each.named.message_id] = keep(scope, OpenException(each, outcome, scope.now))
        if said.kind not in OPEN:
            kept.pop(each.named.message_id, None)
            settled[each.named.message_id] = said
        if said.kind is not OutcomeKind.APPLIED:
            scope.say(writer, said)
    await _end_settled(scope, writer, settled)
    await scope.tx.add_exceptions(list(kept.values()))
    subjects = [subject for subject in withdrawn if subject is not None]
    if subjects:
        after = None
        while rows := await scope.tx.list_exceptions(writer=writer, subjects=subjects, after=after, rows_max=ROWS_MAX):
            await end_exceptions(
                scope, [row for row in rows if row.taken.named.role is WireRole.STATE], RefusalCode.WITHDRAWN
            )
            after = rows[-1].since, rows[-1].taken.named.message_id


def keep(scope: Scope, row: OpenException) -> OpenException:
    """Return an exception with its stored bytes."""
    return replace(row, taken=replace(row.taken, record=scope.inbound.bytes_to_keep(row.taken, row.outcome)))


async def _end_settled(scope: Scope, writer: str, settled: Mapping[UUID, Outcome]) -> None:
    """End the exceptions of messages that were carried again and are settled now; report those that were applied."""
    ids = list(settled)
    rows = await scope.tx.list_exceptions(writer=writer, message_ids=ids, rows_max=len(ids)) if ids else []
    if rows:
        await scope.tx.end_exceptions(writer, [row.taken.named.message_id for row in rows])
    for row in rows:
        outcome = settled[row.taken.named.message_id]
        if outcome.kind is OutcomeKind.APPLIED:
            scope.say(writer, outcome)


async def end_exceptions(scope: Scope, rows: Sequence[OpenException], code: RefusalCode) -> None:
    """End exceptions with this refusal, bytes included, and inform their writers."""
    by_writer: dict[str, list[UUID]] = {}
    for row in rows:
        by_writer.setdefault(row.taken.writer, []).append(row.taken.named.message_id)
    for writer, ids in by_writer.items():
        await scope.tx.end_exceptions(writer, ids)
    for row in rows:
        scope.say(row.taken.writer, Outcome(row.taken.named, OutcomeKind.REFUSED, code))


async def _take_control(scope: Scope, incoming: Incoming, taken: TakenMessage, *, arrived: ArrivedMessage) -> None:
    """Take a message of the protocol itself. A message that breaks this code becomes a dead letter.

    Without `is_careful` there is no savepoint: an error leaves the batch, which is repeated with it.
    """
    if not scope.is_careful:
        await _act_on(scope, incoming, arrived)
        return
    try:
        async with scope.savepoint():
            await _act_on(scope, incoming, arrived)
    except Unavailable:
        raise
    except Exception:
        if find_room(incoming, taken.place.lane) > 0:
            named = NamedMessage(taken.named.message_id, WireRole.FACT, MALFORMED)
            await apply_messages(scope, taken.writer, [replace(taken, named=named)], room=1)


async def _act_on(scope: Scope, incoming: Incoming, arrived: ArrivedMessage) -> None:
    peer = incoming.pair.writer
    match arrived.body:
        case OutcomeList(outcomes):
            await apply_outcomes(scope, peer, outcomes)
        case ResyncRequest() as request:
            await take_request(scope, incoming, request)
        case Holdings() as answer:
            own = await scope.tx.load_outgoing([peer], lock=False)
            await take_holdings(scope, own.get(peer), peer, answer=answer)
        case None:
            pass


def _hear_ack(scope: Scope, incoming: Incoming, ack: Ack) -> None:
    """Note an acknowledgement of own streams, and whether it asks for one in return.

    The record must be by the writer of the topic: the addressee of the own streams, or audit.
    """
    writer = incoming.pair.writer
    if ack.reader != writer or ack.pair.writer != scope.instance:
        return
    if ack.pair.addressee == writer:
        scope.acks.append((writer, Reader.RECIPIENT, ack))
        if ack.nonce is not None:
            incoming.owes_ack, incoming.echo = True, ack.nonce
    elif writer == scope.audit:
        scope.acks.append((ack.pair.addressee, Reader.AUDIT, ack))


def observe_batch(incoming: Incoming, lane: Lane, records: Sequence[ArrivedRecord]) -> list[TakenMessage]:
    """Take one batch as audit, which reads the streams of others by the same rules and answers no message.

    Return the messages that are taken. The caller loads and saves the receive state. Messages of a closed incarnation
    that follow its last one are taken too: their recipient may have taken them before audit entered the next one.
    """
    plan = plan_batch(incoming, lane, records, room=len(records))
    for ack in plan.acks:
        # The writer of the streams asks both readers with one record, in its topic.
        if ack.reader == incoming.pair.writer and ack.nonce is not None:
            incoming.owes_ack, incoming.echo = True, ack.nonce
    return [taken for taken, _ in plan.taken] + _observe_closed(incoming, records)


def _observe_closed(incoming: Incoming, records: Sequence[ArrivedRecord]) -> list[TakenMessage]:
    taken = []
    for record in records:
        arrived = record.content
        if isinstance(arrived, ArrivedMessage):
            end = incoming.extend_closed(arrived.place, arrived.digest)
            if end is not None:
                taken.append(_taken(incoming, record, arrived=arrived, chain=end.chain))
    return taken


def observe_copies(incoming: Incoming, copies: Sequence[ArrivedRecord]) -> list[TakenMessage]:
    """Take copies of one pair's messages as audit. They are in another topic, so no position moves.

    A copy never enters an incarnation: audit enters those that the addressee can read, and only from the same topic.
    """
    taken = []
    for record in copies:
        arrived = record.content
        if isinstance(arrived, ArrivedMessage) and arrived.place.incarnation == incoming.incarnation:
            fit = incoming.fit(arrived.place, record.broker_time)
            if fit is RecordFit.TAKE:
                taken.append(_take(incoming, fit, record, arrived=arrived))
    return taken
