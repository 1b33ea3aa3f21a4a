"""Intake: many submissions in one transaction. Concurrent single requests are gathered into one batch, too.

    parse → prepare (pure) → one transaction { idempotency claims · referrals · edges · messages · answers } → answer

Before the commit nothing has happened. After the commit everything is durable, the answers included, and the relay
sends.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Final
from uuid import UUID

from shared.core.authority import Authority
from shared.core.clock import Clock
from shared.core.contracts.registry import REFERRAL_REFUSED
from shared.core.errors import Refused, Unavailable, not_found
from shared.core.guard.budget import QuotaExceeded, day_of
from shared.core.ids import uuid7
from shared.core.protocol.message import Draft, compose_fact
from shared.core.protocol.origin import ReferralState
from shared.core.protocol.prepare import Documents, Filing, Prepared, prepare_batch
from shared.core.routing.directory_index import PartyEntry
from shared.core.vocabulary.referral import PriorityLevel
from shared.core.vocabulary.routing import Disposition, WorkReason
from shared.features.filing.ports import Claimed, Repeat
from shared.features.filing.rules import (
    ExternalRefExists,
    HttpReply,
    Outcome,
    Request,
    Submission,
)
from shared.features.filing.service.alarms import (
    ANSWER_S_MAX,
    DENSE_WAITING_MAX,
    TOGETHER_MAX,
    WAITING_MAX,
    AlarmKind,
    Alarms,
    IntakeQueue,
    Waiting,
    is_dense,
    items_of,
)
from shared.features.filing.service.referrals import Debit, claiming, fitting, rooms_of, sum_by_party
from shared.features.filing.store.intake import FilingBatch, FilingConflict, PostgresFilings
from shared.platform.admission.budgets import Principal
from shared.platform.admission.throttled_executor import beside
from shared.platform.observability.logs import log
from shared.platform.observability.metrics import INTAKE_SECONDS, REFUSALS, UNRELEASED

#: Writes the answer to each request of a transaction, from the outcomes of its submissions and the acceptance time.
AnswerWriter = Callable[[Sequence[Request], Sequence[Sequence[Outcome]], datetime], list[HttpReply]]
#: Submissions that are prepared in one step, before other tasks of the event loop run.
TOGETHER: Final = 25
#: The same for dense requests, which are prepared in a worker thread.
DENSE_TOGETHER: Final = 2
_reference: Final[Callable[[Prepared], tuple[str, str]]] = attrgetter("origin", "external_ref")


@dataclass(eq=False)
class Intake:
    """The intake, which gathers concurrent requests and commits them together. One instance per API process.

    `waiting_max` bounds the ordinary submissions that wait for a transaction, each for up to `answer_s_max` seconds.
    `owe` charges a key or session for the work of its request.
    """

    filings: PostgresFilings
    answering: AnswerWriter
    authority: Authority
    documents: Callable[[], Documents]
    instance: str
    clock: Clock
    owe: Callable[[Principal, int], None]
    alarms: Alarms
    waiting_max: int = WAITING_MAX
    answer_s_max: float = ANSWER_S_MAX

    def __post_init__(self) -> None:
        #: Dense requests have their own queue, so that they do not delay ordinary requests.
        self._ordinary, self._dense = IntakeQueue(self.waiting_max), IntakeQueue(DENSE_WAITING_MAX)

    def origin(self, party: str) -> PartyEntry:
        """Return the directory entry of the party that files. Raises `Refused` if the directory no longer has it."""
        entry = self.documents().directory.party(party)
        if entry is None:
            raise not_found()
        return entry

    async def submit(self, request: Request) -> HttpReply:
        """Submit a request, and return its answer once the request is durable.

        Raises `Refused` for a role that may not file, for a key that was used with another body, and if too many
        submissions of this party wait. Raises `Unavailable`: `intake_full` if too many of all parties wait (the queue
        is bounded), `intake_late` if the answer does not come in time. A late request may still take effect; a
        repetition with the same idempotency key shows the result.
        """
        # Checked before any look-up.
        self.authority.require("referral", request.submissions[0].role, action="submit", state=Disposition.ROUTED)
        queue = self._dense if is_dense(request) else self._ordinary
        answer = queue.enter(request)
        with INTAKE_SECONDS.time():
            try:
                async with asyncio.timeout(self.answer_s_max):
                    return await answer
            except TimeoutError:
                raise Unavailable("intake_late") from None
            finally:
                queue.leave(request, answer)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Commit submitted requests for as long as the context lasts."""
        committing = asyncio.create_task(self.run())
        try:
            yield
        finally:
            committing.cancel()
            await asyncio.wait([committing])

    async def run(self) -> None:
        """Commit waiting requests, batch after batch, until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._run(self._ordinary))
            both.create_task(self._run(self._dense))

    async def _run(self, queue: IntakeQueue) -> None:
        while True:
            taken = await queue.take(TOGETHER_MAX)
            # A late request has no waiting caller any more. Its repetition is another request.
            if waiting := [each for each in taken if not each[1].done()]:
                await self._commit_or_fail(waiting)

    async def _commit_or_fail(self, waiting: list[Waiting]) -> None:
        try:
            answers = await self._commit([request for request, _ in waiting])
        except Exception as error:
            if len(waiting) > 1 and not isinstance(error, Unavailable):
                # One request may have broken the batch. Committed alone, each can only fail itself.
                for each in waiting:
                    await self._commit_or_fail([each])
                return
            log("intake_failed", error=type(error).__name__, count=len(waiting))
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(waiting, answers, strict=True):
            if not future.done():
                if isinstance(answer, Refused):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    async def _commit(self, requests: Sequence[Request]) -> list[HttpReply | Refused]:
        documents, at = self.documents(), self.clock.now()
        prepared = await self._prepare(requests, documents, at)
        for request, of_one in zip(requests, prepared, strict=True):
            first = request.submissions[0]
            self.owe(Principal(first.party.id, first.actor), _work(request, of_one))
        outcomes, claims = dict(enumerate(prepared)), dict[int, Claimed]()
        answers, became = dict[int, HttpReply | Refused](), dict[int, list[Outcome]]()
        while outcomes:
            # The answers are known before the transaction, unless a key, a daily quota or a reference is taken.
            became = _without_repeats(outcomes)
            answers = self._answer({index: requests[index] for index in became}, became, at)
            try:
                await self._file(requests, became, answers, documents=documents, at=at)
                break
            except _FilingConflict as error:
                known = self._learn(error.found, requests, outcomes, tried=became, documents=documents, at=at)
                outcomes = {index: each for index, each in outcomes.items() if index not in known}
                claims |= known
        for index, each in became.items() if outcomes else ():
            self._watch(requests[index].submissions[0].party.id, each)
        return [_answer_of(index, claims, answers) for index in range(len(requests))]

    async def _file(
        self,
        requests: Sequence[Request],
        outcomes: Mapping[int, Sequence[Outcome]],
        answers: Mapping[int, HttpReply | Refused],
        *,
        documents: Documents,
        at: datetime,
    ) -> None:
        """File all outcomes in one transaction. Raises `_FilingConflict` if that is not possible, with no effect."""
        parties = sorted({each.party.id for request in requests for each in request.submissions})
        replies = [
            (requests[index], reply) for index in claiming(outcomes) if isinstance(reply := answers[index], HttpReply)
        ]
        submitted = Counter(each.party.id for index in outcomes for each in requests[index].submissions)
        kept = [each for of_one in outcomes.values() for each in of_one if isinstance(each, Prepared)]
        debits = [Debit.of(each) for each in kept if _is_sent(each)]
        spent, rooms = sum_by_party(debits), rooms_of(debits, documents.directory)
        kept.sort(key=_reference)
        drafts = [self._drafts(requests[index], each, documents) for index, each in outcomes.items()]
        async with self.filings.open(parties, requests[0].submissions[0].role) as transaction:
            found = await transaction.file(replies, FilingBatch(kept, submitted, day_of(at), spent, rooms))
            if found is not None:
                raise _FilingConflict(found)
            # From the commit on the referrals are durable. After a crash the relay sends their segments.
            await transaction.send(list(chain.from_iterable(drafts)))

    def _learn(
        self,
        found: FilingConflict,
        requests: Sequence[Request],
        outcomes: Mapping[int, list[Outcome]],
        *,
        tried: Mapping[int, Sequence[Outcome]],
        documents: Documents,
        at: datetime,
    ) -> dict[int, Claimed]:
        """Update the outcomes with the findings of the transaction that failed. Each attempt files fewer submissions.

        Return the earlier claims of idempotency keys, by request index. These requests are not filed.
        """
        if found.claims:
            places = claiming(tried)
            known = {index: claim for index, claim in zip(places, found.claims, strict=True) if claim is not None}
            return {index: Repeat(places[of.of]) if isinstance(of, Repeat) else of for index, of in known.items()}
        filed = [each for of_one in tried.values() for each in of_one if isinstance(each, Prepared)]
        sent = [each for each in filed if found.spent and _is_sent(each)]
        fits = fitting([Debit.of(each) for each in sent], found.spent, documents.directory)
        beyond = {_reference(each) for each, fit in zip(sent, fits, strict=True) if not fit}
        taken = {_reference(each): found.taken[each.referral_id] for each in filed if each.referral_id in found.taken}
        # Among submissions with the same reference, only the first is tried. A finding applies to all of them, so that
        # the others need no further transaction.
        for index, of_one in outcomes.items():
            for place, each in enumerate(of_one):
                if isinstance(each, Prepared) and _reference(each) in taken:
                    of_one[place] = ExternalRefExists(taken[_reference(each)])
                elif isinstance(each, Prepared) and _is_sent(each) and _reference(each) in beyond:
                    of_one[place] = self._beyond(requests[index].submissions[place], each, documents, at=at)
        return {}

    def _watch(self, party: str, outcomes: Sequence[Outcome]) -> None:
        """Count the outcomes of a request, and raise alarms for conditions that a person should see."""
        refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
        for one in refused:
            REFUSALS.labels(one.code).inc()
        spent = [outcome for outcome in refused if isinstance(outcome, QuotaExceeded)]
        self.alarms.judged(party, len(outcomes), len(refused) - len(spent))
        if spent:
            self.alarms.alarm(party, AlarmKind.DAY_FILLED)
        for outcome in outcomes:
            if isinstance(outcome, Prepared):
                self.alarms.filed(party, outcome.spent, outcome.items)
                if _is_sent(outcome):
                    continue
                UNRELEASED.labels(outcome.unrouted_reason).inc()
                if outcome.unrouted_reason == WorkReason.OVER_DAY:
                    log("child_at_risk_waits")
                    self.alarms.alarm(party, AlarmKind.DAY_FILLED)
                    self.alarms.alarm(party, AlarmKind.URGENT_WAITS)

    def _beyond(self, submission: Submission, prepared: Prepared, documents: Documents, *, at: datetime) -> Outcome:
        """Return the outcome of a submission above the daily quota. A p0 submission goes to a second person at once."""
        if prepared.facts["priority"] != PriorityLevel.P0_CHILD_AT_RISK:
            return QuotaExceeded(at)
        waiting = replace(_filing(submission), waits=WorkReason.OVER_DAY)
        (outcome,) = prepare_batch([waiting], documents=documents, at=at)
        return outcome

    def _answer(
        self, requests: Mapping[int, Request], outcomes: Mapping[int, Sequence[Outcome]], at: datetime
    ) -> dict[int, HttpReply | Refused]:
        """Answer these requests of a transaction, by index. Each transaction's acceptances share one signature."""
        became = [outcomes[index] for index in requests]
        replies = self.answering(list(requests.values()), became, at)
        return {
            index: of_one[0] if len(of_one) == 1 and isinstance(of_one[0], QuotaExceeded) else reply
            for index, of_one, reply in zip(requests, became, replies, strict=True)
        }

    async def _prepare(self, requests: Sequence[Request], documents: Documents, at: datetime) -> list[list[Outcome]]:
        """Prepare the submissions of all requests together, and return the outcomes of each request."""
        filings = [
            _filing(each)
            for request in requests
            for each in request.submissions
            if not isinstance(each.content, Refused)
        ]
        preparing = partial(prepare_batch, documents=documents, at=at)
        outcomes: list[Outcome] = []
        dense = any(is_dense(request) for request in requests)
        together = DENSE_TOGETHER if dense else TOGETHER
        for some in (filings[first : first + together] for first in range(0, len(filings), together)):
            # Other tasks run between the steps, and during the preparation of a dense batch.
            await asyncio.sleep(0)
            outcomes += await beside(partial(preparing, some)) if dense else preparing(some)
        prepared = iter(outcomes)
        return [
            [each.content if isinstance(each.content, Refused) else next(prepared) for each in request.submissions]
            for request in requests
        ]

    def _drafts(self, request: Request, outcomes: Sequence[Outcome], documents: Documents) -> list[Draft]:
        drafts: list[Draft] = []
        for submission, each in zip(request.submissions, outcomes, strict=True):
            if isinstance(each, Refused):
                drafts.append(self._refused_fact(submission, each, documents))
            else:
                drafts += each.drafts
        return drafts

    def _refused_fact(self, submission: Submission, refused: Refused, documents: Documents) -> Draft:
        clear = {"origin": submission.party.id, "origin_kind": submission.party.kind, "code": refused.code}
        return compose_fact(
            REFERRAL_REFUSED,
            clear | ({"field": refused.field} if refused.field else {}),
            subject=uuid7(),
            instance=self.instance,
            directory=documents.directory,
            exercise=submission.party.status == "sandbox",
            at=self.clock.now(),
            traceparent=submission.traceparent,
        )


