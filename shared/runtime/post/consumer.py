"""The one consumer loop: verify each record, apply the good ones once, answer with receipts, park the bad ones.

    batch ─▶ accept each record ─▶ one transaction { inbox · effects · outgoing · receipts · quarantine } ─▶ offsets

Everything of a batch commits together, then its offsets do. A crash in between repeats the batch; the inbox
drops what it has seen and receipts it again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from shared.contracts.facts import MessagesReceiptedClear
from shared.contracts.registry import ALL, STATED_BY_INSTANCES, Family
from shared.exchange.accept import Awaited, TurnedAway
from shared.exchange.compose import Verdict
from shared.exchange.message import Draft, Received, Record
from shared.exchange.record_table import Fate, row_for
from shared.kernel.canonical import digest as sha256
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, Unavailable
from shared.runtime.post.ports import Arrival, InboxStore, Parked, Settlement, Unit
from shared.runtime.watch.logs import Fields, log
from shared.runtime.watch.metrics import MESSAGES
from shared.vocabulary.answers import ReceiptOutcome

#: How long a batch waits for what is `Unavailable`, and a record for the documents that it names.
PATIENCE_S: Final = 60.0
_UNRECEIPTED: Final = frozenset(message.type for message in ALL if message.family in STATED_BY_INSTANCES)


@dataclass(frozen=True, slots=True)
class Verified:
    """An authentic record. `message` is None where `accept` turned it away, then `code` says why."""

    record: Record
    arrival: Arrival
    sender_instance: str
    message: Received | None = None
    code: str | None = None


class Handler(Protocol):
    """A service's bus door. Applies fresh messages in order; answers per message id the code it refused with."""

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]: ...

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """The other side has answered, for the first time, for these messages of ours.

        Refusals of stale decisions are decided again here.
        """
        ...


#: What a fate is called in a receipt; whatever else has a code is refused.
_OUTCOMES: Final = {Fate.PARK: ReceiptOutcome.PARKED, Fate.MOVE: ReceiptOutcome.MOVED}
#: What became of each record of a batch: `accept_batch`.
Accept = Callable[[Sequence[Record]], Sequence[Received | Exception]]
Compose = Callable[[str, Sequence[Verdict]], list[Draft]]
ComposeParked = Callable[[Sequence[Parked]], list[Draft]]


@dataclass(slots=True)
class Judged:
    """A batch after `accept`: messages and those turned away, receipts, what is parked unverified, what waits."""

    verified: list[Verified] = field(default_factory=list)
    receipts: list[Received] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    waiting: list[Record] = field(default_factory=list)


