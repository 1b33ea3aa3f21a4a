"""Bugs as they are really made, each put into the simulation by replacing one part. Every one must be found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from shared.exchange.message import Copy, Received, Record
from shared.runtime.post.arrivals import Admission, Arrival, Awaited, Held, Stored
from shared.runtime.post.ports import Settlement, Unit
from shared.runtime.post.stamping import Counter, Pair
from shared.runtime.post.talk import Talk
from shared.vocabulary.answers import ReceiptOutcome
from tests.simulation.accepting import Acceptor
from tests.simulation.auditor import Auditor
from tests.simulation.desks import Desk
from tests.simulation.parts import Parts
from tests.simulation.world import START
from tests.simulation.writing import Edge, Offered
from tests.support.memory_arrivals import Row
from tests.support.memory_outbox import MemoryLanes, MemoryOutbox
from tests.support.memory_stores import MemoryDatabase, MemoryInbox, MemoryUnit, State


class CountsOutsideTheTransaction(MemoryOutbox):
    """Numbers are counted by the process: one of a transaction that fails is lost."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self._counters: dict[Pair, Counter] = {}

    def count_on(self, state: State, pair: Pair, count: int, *, ended: Iterable[UUID] = ()) -> None:
        if pair in self._counters:
            state.counters[pair] = self._counters[pair]
            state.lives[pair] = self._database.life
        super().count_on(state, pair, count, ended=ended)
        self._counters[pair] = state.counters[pair]


class _BelievesEverythingNew(MemoryUnit):
    async def admit(self, arrivals: Sequence[Arrival]) -> Admission:
        await super().admit(arrivals)
        return Admission(frozenset(each.digest for each in arrivals), {}, {})


class SkipsDeduplication(MemoryInbox):
    """Whatever arrives is applied."""

    unit_type = _BelievesEverythingNew


class NeverDecidesAgain(Desk):
    """A refusal of a stale decision is noted, and nothing follows."""

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        return


class TakesStaleDecisions(Acceptor):
    """The recipient does not compare the decision's time with the broker's."""

    def in_time(self, clear: Offered, record: Record) -> bool:
        return True


class _KeepsNothing(MemoryUnit):
    async def keep_waiting(self, waiting: Sequence[Awaited]) -> frozenset[UUID]:
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


class _HoldsNothing(MemoryUnit):
    async def held(self, arrivals: Sequence[Arrival]) -> dict[str, Held]:
        return {}


class TakesOlderRevisions(MemoryInbox):
    """Whatever came last replaces what was there."""

    unit_type = _HoldsNothing


class Deaf(Talk):
    """Nobody hears what others say of delivery."""

    async def heard(self, unit: Unit, received: Sequence[Received]) -> None:
        return


class NeverSendsAgain(MemoryOutbox):
    """Holes stay holes."""

    sends_again = False


class NeverRewinds(MemoryLanes):
    """That a topic has lost its end is nobody's concern."""

    async def rewind(self, lane: str) -> None:
        return


class CountsRepetitions(Desk):
    """A request that comes again, since its answer was lost, is counted once more."""

    def file(self, state: State, referral_id: UUID, edges: Sequence[Edge]) -> None:
        if ("referral", referral_id) in state.effects:
            self.count(state)
        super().file(state, referral_id, edges)


class ForgetsALink(Auditor):
    """Of the first decision that audit was told of it forgets one edge."""

    def _hear(self, by: str, message_id: UUID, record: Record) -> None:
        super()._hear(by, message_id, record)
        facts = self.books.facts
        if (body := facts.get(message_id)) and message_id == next(id_ for id_, told in facts.items() if told):
            told = json.loads(body)
            facts[message_id] = json.dumps({"clear": told["clear"] | {"links": told["clear"]["links"][1:]}}).encode()


class ForgetsADecision(Auditor):
    """The first decision that audit was told of it forgets."""

    def _hear(self, by: str, message_id: UUID, record: Record) -> None:
        super()._hear(by, message_id, record)
        facts = self.books.facts
        if message_id in facts and message_id == next(iter(facts)):
            facts[message_id] = b""


#: What the accounts alone show: each breaks one of their equations, and nothing else.
MISCOUNTS: Final[dict[str, Parts]] = {
    "a repeated request counted twice": Parts(desk=CountsRepetitions),
    "a decision forgotten by audit": Parts(auditor=ForgetsADecision),
    "a decided edge forgotten by audit": Parts(auditor=ForgetsALink),
}
BUGS: Final[dict[str, Parts]] = {
    "early cursor": Parts(moves_early=True),
    "numbers lost with their transaction": Parts(outbox=CountsOutsideTheTransaction),
    "skipped dedupe": Parts(inbox=SkipsDeduplication),
    "lapsed decision refused and forgotten": Parts(desk=NeverDecidesAgain),
    "lapsed decision taken": Parts(acceptor=TakesStaleDecisions),
    "waiting record passed over": Parts(inbox=ForgetsWhatWaits),
    "an older revision taken": Parts(inbox=TakesOlderRevisions),
    "nobody hears": Parts(talk=Deaf),
    "nothing is sent again": Parts(outbox=NeverSendsAgain, lanes=NeverRewinds),
}
