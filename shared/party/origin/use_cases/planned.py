"""Issuing what is planned: in its slot, decided afresh, unless somebody holds it.

`hold_check` runs in the transaction that mints the notice, after the notice was locked: a hold that was there first is
seen, and one that comes after finds nothing left to hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.exchange.prepare import Again
from shared.party.origin.records import Hold, StaleReferral
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.store.holds import PostgresPlanned
from shared.party.origin.use_cases.again import DecideAgain
from shared.party.origin.use_cases.holds import Holding
from shared.party.taking import Taking
from shared.runtime.watch.logs import log
from shared.vocabulary.holds import HoldEnd
from shared.vocabulary.routing import WorkReason

#: So many planned notices are looked at in one transaction.
BATCH: Final = 100


class Checked(NamedTuple):
    """What the look for holds has found of due notices: what may go, and what somebody holds still."""

    free: list[StaleReferral]
    held: list[StaleReferral]


def hold_check(due: Sequence[StaleReferral], active: Mapping[UUID, Sequence[Hold]], at: datetime) -> Checked:
    """A notice may go where no hold is in force any more, or its referral was taken back."""
    found = Checked([], [])
    for each in due:
        holds = active.get(each.referral_id, ())
        stands = not each.withdrawn and any(hold.not_after > at for hold in holds)
        (found.held if stands else found.free).append(each)
    return found


@dataclass(frozen=True, slots=True)
class IssuePlanned:
    """Issues one batch within the caller's transaction."""

    planned: PostgresPlanned
    edges: PostgresEdges
    again: DecideAgain
    holding: Holding

    async def issue(self, taking: Taking) -> None:
        """Issue what is due, and say how each hold of it has ended."""
        at, hours = self.holding.at, self.holding.documents().hours
        due = await self.planned.due(at, taking)
        if not due:
            await self._end_of_one(taking)
            return
        active = await self.planned.active([each.referral_id for each in due])
        checked = hold_check(due, active, at)
        again = [self.again.decide(each, self.holding.documents()) for each in checked.free if not each.withdrawn]
        await self._replace(checked.free, again)
        later = {
            edge_id: hours.slot(max(h.not_after for h in active[each.referral_id]))
            for each in checked.held
            for edge_id in _ids(each)
        }
        # Whoever could not be written to yet is written to in another slot: its time is as any other.
        later |= {edge_id: hours.slot(at + hours.slot_length / 2) for edge_id in self._unread(checked.free, again)}
        await self.planned.plan(later)
        await self._end(checked.free, again, active)

    async def _end_of_one(self, taking: Taking) -> None:
        """A hold ends in its own slot, also where others hold on: else its agency could tell that they do."""
        over = await self.planned.over(self.holding.documents().hours.begun(self.holding.at), self.holding.at, taking)
        await self.holding.end(over, HoldEnd.EXPIRED)

    async def _replace(self, free: Sequence[StaleReferral], again: Sequence[Again]) -> None:
        emitted = {(each.referral_id, edge.recipient, edge.purpose) for each in again for edge in each.emitted}
        replaced = {
            stale.edge_id for each in free for key, stale in each.stale.items() if (each.referral_id, *key) in emitted
        }
        dropped = {edge.edge_id for each in again for edge in each.dropped}
        dropped |= {edge_id for each in free if each.withdrawn for edge_id in _ids(each)}
        if replaced or dropped:
            changed = [_listed(each) for each in again if each.emitted or each.dropped]
            await self.edges.replace(replaced, dropped, changed)
            log("edges_issued", count=len(replaced))
        if dropped:
            log("edges_dropped", count=len(dropped))

    def _unread(self, free: Sequence[StaleReferral], again: Sequence[Again]) -> list[UUID]:
        """The notices whose recipients cannot read them yet."""
        stale = {each.referral_id: each.stale for each in free}
        return [
            stale[each.referral_id][waiting.edge.recipient, waiting.edge.terms.purpose].edge_id
            for each in again
            for waiting in each.waiting
        ]

    async def _end(
        self, free: Sequence[StaleReferral], again: Sequence[Again], active: Mapping[UUID, Sequence[Hold]]
    ) -> None:
        """A hold of what went has expired; one of what is not sent any more has lapsed."""
        gone = {each.referral_id for each in again if each.emitted or each.waiting}
        for each in free:
            end = HoldEnd.EXPIRED if each.referral_id in gone else HoldEnd.LAPSED
            await self.holding.end(active.get(each.referral_id, ()), end)


def _listed(again: Again) -> Again:
    """What is decided again, without what waits on; a notice that the law permits no more needs a person."""
    reason = again.work_reason or (WorkReason.NO_BASIS if again.dropped else None)
    return replace(again, waiting=(), work_reason=reason)


def _ids(referral: StaleReferral) -> list[UUID]:
    return [edge.edge_id for edge in referral.stale.values()]