class Consumer:
    """Applies batches of records exactly once. Knows no Kafka client: it is handed records."""

    def __init__(
        self,
        store: InboxStore,
        handler: Handler,
        *,
        accept: Accept,
        receipts: Compose,
        facts: ComposeParked,
        clock: Clock,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._store = store
        self._handler = handler
        self._accept = accept
        self._receipts = receipts
        self._facts = facts
        self._clock = clock
        self._patience_s = patience_s
        self._began = clock.now()
        self.last_progress: datetime | None = None

    def over(self, store: InboxStore, *, around: Callable[[Handler], Handler], patience_s: float) -> Consumer:
        """The same consumer over another store, with more around its handler: for replaying what is in quarantine."""
        return Consumer(
            store,
            around(self._handler),
            accept=self._accept,
            receipts=self._receipts,
            facts=self._facts,
            clock=self._clock,
            patience_s=patience_s,
        )

    async def consume(self, records: Sequence[Record]) -> None:
        """Apply the batch, retrying what is `Unavailable` for at most `patience_s`, then raise it.

        A document that a record names and that has not come by then is given up, and the record parked. When it
        returns, everything is durable and the offsets may be committed.
        """
        deadline = self._clock.now().timestamp() + self._patience_s
        back_off_s = 0.05
        while True:
            try:
                judged = self._judge(records)
                await self._commit(judged)
                if not judged.waiting:
                    self.last_progress = self._clock.now()
                    return
                records, code = judged.waiting, "document_unknown"
            except Unavailable as error:
                code = error.code
            if self._clock.now().timestamp() >= deadline:
                raise Unavailable(code)
            log("consumer_waits", code=code, count=len(records))
            await asyncio.sleep(back_off_s)
            back_off_s = min(back_off_s * 2, 2.0)

    def _judge(self, records: Sequence[Record]) -> Judged:
        judged = Judged()
        held_subjects: set[bytes | None] = set()
        for record, accepted in zip(records, self._accept(records), strict=True):
            if record.key in held_subjects:
                # An earlier record of this subject waits: later ones wait behind it, or order would break.
                judged.waiting.append(record)
                continue
            match accepted:
                case Received():
                    _sort_in(judged, accepted)
                case Awaited() if self._waited_enough(record):
                    _turn_away(judged, _turned(record, accepted.turned))
                case Unavailable():
                    held_subjects.add(record.key)
                    judged.waiting.append(record)
                case TurnedAway():
                    _turn_away(judged, _turned(record, accepted))
                case Refused():
                    _park(judged, record, accepted.code)
                case _:  # fail closed: whatever broke, the record has no effect and the others go on
                    _park(judged, record, "accept_defect", error=accepted)
        return judged

    def _waited_enough(self, record: Record) -> bool:
        """Patience runs from when the record could be read, not from when it was: many of them wait side by side."""
        readable = max(record.broker_time, self._began)
        return (self._clock.now() - readable).total_seconds() >= self._patience_s

    async def _commit(self, judged: Judged) -> None:
        if not (judged.verified or judged.receipts or judged.parked):
            return
        try:
            await self._apply(judged)
        except Unavailable:
            raise
        except Exception as error:  # the service's own code failed: find the message that breaks it
            log("record_alarm", code="handler_defect", error=type(error).__name__, count=len(judged.verified))
            await self._apply_one_by_one(judged)

    async def _apply_one_by_one(self, judged: Judged) -> None:
        """Each message and receipt in a transaction of its own, in order; what fails is parked, the others go on."""
        if judged.parked:
            await self._apply(Judged(parked=judged.parked))
        for each in judged.verified:
            await self._apply_alone(Judged(verified=[each]), each.message)
        for receipt in judged.receipts:
            await self._apply_alone(Judged(receipts=[receipt]), receipt)

    async def _apply_alone(self, alone: Judged, received: Received | None) -> None:
        try:
            await self._apply(alone)
        except Unavailable:
            raise
        except Exception as error:
            if received is None:
                raise  # nothing of the service ran: we are broken, and the partition stands still
            # Parked whole, so that it can be replayed once we are mended.
            failed = Judged()
            _turn_away(failed, _failed(received), error=error)
            await self._apply(failed)

    async def _apply(self, judged: Judged) -> None:
        async with self._store.unit() as unit:
            answers, parked, fates = await self._apply_messages(unit, judged.verified)
            parked += judged.parked + await self._settle(unit, judged.receipts)
            new_parked = await unit.park(parked)
            drafts = [draft for instance, entries in answers.items() for draft in self._receipts(instance, entries)]
            await unit.enqueue(drafts + self._facts(new_parked))
        # Durable, so counted. Quarantine alone knows what is parked: not every parked record is a message.
        MESSAGES.labels(ReceiptOutcome.APPLIED.value).inc(fates[ReceiptOutcome.APPLIED])
        MESSAGES.labels(ReceiptOutcome.REFUSED.value).inc(fates[ReceiptOutcome.REFUSED])
        MESSAGES.labels(ReceiptOutcome.PARKED.value).inc(len(new_parked))

    async def _apply_messages(
        self, unit: Unit, verified: Sequence[Verified]
    ) -> tuple[dict[str, list[Verdict]], list[Parked], Counter[ReceiptOutcome]]:
        """Apply what is new; return the receipts by instance, what is to be parked, and how many had which outcome."""
        arrived: dict[str, Verified] = {}
        for each in verified:
            arrived.setdefault(each.arrival.digest, each)
        admission = await unit.admit([each.arrival for each in arrived.values()])
        fresh = [each for digest, each in arrived.items() if digest in admission.fresh]
        messages = [each.message for each in fresh if each.message is not None]
        refusals = await self._handler.apply(unit, messages) if messages else {}
        outcomes = dict(admission.done)
        outcomes |= {digest: (_outcome_of(code), code) for digest, code in admission.reused.items()}
        outcomes |= {each.arrival.digest: _outcome(each, refusals) for each in fresh}
        changed = [
            (each.arrival.message_id, outcome, code or "")
            for each in fresh
            for outcome, code in [outcomes[each.arrival.digest]]
            if outcome is not ReceiptOutcome.APPLIED
        ]
        await unit.record_outcomes(changed)
        answers: dict[str, list[Verdict]] = {}
        parked: list[Parked] = []
        for digest, each in arrived.items():
            outcome, code = outcomes[digest]
            if each.code is None or row_for(each.code).receipt:
                verdict = Verdict(
                    each.arrival.message_id, digest, outcome, code, judged=each.record, revision=_revision(each)
                )
                answers.setdefault(each.sender_instance, []).append(verdict)
            if digest in admission.reused:
                _alarm(each.record, admission.reused[digest])
            if outcome is ReceiptOutcome.PARKED and digest not in admission.done:
                parked.append(_parked(each.record, code or "", each))
        return answers, parked, Counter(outcomes[each.arrival.digest][0] for each in fresh)

    async def _settle(self, unit: Unit, receipts: Sequence[Received]) -> list[Parked]:
        """Settle what the receipts answer for; return those receipts that answer for something we never sent."""
        settlements: list[Settlement] = []
        for receipt in receipts:
            clear = receipt.clear
            assert isinstance(clear, MessagesReceiptedClear)
            settlements += [
                Settlement(e.message_id, e.digest, e.outcome, e.code, receipt.message_id, receipt.sender_instance)
                for e in clear.entries
            ]
        settled = await unit.settle(settlements)
        if settled.taken:
            await self._handler.settled(unit, settled.taken)
        strangers = {entry.receipt_id for entry in settled.unmatched}
        unmatched = [receipt for receipt in receipts if receipt.message_id in strangers]
        for receipt in unmatched:
            _alarm(receipt.record, "receipt_unmatched")
        return [_parked(each.record, "receipt_unmatched", _verified(each)) for each in unmatched]


def arrival_of(message: Received) -> Arrival:
    """What the inbox keeps of a message."""
    record = message.record
    return Arrival(
        message_id=message.message_id,
        sender=message.sender,
        recipient=message.recipient,
        epoch=message.epoch,
        sequence=message.sequence,
        type=message.message.type,
        subject=message.subject,
        digest=message.digest,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )


def _sort_in(judged: Judged, received: Received) -> None:
    match received.message.family:
        case Family.RECEIPT:
            judged.receipts.append(received)
        case Family.DELIVERY:
            pass  # authentic and well formed; nothing acts on it yet, and nobody waits for a receipt
        case _:
            judged.verified.append(_verified(received))


def _turn_away(judged: Judged, turned: Verified, *, error: Exception | None = None) -> None:
    code = turned.code or ""
    if row_for(code).alarm:
        _alarm(turned.record, code, error)
    if turned.arrival.type in _UNRECEIPTED:
        # What instances state themselves is neither receipted nor counted: it is only parked.
        judged.parked.append(_parked(turned.record, code, turned))
    else:
        judged.verified.append(turned)


def _park(judged: Judged, record: Record, code: str, *, error: Exception | None = None) -> None:
    _alarm(record, code, error)
    judged.parked.append(_parked(record, code))


def _alarm(record: Record, code: str, error: Exception | None = None) -> None:
    line: Fields = {"code": code, "topic": record.topic, "partition": record.partition, "offset": record.offset}
    if error is not None:
        line["error"] = type(error).__name__
    log("record_alarm", **line)


def _verified(received: Received) -> Verified:
    return Verified(received.record, arrival_of(received), received.sender_instance, received)


def _failed(received: Received) -> Verified:
    return Verified(received.record, arrival_of(received), received.sender_instance, code="handler_defect")


def _turned(record: Record, error: TurnedAway) -> Verified:
    attributes = error.envelope.attributes
    arrival = Arrival(
        message_id=attributes.id,
        sender=attributes.sender,
        recipient=attributes.recipient,
        epoch=attributes.epoch,
        sequence=attributes.sequence,
        type=attributes.type,
        subject=attributes.subject,
        digest=error.digest,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )
    return Verified(record, arrival, error.sender_instance, code=error.code)


def _outcome(each: Verified, refusals: Mapping[UUID, str]) -> tuple[ReceiptOutcome, str | None]:
    code = each.code or refusals.get(each.arrival.message_id)
    if code is None:
        return ReceiptOutcome.APPLIED, None
    return _outcome_of(code), code


def _outcome_of(code: str) -> ReceiptOutcome:
    return _OUTCOMES.get(row_for(code).fate, ReceiptOutcome.REFUSED)


def _revision(each: Verified) -> int | None:
    """The revision that a message names, if it was read and names one."""
    revision = None if each.message is None else getattr(each.message.clear, "revision", None)
    return revision if isinstance(revision, int) else None


def _parked(record: Record, reason: str, verified: Verified | None = None) -> Parked:
    """The quarantine row. The record is kept only if it is authentic and nothing about it is unguarded."""
    value = record.value or b""
    guarded = verified is not None and (verified.code is None or row_for(verified.code).keeps_body)
    return Parked(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        broker_time=record.broker_time,
        length_bytes=len(value),
        digest=sha256(value),
        reason=reason,
        sender=verified.arrival.sender if verified else None,
        message_id=verified.arrival.message_id if verified else None,
        record=record if guarded and row_for(reason).keeps_body else None,
    )