def _without_repeats(outcomes: Mapping[int, Sequence[Outcome]]) -> dict[int, list[Outcome]]:
    """Return the outcomes with at most one filed referral for each reference: the first."""
    firsts: dict[tuple[str, str], UUID] = {}

    def outcome(each: Outcome) -> Outcome:
        if isinstance(each, Refused):
            return each
        first = firsts.setdefault(_reference(each), each.referral_id)
        return each if first == each.referral_id else ExternalRefExists(first)

    return {index: [outcome(each) for each in of_one] for index, of_one in outcomes.items()}


class _FilingConflict(Exception):
    """A transaction could not file all of its submissions."""

    def __init__(self, found: FilingConflict) -> None:
        super().__init__()
        self.found = found


def _filing(submission: Submission) -> Filing:
    assert not isinstance(submission.content, Refused)
    return Filing(
        submission.content,
        submission.party,
        submission.traceparent,
        body_sha256=submission.body_sha256,
        actor=submission.actor,
    )


def _is_sent(prepared: Prepared) -> bool:
    """Return whether a filing is sent now. One that waits for a second person is debited at its release."""
    return prepared.state != ReferralState.UNRELEASED


def _work(request: Request, outcomes: Sequence[Outcome]) -> int:
    """Return the work units of a request: submissions and items examined, edges decided and sealed."""
    edges = sum(len(each.emitted) for each in outcomes if isinstance(each, Prepared))
    return len(request.submissions) + items_of(request) + edges


def _answer_of(
    index: int, claims: Mapping[int, Claimed], answers: Mapping[int, HttpReply | Refused]
) -> HttpReply | Refused:
    match claims.get(index):
        case None:
            return answers[index]
        case Repeat(first):
            return _answer_of(first, claims, answers)
        case known:
            return known
