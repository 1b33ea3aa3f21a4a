"""The typed HTTP client: one method per thing a party can ask for or do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final, TypeVar
from uuid import UUID

from pydantic import JsonValue

from client import views
from client.calls import PAGE_MAX, Calls, read_as, stated
from client.problem import ApiProblem
from client.views import Page
from shared.contracts.base import Contract
from shared.contracts.holds import Confirming, Overriding
from shared.contracts.referral import ReferralSubmission
from shared.exchange.act import Subject
from shared.exchange.states import collection, personal
from shared.kernel.errors import Refused
from shared.vocabulary.referral import WithdrawalReason

BATCH_MAX: Final = 100
#: Where many are answered at once.
_BATCHES: Final[Mapping[Subject, str]] = {
    Subject.NOTICE: "/v1/notices:batch",
    Subject.OFFER: "/v1/inbox:batch",
    Subject.CASE: "/v1/cases:batch",
}
#: The collections in which a party may have the subject of a timeline.
_COLLECTIONS: Final = ("referrals", "inbox", "notices", "preservations")
Submission = ReferralSubmission | Mapping[str, JsonValue]
IndexedT = TypeVar("IndexedT", views.BatchResult, views.CheckResult)


class CausewayClient(Calls):
    """One party's access to one service.

    Every act is sent under an idempotency key, made per call unless `key` is given, and repeated under that
    key when the service is busy or the connection breaks. Raises `ApiProblem` for a refusal and `Unavailable`
    when nothing answered: then the act may or may not have happened, and the same key tells which.
    """

    # -- acts -----------------------------------------------------------------------------------------------

    async def act_on_case(
        self, name: str, referral_id: UUID, said: Contract | None = None, *, key: str | None = None
    ) -> views.ReferralState:
        """Do any act on a case by the name of its row (`shared.exchange.acts`); `said` is what the row takes."""
        return await self.post(_path(Subject.CASE, name, referral_id), _said(said), key, view=views.ReferralState)

    async def act_on_offer(
        self, name: str, referral_id: UUID, said: Contract | None = None, *, key: str | None = None
    ) -> views.ReferralState:
        """Do any act on an offer by the name of its row (`shared.exchange.acts`); `said` is what the row takes."""
        return await self.post(_path(Subject.OFFER, name, referral_id), _said(said), key, view=views.ReferralState)

    async def act_on_notice(
        self, name: str, notice_id: UUID, said: Contract | None = None, *, key: str | None = None
    ) -> views.NoticeState:
        """Do any act on a notice by the name of its row (`shared.exchange.acts`); `said` is what the row takes."""
        return await self.post(_path(Subject.NOTICE, name, notice_id), _said(said), key, view=views.NoticeState)

    async def act_on_referral(
        self, name: str, referral_id: UUID, said: Contract | None = None, *, key: str | None = None
    ) -> views.ReferralState:
        """Do any act on an own referral by the name of its row (`shared.exchange.acts`)."""
        return await self.post(_path(Subject.REFERRAL, name, referral_id), _said(said), key, view=views.ReferralState)

    async def answer_many(
        self, subject: Subject, answers: Sequence[Mapping[str, JsonValue]], *, key: str | None = None
    ) -> tuple[views.BatchResult, ...]:
        """Do up to 100 acts on notices, offers or cases; each has its own result, and a refused one blocks no other.

        Each is the subject's id, `act` by the name of its row (`shared.exchange.acts`), and what that takes. One with a
        `key` of its own is done once, in whatever call it comes.
        """
        answer = await self.call("POST", _BATCHES[subject], body={"answers": list(answers)}, key=key)
        return _one_per_item(answer, views.BatchResult, len(answers))

    # -- origins: hotlines and providers --------------------------------------------------------------------

    async def submit(self, referral: Submission, *, key: str | None = None) -> views.Acceptance:
        """Post one referral. Accepted means durable and decided, not delivered."""
        return await self.post("/v1/referrals", _as_json(referral), key, view=views.Acceptance)

    async def submit_batch(
        self, referrals: Sequence[Submission], *, key: str | None = None
    ) -> tuple[views.BatchResult, ...]:
        """Post up to 100 referrals; each has its own result, and a refused one blocks no other."""
        body = {"referrals": [_as_json(referral) for referral in referrals]}
        answer = await self.call("POST", "/v1/referrals:batch", body=body, key=key)
        return _one_per_item(answer, views.BatchResult, len(referrals))

    async def check(self, referrals: Sequence[Submission]) -> tuple[views.CheckResult, ...]:
        """What would become of up to 100 referrals. Stores nothing."""
        body = {"referrals": [_as_json(referral) for referral in referrals]}
        answer = await self._transport.call("POST", "/v1/referrals:check", body=body)
        return _one_per_item(answer, views.CheckResult, len(referrals))

    async def show(self, referral_id: UUID) -> views.ReferralView:
        """One of the party's own referrals, with each edge's delivery and answer."""
        return await self.read(f"/v1/referrals/{referral_id}", views.ReferralView)

    async def amend(
        self, referral_id: UUID, referral: Submission, *, revision: int, key: str | None = None
    ) -> views.View:
        """Replace a revision with this one. Recipients for which nothing changes are told nothing."""
        path, match = f"/v1/referrals/{referral_id}:amend", {"If-Match": f'"{revision}"'}
        return await self.post(path, _as_json(referral), key, view=views.View, headers=match)

    async def withdraw(
        self, referral_id: UUID, reason: WithdrawalReason, *, key: str | None = None
    ) -> views.ReferralState:
        """Take a referral back. Recipients are told and acknowledge; a second withdrawal changes nothing."""
        path = f"/v1/referrals/{referral_id}:withdraw"
        return await self.post(path, {"reason": reason}, key, view=views.ReferralState)

    async def override(
        self, referral_id: UUID, said: Overriding | Confirming, *, key: str | None = None
    ) -> views.ReferralState:
        """Propose that a hold should end, or confirm what another person of the party has proposed."""
        act = "propose_override" if isinstance(said, Overriding) else "confirm_override"
        return await self.act_on_referral(act, referral_id, said, key=key)

    # -- recipients -----------------------------------------------------------------------------------------

    async def inbox_item(self, referral_id: UUID) -> views.InboxItem:
        """One offered referral with its record opened. The reading is authorised and audited."""
        return await self.read(f"/v1/inbox/{referral_id}", views.InboxItem)

    # -- lists, page by page from `cursor` on; a filter that is None is none -----------------------------------

    def list(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **filters: object
    ) -> AsyncIterator[Page[views.ReferralView]]:
        """The party's own referrals; some pages may be short."""
        return self.pages("/v1/referrals", Page[views.ReferralView], cursor, limit=limit, **filters)

    def work(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **filters: object
    ) -> AsyncIterator[Page[views.ListedWork]]:
        """The referrals that wait for a person of the party."""
        return self.pages("/v1/work", Page[views.ListedWork], cursor, limit=limit, **filters)

    def inbox(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **filters: object
    ) -> AsyncIterator[Page[views.InboxItem]]:
        """The referrals offered to the party, without their records."""
        return self.pages("/v1/inbox", Page[views.InboxItem], cursor, limit=limit, **filters)

    def notices(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **filters: object
    ) -> AsyncIterator[Page[views.NoticeView]]:
        """The notices issued to the party, without their records."""
        return self.pages("/v1/notices", Page[views.NoticeView], cursor, limit=limit, **filters)

    def work_items(self, *, limit: int = PAGE_MAX) -> AsyncIterator[Page[views.WorkItem]]:
        """What a provider is to answer, one entry for each location."""
        return self.pages("/v1/work-items", Page[views.WorkItem], None, limit=limit)

    def attention(self, *, limit: int = PAGE_MAX, **filters: object) -> AsyncIterator[Page[views.Attention]]:
        """What needs a person of the party: children at risk first, then the oldest first."""
        return self.pages("/v1/attention", Page[views.Attention], None, limit=limit, **filters)

    def due(self, *, limit: int = PAGE_MAX, **filters: object) -> AsyncIterator[Page[views.Due]]:
        """What falls due of one subject, or of all, soonest first."""
        return self.pages("/v1/due", Page[views.Due], None, limit=limit, **filters)

    async def events(
        self, *, after: int = 0, epoch: UUID | None = None, limit: int = PAGE_MAX, wait_s: int = 0
    ) -> views.EventPage:
        """What has happened since the event of this number, in its epoch; while that is nothing, it may wait."""
        query = {"after": str(after), "limit": str(limit), "wait": str(wait_s)}
        query |= {} if epoch is None else {"epoch": str(epoch)}
        return await self.read("/v1/events", views.EventPage, **query)

    async def timeline(self, subject: UUID) -> Sequence[views.Entry]:
        """All that has happened to a referral, offer, case, notice or preservation, by the party's own id of it.

        Raises `ApiProblem("not_found")` where the party knows none of it.
        """
        for name in _COLLECTIONS:
            found: list[views.Entry] = []
            after: int | None = 0
            try:
                while after is not None:
                    path = f"/v1/{name}/{subject}/timeline"
                    page = await self.read(path, views.Timeline, after=str(after), limit=str(PAGE_MAX))
                    found += page.items
                    after = page.next
            except ApiProblem as problem:
                if problem.status != HTTPStatus.NOT_FOUND:
                    raise
            else:
                return found
        raise ApiProblem("not_found", status=HTTPStatus.NOT_FOUND)

    # -- auditors -------------------------------------------------------------------------------------------

    async def flow(self, referral_id: UUID, *, purpose: str) -> views.Flow:
        """The messages of one referral. The query and its purpose are themselves logged."""
        return read_as(views.Flow, await self.call("GET", f"/v1/flows/{referral_id}", headers=stated(purpose)))


def _path(subject: Subject, name: str, subject_id: UUID) -> str:
    found = [each for each in personal(subject) if each.name == name]
    if not found:
        raise Refused("act_unknown", f"one of {', '.join(each.name for each in personal(subject))}", status=400)
    return f"/v1/{collection(found[0])}/{subject_id}:{name.replace('_', '-')}"


def _said(said: Contract | None) -> dict[str, JsonValue]:
    return {} if said is None else said.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def _as_json(referral: Submission) -> Mapping[str, JsonValue]:
    return referral.model_dump(mode="json") if isinstance(referral, ReferralSubmission) else referral


def _one_per_item(answer: Mapping[str, JsonValue], view: type[IndexedT], count: int) -> tuple[IndexedT, ...]:
    """The results in the order of the items. Raises `ApiProblem` unless there is exactly one for each."""
    listed = answer.get("results")
    if not isinstance(listed, list):
        raise ApiProblem("unexpected_answer", status=200)
    results = sorted((read_as(view, result) for result in listed), key=lambda result: result.index)
    if [result.index for result in results] != [*range(count)]:
        raise ApiProblem("unexpected_answer", status=200)
    return tuple(results)
