"""Intake: many submissions, one transaction. Concurrent single posts are gathered into one batch as well.

    parse → prepare (pure) → one transaction { idempotency claims · referrals · edges · outbox · answers } → answer

Before the commit nothing has happened; after it everything is durable, answer included, and the relay sends.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from shared.contracts.referral import ReferralSubmission
from shared.contracts.registry import REFERRAL_REFUSED
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.compose import compose_fact
from shared.exchange.message import Draft
from shared.exchange.prepare import Documents, Filing, Prepared, prepare_batch
from shared.kernel.clock import Clock, rfc3339
from shared.kernel.errors import Refused, Unavailable
from shared.kernel.ids import uuid7
from shared.party.origin.store import filing as store
from shared.routing.directory_index import PartyEntry
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.http.idempotency import Claim, ClaimKind, claim_many, store_many
from shared.runtime.http.problems import problem_body
from shared.runtime.post import outbox
from shared.runtime.watch.logs import log
from shared.runtime.watch.metrics import INTAKE_SECONDS, REFUSALS


@dataclass(frozen=True, slots=True)
class Submission:
    """One referral as posted: `content` is the parsed model, or the refusal that parsing ended in."""

    party: PartyEntry
    role: str
    content: ReferralSubmission | Refused
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What one HTTP request asks: one or many submissions under one idempotency key (hashed)."""

    submissions: Sequence[Submission]
    key_hash: bytes
    body_hash: bytes
    single: bool

    @property
    def party(self) -> str:
        return self.submissions[0].party.id


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and exact body. The same bytes are stored, and given again to whoever repeats the request."""

    status: int
    body: bytes
    location: str | None = None


_Waiting = tuple[Request, asyncio.Future[Reply]]


class Intake:
    """Gathers concurrent requests and commits them together. One instance per API process."""

    def __init__(
        self,
        database: Database,
        *,
        documents: Callable[[], Documents],
        instance: str,
        kek: KeyEncryptionKey,
        clock: Clock,
        wake: Callable[[], None],
        submissions_max: int = 200,
        waiting_max: int = 2000,
        answer_s_max: float = 30.0,
    ) -> None:
        """`submissions_max` go into one transaction, `waiting_max` may wait for theirs, each for `answer_s_max`."""
        self._database = database
        self._documents = documents
        self._instance = instance
        self._kek = kek
        self._clock = clock
        self._wake = wake
        self._submissions_max = submissions_max
        self._waiting_max = waiting_max
        self._answer_s_max = answer_s_max
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._waiting = 0

    async def submit(self, request: Request) -> Reply:
        """Answer once the request is durable.

        Raises `Unavailable`: `intake_full` if too many submissions wait already (back-pressure, not memory growth),
        `intake_late` if the answer does not come in time. A late request may still take effect: who repeats it under
        its idempotency key learns which.
        """
        if self._waiting + len(request.submissions) > self._waiting_max:
            raise Unavailable("intake_full")
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting += len(request.submissions)
        self._queue.put_nowait((request, answer))
        with INTAKE_SECONDS.time():
            try:
                async with asyncio.timeout(self._answer_s_max):
                    return await answer
            except TimeoutError:
                raise Unavailable("intake_late") from None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Commit what is submitted for as long as the context lasts."""
        committing = asyncio.create_task(self.run())
        try:
            yield
        finally:
            committing.cancel()
            await asyncio.wait([committing])

    async def run(self) -> None:
        """Commit what waits, batch after batch, until cancelled."""
        while True:
            waiting = [await self._take()]
            count = len(waiting[0][0].submissions)
            while count < self._submissions_max and not self._queue.empty():
                waiting.append(await self._take())
                count += len(waiting[-1][0].submissions)
            # Nobody waits any more for an answer that was late: a repetition will be another request.
            if waiting := [each for each in waiting if not each[1].done()]:
                await self._commit_or_fail(waiting)

    async def _take(self) -> _Waiting:
        request, answer = await self._queue.get()
        self._waiting -= len(request.submissions)
        return request, answer

    async def _commit_or_fail(self, waiting: list[_Waiting]) -> None:
        try:
            answers = await self._commit([request for request, _ in waiting])
        except Exception as error:
            if len(waiting) > 1 and not isinstance(error, Unavailable):
                # One request may have broken the batch: alone, each can only break itself.
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
                future.set_result(answer)

    async def _commit(self, requests: Sequence[Request]) -> list[Reply]:
        documents = self._documents()
        prepared = self._prepare(requests, documents)
        # What will be answered is known before the transaction, unless a reference turns out to be taken.
        expected = [_answer(*each, {}) for each in zip(requests, prepared, strict=True)]
        parties = sorted({each.party.id for request in requests for each in request.submissions})
        async with self._database.transaction(RowScope(parties, requests[0].submissions[0].role, "submit")) as session:
            wanted = [(request.party, request.key_hash, request.body_hash) for request in requests]
            claims = await claim_many(session.driver, wanted, [(each.status, _stored(each)) for each in expected])
            new = [index for index, claim in enumerate(claims) if claim.kind is ClaimKind.NEW]
            kept = [each for index in new for each in prepared[index] if isinstance(each, Prepared)]
            kept.sort(key=lambda each: (each.origin, each.external_ref))
            submitted = Counter(each.party.id for index in new for each in requests[index].submissions)
            taken = await store.file_referrals(session.driver, kept, submitted, kek=self._kek)
            answers = {index: expected[index] for index in new}
            if taken:
                answers = {index: _answer(requests[index], prepared[index], taken) for index in new}
                corrected = [
                    (*wanted[index][:2], answer.status, _stored(answer))
                    for index, answer in answers.items()
                    if answer != expected[index]
                ]
                await store_many(session.driver, corrected)
            drafts = [self._drafts(requests[index], prepared[index], taken, documents=documents) for index in new]
            await outbox.enqueue(session.driver, list(chain.from_iterable(drafts)))
        # From here the referrals are durable: a crash leaves them in the outbox and the relay sends them.
        self._wake()
        for each in chain.from_iterable(prepared[index] for index in new):
            if (refused := _refusal(each, taken)) is not None:
                REFUSALS.labels(refused.code).inc()
        return [_answer_of(index, claim, answers) for index, claim in enumerate(claims)]

    def _prepare(self, requests: Sequence[Request], documents: Documents) -> list[list[Prepared | Refused]]:
        """For each request, what becomes of each of its submissions; those of all requests are prepared together."""
        filings = [
            Filing(each.content, each.party, each.traceparent)
            for request in requests
            for each in request.submissions
            if not isinstance(each.content, Refused)
        ]
        prepared = iter(prepare_batch(filings, documents=documents, at=self._clock.now()))
        return [
            [each.content if isinstance(each.content, Refused) else next(prepared) for each in request.submissions]
            for request in requests
        ]

    def _drafts(
        self,
        request: Request,
        prepared: Sequence[Prepared | Refused],
        taken: Mapping[UUID, UUID],
        *,
        documents: Documents,
    ) -> list[Draft]:
        drafts: list[Draft] = []
        for submission, each in zip(request.submissions, prepared, strict=True):
            if (refused := _refusal(each, taken)) is not None:
                drafts.append(self._refused_fact(submission, refused, documents))
            elif isinstance(each, Prepared):
                drafts += each.drafts
        return drafts

    def _refused_fact(self, submission: Submission, refused: Refused, documents: Documents) -> Draft:
        clear = {"origin": submission.party.id, "origin_kind": submission.party.kind, "code": refused.code}
        return compose_fact(
            REFERRAL_REFUSED,
            clear | ({"field": refused.field} if refused.field else {}),
            subject=uuid7(),
            instance=self._instance,
            directory=documents.directory,
            exercise=submission.party.status == "sandbox",
            at=self._clock.now(),
            traceparent=submission.traceparent,
        )


