"""A sample party at work: it looks at what it was sent and does what its behaviour says, through the client alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date
from typing import Protocol
from uuid import UUID

from client.api import CausewayClient
from client.problem import ApiProblem
from client.statements import disowning
from client.views import InboxItem, NoticeView, Page
from deploy.sandbox.behaviour import (
    Accept,
    Acknowledge,
    Action,
    CaseAct,
    Decline,
    Draw,
    NoticeAct,
    NotOurs,
    Reject,
    Report,
    agency_acts,
    provider_acts,
)
from deploy.sandbox.tally import Tally
from shared.contracts.answers import ItemStatement, Keeping
from shared.kernel.clock import Clock
from shared.vocabulary.answers import KeptBasis
from shared.vocabulary.judgement import RetentionClass

#: Answers to an act that comes too late (withdrawn meanwhile, done before a restart) or not at all: the item is left.
_LEFT_ALONE = frozenset({404, 409, 422})

#: How a sample agency keeps what it has taken up.
_KEPT = Keeping(retention=RetentionClass.MINIMAL, basis=KeptBasis.ACCEPTED_CASE, until=date(2030, 1, 1))
#: And a sample provider what it has acted on.
_OPEN_COMPLAINT = Keeping(retention=RetentionClass.MINIMAL, basis=KeptBasis.OPEN_COMPLAINT, until=date(2030, 1, 1))

_Answer = Callable[[UUID], Awaitable[None]]
_Pages = AsyncIterator[Page[InboxItem]] | AsyncIterator[Page[NoticeView]]


class Desk(Protocol):
    """One party's place of work."""

    async def look(self, *, thoroughly: bool) -> bool:
        """Deal with what is new. Returns whether there was anything.

        Lists are newest first, and silence leaves an item where it was: a quick look ends at the first page with
        nothing new, a thorough one walks all pages and so finds what arrived late or out of order.
        """
        ...


class HotlineDesk:
    """A hotline that acknowledges withdrawals and leaves assessments to people."""

    def __init__(self, client: CausewayClient, party: str, tally: Tally) -> None:
        self._client = client
        self._seen = _Seen(party, tally)

    async def look(self, *, thoroughly: bool) -> bool:
        pages = self._client.inbox(state="withdrawn")
        return await self._seen.deal_with(pages, _withdrawal(self._client, self._seen), thoroughly=thoroughly)


class AgencyDesk:
    """An agency that accepts, declines or says nothing, and reports outcomes of what it accepted."""

    def __init__(self, client: CausewayClient, party: str, tally: Tally, *, seed: str) -> None:
        self._client = client
        self._party = party
        self._seed = seed
        self._seen = _Seen(party, tally)
        self._whole = False

    async def look(self, *, thoroughly: bool) -> bool:
        withdrawn = self._client.inbox(state="withdrawn")
        news = await self._seen.deal_with(withdrawn, _withdrawal(self._client, self._seen), thoroughly=thoroughly)
        # A look that was cut short, also by the end of an earlier run, may have left cases half-way.
        for state, done in () if self._whole else (("ongoing", 2), ("accepted", 1)):
            await self._seen.deal_with(self._client.inbox(state=state), self._answering(done), thoroughly=True)
        self._whole = False
        offered = self._client.inbox(state="offered")
        news |= await self._seen.deal_with(offered, self._answering(0), thoroughly=thoroughly)
        self._whole = True
        return news

    def _answering(self, done: int) -> _Answer:
        async def answer(referral_id: UUID) -> None:
            acts = agency_acts(Draw(self._seed, self._party, referral_id))
            for number, act in enumerate(acts[done:], done):
                await self._do(referral_id, act, f"act{number}.{referral_id}")

        return answer

    async def _do(self, referral_id: UUID, act: CaseAct, key: str) -> None:
        match act:
            case Accept(reference):
                await self._client.accept_case(referral_id, case_reference=reference, key=key)
                self._seen.tally.did("accepted")
            case Decline(reason):
                await self._client.decline_case(referral_id, reason, key=key)
                self._seen.tally.did("declined")
            case Report(outcome, identified, safeguarded, close_reason):
                await self._client.report_outcome(
                    referral_id,
                    outcome,
                    child_identified=identified,
                    child_safeguarded=safeguarded,
                    close_reason=close_reason,
                    key=key,
                )
                self._seen.tally.did("outcome")


