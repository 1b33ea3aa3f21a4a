"""The HTTP door of an origin: filing, looking and withdrawing, the same at every originating service.

A service's own `api` mounts it: what is filed comes in there, and is handed to `OriginApi.file`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.contracts.base import Contract
from shared.contracts.referral import ReferralSubmission
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Act
from shared.exchange.origin import ReferralState
from shared.exchange.prepare import Documents
from shared.guard import parse_body
from shared.kernel.authority import Authority
from shared.kernel.canonical import digest
from shared.kernel.clock import Clock
from shared.kernel.errors import Refused
from shared.party.compared import Comparison
from shared.party.finding import Finding
from shared.party.looks import looks_at
from shared.party.opened import ShownLook
from shared.party.origin.api import bodies
from shared.party.origin.api.changes import Changed, Identified, add_change_routes
from shared.party.origin.api.checking import Checking, Posted, parsed
from shared.party.origin.api.checks import add_check_route
from shared.party.origin.api.doing import WITHDRAW, Doing, Doings
from shared.party.origin.api.holds import add_override_routes
from shared.party.origin.api.questions import add_question_routes
from shared.party.origin.api.transfers import add_transfer_route
from shared.party.origin.domain import (
    AcceptedReferral,
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
from shared.party.origin.store.revisions import PostgresRevisions
from shared.party.origin.use_cases import referrals as use_cases
from shared.party.origin.use_cases.alarms import Alarms
from shared.party.origin.use_cases.intake import Intake
from shared.party.origin.use_cases.referrals import Acting
from shared.party.origin.use_cases.reviews import DROP, RELEASE
from shared.party.origin.use_cases.revisions import compare_revisions
from shared.party.posted import Owe, PostedBody, ReadList, read_list, refused_is_owed
from shared.party.questions.domain import ShownQuestion
from shared.party.questions.store import PostgresQuestions
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.http.acts import Acts
from shared.runtime.http.edge import read_json, read_key, read_model
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does, shows
from shared.runtime.http.paging import Cursor, Limit
from shared.runtime.http.problems import PROBLEM_JSON
from shared.runtime.http.sameness import items_hash
from shared.runtime.watch.telemetry import current_traceparent
from shared.vocabulary.reveal import RevealReason
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
        instance: str,
        then: Callable[[datetime], Documents] | None = None,
    ) -> None:
        """`owe` charges a party for work.

        `then` are the documents of a time, as known now; those of now where nobody knows others.
        """
        self._database = database
        self._acts = acts
        self._intake = intake
        self._checking = checking
        self._owe = owe
        self._alarms = alarms
        self._authority = authority
        self._clock = clock
        self._doings = Doings(
            alarms=alarms,
            authority=authority,
            directory=directory,
            documents=documents,
            kek=kek,
            clock=clock,
            then=then or (lambda _: documents()),
            instance=instance,
            owe=owe,
        )

    async def file(self, request: Request, identity: Identity) -> Response:
        """File what is posted: a list where the path says so, else one referral."""
        key, headers = read_key(request.headers.get("idempotency-key")), request.headers
        posted = PostedBody(await request.body(), headers.get("content-type"), headers.get("content-encoding"))
        answer = await self._filed(identity, posted, key=key, route=request.scope["path"])
        located = {"Location": answer.location} if answer.location else None
        kind = PROBLEM_JSON if answer.status >= 400 else "application/json"
        return Response(answer.body, status_code=answer.status, media_type=kind, headers=located)

    async def file_spelt(self, identity: Identity, body: bytes, *, key: bytes, route: str) -> Reply:
        """File what is spelt as JSON by another door than this: its `route` ends as that of a list where it is one."""
        return await self._filed(identity, PostedBody(body, "application/json", None), key=key, route=route)

    async def act(
        self,
        act: Act,
        referral_id: UUID,
        request: Request,
        /,
        *,
        identity: Identity,
        takes: type[Contract] | None = None,
    ) -> Response:
        """Do an act on a referral, with the words that are posted, which the row or `takes` names."""
        wanted = takes or act.takes
        said = None if wanted is None else read_model(wanted, await read_json(request))
        doing = self.doing(act, referral_id, said, identity=identity)
        return await self._acts.once(request, identity, act.name, roles=act.roles, act=doing)

    async def change(self, act: Act, request: Request, identity: Identity, *, wanted: Changed) -> Response:
        """Change what the party has filed."""
        doing = self.changing(wanted, identity)
        return await self._acts.once(request, identity, act.name, roles=act.roles, act=doing)

    def doing(self, act: Act, referral_id: UUID, said: Contract | None, *, identity: Identity) -> Doing:
        """What does this act within a transaction."""
        return self._doings.doing(act, referral_id, said, identity=identity)

    def changing(self, wanted: Changed, identity: Identity) -> Doing:
        """What changes a referral within a transaction."""
        return self._doings.changing(wanted, identity)

    async def raised(self, referral_id: UUID, identity: Identity) -> Sequence[ShownQuestion]:
        """What recipients have asked or contested of one referral, newest first."""
        async with self._database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            return await PostgresQuestions(session.driver).about(identity.party, referral_id)

    async def compared(self, referral_id: UUID, identity: Identity, *, reason: RevealReason) -> Sequence[Comparison]:
        """What each amendment of one referral has changed; audit is told that it was opened."""
        async with self._database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            acting = self._doings.acting(identity, session)
            said = PostgresRevisions(session.driver, self._doings.kek)
            return await compare_revisions(referral_id, acting, actor=identity.actor, reason=reason, revisions=said)

    async def looks(self, referral_id: UUID, identity: Identity) -> Sequence[ShownLook]:
        """Who of the party has opened one referral."""
        async with self._database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            return await looks_at(session.driver, self._doings.kek, party=identity.party, subject=referral_id)

    async def check(self, request: Request, identity: Identity) -> Response:
        """Say of what is posted, one or a list, what would become of it."""
        kind, encoding = request.headers.get("content-type"), request.headers.get("content-encoding")
        body = await self.checked(identity, await request.body(), kind, encoding=encoding)
        return Response(body, media_type="application/json")

    async def checked(self, identity: Identity, body: bytes, kind: str | None, *, encoding: str | None = None) -> bytes:
        """What would become of a body, by its type and encoding, whichever door it came in at: `CheckAnswer`, spelt."""
        self._authority.require("referral", identity.role, action="submit", state=Disposition.ROUTED)
        posted = Posted(body, kind, encoding, identity.party, self._clock.now())
        async with self._alarms.posted(identity.party, posted.body):
            with refused_is_owed(body, self._owed_by(identity)):
                checked = await self._checking(posted)
        self._alarms.judged(identity.party, checked.posted, checked.refused)
        self._owe(identity.party, checked.work)
        return checked.body

    async def _filed(self, identity: Identity, posted: PostedBody, *, key: bytes, route: str) -> Reply:
        async with self._alarms.posted(identity.party, posted.body):
            read = await _read(posted, route, owe=self._owed_by(identity))
        party, trace = self._intake.origin(identity.party), current_traceparent()
        submissions = [
            Submission(party, identity.role, content, trace, body_sha256=sha256, actor=identity.actor)
            for content, sha256 in zip(read.made, read.hashes, strict=True)
        ]
        return await self._intake.submit(Filed(submissions, key, read.same, not _is_list(route)))

    def _owed_by(self, identity: Identity) -> Owe:
        return partial(self._owe, identity.party)

    @asynccontextmanager
    async def reading(self, identity: Identity) -> AsyncIterator[Acting]:
        """A transaction in which the party of `identity` looks at its referrals."""
        async with self._database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            yield self._doings.acting(identity, session)


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
        async with origin.reading(identity) as acting:
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
        async with origin.reading(identity) as acting:
            return _answer(await use_cases.list_work(acting, reason=reason, cursor=cursor, limit=limit))

    @router.post(
        "/referrals/{referral_id}:withdraw", **does(WithdrawnReferral, takes=[use_cases.Withdrawal], conflict=None)
    )
    async def withdraw(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Take a referral back. What is withdrawn already is answered alike; the first reason stands."""
        return await origin.act(WITHDRAW, referral_id, request, identity=identity, takes=use_cases.Withdrawal)

    _add_later(router, origin, identified)


