"""The rules of delivery, each taken away by itself: the simulation must find what then breaks.

A key begins with the number of the rule (`docs/decisions/0035-rules-taken-away.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from shared.contracts.delivery import GoneNumbers, HeldEdge, MarksClear, TakenMark
from shared.contracts.registry import WITHDRAWALS
from shared.exchange.message import Copy, Received, Record
from shared.exchange.needs import Need, NeedKind, Unread
from shared.exchange.served import Served
from shared.exchange.topics import AUDIT
from shared.kernel.errors import Refused
from shared.runtime.post.arrivals import FINAL, Admission, Arrival, Stored
from shared.runtime.post.peers import Spoken
from shared.runtime.post.ports import Settlement
from shared.runtime.post.stamping import Pair
from shared.runtime.post.turns import TalkSettings
from tests.simulation.accepting import Acceptor
from tests.simulation.bugs import BUGS, MISCOUNTS
from tests.simulation.desks import Desk
from tests.simulation.parts import Parts
from tests.simulation.writing import Answered, Edge
from tests.support.memory_outbox import Held as SentRow
from tests.support.memory_outbox import MemoryOutbox, MemorySentBook
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_stores import MemoryInbox, MemoryUnit, State

_OUTBOX: Final = "tests.support.memory_outbox"
_PEERS: Final = "tests.support.memory_peers.MemoryPeers"
_BEFORE, _TAKEN, _COUNT = MemorySentBook._take, MemoryPeers.marked, MemoryOutbox.count_on


class _StaysOpen(MemoryUnit):
    async def admit(self, arrivals: Sequence[Arrival]) -> Admission:
        held = dict(self.connection.inbox)
        admission = await super().admit(arrivals)
        open_ = {each.digest: held[each.message_id] for each in arrivals if each.message_id in held}
        open_ = {digest: row for digest, row in open_.items() if digest in admission.fresh and row.outcome not in FINAL}
        self.connection.inbox |= {row.arrival.message_id: row for row in open_.values()}
        said = {
            digest: Stored(row.outcome, row.code, Copy(row.arrival.offset, row.arrival.broker_time))
            for digest, row in open_.items()
        }
        return Admission(admission.fresh - open_.keys(), admission.done | said, admission.reused)


class StaysOpen(MemoryInbox):
    """What was deferred or parked once stays so when it comes again."""

    unit_type = _StaysOpen


class _EndsNothing(MemoryUnit):
    async def end_open(self, withdrawals: Sequence[Arrival]) -> list[Arrival]:
        return []


class EndsNothing(MemoryInbox):
    """A withdrawal leaves what waits behind it waiting."""

    unit_type = _EndsNothing


class _KeepsNoTombstone(MemoryUnit):
    async def withdrawn(self, arrivals: Sequence[Arrival]) -> frozenset[str]:
        return frozenset()


class KeepsNoTombstone(MemoryInbox):
    """What was taken back before it came is taken when it comes."""

    unit_type = _KeepsNoTombstone


class SettlesReusedNumbers(MemoryOutbox):
    """A message whose number was given out before is refused like any other, and that is the end of it."""

    signs_again_max = 0


class LeavesWithoutAudit(MemoryOutbox):
    """What its recipient has passed is held no longer, whether audit has it or not."""

    def _passed(self, state: State, by: str, row: SentRow) -> bool:
        return by == AUDIT or super()._passed(state, by, row)


class LeavesWithoutMark(MemoryOutbox):
    """What audit has passed and was answered is held no longer, whether its recipient has it or not."""

    def _passed(self, state: State, by: str, row: SentRow) -> bool:
        return by != AUDIT or super()._passed(state, by, row)


class TakesActsAsTheyCome(Desk):
    """An act that adds is applied, whatever came before it."""

    def answered(self, state: State, message: Received, clear: Answered) -> None:
        self._see(state, message)
        edge = next((e for e in self._newest(state, clear.referral_id) if e.agency == message.sender), None)
        if edge is not None:
            self._change(state, replace(edge, taken=max(clear.number, edge.taken)))


class TellsNoState(Desk):
    """What goes to an instance that never got the edge is not preceded by what was answered so far."""

    tells_state_first = False


class WithdrawsWhereItLies(Desk):
    """A withdrawal goes to where the edge lies now, and nowhere else."""

    withdraws_everywhere = False


class LeavesBehind(Desk):
    """What has moved is not issued anew."""

    def follow(self, state: State) -> None:
        return


class ListsNothing(Desk):
    """That its recipient knows more than its origin is nobody's concern."""

    def _ahead(self, state: State, edge: Edge, held: HeldEdge) -> None:
        return


