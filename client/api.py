"""The typed HTTP client: one method per thing a party can ask for or do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from pydantic import JsonValue

from client import feed_views, views
from client.bulk import BulkAnswers
from client.calls import PAGE_MAX, key_or_new, read_as
from client.changes import ReferralChanges, Submission, as_json
from client.lists import Lists
from client.problem import ApiProblem
from client.transfers import Transfers
from client.webhooks import Webhooks
from client.work_items import WorkItems
from shared.contracts.answers import (
    DisowningStatement,
    ItemStatement,
    Keeping,
    NoticeDisowning,
    NoticeStatements,
    WithdrawalAnswer,
)
from shared.contracts.base import Contract
from shared.contracts.checks import ItemChecks
from shared.contracts.holds import Confirming, Overriding
from shared.exchange.act import Subject
from shared.exchange.states import collection, personal
from shared.kernel.errors import Refused
from shared.vocabulary.answers import (
    CaseDeclineReason,
    CaseOutcome,
    CloseReason,
    WithdrawalFate,
    YesNoUnknown,
)
from shared.vocabulary.referral import WithdrawalReason

BATCH_MAX = 100
_PURPOSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{6,62}[A-Za-z0-9]")

_ALL = (DisowningStatement(),)


class CausewayClient(BulkAnswers, Lists, ReferralChanges, Transfers, Webhooks, WorkItems):
    """One party's access to one service.

    Every act is sent under an idempotency key, made per call unless `key` is given, and repeated under that
    key when the service is busy or the connection breaks. Raises `ApiProblem` for a refusal and `Unavailable`
    when nothing answered: then the act may or may not have happened, and the same key tells which.
    """

    # -- origins: hotlines and providers --------------------------------------------------------------------

    async def submit(self, referral: Submission, *, key: str | None = None) -> views.Acceptance:
        """Post one referral. Accepted means durable and decided, not delivered."""
        return await self.post("/v1/referrals", as_json(referral), key, view=views.Acceptance)

    async def submit_batch(
        self, referrals: Sequence[Submission], *, key: str | None = None
    ) -> tuple[views.BatchResult, ...]:
        """Post up to 100 referrals; each has its own result, and a refused one blocks no other."""
        body = {"referrals": [as_json(referral) for referral in referrals]}
        answer = await self._transport.call("POST", "/v1/referrals:batch", body=body, key=key_or_new(key))
        return _one_per_item(answer, views.BatchResult, len(referrals))

    async def check(self, referrals: Sequence[Submission]) -> tuple[views.CheckResult, ...]:
        """What would become of up to 100 referrals. Stores nothing."""
        body = {"referrals": [as_json(referral) for referral in referrals]}
        answer = await self._transport.call("POST", "/v1/referrals:check", body=body)
        return _one_per_item(answer, views.CheckResult, len(referrals))

    async def show(self, referral_id: UUID) -> views.ReferralView:
        """One of the party's own referrals, with each edge's delivery and answer."""
        return await self.read(f"/v1/referrals/{referral_id}", views.ReferralView)

    def work(
        self, *, reason: str | None = None, cursor: str | None = None, limit: int = PAGE_MAX
    ) -> AsyncIterator[views.Page[views.ListedWork]]:
        """The referrals that wait for a person of the party, page by page."""
        return self.pages("/v1/work", views.Page[views.ListedWork], cursor, limit=limit, reason=reason)

    async def withdraw(
        self, referral_id: UUID, reason: WithdrawalReason, *, key: str | None = None
    ) -> views.ReferralState:
        """Take a referral back. Recipients are told and acknowledge; a second withdrawal changes nothing."""
        return await self.post(
            f"/v1/referrals/{referral_id}:withdraw", {"reason": reason}, key, view=views.ReferralState
        )

    async def check_items(self, referral_id: UUID, found: ItemChecks, *, key: str | None = None) -> views.ReferralState:
        """Say what was found of items that notices were issued about; their providers are told."""
        return await self.post(f"/v1/referrals/{referral_id}:check", _said(found), key, view=views.ReferralState)

    async def release(self, referral_id: UUID, *, key: str | None = None) -> views.ReferralState:
        """Let a referral go that another one of the party has filed and that is over its budget, or the day's."""
        return await self.post(f"/v1/referrals/{referral_id}:release", {}, key, view=views.ReferralState)

    async def override(
        self, referral_id: UUID, said: Overriding | Confirming, *, key: str | None = None
    ) -> feed_views.Overridden:
        """Propose that a hold should end, or confirm what another person of the party has proposed."""
        verb = "propose-override" if isinstance(said, Overriding) else "confirm-override"
        return await self.post(f"/v1/referrals/{referral_id}:{verb}", _said(said), key, view=feed_views.Overridden)

    async def drop(self, referral_id: UUID, *, key: str | None = None) -> views.ReferralState:
        """Have such a referral erased instead."""
        return await self.post(f"/v1/referrals/{referral_id}:drop", {}, key, view=views.ReferralState)

    # -- recipients of referrals: hotlines and agencies -----------------------------------------------------

    def attention(
        self, *, priority: str | None = None, cursor: str | None = None, limit: int = PAGE_MAX
    ) -> AsyncIterator[views.Page[views.Attention]]:
        """What needs a person of the party, page by page: children at risk first, then the oldest first."""
        return self.pages("/v1/attention", views.Page[views.Attention], cursor, limit=limit, priority=priority)

    async def inbox_item(self, referral_id: UUID) -> views.InboxItem:
        """One offered referral with its record opened. The reading is authorised and audited."""
        return await self.read(f"/v1/inbox/{referral_id}", views.InboxItem)

    async def inbox_evidence(self, referral_id: UUID) -> dict[str, JsonValue]:
        """What proves that a referral was offered, as it came: to be kept, and checked with a directory."""
        return await self._transport.call("GET", f"/v1/inbox/{referral_id}/evidence")

    async def accept_case(
        self, referral_id: UUID, *, case_reference: str | None = None, key: str | None = None
    ) -> views.ReferralState:
        """Take a referral up as a case; the agency's own reference reaches the origin alone, sealed."""
        body = {} if case_reference is None else {"case_reference": case_reference}
        return await self.post(f"/v1/cases/{referral_id}:accept", body, key, view=views.ReferralState)

    async def decline_case(
        self, referral_id: UUID, reason: CaseDeclineReason, *, key: str | None = None
    ) -> views.ReferralState:
        """Decline a referral with a reason."""
        return await self.post(f"/v1/cases/{referral_id}:decline", {"reason": reason}, key, view=views.ReferralState)

    async def report_outcome(
        self,
        referral_id: UUID,
        outcome: CaseOutcome,
        *,
        child_identified: YesNoUnknown,
        child_safeguarded: YesNoUnknown,
        close_reason: CloseReason | None = None,
        key: str | None = None,
    ) -> views.ReferralState:
        """Say what came of a case. `close_reason` goes with `closed` and with nothing else."""
        body = {"outcome": outcome, "child_identified": child_identified, "child_safeguarded": child_safeguarded}
        if close_reason is not None:
            body["close_reason"] = close_reason
        return await self.post(f"/v1/cases/{referral_id}:outcome", body, key, view=views.ReferralState)

    async def acknowledge_withdrawal(
        self, referral_id: UUID, kept: Keeping | None = None, *, key: str | None = None
    ) -> views.ReferralState:
        """Say that the party has stopped acting on a withdrawn referral, and have its record erased unless `kept`."""
        path = f"/v1/inbox/{referral_id}:acknowledge-withdrawal"
        return await self.post(path, _said(_fate(kept)), key, view=views.ReferralState)

    async def act_on_case(
        self, name: str, referral_id: UUID, said: Contract | None = None, *, key: str | None = None
    ) -> views.ReferralState:
        """Do any act on a case by the name of its row (`shared.exchange.acts`); `said` is what the row takes."""
        return await self.post(_path(Subject.CASE, name, referral_id), _said(said), key, view=views.ReferralState)

    def holds(
        self, *, state: str | None = None, cursor: str | None = None, limit: int = PAGE_MAX
    ) -> AsyncIterator[views.Page[feed_views.Hold]]:
        """What the agency has asked origins to hold, page by page, newest first."""
        return self.pages("/v1/holds", views.Page[feed_views.Hold], cursor, limit=limit, state=state)

    async def act_on_offer(
        self, name: str, referral_id: UUID, said: Contract | None = None, *, key: str | None = None
    ) -> views.ReferralState:
        """Do any act on an offer by the name of its row (`shared.exchange.acts`); `said` is what the row takes."""
        return await self.post(_path(Subject.OFFER, name, referral_id), _said(said), key, view=views.ReferralState)

    # -- recipients of notices: providers -------------------------------------------------------------------

    async def notice(self, notice_id: UUID) -> views.NoticeView:
        """One notice with its record opened. The reading is authorised and audited."""
        return await self.read(f"/v1/notices/{notice_id}", views.NoticeView)

    async def notice_evidence(self, notice_id: UUID) -> dict[str, JsonValue]:
        """What proves that a notice was issued, as it came: to be kept, and checked with a directory."""
        return await self._transport.call("GET", f"/v1/notices/{notice_id}/evidence")

    async def acknowledge_notice(self, notice_id: UUID, *, key: str | None = None) -> views.NoticeState:
        """Say that the organisation has the notice in hand."""
        return await self.post(f"/v1/notices/{notice_id}:acknowledge", {}, key, view=views.NoticeState)

    async def answer_notice(
        self, notice_id: UUID, items: Sequence[ItemStatement], *, key: str | None = None
    ) -> views.NoticeState:
        """Say what was done about items, or why nothing was; without a number, about all that nothing was said of."""
        body = _said(NoticeStatements(items=tuple(items)))
        return await self.post(f"/v1/notices/{notice_id}:answer", body, key, view=views.NoticeState)

    async def not_ours(
        self, notice_id: UUID, items: Sequence[DisowningStatement] = _ALL, *, key: str | None = None
    ) -> views.NoticeState:
        """Say that the party does not host items; without a number, all that nothing was said of."""
        body = _said(NoticeDisowning(disowned=tuple(items)))
        return await self.post(f"/v1/notices/{notice_id}:not-ours", body, key, view=views.NoticeState)

    async def acknowledge_notice_withdrawal(
        self, notice_id: UUID, kept: Keeping | None = None, *, key: str | None = None
    ) -> views.NoticeState:
        """Say that the party has stopped acting on a withdrawn notice, and have its record erased unless `kept`."""
        path = f"/v1/notices/{notice_id}:acknowledge-withdrawal"
        return await self.post(path, _said(_fate(kept)), key, view=views.NoticeState)

    async def act_on_notice(
        self, name: str, notice_id: UUID, said: Contract | None = None, *, key: str | None = None
    ) -> views.NoticeState:
        """Do any act on a notice by the name of its row (`shared.exchange.acts`); `said` is what the row takes."""
        return await self.post(_path(Subject.NOTICE, name, notice_id), _said(said), key, view=views.NoticeState)

    # -- all parties but auditors ---------------------------------------------------------------------------

    async def events(
        self, *, after: int = 0, epoch: UUID | None = None, limit: int = PAGE_MAX, wait_s: int = 0
    ) -> views.EventPage:
        """What has happened since the event of this number, in its epoch; while that is nothing, it may wait."""
        query = {"after": str(after), "limit": str(limit), "wait": str(wait_s)}
        query |= {} if epoch is None else {"epoch": str(epoch)}
        return await self.read("/v1/events", views.EventPage, **query)

    def questions(
        self, *, state: str | None = None, kind: str | None = None, cursor: str | None = None, limit: int = PAGE_MAX
    ) -> AsyncIterator[views.Page[feed_views.Question]]:
        """What was asked and contested, page by page, newest first."""
        wanted = {"state": state, "kind": kind}
        return self.pages("/v1/questions", views.Page[feed_views.Question], cursor, limit=limit, **wanted)

    def due(
        self, *, subject: UUID | None = None, cursor: str | None = None, limit: int = PAGE_MAX
    ) -> AsyncIterator[views.Page[feed_views.Due]]:
        """What falls due of one subject, or of all, soonest first, page by page."""
        wanted = None if subject is None else str(subject)
        return self.pages("/v1/due", views.Page[feed_views.Due], cursor, limit=limit, subject=wanted)

    # -- auditors -------------------------------------------------------------------------------------------

    async def flow(self, referral_id: UUID, *, purpose: str) -> views.Flow:
        """The messages of one referral. The query and its purpose are themselves logged."""
        answer = await self._transport.call("GET", f"/v1/flows/{referral_id}", headers=_stated(purpose))
        return read_as(views.Flow, answer)

    async def flows(
        self,
        *,
        purpose: str,
        party: str | None = None,
        reference: str | None = None,
        since: str | None = None,
        until: str | None = None,
        cursor: str | None = None,
    ) -> views.FoundFlows:
        """A page of the flows of a period, newest first, or the one that an id belongs to; logged as well."""
        wanted = {"party": party, "reference": reference, "since": since, "until": until, "cursor": cursor}
        query = {name: value for name, value in wanted.items() if value is not None}
        answer = await self._transport.call("GET", "/v1/flows", query=query, headers=_stated(purpose))
        return read_as(views.FoundFlows, answer)

    # -- everybody ------------------------------------------------------------------------------------------

    async def whoami(self) -> views.WhoAsks:
        """Whose the key is, as the service knows it."""
        return await self.read("/v1/whoami", views.WhoAsks)


