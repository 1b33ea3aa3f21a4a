"""Bugs as they are really made, each put into the simulation by replacing one part. Every one must be found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.exchange.message import Record
from shared.runtime.post.consumer import Consumer, Verified
from shared.runtime.post.ports import Admission, Arrival, OutboxRow, Settlement, Unit
from shared.runtime.post.relay import Relay
from shared.runtime.post.stamping import Pair
from tests.simulation.desks import Acceptor, Desk, Said
from tests.simulation.world import Parts
from tests.support.memory_stores import MemoryInbox, MemoryOutbox, MemoryUnit, State


class ReceiptsOnlyWhatIsNew(Consumer):
    """A repetition is dropped without an answer: the sender whose first receipt was lost never hears."""

    async def _apply_messages(self, unit: Unit, verified: Sequence[Verified]) -> Any:
        known = set(unit.connection.inbox)
        answers, *rest = await super()._apply_messages(unit, verified)
        return {to: [each for each in entries if each[0] not in known] for to, entries in answers.items()}, *rest


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


class ForgetsWhatWaits(Consumer):
    """Records whose document has not come are passed over: the others of the batch are committed, and so are they."""

    async def consume(self, records: Sequence[Record]) -> None:
        await self._commit(self._judge(records))


class NeverSendsAgain(Relay):
    """What a lost disk took is not sent again."""

    async def resend_overdue(self) -> int:
        return 0


BUGS: dict[str, Parts] = {
    "dropped receipt": Parts(consumer=ReceiptsOnlyWhatIsNew),
    "early offset commit": Parts(commits_early=True),
    "sequence reuse": Parts(outbox=CountsInMemory),
    "a number given out twice settles its message": Parts(inbox=SettlesReusedNumbers),
    "skipped dedupe": Parts(inbox=SkipsDeduplication),
    "stale decision refused and forgotten": Parts(desk=NeverDecidesAgain),
    "stale decision taken": Parts(acceptor=TakesStaleDecisions),
    "new rows overtake stamped ones": Parts(outbox=SendsNewRowsFirst),
    "row stamped twice": Parts(outbox=StampsAgain),
    "waiting record passed over": Parts(consumer=ForgetsWhatWaits),
    "nothing is sent again": Parts(relay=NeverSendsAgain),
}