class RaisesRevisions(Desk):
    """Where its recipient holds a later revision, what is known here is sent as the one after that."""

    def _ahead(self, state: State, edge: Edge, held: HeldEdge) -> None:
        if state.effects["referral", edge.referral_id] == "open" and (held.revision or 0) > edge.revision:
            self._supersede(state, [replace(edge, revision=(held.revision or 0) + 1)])
        else:
            super()._ahead(state, edge, held)


class BeginsItsTrackAnew(Desk):
    """Acts that are forgotten here, and known to the origin, are not taken up: numbers are given again."""

    takes_up_forgotten = False


class IssuesNothingAnew(Desk):
    """What its recipient has forgotten stays forgotten."""

    def issue_missing(self, state: State) -> None:
        return


class DefersWithdrawals(Acceptor):
    """A withdrawal takes a release to be read, as anything else may."""

    def _check(self, received: Received, record: Record, served: Served) -> None:
        super()._check(received, record, served)
        if received.message in WITHDRAWALS and not self.knowledge.reads(2):
            raise Unread("engine_unknown", Need(NeedKind.ENGINE, "2"))


class PassesWithdrawalsOn(Acceptor):
    """Of what has moved a withdrawal is not applied either."""

    def _check(self, received: Received, record: Record, served: Served) -> None:
        super()._check(received, record, served)
        if received.message in WITHDRAWALS and served is Served.BEFORE_IT_MOVED:
            raise Refused("recipient_moved")


def _latest_counts(row: SentRow, said: Settlement, *, settled: bool) -> bool:
    """Whatever comes last replaces what was known."""
    return not settled and said.outcome is not row.outcome


async def _takes_every_mark(self: MemoryPeers, by: str, marks: MarksClear, spoken: Spoken) -> int:
    """An old mark, read again, counts as a new one."""
    return await _TAKEN(self, by, marks, spoken) or 1


async def _owes_nothing(self: MemoryPeers, by: str, marks: MarksClear, spoken: Spoken) -> int:
    """Whoever asks is not answered."""
    return await _TAKEN(self, by, marks.model_copy(update={"asking": False}), spoken)


def _not_again(of_audit: bool) -> Callable[..., Iterator[GoneNumbers]]:
    """What audit, or its recipient's instance, has not taken is not sent again."""

    def take(self: MemorySentBook, by: str, mark: TakenMark, at: Any, *, holes: int) -> Iterator[GoneNumbers]:
        before = dict(self._state.gathered.again)
        yield from _BEFORE(self, by, mark, at, holes=holes)
        if (by == AUDIT) is of_audit:
            self._state.gathered.again = before

    return take


async def _not_begun(self: MemoryPeers) -> bool:
    """A restored database takes itself for the one before."""
    return False


def _of_one_life(self: MemoryOutbox, state: State, pair: Pair, count: int, *, ended: Iterable[UUID] = ()) -> None:
    """Numbers go on where the counter stands, in whatever database that is."""
    state.lives[pair] = self._database.life
    _COUNT(self, state, pair, count, ended=ended)


def _never_reopened(row: SentRow, said: Settlement, *, settled: bool) -> bool:
    """What was applied stays applied, whatever its recipient says then."""
    return not settled and not row.done and said.outcome is not row.outcome


async def _nothing(*_: object, **__: object) -> None:
    return


def _once(row: Any, now: object) -> bool:
    """What was wanted once is not asked for again."""
    return row.wanted_at is None