def _path(subject: Subject, name: str, subject_id: UUID) -> str:
    found = [each for each in personal(subject) if each.name == name]
    if not found:
        raise Refused("act_unknown", f"one of {', '.join(each.name for each in personal(subject))}", status=400)
    return f"/v1/{collection(found[0])}/{subject_id}:{name.replace('_', '-')}"


def _said(said: Contract | None) -> dict[str, JsonValue]:
    return {} if said is None else said.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def _fate(kept: Keeping | None) -> WithdrawalAnswer:
    return WithdrawalAnswer(fate=WithdrawalFate.ERASED if kept is None else WithdrawalFate.KEPT, kept=kept)


def _stated(purpose: str) -> dict[str, str]:
    if not _PURPOSE.fullmatch(purpose):
        raise Refused("purpose_malformed", "8 to 64 letters, digits, spaces and hyphens", status=400)
    return {"Purpose": purpose}


IndexedT = TypeVar("IndexedT", views.BatchResult, views.CheckResult)


def _one_per_item(answer: Mapping[str, JsonValue], view: type[IndexedT], count: int) -> tuple[IndexedT, ...]:
    """The results in the order of the items. Raises `ApiProblem` unless there is exactly one for each."""
    listed = answer.get("results")
    if not isinstance(listed, list):
        raise ApiProblem("unexpected_answer", status=200)
    results = sorted((read_as(view, result) for result in listed), key=lambda result: result.index)
    if [result.index for result in results] != [*range(count)]:
        raise ApiProblem("unexpected_answer", status=200)
    return tuple(results)