def _add_later(router: APIRouter, origin: OriginApi, identified: Identified) -> None:
    """What an origin does as a second person, and when something has changed, or somebody holds it."""
    who = Depends(identified)

    @router.post("/referrals/{referral_id}:release", **does(ReviewedReferral))
    async def release(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Let a referral of somebody else's go that is over its budget, or beyond the party's day."""
        return await origin.act(RELEASE, referral_id, request, identity=identity)

    @router.post("/referrals/{referral_id}:drop", **does(ReviewedReferral))
    async def drop(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Erase a referral of somebody else's instead of letting it go."""
        return await origin.act(DROP, referral_id, request, identity=identity)

    add_change_routes(router, origin, identified)
    add_check_route(router, origin, identified)
    add_override_routes(router, origin, identified)
    add_transfer_route(router, origin, identified)
    add_question_routes(router, origin, identified)


def _answer(view: Contract) -> Response:
    return Response(view.spelt(), media_type="application/json")


def _is_list(route: str) -> bool:
    return route.endswith(":batch")


async def _read(posted: PostedBody, route: str, *, owe: Owe) -> ReadList[ReferralSubmission | Refused]:
    """Each submission that is posted, or why it is none. Raises `Refused` for a body that is refused as a whole."""
    if _is_list(route):
        return await read_list(posted, "referrals", route, make=lambda _, value: parsed(value), owe=owe)
    with refused_is_owed(posted.body, owe):
        value = parse_body(posted.kind, posted.encoding, posted.body)
    same = items_hash(route, [(value, posted.body)])
    return ReadList([parsed(value)], [digest(posted.body)], same)
