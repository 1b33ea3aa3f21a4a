"""Use cases of notices: answers of their provider, and rechecks of their items by their origin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast
from uuid import UUID

from shared.core.acts.act import Act, NoticeState, Subject, Track
from shared.core.acts.states import Event, event_type, row
from shared.core.authority import state_forbids
from shared.core.contracts import registry
from shared.core.contracts.answers import (
    ItemChecks,
    ItemsCheckedClear,
    NoticeDisowning,
    NoticeStatements,
    WithdrawalAnswer,
)
from shared.core.contracts.base import Contract, Uuid
from shared.core.contracts.preservation_api import PreservationAnswering
from shared.core.errors import Refused
from shared.core.ids import uuid4
from shared.core.protocol import items
from shared.core.protocol.clocks import EdgeStep, checked, rechecked
from shared.core.protocol.items import ItemLog
from shared.core.protocol.origin import EdgeAnswer, ReferralState
from shared.core.protocol.preservation import check_day
from shared.core.protocol.retention_grounds import reason_to_keep
from shared.core.vocabulary.answers import AnswerState, ItemFound, WithdrawalFate
from shared.features.filing.ports import IssuedEdge, Recheck, StoredReferral
from shared.features.filing.service.referrals import Actor
from shared.features.filing.store.edge_rows import PostgresIssued
from shared.features.notices.rules import AUTHORITY, Period, check_suggested, removed_by
from shared.features.notices.store import PostgresNotices
from shared.features.preservation import service as preservation
from shared.features.preservation.service import PreserveActor
from shared.features.received.rules import require_role
from shared.features.received.service.items import ItemActor, act
from shared.formats.dsa_notices import ReportedNotice


async def act_on_notice(row: Act, notice_id: UUID, *, said: Contract | None, acting: ItemActor) -> str:
    """Do an act on a notice. A provider that does not host the items may name the right one, by its directory id."""
    require_role(row, acting.role)
    match said:
        case NoticeDisowning():
            check_suggested(said, acting.directory, by=acting.party)
        case WithdrawalAnswer(fate=WithdrawalFate.ERASED):
            await _check_may_erase(notice_id, acting)
        case NoticeStatements():
            await _require_preservation_answers(said, notice_id, acting)
        case _:
            pass  # all other acts have no checks of their own for providers
    return await act(row, notice_id, said=said, acting=acting)


async def reported_notices(period: Period, acting: ItemActor, *, exercises: bool) -> Sequence[ReportedNotice]:
    """Return the notices of a period for the provider's report. Needs the permit to read notices."""
    AUTHORITY.require(Subject.NOTICE, acting.role, action="read", state=NoticeState.WITHDRAWN)
    notices = cast("PostgresNotices", acting.items)
    return await notices.reported(acting.party, since=period.begins, before=period.ends, exercises=exercises)


async def _check_may_erase(notice_id: UUID, acting: ItemActor) -> None:
    """Check that no retention ground forbids the erasure of a withdrawn notice. Raises `Refused("notice_is_kept")`.

    Actions can be the subject of complaints, and preserved content can be requested. Such notices must be retained.
    """
    notice = (await acting.items.find([notice_id])).get((notice_id, acting.party))
    if notice is None or notice.gone or notice.state != NoticeState.WITHDRAWN:
        return
    if reason_to_keep(Subject.NOTICE, notice.said, retention=None, at=acting.at) is not None:
        detail = "the provider acted on the notice, so it must be retained: state why and until when"
        raise Refused("notice_is_kept", detail, field="/fate", status=409)


async def _require_preservation_answers(said: NoticeStatements, notice_id: UUID, acting: ItemActor) -> None:
    """Answer preservation requests in the act that reports a removal: removed content cannot be preserved later.

    Raises `Refused("preservation_unanswered")` if the act removes content and a request for it has no answer.
    """
    notice = (await acting.items.find([notice_id])).get((notice_id, acting.party))
    if notice is None:
        return  # `act` refuses an absent notice
    AUTHORITY.require(Subject.NOTICE, acting.role, action="answer", state=notice.state)
    preservations = cast("PostgresNotices", acting.items).preservations
    answered = {each.preservation_id for each in said.preservations}
    if removed := removed_by(said, notice):
        waiting = await preservations.unanswered(notice_id, acting.party, removed)
        if not answered.issuperset(waiting):
            raise Refused(
                "preservation_unanswered",
                "answer each request for these locations in the same act: preserved or not_possible",
                field="/preservations",
                status=409,
            )
    preserving = PreserveActor(
        party=acting.party,
        role=acting.role,
        actor=acting.actor,
        track=Track.ANSWER,
        authority=AUTHORITY,
        preservations=preservations,
        directory=acting.directory,
        at=acting.at,
    )
    for place, each in enumerate(said.preservations):
        check_day(each, acting.at.date(), field=f"/preservations/{place}/until")
        words = PreservationAnswering.model_validate(each.model_dump(exclude={"preservation_id"}))
        await preservation.act(_ANSWER, each.preservation_id, said=words, acting=preserving)


_ANSWER = row(Subject.PRESERVATION, "answer")


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
    found = items.found(said.checked, edge.standing, before, at=acting.at, notice_id=edge.notice_id)
    if not found.checks:
        return False
    again = any(each.found is ItemFound.REAPPEARED for each in found.checks)
    state = AnswerState(items.fold(edge.standing, before + found).items.value) if again else edge.answer.state
    detail = dict(edge.answer.detail) | (before + found).words()
    recheck = Recheck(uuid4(), acting.party, found, acting.at)
    await PostgresIssued(acting.referrals.driver).found(edge, recheck, EdgeAnswer(state, detail, edge.answer.acts))
    checks = items.told(found, edge.items).checks
    steps = [*checked(checks, acting.at), *rechecked(before + found, acting.at)]
    await acting.referrals.clock((), [EdgeStep.by(acting.party, edge.notice_id, edge.recipient, step=s) for s in steps])
    clear = ItemsCheckedClear(notice_id=edge.notice_id, act=recheck.act, checked=checks)
    await acting.send(
        registry.ITEMS_CHECKED, clear, filed, subject=edge.notice_id, to=edge.recipient, place=edge.instance
    )
    return again
