"""Bugs as they are really made, each put into the simulation by replacing one part. Every one must be found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from shared.exchange.message import Copy, Received, Record
from shared.runtime.post.arrivals import Admission, Arrival, Awaited, Held, Stored
from shared.runtime.post.ports import Settlement, Unit
from shared.runtime.post.stamping import Counter, Pair
from shared.runtime.post.talk import Talk
from shared.vocabulary.answers import ReceiptOutcome
from tests.simulation.accepting import Acceptor
from tests.simulation.desks import Desk
from tests.simulation.parts import Parts
from tests.simulation.world import START
from tests.simulation.writing import Answered, Offered
from tests.support.memory_arrivals import Keeping, MemoryTaken, Row
from tests.support.memory_outbox import Held as SentRow
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


class SettlesReusedNumbers(MemoryOutbox):
    """A message whose number was given out before is refused like any other, and that is the end of it."""

    signs_again_max = 0


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


class _WantsNothing(MemoryTaken):
    async def wanted(self, now: datetime) -> dict[str, list[UUID]]:
        return {}


class _AsksForNothing(MemoryUnit):
    def __init__(self, database: MemoryDatabase, state: State, keeping: Keeping) -> None:
        super().__init__(database, state, keeping)
        self.taken = _WantsNothing(state, keeping)


class NeverWants(MemoryInbox):
    """What was deferred or parked is left with its sender."""

    unit_type = _AsksForNothing


class _HoldsNothing(MemoryUnit):
    async def held(self, arrivals: Sequence[Arrival]) -> dict[str, Held]:
        return {}


class TakesOlderRevisions(MemoryInbox):
    """Whatever came last replaces what was there."""

    unit_type = _HoldsNothing


class _EndsNothing(MemoryUnit):
    async def end_open(self, withdrawals: Sequence[Arrival]) -> list[Arrival]:
        return []

    async def withdrawn(self, arrivals: Sequence[Arrival]) -> frozenset[str]:
        return frozenset()


class ForgetsWithdrawals(MemoryInbox):
    """What was taken back may come all the same."""

    unit_type = _EndsNothing


class TakesActsAsTheyCome(Desk):
    """An act that adds is applied, whatever came before it."""

    def answered(self, state: State, message: Received, clear: Answered) -> None:
        self._see(state, message)
        told = ("told", clear.referral_id, message.sender)
        state.effects[told] = max(clear.number, state.effects.get(told, 0))


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


class LeavesAtItsReceipt(MemoryOutbox):
    """What has been answered is held no longer, whoever else still lacks it."""

    def _passed(self, state: State, by: str, row: SentRow) -> bool:
        return True


BUGS: dict[str, Parts] = {
    "early cursor": Parts(moves_early=True),
    "numbers lost with their transaction": Parts(outbox=CountsOutsideTheTransaction),
    "a number given out twice settles its message": Parts(outbox=SettlesReusedNumbers),
    "skipped dedupe": Parts(inbox=SkipsDeduplication),
    "lapsed decision refused and forgotten": Parts(desk=NeverDecidesAgain),
    "lapsed decision taken": Parts(acceptor=TakesStaleDecisions),
    "waiting record passed over": Parts(inbox=ForgetsWhatWaits),
    "nothing is wanted": Parts(inbox=NeverWants),
    "an older revision taken": Parts(inbox=TakesOlderRevisions),
    "a withdrawal forgotten": Parts(inbox=ForgetsWithdrawals),
    "acts taken as they come": Parts(desk=TakesActsAsTheyCome),
    "nobody hears": Parts(talk=Deaf),
    "nothing is sent again": Parts(outbox=NeverSendsAgain, lanes=NeverRewinds),
    "what is answered is forgotten": Parts(outbox=LeavesAtItsReceipt),
}
