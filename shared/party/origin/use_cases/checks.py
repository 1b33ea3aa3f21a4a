"""An origin looks again at what notices were issued about: what it finds is kept, and told to each provider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from shared.contracts.answers import ItemChecks, ItemsCheckedClear
from shared.contracts.registry import ITEMS_CHECKED
from shared.exchange import items
from shared.exchange.act import Subject
from shared.exchange.clocks import Happened, checked, rechecked
from shared.exchange.compose import Addressing, compose
from shared.exchange.events import Event, event_type
from shared.exchange.items import Said
from shared.exchange.origin import Answered, ReferralState
from shared.exchange.states import row
from shared.kernel.authority import state_forbids
from shared.kernel.errors import Refused, not_found
from shared.kernel.ids import uuid4
from shared.party.origin.ports import Filed
from shared.party.origin.use_cases.referrals import Acting
from shared.vocabulary.answers import AnswerState, ItemFound


@dataclass(frozen=True, slots=True)
class IssuedEdge:
    """A notice as its origin knows it: its items by the origin's own numbers, and all that was said of them.

    `items` are all that it ever had, `gone` those that it has no more.
    """

    edge_id: UUID
    notice_id: UUID
    recipient: str
    instance: str
    items: tuple[int, ...]
    gone: frozenset[int]
    answer: Answered

    @property
    def standing(self) -> list[int]:
        return [n for n in self.items if n not in self.gone]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at items of a notice: an act of its origin, `found` by the origin's own numbers."""

    act: UUID
    party: str
    found: Said
    at: datetime


class IssuedEdges(Protocol):
    """The notices of the acting party's referrals, within one transaction."""

    async def issued(self, referral_id: UUID) -> list[IssuedEdge]:
        """Those that stand, locked."""
        ...

    async def found(self, edge: IssuedEdge, look: Look, answer: Answered) -> None:
        """Keep what was found, and the answer that it has led to."""
        ...


async def check_items(referral_id: UUID, said: ItemChecks, acting: Acting, *, edges: IssuedEdges) -> str:
    """Keep what was found of items, and tell it to each provider with a notice about one; what has come of it.

    That is `reappeared` where an item is there again, else `routed`. Raises `Refused`: `not_found` for absent and
    foreign referrals alike, `state_forbids`, `item_unknown` where no notice is about an item, and as `items.found`.
    """
    acting.require("check")
    filed = await acting.referrals.find(referral_id)
    if filed is None:
        raise not_found()
    if filed.state != ReferralState.ROUTED:
        raise state_forbids()
    issued = await edges.issued(referral_id)
    known = {n for edge in issued for n in edge.standing}
    for place, each in enumerate(said.checked):
        if each.n not in known:
            raise Refused("item_unknown", "no notice is about such an item", field=f"/checked/{place}/n")
    came_to = [await _check(edge, said, acting, filed=filed, edges=edges) for edge in issued]
    state = AnswerState.REAPPEARED.value if any(came_to) else filed.state
    checking = row(Subject.REFERRAL, "check")
    event = Event(acting.party, event_type(checking.subject, checking.name), referral_id, state=state)
    await acting.referrals.note([event])
    return state


async def _check(edge: IssuedEdge, said: ItemChecks, acting: Acting, *, filed: Filed, edges: IssuedEdges) -> bool:
    """Whether an item of this notice is there again."""
    before = Said.kept(edge.answer.detail)
    found = items.found(said.checked, edge.standing, before, at=acting.at)
    if not found.checks:
        return False
    again = any(each.found is ItemFound.REAPPEARED for each in found.checks)
    state = AnswerState(items.fold(edge.standing, before + found).items.value) if again else edge.answer.state
    detail = dict(edge.answer.detail) | (before + found).words()
    look = Look(uuid4(), acting.party, found, acting.at)
    await edges.found(edge, look, Answered(state, detail, edge.answer.acts))
    told = items.told(found, edge.items).checks
    steps = [*checked(told, acting.at), *rechecked(before + found, acting.at)]
    await acting.referrals.clock([Happened.by(acting.party, edge.notice_id, edge.recipient, step=s) for s in steps])
    directory = acting.directory()
    if directory.party(edge.recipient) is None or directory.instance(edge.instance) is None:
        return again  # it has left: nobody is there to be told
    clear = ItemsCheckedClear(notice_id=edge.notice_id, act=look.act, checked=told)
    addressing = Addressing(
        subject=edge.notice_id,
        sender=acting.party,
        recipient=edge.recipient,
        directory=directory,
        exercise=filed.exercise,
        at=acting.at,
        traceparent=filed.traceparent,
        place=edge.instance,
    )
    await acting.referrals.send([compose(ITEMS_CHECKED, clear, addressing)])
    return again