def _refusal(each: Prepared | Refused, taken: Mapping[UUID, UUID]) -> Refused | None:
    """Why a submission is refused, if it is. `taken`: referral id → the one that has its sender's reference already."""
    if isinstance(each, Refused):
        return each
    if each.referral_id in taken:
        return Refused("external_ref_exists", "this sender has filed this reference before", status=409)
    return None


def _result(each: Prepared | Refused, taken: Mapping[UUID, UUID]) -> dict[str, Any]:
    """One submission's result as `:batch` lists it."""
    if (refused := _refusal(each, taken)) is not None:
        problem = problem_body(refused)
        if isinstance(each, Prepared):
            problem |= {"referral": f"/v1/referrals/{taken[each.referral_id]}"}
        return {"status": refused.status, "problem": problem}
    assert isinstance(each, Prepared)
    return {
        "status": 202,
        "referral_id": str(each.referral_id),
        "revision": 1,
        "state": each.disposition,
        "work_reason": each.work_reason,
        "accepted_at": rfc3339(each.accepted_at),
        "recipients": [
            {"recipient": e.recipient, "purpose": e.purpose, "reason": e.reason, "rules": e.rules} for e in each.emitted
        ],
        "decision": {name: value for name, value in each.decision.items() if name != "salt"},
    }


def _answer(request: Request, prepared: Sequence[Prepared | Refused], taken: Mapping[UUID, UUID]) -> Reply:
    results = [_result(each, taken) for each in prepared]
    if request.single:
        result = results[0]
        status = int(result["status"])
        if "problem" in result:
            return Reply(status, _encoded(result["problem"]))
        body = {name: value for name, value in result.items() if name != "status"}
        return Reply(status, _encoded(body), f"/v1/referrals/{result['referral_id']}")
    return Reply(200, _encoded({"results": [{"index": index} | result for index, result in enumerate(results)]}))


def _stored(answer: Reply) -> bytes:
    return _encoded({"location": answer.location}) + b"\n" + answer.body


def _answer_of(index: int, claim: Claim, answers: dict[int, Reply]) -> Reply:
    if claim.kind is ClaimKind.NEW:
        return answers[index]
    if claim.twin_of is not None:
        return answers[claim.twin_of] if claim.twin_of in answers else _reused()
    if claim.kind is ClaimKind.REUSED or claim.answer is None or claim.status is None:
        return _reused()
    head, _, body = claim.answer.partition(b"\n")
    return Reply(claim.status, body, json.loads(head)["location"])


def _reused() -> Reply:
    return Reply(422, _encoded(problem_body(Refused("idempotency_key_reused", "the key was used with another body"))))


def _encoded(value: Any) -> bytes:
    return to_json(value)