RULES: Final[dict[str, Parts]] = {
    "1 what is open is judged again": Parts(inbox=StaysOpen),
    "1 a final outcome is said again": Parts(
        patches={"shared.runtime.post.answer.Answers.again": lambda self, each, stored: None}
    ),
    "1 a final outcome stands": Parts(patches={f"{_OUTBOX}._says_more": _latest_counts}),
    "1 refused after applied reopens": Parts(patches={f"{_OUTBOX}._says_more": _never_reopened}),
    "2 a reused number is answered": Parts(outbox=SettlesReusedNumbers),
    "3 what can be taken is wanted": Parts(
        patches={"tests.support.memory_arrivals.MemoryTaken._is_wanted": lambda self, row: False}
    ),
    "3 it is wanted until it is final": Parts(patches={"tests.support.memory_arrivals._pause_is_over": _once}),
    "4 what is not held is gone": Parts(patches={"shared.runtime.post.talk.Talk._gone": _nothing}),
    "4 what is gone is passed": Parts(patches={"tests.support.memory_arrivals.MemoryTaken.pass_gone": _nothing}),
    "5 what is unreceipted is sent again": Parts(patches={f"{_OUTBOX}.UNRECEIPTED_AGE": timedelta(days=1)}),
    "5 so is what was answered in receipts that are lost": Parts(
        patches={f"{_OUTBOX}.MemorySentBook.receipts_lost": _nothing}
    ),
    "6 marks are repeated": Parts(patches={"tests.simulation.instance.TALK": TalkSettings(poll_s=9.0, repeat_s=1e6)}),
    "6 marks that ask are answered": Parts(patches={f"{_PEERS}.marked": _owes_nothing}),
    "6 an older mark is ignored": Parts(patches={f"{_PEERS}.marked": _takes_every_mark}),
    "6 marks list what was given": Parts(patches={"tests.support.memory_arrivals.MemoryTaken.know": _nothing}),
    "6 holes are sent again": Parts(patches={f"{_OUTBOX}.MemorySentBook._take": _not_again(of_audit=False)}),
    "7 kept until audit has it": Parts(outbox=LeavesWithoutAudit),
    "7 kept until its recipient has it": Parts(outbox=LeavesWithoutMark),
    "7 what audit lacks is sent again": Parts(patches={f"{_OUTBOX}.MemorySentBook._take": _not_again(of_audit=True)}),
    "8 acts come in the order of their track": Parts(desk=TakesActsAsTheyCome),
    "9 a withdrawal is never deferred": Parts(acceptor=DefersWithdrawals),
    "9 a withdrawal ends what waits": Parts(inbox=EndsNothing),
    "9 a withdrawal comes first": Parts(inbox=KeepsNoTombstone),
    "9 a withdrawal goes everywhere": Parts(desk=WithdrawsWhereItLies),
    "9 an old place applies withdrawals": Parts(acceptor=PassesWithdrawalsOn),
    "10 the state goes first": Parts(desk=TellsNoState),
    "10 what has moved is issued anew": Parts(desk=LeavesBehind),
    "11 a restore is noticed": Parts(
        patches={
            f"{_PEERS}.began": _not_begun,
            f"{_PEERS}.forgotten": _nothing,
            f"{_OUTBOX}.MemoryOutbox.count_on": _of_one_life,
            f"{_OUTBOX}.MemoryOutbox.signs_again_max": 0,
        }
    ),
    "11 another database has other epochs": Parts(patches={f"{_OUTBOX}.MemoryOutbox.count_on": _of_one_life}),
    "11 a mark tells what is forgotten": Parts(patches={f"{_PEERS}.forgotten": _nothing}),
    "12 a receipt names the copy judged": Parts(
        patches={
            "shared.runtime.post.answer.Answers.again": lambda self, each, stored: self._tell(
                each.arrival, stored.outcome, stored.code
            )
        }
    ),
    "13 what is held is told": Parts(patches={"shared.runtime.post.talk_loop.Speaker._tell_standings": _nothing}),
    "13 what is missing is issued anew": Parts(desk=IssuesNothingAnew),
    "14 what its recipient knows more is listed": Parts(desk=ListsNothing),
    "14 no revision is raised by itself": Parts(desk=RaisesRevisions),
    "14 acts go on at the end of their track": Parts(desk=BeginsItsTrackAnew),
}

#: All that must be found.
CONTROLS: Final = RULES | BUGS | MISCOUNTS
#: Those that show within few seeds, and so have a test; the others `--controls` alone finds.
SOON: Final = (
    "1 what is open is judged again",
    "2 a reused number is answered",
    "3 what can be taken is wanted",
    "4 what is not held is gone",
    "4 what is gone is passed",
    "6 marks that ask are answered",
    "7 kept until audit has it",
    "8 acts come in the order of their track",
    "9 a withdrawal is never deferred",
    "9 a withdrawal ends what waits",
    "11 another database has other epochs",
    "11 a mark tells what is forgotten",
    "14 no revision is raised by itself",
    "14 acts go on at the end of their track",
    "early cursor",
    "numbers lost with their transaction",
    "skipped dedupe",
    "lapsed decision refused and forgotten",
    "lapsed decision taken",
    "waiting record passed over",
)
