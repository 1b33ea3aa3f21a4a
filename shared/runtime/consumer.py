"""The one consumer loop: verify each record, apply the good ones once, answer with receipts, park the bad ones.

    batch ─▶ accept each record ─▶ one transaction { inbox · effects · outgoing · receipts · quarantine } ─▶ offsets

Everything of a batch commits together, then its offsets do. A crash in between repeats the batch; the inbox
drops what it has seen and receipts it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from shared.contracts.facts import MessagesReceiptedClear
from shared.contracts.registry import MESSAGES_RECEIPTED, Lane
from shared.exchange.accept import TurnedAway
from shared.exchange.message import Draft, Received, Record
from shared.exchange.record_table import Fate, row_for
from shared.kernel.canonical import digest as sha256
from shared.kernel.clock import Clock
from shared.kernel.errors import CausewayError, Defect, Unavailable
from shared.runtime.logs import log
from shared.runtime.ports import Arrival, InboxStore, Parked, Settlement, Unit
from shared.vocabulary.answers import Outcome


@dataclass(frozen=True, slots=True)
class Turned:
    """An authentic record that is not applied: what the inbox keeps of it, and whom to tell which code."""

    code: str
    arrival: Arrival
    sender_instance: str


class Handler(Protocol):
    """A service's bus door. Applies fresh messages in order; answers per message id the code it refused with."""

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]: ...

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """The other side has answered for messages of ours; refusals of stale decisions are decided again here."""
        ...


Accept = Callable[[Record], Received]
Compose = Callable[[str, Sequence[tuple[UUID, str, Outcome, str | None]]], list[Draft]]
ComposeParked = Callable[[Sequence[Parked]], list[Draft]]


