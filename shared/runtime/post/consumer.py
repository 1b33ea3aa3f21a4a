"""The one consumer loop: verify each record, apply the good ones once, answer with receipts, park the bad ones.

    batch ─▶ judge each record ─▶ one transaction { cursors · inbox · effects · outgoing · receipts · quarantine }

Everything of a batch commits together, cursors too. A crash repeats the batch; the inbox drops what has had its last
word and says it again. No record holds up another: what lacks something waits in a table, or with its sender.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from shared.contracts.answers import Answer
from shared.contracts.facts import MessagesReceiptedClear
from shared.exchange.compose import Verdict
from shared.exchange.message import Draft, Received, Record
from shared.exchange.needs import Need, NeedKind
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.runtime.post.answer import Answers, changes
from shared.runtime.post.arrivals import FINAL, Awaited, Outcome, Parked, Step, Superseded
from shared.runtime.post.judge import Accept, Judged, Verified, alarm, judge, parked_row, turn_away, verified
from shared.runtime.post.plan import WITHDRAWING, Known, Plan, decided
from shared.runtime.post.ports import Conversation, InboxStore, Settlement, Unit
from shared.runtime.post.standing import Holding
from shared.runtime.watch.logs import log
from shared.runtime.watch.metrics import MESSAGES
from shared.vocabulary.answers import ReceiptOutcome

#: How long a batch waits for what is `Unavailable`.
PATIENCE_S: Final = 60.0
#: Records that waited are taken up so many at a time.
DUE_MAX: Final = 200


class Handler(Holding, Protocol):
    """A service's bus door. Applies fresh messages in order; answers per message id the code it refused with."""

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]: ...

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """The other side has answered, for the first time, for these messages of ours, or applied what it had refused.

        Refusals of stale decisions are decided again here.
        """
        ...


class Composers(NamedTuple):
    """What the consumer says itself: receipts to an instance, and facts about what it parked."""

    receipts: Callable[[str, Sequence[Verdict]], list[Draft]]
    facts: Callable[[Sequence[Parked]], list[Draft]]


