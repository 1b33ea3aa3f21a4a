"""The HTTP door of an origin: filing, looking and withdrawing, the same at every originating service.

A service's own `api` mounts it: what is filed comes in there, and is handed to `OriginApi.file`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.contracts.base import Contract, JsonObject
from shared.contracts.checks import ItemChecks
from shared.contracts.holds import Confirming, Overriding
from shared.contracts.questions import Reply as QuestionReply
from shared.contracts.questions import Verdict
from shared.contracts.referral import ReferralSubmission
from shared.contracts.transfers import Transferring
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Act, Subject
from shared.exchange.origin import ReferralState
from shared.exchange.prepare import Documents
from shared.exchange.states import row
from shared.guard import item_bytes, parse_body
from shared.kernel.authority import Authority
from shared.kernel.canonical import digest
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused
from shared.party.finding import Finding
from shared.party.origin.api import bodies
from shared.party.origin.api.changes import Changed, Identified, add_change_routes
from shared.party.origin.api.checking import Checking, Posted, parsed
from shared.party.origin.api.checks import add_check_route
from shared.party.origin.api.holds import add_override_routes
from shared.party.origin.api.questions import add_question_routes
from shared.party.origin.api.transfers import add_transfer_route
from shared.party.origin.domain import (
    AcceptedReferral,
    AmendedReferral,
    AnsweredQuestion,
    CheckedReferral,
    ListReason,
    ReferralPage,
    Reply,
    ReviewedReferral,
    ShownReferral,
    Submission,
    WithdrawnReferral,
    WorkPage,
)
from shared.party.origin.domain import Request as Filed
from shared.party.origin.holding import Overridden
from shared.party.origin.store.amendments import PostgresAmendments
from shared.party.origin.store.checks import PostgresIssued
from shared.party.origin.store.holds import PostgresHolds
from shared.party.origin.store.referrals import PostgresReferrals
from shared.party.origin.store.reviews import PostgresReviews
from shared.party.origin.store.transfers import PostgresTransfers
from shared.party.origin.transferring import TransferredReferral
from shared.party.origin.use_cases import referrals as use_cases
from shared.party.origin.use_cases.alarms import Alarms, Kind
from shared.party.origin.use_cases.amend import Changing
from shared.party.origin.use_cases.checks import check_items
from shared.party.origin.use_cases.holds import Holding, Override
from shared.party.origin.use_cases.intake import Intake
from shared.party.origin.use_cases.questions import answer_question
from shared.party.origin.use_cases.referrals import Acting
from shared.party.origin.use_cases.reviews import DROP, RELEASE, Reviewing, drop_referral, release_referral
from shared.party.origin.use_cases.transfers import TRANSFER, Letters, Transferer
from shared.party.questions.store import PostgresQuestions
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.http.acts import Acts
from shared.runtime.http.edge import read_json, read_key, read_list, read_model
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does, shows
from shared.runtime.http.paging import Cursor, Limit
from shared.runtime.http.problems import PROBLEM_JSON
from shared.runtime.http.sameness import items_hash
from shared.runtime.watch.telemetry import current_traceparent
from shared.vocabulary.referral import WithdrawalReason
from shared.vocabulary.routing import Disposition

#: What the routes declare by which an origin files; each service mounts them in its own `api`, at `OriginApi.file`.
FILES_ONE: Final = does(AcceptedReferral, takes=[ReferralSubmission], conflict=bodies.ReferenceTaken, location=True) | {
    "name": "submit",
    "description": "File one referral. 202 means that it is durable here, not that anybody has received it.",
}
FILES_MANY: Final = does(bodies.BatchAnswer, takes=[bodies.ReferralBatch], status=200, conflict=None) | {
    "name": "submit_batch",
    "description": "File up to 100 referrals; each has its own result, and one that is refused does not hold up the "
    "others.",
}

WITHDRAW: Final = row(Subject.REFERRAL, "withdraw")
#: What an act does within its transaction.
Doing = Callable[[Session], Awaitable[Contract]]


class OriginApi:
    """What an origin's HTTP door does with a request, whichever service it came in at."""

    def __init__(
        self,
        database: Database,
        acts: Acts,
        intake: Intake,
        *,
        checking: Checking,
        owe: Callable[[str, int], None],
        alarms: Alarms,
        authority: Authority,
        directory: Callable[[], DirectoryIndex],
        documents: Callable[[], Documents],
        kek: KeyEncryptionKey,
        clock: Clock,
        number: Callable[[], Awaitable[object]],
        instance: str,
        then: Callable[[datetime], Documents] | None = None,
    ) -> None:
        """`owe` charges a party for work; `number` gives what was committed its place in the lists.

        `then` are the documents of a time, as known now; those of now where nobody knows others.
        """
        self._instance = instance
        self._database = database
        self._acts = acts
        self._intake = intake
        self._checking = checking
        self._owe = owe
        self._alarms = alarms
        self._authority = authority
        self._directory = directory
        self._documents = documents
        self._kek = kek
        self._clock = clock
        self._number = number
        self._then = then or (lambda _: documents())

    async def file(self, request: Request, identity: Identity) -> Response:
        """File what is posted: a list where the path says so, else one referral."""
        key, single = read_key(request.headers.get("idempotency-key")), not request.url.path.endswith(":batch")
        body = await request.body()
        with self._alarms.posted(identity.party, body):
            values = [await read_json(request)] if single else await read_list(request, "referrals")
        answer = await self._filed(identity, values, body=body, key=key, route=request.url.path)
        headers = {"Location": answer.location} if answer.location else None
        kind = PROBLEM_JSON if answer.status >= 400 else "application/json"
        return Response(answer.body, status_code=answer.status, media_type=kind, headers=headers)

    async def file_alone(self, identity: Identity, body: bytes, *, key: bytes, route: str) -> Reply:
        """File one referral, spelt as JSON by another door than this."""
        with self._alarms.posted(identity.party, body):
            values = [parse_body("application/json", None, body)]
        return await self._filed(identity, values, body=body, key=key, route=route)

    async def withdraw(self, referral_id: UUID, request: Request, identity: Identity) -> Response:
        """Take a referral back, for the reason that is posted."""
        wanted = read_model(bodies.Withdrawal, await read_json(request))
        act = self.withdrawing(referral_id, wanted.reason, identity)
        return await self._acts.once(request, identity, WITHDRAW.name, roles=WITHDRAW.roles, act=act)

    def withdrawing(self, referral_id: UUID, reason: WithdrawalReason, identity: Identity) -> Doing:
        """What takes a referral back, within a transaction."""

        async def act(session: Session) -> WithdrawnReferral:
            await use_cases.withdraw_referral(referral_id, reason, self._acting(identity, session))
            return WithdrawnReferral(referral_id=referral_id, state="withdrawn")

        return act

    async def check_items(self, referral_id: UUID, request: Request, identity: Identity) -> Response:
        """Keep what was found of items, and tell their providers."""
        said = read_model(ItemChecks, await read_json(request))

        async def look(session: Session) -> CheckedReferral:
            acting, edges = self._acting(identity, session), PostgresIssued(session.driver)
            state = await check_items(referral_id, said, acting, edges=edges)
            return CheckedReferral.model_validate({"referral_id": referral_id, "state": state})

        checking = row(Subject.REFERRAL, "check")
        return await self._acts.once(request, identity, checking.name, roles=checking.roles, act=look)

    async def answer_question(self, act: Act, referral_id: UUID, request: Request, *, identity: Identity) -> Response:
        """Answer what a recipient asks or contests, and tell it."""
        assert act.takes is not None
        said = read_model(act.takes, await read_json(request))
        assert isinstance(said, QuestionReply | Verdict)

        async def answer(session: Session) -> AnsweredQuestion:
            acting, store = self._acting(identity, session), PostgresQuestions(session.driver)
            state = await answer_question(referral_id, said, acting, store=store)
            return AnsweredQuestion.model_validate({"referral_id": referral_id, "state": state})

        return await self._acts.once(request, identity, act.name, roles=act.roles, act=answer)

    async def review(self, act: Act, referral_id: UUID, request: Request, *, identity: Identity) -> Response:
        """Let a referral go, or drop it, as a second person."""
        doing = self.reviewing(act, referral_id, identity)
        return await self._acts.once(request, identity, act.name, roles=act.roles, act=doing)

    def reviewing(self, act: Act, referral_id: UUID, identity: Identity) -> Doing:
        """What lets a referral go, or drops it, within a transaction."""
        doing = {RELEASE: release_referral, DROP: drop_referral}[act]

        async def review(session: Session) -> ReviewedReferral:
            reviewing = Reviewing(
                identity.party,
                identity.role,
                identity.actor,
                PostgresReviews(session.driver, self._kek),
                authority=self._authority,
                documents=self._documents,
                at=self._clock.now(),
                day_filled=partial(self._alarms.alarm, identity.party, Kind.DAY_FILLED),
            )
            state = await doing(referral_id, reviewing)
            return ReviewedReferral(referral_id=referral_id, state=ReferralState(state))

        return review

    async def change(self, act: Act, request: Request, identity: Identity, *, wanted: Changed) -> Response:
        """Change what the party has filed."""

        async def do(session: Session) -> AmendedReferral:
            changing = Changing(
                identity.party,
                identity.role,
                PostgresAmendments(session.driver, self._kek),
                PostgresHolds(session.driver),
                self._instance,
                authority=self._authority,
                documents=self._documents,
                then=self._then,
                at=self._clock.now(),
                day_filled=partial(self._alarms.alarm, identity.party, Kind.DAY_FILLED),
            )
            return await wanted(changing)

        return await self._acts.once(request, identity, act.name, roles=act.roles, act=do)

    async def override(self, act: Act, referral_id: UUID, request: Request, *, identity: Identity) -> Response:
        """Propose that a hold should end, or confirm it as a second person."""
        assert act.takes is not None
        said = read_model(act.takes, await read_json(request))

        async def override(session: Session) -> Overridden:
            at = self._clock.now()
            holding = Holding(PostgresHolds(session.driver), self._documents, self._instance, at)
            doing = Override(identity.party, identity.role, identity.actor, self._authority, holding)
            if isinstance(said, Overriding):
                return await doing.propose(referral_id, said)
            assert isinstance(said, Confirming)
            return await doing.confirm(referral_id, said)

        return await self._acts.once(request, identity, act.name, roles=act.roles, act=override)

    async def transfer(self, referral_id: UUID, request: Request, *, identity: Identity) -> Response:
        """Let hotlines that have the referral claim it."""
        said = read_model(Transferring, await read_json(request))

        async def transfer(session: Session) -> TransferredReferral:
            letters = Letters(self._directory(), self._instance, self._clock.now())
            store = PostgresTransfers(session.driver)
            return await Transferer(identity.party, identity.role, self._authority, store, letters).transfer(
                referral_id, said
            )

        return await self._acts.once(request, identity, TRANSFER.name, roles=TRANSFER.roles, act=transfer)

    async def check(self, request: Request, identity: Identity) -> Response:
        """Say of what is posted, one or a list, what would become of it."""
        kind, encoding = request.headers.get("content-type"), request.headers.get("content-encoding")
        body = await self.checked(identity, await request.body(), kind, encoding=encoding)
        return Response(body, media_type="application/json")

    async def checked(self, identity: Identity, body: bytes, kind: str | None, *, encoding: str | None = None) -> bytes:
        """The same of a body by its type and encoding, whichever door it came in at: a `CheckAnswer`, spelt."""
        self._authority.require("referral", identity.role, action="submit", state=Disposition.ROUTED)
        posted = Posted(body, kind, encoding, identity.party, self._clock.now())
        with self._alarms.posted(identity.party, posted.body):
            checked = await self._checking(posted)
        self._alarms.judged(identity.party, checked.posted, checked.refused)
        self._owe(identity.party, checked.work)
        return checked.body

    async def _filed(
        self, identity: Identity, values: Sequence[JsonObject | Refused], *, body: bytes, key: bytes, route: str
    ) -> Reply:
        single = not route.endswith(":batch")
        posted_bytes = [body] if single else item_bytes(body)
        same = items_hash(route, zip(values, posted_bytes, strict=True))
        hashes = [digest(each) for each in posted_bytes]
        party, trace = self._intake.origin(identity.party), current_traceparent()
        submissions = [
            Submission(party, identity.role, parsed(value), trace, body_sha256=posted, actor=identity.actor)
            for value, posted in zip(values, hashes, strict=True)
        ]
        return await self._intake.submit(Filed(submissions, key, same, single))

    @asynccontextmanager
    async def listing(self, identity: Identity) -> AsyncIterator[Acting]:
        """`reading`, once all that was there when it was asked for has its place in the lists."""
        await self._number()
        async with self.reading(identity) as acting:
            yield acting

    @asynccontextmanager
    async def reading(self, identity: Identity) -> AsyncIterator[Acting]:
        """A transaction in which the party of `identity` looks at its referrals."""
        async with self._database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            yield self._acting(identity, session)

    def _acting(self, identity: Identity, session: Session) -> Acting:
        return Acting(
            identity.party,
            identity.role,
            PostgresReferrals(session.driver, self._kek),
            authority=self._authority,
            directory=self._directory,
            at=self._clock.now(),
        )


