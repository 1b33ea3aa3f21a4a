"""Rechecks at the origin of items that notices were sent about."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from shared.core.acts.act import Subject
from shared.core.acts.states import Event, event_type, row
from shared.core.authority import state_forbids
from shared.core.contracts import registry
from shared.core.contracts.answers import ItemChecks, ItemsCheckedClear
from shared.core.contracts.base import Contract, Uuid
from shared.core.errors import Refused
from shared.core.ids import uuid4
from shared.core.protocol import items
from shared.core.protocol.clocks import EdgeStep, checked, rechecked
from shared.core.protocol.items import ItemLog
from shared.core.protocol.origin import EdgeAnswer, ReferralState
from shared.core.vocabulary.answers import AnswerState, ItemFound
from shared.features.filing.ports import IssuedEdge, Recheck, StoredReferral
from shared.features.filing.service.referrals import Actor
from shared.features.filing.store.edge_rows import PostgresIssued


class CheckedReferral(Contract):
    """The recheck is stored and sent to the providers: `reappeared` if an item is available again."""

    referral_id: Uuid
    state: Literal["routed", "reappeared"]


async def check_items(referral_id: UUID, said: ItemChecks, acting: Actor) -> CheckedReferral:
    """Store recheck results, and send them to each provider with a notice about such an item. Return the state.

    The state is `reappeared` if an item is available again, else `routed`. Raises `Refused`: `not_found` for absent and
    foreign referrals, `state_forbids`, `item_unknown` if no notice is about an item, and the errors of `items.found`.
    """
    filed = await acting.filed(referral_id, "check")
    if filed.state != ReferralState.ROUTED:
        raise state_forbids()
    issued = await PostgresIssued(acting.referrals.driver).issued(referral_id)
    known = {n for edge in issued for n in edge.standing}
    for place, each in enumerate(said.checked):
        if each.n not in known:
            raise Refused("item_unknown", "no notice is about this item", field=f"/checked/{place}/n")
    came_to = [await _check_notice(edge, said, acting, filed=filed) for edge in issued]
    state = AnswerState.REAPPEARED.value if any(came_to) else filed.state
    checking = row(Subject.REFERRAL, "check")
    event = Event(acting.party, event_type(checking.subject, checking.name), referral_id, state=state)
    await acting.referrals.note([event])
    return CheckedReferral.model_validate({"referral_id": referral_id, "state": state})


async def _check_notice(edge: IssuedEdge, said: ItemChecks, acting: Actor, *, filed: StoredReferral) -> bool:
    """Store the results for one notice. Return whether one of its items is available again."""
    before = ItemLog.kept(edge.answer.detail)
    found = items.found(said.checked, edge.standing, before, at=acting.at)
    if not found.checks:
        return False
    again = any(each.found is ItemFound.REAPPEARED for each in found.checks)
    state = AnswerState(items.fold(edge.standing, before + found).items.value) if again else edge.answer.state
    detail = dict(edge.answer.detail) | (before + found).words()
    look = Recheck(uuid4(), acting.party, found, acting.at)
    await PostgresIssued(acting.referrals.driver).found(edge, look, EdgeAnswer(state, detail, edge.answer.acts))
    told = items.told(found, edge.items).checks
    steps = [*checked(told, acting.at), *rechecked(before + found, acting.at)]
    await acting.referrals.clock((), [EdgeStep.by(acting.party, edge.notice_id, edge.recipient, step=s) for s in steps])
    clear = ItemsCheckedClear(notice_id=edge.notice_id, act=look.act, checked=told)
    await acting.tell(
        registry.ITEMS_CHECKED, clear, filed, subject=edge.notice_id, to=edge.recipient, place=edge.instance
    )
    return again