class Consumer:
    """Applies batches of records exactly once. Knows no Kafka client: it is handed records."""

    def __init__(
        self,
        store: InboxStore,
        handler: Handler,
        *,
        accept: Accept,
        composers: Composers,
        conversation: Conversation,
        clock: Clock,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._store = store
        self._handler = handler
        self._accept = accept
        self._composers = composers
        self._conversation = conversation
        self._clock = clock
        self._patience_s = patience_s
        self.last_progress: datetime | None = None

    async def consume(self, records: Sequence[Record], steps: Sequence[Step] = ()) -> None:
        """Apply the batch and move the cursors, retrying what is `Unavailable` for at most `patience_s`, then raise it.

        When it returns, everything is durable. Raises `Superseded` where a cursor stands elsewhere: then nothing is.
        """
        deadline = self._clock.now().timestamp() + self._patience_s
        back_off_s = 0.05
        while True:
            try:
                await self._commit(judge(records, steps, accept=self._accept))
                self.last_progress = self._clock.now()
                return
            except Unavailable as error:
                if self._clock.now().timestamp() >= deadline:
                    raise
                log("consumer_waits", code=error.code, count=len(records))
            await asyncio.sleep(back_off_s)
            back_off_s = min(back_off_s * 2, 2.0)

    async def take_up(self) -> int:
        """Judge again what has waited and need wait no longer; how many records that were. Raises `Unavailable`."""
        due = await self._store.due(DUE_MAX)
        if due:
            await self.consume(due)
        return len(due)

    async def _commit(self, parts: Sequence[Judged]) -> None:
        try:
            await self._apply(*parts)
        except (Unavailable, Superseded):
            raise
        except Exception as error:  # the service's own code failed: find the message that breaks it
            count = sum(len(part.verified) for part in parts)
            log("record_alarm", code="handler_defect", error=type(error).__name__, count=count)
            for part in parts:
                await self._apply_one_by_one(part)

    async def _apply_one_by_one(self, judged: Judged) -> None:
        """Each message and receipt in a transaction of its own, in order; what fails is parked, the others go on.

        Its steps move last: what is read again by then has had its last word.
        """
        for each in judged.verified:
            await self._apply_alone(Judged(verified=[each]), each.message)
        for receipt in judged.receipts:
            await self._apply_alone(Judged(receipts=[receipt]), receipt)
        for said in judged.said:
            await self._apply_alone(Judged(said=[said]), said)
        await self._apply(
            Judged(parked=judged.parked, numbered=judged.numbered, unread=judged.unread, steps=judged.steps)
        )

    async def _apply_alone(self, alone: Judged, received: Received | None) -> None:
        try:
            await self._apply(alone)
        except (Unavailable, Superseded):
            raise
        except Exception as error:
            if received is None:
                raise  # nothing of the service ran: we are broken, and the partition stands still
            # Parked whole, so that it can be replayed once we are mended.
            failed = Judged()
            turn_away(failed, verified(received, code="handler_defect"), error=error)
            await self._apply(failed)

    async def _apply(self, *parts: Judged) -> None:
        async with self._store.unit() as unit:
            await unit.advance([step for part in parts for step in part.steps])
            done = [await self._apply_part(unit, part) for part in parts]
        # Durable, so counted. Quarantine alone knows what is parked: not every parked record is a message.
        for answers, parked in done:
            for outcome, count in answers.fates.items():
                if outcome is not ReceiptOutcome.PARKED:
                    MESSAGES.labels(outcome.value).inc(count)
            MESSAGES.labels(ReceiptOutcome.PARKED.value).inc(parked)

    async def _apply_part(self, unit: Unit, judged: Judged) -> tuple[Answers, int]:
        """What was answered, and how many rows of quarantine are new."""
        answers = await self._apply_messages(unit, judged.verified)
        parked = answers.parked + judged.parked + await self._settle(unit, judged.receipts)
        if judged.said:
            await self._conversation.heard(unit, judged.said)
        if judged.unread:
            await self._conversation.unread(unit, judged.unread)
        await unit.take([*(each.arrival for each in judged.verified), *judged.numbered])
        new_parked = await unit.park(parked)
        drafts = [draft for to, said in answers.verdicts.items() for draft in self._composers.receipts(to, said)]
        await unit.enqueue(drafts + self._composers.facts(new_parked))
        return answers, len(new_parked)

    async def _apply_messages(self, unit: Unit, batch: Sequence[Verified]) -> Answers:
        """Apply what is new; say of all what became of it."""
        answers = Answers()
        arrived: dict[str, Verified] = {}
        for each in batch:
            arrived.setdefault(each.arrival.digest, each)
        if not arrived:
            return answers
        arrivals = [each.arrival for each in arrived.values()]
        # Asked before this batch is in the inbox: what it says of itself, the plan finds in its order.
        plan = Plan(
            await unit.withdrawn(arrivals), await unit.held([each for each in arrivals if each.said is not None])
        )
        admission = await unit.admit(arrivals)
        fresh = [each for digest, each in arrived.items() if digest in admission.fresh]
        outcomes = await self._outcomes(unit, fresh, plan)
        await self._keep(unit, fresh, outcomes)
        for each in arrived.values():
            digest = each.arrival.digest
            if digest in admission.done:
                answers.again(each, admission.done[digest])
            elif digest in admission.reused:
                answers.reused(each, admission.reused[digest], told=plan.taken_back(each.arrival))
            else:
                outcome, held = outcomes[digest]
                answers.fresh(each, outcome, revision=held)
        for ended in await unit.end_open([each.arrival for each in fresh if _withdraws(each, outcomes)]):
            answers.ended(ended)
        return answers

    async def _outcomes(
        self, unit: Unit, fresh: Sequence[Verified], plan: Plan
    ) -> dict[str, tuple[Outcome, int | None]]:
        """The outcome of each fresh message by digest; with it the revision that stands, where that is the reason."""
        known: dict[str, Known | None] = {}
        refusals: dict[UUID, str] = {}
        planned = fresh
        while planned:
            known |= {each.arrival.digest: plan.before(each) for each in planned}
            to_apply = [each.message for each in planned if each.message and known[each.arrival.digest] is None]
            refusals |= await self._handler.apply(unit, to_apply) if to_apply else {}
            plan.forget(refusals)
            planned = [each for each in fresh if _stands_free(known[each.arrival.digest], refusals)]
        return {each.arrival.digest: decided(each, known[each.arrival.digest], refusals) for each in fresh}

    async def _keep(
        self, unit: Unit, fresh: Sequence[Verified], outcomes: dict[str, tuple[Outcome, int | None]]
    ) -> None:
        """Write the outcomes down. What waits is kept whole; where there is no room for it, it is deferred."""
        waiting = [
            Awaited(each.arrival, outcome.need, each.record)
            for each in fresh
            for outcome, _ in [outcomes[each.arrival.digest]]
            if outcome.outcome is ReceiptOutcome.WAITING and outcome.need is not None
        ]
        kept = await unit.keep_waiting(waiting) if waiting else frozenset()
        for each in waiting:
            if each.arrival.message_id not in kept:
                outcome, held = outcomes[each.arrival.digest]
                deferred = Outcome(outcome.message_id, ReceiptOutcome.DEFERRED, outcome.code, outcome.need)
                outcomes[each.arrival.digest] = deferred, held
        await unit.record_outcomes(changes([outcome for outcome, _ in outcomes.values()]))
        passed = {
            each.arrival.subject
            for each in fresh
            if each.message
            and isinstance(each.message.clear, Answer)
            and outcomes[each.arrival.digest][0].outcome in FINAL
        }
        if passed:
            await unit.release([str(Need(NeedKind.ACT, subject)) for subject in sorted(passed)])

    async def _settle(self, unit: Unit, receipts: Sequence[Received]) -> list[Parked]:
        """Settle what the receipts answer for; return those receipts that answer for something we never sent."""
        if not receipts:
            return []
        settlements: list[Settlement] = []
        for receipt in receipts:
            clear = receipt.clear
            assert isinstance(clear, MessagesReceiptedClear)
            settlements += [
                Settlement(
                    *(e.message_id, e.digest, e.outcome, e.code, receipt.message_id, receipt.sender_instance),
                    edge_id=e.edge_id,
                )
                for e in clear.entries
            ]
        settled = await unit.settle(settlements)
        if told := settled.taken + settled.late:
            await self._handler.settled(unit, told)
        if held := [each for each in settled.unmatched if each.outcome is ReceiptOutcome.APPLIED]:
            await self._conversation.unknown(unit, held)
        strangers = {entry.receipt_id for entry in settled.unmatched}
        unmatched = [receipt for receipt in receipts if receipt.message_id in strangers]
        for receipt in unmatched:
            alarm(receipt.record, "receipt_unmatched")
        return [parked_row(each.record, "receipt_unmatched", verified(each)) for each in unmatched]


def _stands_free(known: Known | None, refused: Container[UUID]) -> bool:
    """Whether it stood behind a message that the service has refused: so behind none."""
    return known is not None and known.below is not None and known.below in refused


def _withdraws(each: Verified, outcomes: dict[str, tuple[Outcome, int | None]]) -> bool:
    taken = outcomes[each.arrival.digest][0].outcome is ReceiptOutcome.APPLIED
    return taken and each.arrival.type in WITHDRAWING
