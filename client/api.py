"""The typed HTTP client: one method per act or query of a party."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import partialmethod
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar, Unpack
from uuid import UUID

import httpx
from pydantic import JsonValue, ValidationError

from client import views
from client.problem import ApiProblem
from client.transport import CallOptions, Transport
from client.views import PageView, View
from shared.catalog import CATALOG
from shared.core.acts.act import Subject
from shared.core.acts.states import collection
from shared.core.contracts.base import Contract
from shared.core.contracts.holds import HoldOverride, OverrideApproval
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.core.vocabulary.referral import WithdrawalReason

#: Maximum number of items on a page of a list.
PAGE_MAX: Final = 200
_PURPOSE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{6,62}[A-Za-z0-9]")
_IDEMPOTENCY_KEY: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

ViewT = TypeVar("ViewT", bound=View)


class CausewayClient:
    """One party's access to one service.

    Every act is sent under an idempotency key, made per call unless `key` is given. It is repeated under that key if
    the service is busy or the connection breaks. Raises `ApiProblem` for a refusal and `Unavailable` without an answer:
    then the act may or may not have happened, and a repetition with the same key shows the result.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        http: httpx.AsyncClient | None = None,
        ca_file: Path | None = None,
        attempts_max: int = 6,
    ) -> None:
        """Store the access data. `base_url` is https, or http on this machine; no redirect is followed.

        `ca_file` (PEM) names the trusted authorities instead of the public ones. `http` has its own trust.
        """
        self._transport = Transport(base_url, api_key, http=http, ca_file=ca_file, attempts_max=attempts_max)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def call(self, method: str, path: str, **options: Unpack[CallOptions]) -> dict[str, JsonValue]:
        """Make one call. A POST needs an idempotency key; without one, a new key is made."""
        if method == "POST":
            options["key"] = key_or_new(options.get("key"))
        return await self._transport.call(method, path, **options)

    async def post(
        self,
        path: str,
        body: Mapping[str, object],
        key: str | None,
        *,
        view: type[ViewT],
        headers: Mapping[str, str] | None = None,
    ) -> ViewT:
        """Do one act under an idempotency key; without one, a new key is made."""
        return read_as(view, await self.call("POST", path, body=body, key=key, headers=headers))

    async def read(self, path: str, view: type[ViewT], **query: str) -> ViewT:
        """Read the JSON of a path as a view."""
        return read_as(view, await self.call("GET", path, query=query))

    async def raw(self, path: str, accept: str, query: Mapping[str, str] | None = None) -> bytes:
        """Read a response that is not JSON, in the media type `accept`."""
        return await self._transport.raw(path, accept, query)

    async def pages(
        self, path: str, page: type[PageView[ViewT]], cursor: str | None, *, limit: int, **filters: object
    ) -> AsyncIterator[PageView[ViewT]]:
        """Yield the pages of a list from `cursor` on, `limit` items per page. A filter of None is omitted."""
        chosen = {name: str(value) for name, value in filters.items() if value is not None}
        while True:
            query = {**chosen, "limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
            read = await self.read(path, page, **query)
            yield read
            cursor = read.next
            if cursor is None:
                return

    # -- acts -----------------------------------------------------------------------------------------------

    async def act(
        self, name: str, subject_id: UUID, said: Contract | None = None, *, subject: Subject, key: str | None = None
    ) -> views.SubjectState:
        """Do any act on a subject by the name of its row (`shared.core.acts.table`).

        `said` has the row's fields.
        """
        body = {} if said is None else said.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return await self.post(_path(subject, name, subject_id), body, key, view=views.SubjectState)

    act_on_case = partialmethod(act, subject=Subject.CASE)
    act_on_offer = partialmethod(act, subject=Subject.OFFER)
    act_on_notice = partialmethod(act, subject=Subject.NOTICE)
    act_on_referral = partialmethod(act, subject=Subject.REFERRAL)

    async def answer_many(
        self, subject: Subject, answers: Sequence[Mapping[str, JsonValue]], *, key: str | None = None
    ) -> tuple[views.BatchResult, ...]:
        """Do up to 100 acts on notices, offers or cases.

        Each has its own result, and a refused one blocks no other. Each has the subject's id, `act` by the name of its
        row (`shared.core.acts.table`), and the fields of that row. An act with its own `key` is done once, in any call.
        """
        answer = await self.call("POST", _BATCHES[subject], body={"answers": list(answers)}, key=key)
        return _one_per_item(answer, views.BatchResult, len(answers))

    # -- origins: hotlines and providers --------------------------------------------------------------------

    async def submit(self, referral: Submission, *, key: str | None = None) -> views.IntakeAcceptance:
        """Post one referral. Accepted means durable and decided, not delivered."""
        return await self.post("/v1/referrals", _as_json(referral), key, view=views.IntakeAcceptance)

    async def submit_batch(
        self, referrals: Sequence[Submission], *, key: str | None = None
    ) -> tuple[views.BatchResult, ...]:
        """Post up to 100 referrals; each has its own result, and a refused one blocks no other."""
        body = {"referrals": [_as_json(referral) for referral in referrals]}
        answer = await self.call("POST", "/v1/referrals:batch", body=body, key=key)
        return _one_per_item(answer, views.BatchResult, len(referrals))

    async def check(self, referrals: Sequence[Submission]) -> tuple[views.CheckResult, ...]:
        """Return the result that up to 100 referrals would have. Stores nothing."""
        body = {"referrals": [_as_json(referral) for referral in referrals]}
        answer = await self._transport.call("POST", "/v1/referrals:check", body=body)
        return _one_per_item(answer, views.CheckResult, len(referrals))

    async def show(self, referral_id: UUID) -> views.ReferralView:
        """Return one of the party's own referrals, with each edge's delivery and answer."""
        return await self.read(f"/v1/referrals/{referral_id}", views.ReferralView)

    async def amend(
        self, referral_id: UUID, referral: Submission, *, revision: int, key: str | None = None
    ) -> views.View:
        """Replace a revision with this one. Recipients without a change receive nothing."""
        path, match = f"/v1/referrals/{referral_id}:amend", {"If-Match": f'"{revision}"'}
        return await self.post(path, _as_json(referral), key, view=views.View, headers=match)

    async def withdraw(
        self, referral_id: UUID, reason: WithdrawalReason, *, key: str | None = None
    ) -> views.SubjectState:
        """Withdraw a referral.

        Recipients receive that and acknowledge it; a second withdrawal changes nothing.
        """
        path = f"/v1/referrals/{referral_id}:withdraw"
        return await self.post(path, {"reason": reason}, key, view=views.SubjectState)

    async def override(
        self, referral_id: UUID, said: HoldOverride | OverrideApproval, *, key: str | None = None
    ) -> views.SubjectState:
        """Propose the end of a hold, or confirm another person's proposal."""
        act = "propose_override" if isinstance(said, HoldOverride) else "confirm_override"
        return await self.act_on_referral(act, referral_id, said, key=key)

    # -- recipients -----------------------------------------------------------------------------------------

    async def inbox_item(self, referral_id: UUID) -> views.InboxItem:
        """Return one received referral with its record opened. The access is authorised and audited."""
        return await self.read(f"/v1/inbox/{referral_id}", views.InboxItem)

    # -- lists, page by page from `cursor` on; a filter of None is omitted ----------------------------------

    def list(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **filters: object
    ) -> AsyncIterator[PageView[views.ReferralView]]:
        """Yield the party's own referrals; some pages may be short."""
        return self.pages("/v1/referrals", PageView[views.ReferralView], cursor, limit=limit, **filters)

    def work(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **filters: object
    ) -> AsyncIterator[PageView[views.UnroutedView]]:
        """Yield the referrals that wait for a person of the party."""
        return self.pages("/v1/work", PageView[views.UnroutedView], cursor, limit=limit, **filters)

    def inbox(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **filters: object
    ) -> AsyncIterator[PageView[views.InboxItem]]:
        """Yield the received referrals, without their records."""
        return self.pages("/v1/inbox", PageView[views.InboxItem], cursor, limit=limit, **filters)

    def notices(
        self, *, cursor: str | None = None, limit: int = PAGE_MAX, **filters: object
    ) -> AsyncIterator[PageView[views.NoticeView]]:
        """Yield the received notices, without their records."""
        return self.pages("/v1/notices", PageView[views.NoticeView], cursor, limit=limit, **filters)

    def work_items(self, *, limit: int = PAGE_MAX) -> AsyncIterator[PageView[views.WorkItemView]]:
        """Yield a provider's open work, one entry for each location."""
        return self.pages("/v1/work-items", PageView[views.WorkItemView], None, limit=limit)

    def attention(self, *, limit: int = PAGE_MAX, **filters: object) -> AsyncIterator[PageView[views.AttentionView]]:
        """Yield the attention list: children at risk first, then the oldest first."""
        return self.pages("/v1/attention", PageView[views.AttentionView], None, limit=limit, **filters)

    def due(self, *, limit: int = PAGE_MAX, **filters: object) -> AsyncIterator[PageView[views.DeadlineView]]:
        """Yield the deadlines of one subject, or of all, soonest first."""
        return self.pages("/v1/due", PageView[views.DeadlineView], None, limit=limit, **filters)

    async def events(
        self, *, after: int = 0, epoch: UUID | None = None, limit: int = PAGE_MAX, wait_s: int = 0
    ) -> views.EventPageView:
        """Return the events after this number, in its epoch; without any, the call may wait."""
        query = {"after": str(after), "limit": str(limit), "wait": str(wait_s)}
        query |= {} if epoch is None else {"epoch": str(epoch)}
        return await self.read("/v1/events", views.EventPageView, **query)

    async def timeline(self, subject: UUID) -> Sequence[views.TimelineEntry]:
        """Return all acts on a referral, offer, case, notice or preservation, by the party's own id of it.

        Raises `ApiProblem("not_found")` if the party has no such subject.
        """
        for name in _COLLECTIONS:
            found: list[views.TimelineEntry] = []
            after: int | None = 0
            try:
                while after is not None:
                    path = f"/v1/{name}/{subject}/timeline"
                    page = await self.read(path, views.TimelineView, after=str(after), limit=str(PAGE_MAX))
                    found += page.items
                    after = page.next
            except ApiProblem as problem:
                if problem.status != HTTPStatus.NOT_FOUND:
                    raise
            else:
                return found
        raise ApiProblem("not_found", status=HTTPStatus.NOT_FOUND)

    # -- auditors -------------------------------------------------------------------------------------------

    async def flow(self, referral_id: UUID, *, purpose: str, cursor: str | None = None) -> dict[str, JsonValue]:
        """Return a page of the messages of one referral, oldest first. The query and its purpose are logged."""
        query = {} if cursor is None else {"cursor": cursor}
        return await self.call("GET", f"/v1/flows/{referral_id}", query=query, headers=stated(purpose))


def key_or_new(given: str | None) -> str:
    """Return the given idempotency key, or a new one. Raises `Refused("idempotency_key_malformed")`."""
    if given is None:
        return str(uuid7())
    if not _IDEMPOTENCY_KEY.fullmatch(given):
        raise Refused("idempotency_key_malformed", "use 1 to 64 of A-Z a-z 0-9 . _ -", status=400)
    return given


def stated(purpose: str) -> dict[str, str]:
    """Return the header that states a purpose to audit. Raises `Refused("purpose_malformed")`."""
    if not _PURPOSE.fullmatch(purpose):
        raise Refused("purpose_malformed", "use 8 to 64 letters, digits, spaces and hyphens", status=400)
    return {"Purpose": purpose}


def read_as(view: type[ViewT], answer: JsonValue) -> ViewT:
    """Parse an answer as a view. Raises `ApiProblem("unexpected_answer")` if it has another form."""
    try:
        return view.model_validate(answer)
    except ValidationError:
        raise ApiProblem("unexpected_answer", status=200) from None


BATCH_MAX: Final = 100
#: The path for many answers at once, by subject.
_BATCHES: Final[Mapping[Subject, str]] = {
    Subject.NOTICE: "/v1/notices:batch",
    Subject.OFFER: "/v1/inbox:batch",
    Subject.CASE: "/v1/cases:batch",
}
#: The collections that may contain the subject of a timeline.
_COLLECTIONS: Final = ("referrals", "inbox", "notices", "preservations")
ItemT = TypeVar("ItemT")
Submission = ReferralSubmission | Mapping[str, JsonValue]
IndexedT = TypeVar("IndexedT", views.BatchResult, views.CheckResult)


def in_batches(items: Iterable[ItemT]) -> Iterator[list[ItemT]]:
    """Yield the items in lists of at most 100. The same items give the same lists each time."""
    left = iter(items)
    while batch := list(islice(left, BATCH_MAX)):
        yield batch


def _path(subject: Subject, name: str, subject_id: UUID) -> str:
    found = [each for each in CATALOG.personal(subject) if each.name == name]
    if not found:
        raise Refused("act_unknown", f"one of {', '.join(each.name for each in CATALOG.personal(subject))}", status=400)
    return f"/v1/{collection(found[0])}/{subject_id}:{name.replace('_', '-')}"


def _as_json(referral: Submission) -> Mapping[str, JsonValue]:
    return referral.model_dump(mode="json") if isinstance(referral, ReferralSubmission) else referral


def _one_per_item(answer: Mapping[str, JsonValue], view: type[IndexedT], count: int) -> tuple[IndexedT, ...]:
    """Return the results in the order of the items.

    Raises `ApiProblem` unless there is exactly one for each.
    """
    listed = answer.get("results")
    if not isinstance(listed, list):
        raise ApiProblem("unexpected_answer", status=200)
    results = sorted((read_as(view, result) for result in listed), key=lambda result: result.index)
    if [result.index for result in results] != [*range(count)]:
        raise ApiProblem("unexpected_answer", status=200)
    return tuple(results)