def add_origin_routes(router: APIRouter, origin: OriginApi, identified: Identified) -> None:
    """Add the routes under /referrals and /work but for those that file: they are the service's own to mount."""
    who = Depends(identified)

    @router.post("/referrals:check", **shows(bodies.CheckAnswer, takes=[ReferralSubmission, bodies.ReferralBatch]))
    async def check(request: Request, identity: Identity = who) -> Response:
        """Say what would happen, without storing anything: refusals, and where each referral would go and why."""
        return await origin.check(request, identity)

    @router.get("/referrals", **shows(ReferralPage))
    async def page(
        sought: Finding,
        identity: Identity = who,
        state: ReferralState | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """The party's referrals, newest first. Of what a `party` was sent a page may be short, and more follow."""
        async with origin.listing(identity) as acting:
            return _answer(await use_cases.list_referrals(acting, sought, state=state, cursor=cursor, limit=limit))

    @router.get("/referrals/{referral_id}", **shows(ShownReferral))
    async def show(referral_id: UUID, identity: Identity = who) -> Response:
        """One referral with its three ticks: accepted, delivered, acknowledged."""
        async with origin.reading(identity) as acting:
            return _answer(await use_cases.show_referral(referral_id, acting))

    @router.get("/work", **shows(WorkPage))
    async def work(
        identity: Identity = who, reason: ListReason | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """What went nowhere, each with the named reason."""
        async with origin.listing(identity) as acting:
            return _answer(await use_cases.list_work(acting, reason=reason, cursor=cursor, limit=limit))

    @router.post(
        "/referrals/{referral_id}:withdraw", **does(WithdrawnReferral, takes=[bodies.Withdrawal], conflict=None)
    )
    async def withdraw(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Take a referral back. What is withdrawn already is answered alike; the first reason stands."""
        return await origin.withdraw(referral_id, request, identity)

    _add_later(router, origin, identified)


def _add_later(router: APIRouter, origin: OriginApi, identified: Identified) -> None:
    """What an origin does as a second person, and when something has changed, or somebody holds it."""
    who = Depends(identified)

    @router.post("/referrals/{referral_id}:release", **does(ReviewedReferral))
    async def release(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Let a referral of somebody else's go that is over its budget, or beyond the party's day."""
        return await origin.review(RELEASE, referral_id, request, identity=identity)

    @router.post("/referrals/{referral_id}:drop", **does(ReviewedReferral))
    async def drop(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Erase a referral of somebody else's instead of letting it go."""
        return await origin.review(DROP, referral_id, request, identity=identity)

    add_change_routes(router, origin, identified)
    add_check_route(router, origin, identified)
    add_override_routes(router, origin, identified)
    add_transfer_route(router, origin, identified)
    add_question_routes(router, origin, identified)


def _answer(view: Contract) -> Response:
    return Response(view.spelt(), media_type="application/json")
