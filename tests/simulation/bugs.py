"""Bugs as they are really made, each put into the simulation by replacing one part. Every one must be found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.exchange.message import Copy, Record
from shared.runtime.post.answer import Answers
from shared.runtime.post.arrivals import Admission, Arrival, Stored, Waiting
from shared.runtime.post.consumer import Consumer
from shared.runtime.post.judge import Verified
from shared.runtime.post.ports import OutboxRow, Settlement, Unit
from shared.runtime.post.relay import Relay
from shared.runtime.post.stamping import Pair
from shared.vocabulary.answers import ReceiptOutcome
from tests.simulation.desks import Acceptor, Desk, Said
from tests.simulation.parts import Parts
from tests.simulation.world import START
from tests.support.memory_arrivals import Row
from tests.support.memory_stores import MemoryInbox, MemoryOutbox, MemoryUnit, State


class ReceiptsOnlyWhatIsNew(Consumer):
    """A repetition is dropped without an answer: the sender whose first receipt was lost never hears."""

    async def _apply_messages(self, unit: Unit, batch: Sequence[Verified]) -> Answers:
        known = set(unit.connection.inbox)
        answers = await super()._apply_messages(unit, batch)
        for to, entries in list(answers.verdicts.items()):
            answers.verdicts[to] = [each for each in entries if each.message_id not in known]
        answers.verdicts = {to: entries for to, entries in answers.verdicts.items() if entries}
        return answers


class CountsInMemory(MemoryOutbox):
    """Sequence numbers are kept by the process: a new one begins again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last: dict[Pair, int] = {}

    async def stamp(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        counters = self._database.state.counters
        for pair in counters:
            counters[pair] = counters[pair]._replace(last=self._last.get(pair, 0))
        stamped = await super().stamp(rows)
        self._last = {pair: counter.last for pair, counter in self._database.state.counters.items()}
        return stamped


class _BelievesEverythingNew(MemoryUnit):
    async def admit(self, arrivals: Sequence[Arrival]) -> Admission:
        await super().admit(arrivals)
        return Admission(frozenset(each.digest for each in arrivals), {}, {})


class SkipsDeduplication(MemoryInbox):
    """Whatever arrives is applied."""

    unit_type = _BelievesEverythingNew


class _SignsNothingAgain(MemoryUnit):
    signs_again_max = 0


class SettlesReusedNumbers(MemoryInbox):
    """A message whose number was given out before is refused like any other, and that is the end of it."""

    unit_type = _SignsNothingAgain


class NeverDecidesAgain(Desk):
    """A refusal of a stale decision is noted, and nothing follows."""

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        return


class TakesStaleDecisions(Acceptor):
    """The recipient does not compare the decision's time with the broker's."""

    def in_time(self, clear: Said, record: Record) -> bool:
        return True


class SendsNewRowsFirst(MemoryOutbox):
    """Stamped rows wait for their resending, however they came to be unsent; nothing waits for them."""

    async def unsent(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        return []

    async def unstamped(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        state = await self._database.read("unstamped")
        return [row for row in state.outbox.values() if row.stamp is None][:limit]

    async def unreceipted(self, sent_before: datetime, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        state = await self._database.read("unreceipted")
        stamped = [(id_, row) for id_, row in state.outbox.items() if row.stamp]
        return [row for id_, row in stamped if state.sent_at.get(id_, row.draft.created_at) < sent_before][:limit]


class StampsAgain(MemoryOutbox):
    """A row that another relay has stamped meanwhile gets a second stamp."""

    def are_as_read(self, state: State, rows: Sequence[OutboxRow]) -> bool:
        return all(row.outbox_id in state.outbox for row in rows)


class _KeepsNothing(MemoryUnit):
    async def keep_waiting(self, waiting: Sequence[Waiting]) -> frozenset[UUID]:
        return frozenset(each.arrival.message_id for each in waiting)

    async def admit(self, arrivals: Sequence[Arrival]) -> Admission:
        held = dict(self.connection.inbox)
        admission = await super().admit(arrivals)
        waits = {each.digest for each in arrivals if _waits(held.get(each.message_id))}
        self.connection.inbox |= {id_: row for id_, row in held.items() if row.arrival.digest in waits}
        said = {digest: Stored(ReceiptOutcome.WAITING, None, Copy(0, START)) for digest in waits}
        return Admission(admission.fresh - waits, admission.done | said, admission.reused)


def _waits(row: Row | None) -> bool:
    return row is not None and row.outcome is ReceiptOutcome.WAITING


class ForgetsWhatWaits(MemoryInbox):
    """What waits is receipted as waiting, and kept nowhere; when it comes again, it waits."""

    unit_type = _KeepsNothing


class NeverSendsAgain(Relay):
    """What a lost disk took is not sent again."""

    async def resend_overdue(self) -> int:
        return 0


BUGS: dict[str, Parts] = {
    "dropped receipt": Parts(consumer=ReceiptsOnlyWhatIsNew),
    "early cursor": Parts(moves_early=True),
    "sequence reuse": Parts(outbox=CountsInMemory),
    "a number given out twice settles its message": Parts(inbox=SettlesReusedNumbers),
    "skipped dedupe": Parts(inbox=SkipsDeduplication),
    "stale decision refused and forgotten": Parts(desk=NeverDecidesAgain),
    "stale decision taken": Parts(acceptor=TakesStaleDecisions),
    "new rows overtake stamped ones": Parts(outbox=SendsNewRowsFirst),
    "row stamped twice": Parts(outbox=StampsAgain),
    "waiting record passed over": Parts(inbox=ForgetsWhatWaits),
    "nothing is sent again": Parts(relay=NeverSendsAgain),
}
