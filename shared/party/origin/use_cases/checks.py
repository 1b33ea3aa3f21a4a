"""An origin looks again at what notices were issued about: what it finds is kept, and told to each provider."""

from __future__ import annotations

from uuid import UUID

from shared.contracts.answers import ItemChecks, ItemsCheckedClear
from shared.contracts.registry import ITEMS_CHECKED
from shared.exchange import items
from shared.exchange.act import Subject
from shared.exchange.clocks import Happened, checked, rechecked
from shared.exchange.events import Event, event_type
from shared.exchange.items import Said
from shared.exchange.origin import Answered, ReferralState
from shared.exchange.states import row
from shared.kernel.authority import state_forbids
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid4
from shared.party.origin.records import Filed, IssuedEdge, Look
from shared.party.origin.use_cases.acting import Acting
from shared.vocabulary.answers import AnswerState, ItemFound


async def check_items(referral_id: UUID, said: ItemChecks, acting: Acting) -> str:
    """Keep what was found of items, and tell it to each provider with a notice about one; what has come of it.

    That is `reappeared` where an item is there again, else `routed`. Raises `Refused`: `not_found` for absent and
    foreign referrals alike, `state_forbids`, `item_unknown` where no notice is about an item, and as `items.found`.
    """
    filed = await acting.filed(referral_id, "check")
    if filed.state != ReferralState.ROUTED:
        raise state_forbids()
    issued = await acting.issued.issued(referral_id)
    known = {n for edge in issued for n in edge.standing}
    for place, each in enumerate(said.checked):
        if each.n not in known:
            raise Refused("item_unknown", "no notice is about such an item", field=f"/checked/{place}/n")
    came_to = [await _check(edge, said, acting, filed=filed) for edge in issued]
    state = AnswerState.REAPPEARED.value if any(came_to) else filed.state
    checking = row(Subject.REFERRAL, "check")
    event = Event(acting.party, event_type(checking.subject, checking.name), referral_id, state=state)
    await acting.referrals.note([event])
    return state


async def _check(edge: IssuedEdge, said: ItemChecks, acting: Acting, *, filed: Filed) -> bool:
    """Whether an item of this notice is there again."""
    before = Said.kept(edge.answer.detail)
    found = items.found(said.checked, edge.standing, before, at=acting.at)
    if not found.checks:
        return False
    again = any(each.found is ItemFound.REAPPEARED for each in found.checks)
    state = AnswerState(items.fold(edge.standing, before + found).items.value) if again else edge.answer.state
    detail = dict(edge.answer.detail) | (before + found).words()
    look = Look(uuid4(), acting.party, found, acting.at)
    await acting.issued.found(edge, look, Answered(state, detail, edge.answer.acts))
    told = items.told(found, edge.items).checks
    steps = [*checked(told, acting.at), *rechecked(before + found, acting.at)]
    await acting.referrals.clock((), [Happened.by(acting.party, edge.notice_id, edge.recipient, step=s) for s in steps])
    clear = ItemsCheckedClear(notice_id=edge.notice_id, act=look.act, checked=told)
    await acting.tell(ITEMS_CHECKED, clear, filed, subject=edge.notice_id, to=edge.recipient, place=edge.instance)
    return again