@dataclass(slots=True)
class Judged:
    """A batch after `accept`: what may be applied, what is settled, what is refused or parked."""

    messages: list[Received] = field(default_factory=list)
    receipts: list[Received] = field(default_factory=list)
    turned: list[Turned] = field(default_factory=list)
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
        patience_s: float = 60.0,
    ) -> None:
        self._store = store
        self._handler = handler
        self._accept = accept
        self._receipts = receipts
        self._facts = facts
        self._clock = clock
        self._patience_s = patience_s
        self.last_progress: datetime | None = None

    async def consume(self, records: Sequence[Record]) -> None:
        """Apply the batch, retrying what is `Unavailable` for at most `patience_s`, then raise it.

        When it returns, everything is durable and the offsets may be committed.
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
        for record in records:
            if record.key in held_subjects:
                # An earlier record of this subject waits: later ones wait behind it, or order would break.
                judged.waiting.append(record)
                continue
            try:
                received = self._accept(record)
            except Unavailable:
                held_subjects.add(record.key)
                judged.waiting.append(record)
            except TurnedAway as error:
                self._turn_away(judged, record, _turned(record, error))
            except CausewayError as error:
                self._park_unverified(judged, record, error.code)
            except Exception as error:  # fail closed: whatever broke, the record has no effect and the others go on
                log("record_alarm", code="accept_defect", error=type(error).__name__)
                self._park_unverified(judged, record, "accept_defect")
            else:
                (judged.receipts if received.message.lane is Lane.RECEIPT else judged.messages).append(received)
        return judged

    def _park_unverified(self, judged: Judged, record: Record, code: str) -> None:
        log("record_alarm", code=code, topic=record.topic, partition=record.partition, offset=record.offset)
        judged.parked.append(_parked(record, code))

    def _turn_away(self, judged: Judged, record: Record, turned: Turned) -> None:
        row = row_for(turned.code)
        if row.alarm:
            log("record_alarm", code=turned.code, topic=record.topic, partition=record.partition, offset=record.offset)
        if row.fate is Fate.PARK:
            body = record.value if row.keeps_body else None
            judged.parked.append(_parked(record, turned.code, arrival=turned.arrival, body=body))
        if turned.arrival.type != MESSAGES_RECEIPTED.type:  # receipts are not receipted
            judged.turned.append(turned)

    async def _commit(self, judged: Judged) -> None:
        try:
            await self._apply(judged)
        except Unavailable:
            raise
        except Exception as error:  # the service's own code failed: find the message that breaks it
            if not judged.messages:
                raise Defect("consumer_defect") from error
            await self._apply_one_by_one(judged)

    async def _apply_one_by_one(self, judged: Judged) -> None:
        alone = Judged(receipts=judged.receipts, turned=judged.turned, parked=judged.parked)
        await self._apply(alone)
        for message in judged.messages:
            try:
                await self._apply(Judged(messages=[message]))
            except Unavailable:
                raise
            except Exception as error:  # parked with its body, so that it can be replayed once we are mended
                log(
                    "record_alarm",
                    code="handler_defect",
                    message_id=str(message.message_id),
                    error=type(error).__name__,
                )
                turned = Turned("handler_defect", arrival_of(message), message.sender_instance)
                parked = _parked(message.record, "handler_defect", arrival=turned.arrival, body=message.record.value)
                await self._apply(Judged(turned=[turned], parked=[parked]))

    async def _apply(self, judged: Judged) -> None:
        async with self._store.unit() as unit:
            answers = await self._apply_messages(unit, judged)
            await self._settle(unit, judged)
            new_parked = await unit.park(judged.parked)
            drafts = [draft for instance, entries in answers.items() for draft in self._receipts(instance, entries)]
            await unit.enqueue(drafts + self._facts(new_parked))

    async def _apply_messages(
        self, unit: Unit, judged: Judged
    ) -> dict[str, list[tuple[UUID, str, Outcome, str | None]]]:
        arrivals = [arrival_of(message) for message in judged.messages]
        admission = await unit.admit(arrivals + [each.arrival for each in judged.turned])
        fresh = _first_of_each([message for message in judged.messages if message.message_id in admission.fresh])
        refusals = await self._handler.apply(unit, fresh) if fresh else {}
        outcomes: dict[UUID, tuple[Outcome, str | None]] = dict(admission.done)
        outcomes |= {message.message_id: (Outcome.APPLIED, None) for message in fresh}
        outcomes |= {message_id: (Outcome.REFUSED, code) for message_id, code in refusals.items()}
        outcomes |= {
            each.arrival.message_id: (_outcome(each.code), each.code)
            for each in judged.turned
            if each.arrival.message_id in admission.fresh
        }
        changed = [
            (message_id, outcome, code or "")
            for message_id, (outcome, code) in outcomes.items()
            if outcome is not Outcome.APPLIED and message_id in admission.fresh
        ]
        await unit.record_outcomes(changed)
        answers: dict[str, list[tuple[UUID, str, Outcome, str | None]]] = {}
        told: set[UUID] = set()
        by_instance = [(message.sender_instance, arrival_of(message)) for message in judged.messages]
        by_instance += [(each.sender_instance, each.arrival) for each in judged.turned if row_for(each.code).receipt]
        for instance, arrival in by_instance:
            if arrival.message_id in told:
                continue
            told.add(arrival.message_id)
            outcome, code = outcomes.get(arrival.message_id, (Outcome.PARKED, "sequence_reused"))
            if arrival.message_id in admission.reused:
                judged.parked.append(_parked_reuse(arrival))
            answers.setdefault(instance, []).append((arrival.message_id, arrival.digest, outcome, code))
        return answers

    async def _settle(self, unit: Unit, judged: Judged) -> None:
        settlements: list[Settlement] = []
        for receipt in judged.receipts:
            clear = receipt.clear
            assert isinstance(clear, MessagesReceiptedClear)
            settlements += [
                Settlement(e.message_id, e.digest, e.outcome, e.code, receipt.message_id, receipt.sender_instance)
                for e in clear.entries
            ]
        unmatched = await unit.settle(settlements)
        strangers = {entry.receipt_id for entry in unmatched}
        judged.parked += [
            _parked(receipt.record, "receipt_unmatched", arrival=arrival_of(receipt))
            for receipt in judged.receipts
            if receipt.message_id in strangers
        ]
        if settlements:
            await self._handler.settled(unit, settlements)


def arrival_of(message: Received) -> Arrival:
    """What the inbox keeps of a message."""
    record = message.record
    return Arrival(
        message_id=message.message_id,
        sender=message.sender,
        recipient=message.recipient,
        sequence=message.sequence,
        type=message.message.type,
        digest=message.digest,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )


def _turned(record: Record, error: TurnedAway) -> Turned:
    attributes = error.envelope.attributes
    arrival = Arrival(
        message_id=attributes.id,
        sender=attributes.sender,
        recipient=attributes.recipient,
        sequence=attributes.sequence,
        type=attributes.type,
        digest=error.digest,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )
    return Turned(error.code, arrival, error.sender_instance)


def _first_of_each(messages: Sequence[Received]) -> list[Received]:
    firsts: dict[UUID, Received] = {}
    for message in messages:
        firsts.setdefault(message.message_id, message)
    return list(firsts.values())


def _outcome(code: str) -> Outcome:
    return Outcome.PARKED if row_for(code).fate is Fate.PARK else Outcome.REFUSED


def _parked(record: Record, reason: str, *, arrival: Arrival | None = None, body: bytes | None = None) -> Parked:
    value = record.value or b""
    return Parked(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        length_bytes=len(value),
        digest=sha256(value),
        reason=reason,
        sender=arrival.sender if arrival else None,
        message_id=arrival.message_id if arrival else None,
        body=body,
    )


def _parked_reuse(arrival: Arrival) -> Parked:
    return Parked(
        topic=arrival.topic,
        partition=arrival.partition,
        offset=arrival.offset,
        length_bytes=0,
        digest=arrival.digest,
        reason="sequence_reused",
        sender=arrival.sender,
        message_id=arrival.message_id,
        body=None,
    )