class ProviderDesk:
    """A provider that acknowledges, acts, rejects, points to another provider, or says nothing."""

    def __init__(
        self, client: CausewayClient, party: str, tally: Tally, *, seed: str, others: Sequence[str], clock: Clock
    ) -> None:
        self._client = client
        self._party = party
        self._seed = seed
        self._others = others
        self._clock = clock
        self._seen = _Seen(party, tally)
        self._whole = False

    async def look(self, *, thoroughly: bool) -> bool:
        withdrawn = self._client.notices(state="withdrawn")
        news = await self._seen.deal_with(withdrawn, self._acknowledge_withdrawal, thoroughly=thoroughly)
        if not self._whole:
            acknowledged = self._client.notices(state="acknowledged")
            await self._seen.deal_with(acknowledged, self._go_on, thoroughly=True)
        self._whole = False
        issued = self._client.notices(state="issued")
        news |= await self._seen.deal_with(issued, self._answer, thoroughly=thoroughly)
        self._whole = True
        return news

    async def _acknowledge_withdrawal(self, notice_id: UUID) -> None:
        try:
            await self._client.acknowledge_notice_withdrawal(notice_id, key=f"withdrawal.{notice_id}")
        except ApiProblem as problem:
            if problem.code != "notice_is_kept":
                raise
            await self._client.acknowledge_notice_withdrawal(notice_id, _OPEN_COMPLAINT, key=f"kept.{notice_id}")
        self._seen.tally.did("withdrawal acknowledged")

    async def _answer(self, notice_id: UUID) -> None:
        for act in self._acts(notice_id):
            await self._do(notice_id, act)

    async def _go_on(self, notice_id: UUID) -> None:
        for act in self._acts(notice_id):
            if not isinstance(act, Acknowledge):
                await self._do(notice_id, act)

    def _acts(self, notice_id: UUID) -> tuple[NoticeAct, ...]:
        return provider_acts(Draw(self._seed, self._party, notice_id), self._others)

    async def _do(self, notice_id: UUID, act: NoticeAct) -> None:
        key = f"{type(act).__name__.lower()}.{notice_id}"
        match act:
            case Acknowledge():
                await self._client.acknowledge_notice(notice_id, key=key)
                self._seen.tally.did("acknowledged")
            case Action(actions):
                now = self._clock.now()
                said = [ItemStatement(action=action, effective_at=now) for action in actions]
                await self._client.answer_notice(notice_id, said, key=key)
                self._seen.tally.did("actioned")
            case Reject(reason):
                await self._client.answer_notice(notice_id, [ItemStatement(rejection=reason)], key=key)
                self._seen.tally.did("rejected")
            case NotOurs(suggested):
                await self._client.not_ours(notice_id, disowning((), suggested), key=key)
                self._seen.tally.did("not ours")


class _Seen:
    """What a desk has dealt with, so that an item on which it stays silent is not new each time."""

    def __init__(self, party: str, tally: Tally) -> None:
        self._party = party
        self.tally = tally
        self._items: set[tuple[str, UUID]] = set()

    async def deal_with(self, pages: _Pages, answer: _Answer, *, thoroughly: bool) -> bool:
        """Answer each item that is new, once. Real cases are left alone: a sample party answers exercises only."""
        news = False
        async for page in pages:
            new = [item for item in page.items if (item.state, _id(item)) not in self._items]
            for item in new:
                if item.exercise:
                    await self._answer(answer, _id(item))
                self._items.add((item.state, _id(item)))
            news |= bool(new)
            if not (new or thoroughly):
                break
        return news

    async def _answer(self, answer: _Answer, subject: UUID) -> None:
        try:
            await answer(subject)
        except ApiProblem as problem:
            if problem.status not in _LEFT_ALONE:
                raise
            self.tally.met(self._party, problem.code)


def _id(item: InboxItem | NoticeView) -> UUID:
    return item.referral_id if isinstance(item, InboxItem) else item.notice_id


def _withdrawal(client: CausewayClient, seen: _Seen) -> _Answer:
    """Erases what was taken back. A case that was taken up is kept: its service would refuse anything else."""

    async def acknowledge(referral_id: UUID) -> None:
        try:
            await client.acknowledge_withdrawal(referral_id, key=f"withdrawal.{referral_id}")
        except ApiProblem as problem:
            if problem.code != "case_is_kept":
                raise
            await client.acknowledge_withdrawal(referral_id, _KEPT, key=f"kept.{referral_id}")
        seen.tally.did("withdrawal acknowledged")

    return acknowledge
