"""Handlers of an origin's acts for HTTP and the console: each use case in a transaction of the acting party."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Never, cast
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.core.acts.act import Act, Subject
from shared.core.acts.catalog import Feature
from shared.core.acts.states import row
from shared.core.canonical import digest
from shared.core.contracts.base import Contract
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.guard import parse_body
from shared.core.protocol.origin import ReferralState
from shared.core.protocol.prepare import Documents
from shared.core.vocabulary.routing import Disposition
from shared.features.events.api import RouteContext
from shared.features.filing import rules
from shared.features.filing.api import bodies
from shared.features.filing.api.bodies import parsed
from shared.features.filing.api.checking import Checking, CheckRequest
from shared.features.filing.ports import AnswerFollower
from shared.features.filing.rules import Request as Filed
from shared.features.filing.service import answers
from shared.features.filing.service.alarms import AlarmKind, Alarms
from shared.features.filing.service.answers import DROP, RELEASE
from shared.features.filing.service.intake import Intake
from shared.features.filing.service.redecide import SentAgain
from shared.features.filing.service.referrals import Actor, EdgesChanged, Withdrawal, show_referral, withdraw_referral
from shared.features.filing.store.referrals import PostgresReferrals
from shared.features.search.api import Finding
from shared.platform.database.transactions import Session
from shared.platform.http.acts import items_hash
from shared.platform.http.batches import ReadList, RequestBody, read_list, refused_is_owed
from shared.platform.http.edge import read_json, read_key, read_model
from shared.platform.http.identity import IdentifiedRoute, Identity
from shared.platform.http.openapi import does, shows
from shared.platform.http.paging import Cursor, Limit
from shared.platform.http.problems import PROBLEM_JSON, Problem
from shared.platform.observability.telemetry import current_traceparent

#: The work of an act within its transaction.
Doing = Callable[[Session], Awaitable[Contract]]
#: A feature's follower of the answers in a transaction, by the documents now and the time.
Follow = Callable[[asyncpg.Connection, Callable[[], Documents], datetime], AnswerFollower]
#: The work of a change within its transaction.
Changed = Callable[[Actor], Awaitable[rules.AmendedReferral]]


class OriginFeature(NamedTuple):
    """The parts that a feature adds to an origin: its routes, its acts, and its steps.

    `acts` has a use case for each type of body. It gets the referral, the body and the actor. `feature`: its messages,
    if they are not of the core. `schema`: the file of its tables and permissions, if it has its own. `edges_changed` is
    its step after an amendment, `sent_again` that for edges that are sent again. `follow` returns its follower of the
    answers in a transaction, by the documents now and the time.
    """

    routes: Callable[[APIRouter, OriginApi, Identity], None]
    acts: Mapping[type[Contract], Callable[[UUID, Never, Actor], Awaitable[Contract]]]
    edges_changed: EdgesChanged | None = None
    feature: Feature | None = None
    schema: Path | None = None
    follow: Follow | None = None
    sent_again: SentAgain | None = None


class ActRoute(NamedTuple):
    """The route of an act on a referral: its answer, its description, and its body with the use case, if it has one."""

    act: Act
    answer: type[Contract]
    description: str
    takes: type[Contract] | None = None
    use: Callable[[UUID, Never, Actor], Awaitable[Contract]] | None = None
    conflict: type[Problem] | None = Problem


def feature_of(*acts: ActRoute) -> OriginFeature:
    """Return the feature with the routes of these acts."""

    def add(router: APIRouter, origin: OriginApi, who: Identity) -> None:
        for each in acts:
            add_act(router, origin, who, route=each)

    uses = {each.takes: each.use for each in acts if each.takes is not None and each.use is not None}
    return OriginFeature(add, uses)


def add_act(router: APIRouter, origin: OriginApi, who: Identity, *, route: ActRoute) -> None:
    """Add the route of an act."""
    act, takes = route.act, route.takes
    described = does(route.answer, takes=[] if takes is None else [takes], conflict=route.conflict)
    path = f"/referrals/{{referral_id}}:{act.name.replace('_', '-')}"

    @router.post(path, name=act.name, description=route.description, **described)
    async def handle(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        return await origin.act(act, referral_id, request, identity=identity, takes=takes)


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginApi:
    """The handlers of an origin's requests, the same for HTTP and the console of every service.

    `then` returns the documents in force at a given time, as known now. Without it, the current documents are used.
    `features` add their routes and acts on referrals.
    """

    serving: RouteContext
    intake: Intake
    checking: Checking
    alarms: Alarms
    documents: Callable[[], Documents]
    instance: str
    then: Callable[[datetime], Documents] | None = None
    features: Sequence[OriginFeature] = ()

    async def file(self, request: Request, identity: Identity) -> Response:
        """File the posted body: a list if the path says so, else one referral."""
        key, headers = read_key(request.headers.get("idempotency-key")), request.headers
        posted = RequestBody(await request.body(), headers.get("content-type"), headers.get("content-encoding"))
        answer = await self._filed(identity, posted, key=key, route=request.scope["path"])
        located = {"Location": answer.location} if answer.location else None
        kind = PROBLEM_JSON if answer.status >= 400 else "application/json"
        return Response(answer.body, status_code=answer.status, media_type=kind, headers=located)

    async def file_spelt(self, identity: Identity, body: bytes, *, key: bytes, route: str) -> rules.HttpReply:
        """File JSON from another interface, such as the console. The `route` of a list ends as the API's does."""
        return await self._filed(identity, RequestBody(body, "application/json", None), key=key, route=route)

    async def act(
        self, act: Act, referral_id: UUID, request: Request, *, identity: Identity, takes: type[Contract] | None = None
    ) -> Response:
        """Do an act on a referral, once for the request's idempotency key.

        The body has the type that the act's row or `takes` names.
        """
        wanted = takes or act.takes
        said = None if wanted is None else read_model(wanted, await read_json(request))
        doing = partial(self.done, act, referral_id, said=said, identity=identity)
        return await self.serving.acts.once(request, identity, act.name, roles=act.roles, act=doing)

    async def change(self, act: Act, request: Request, identity: Identity, *, wanted: Changed) -> Response:
        """Change a referral of the party, once for the request's idempotency key."""
        doing = partial(self.changed, wanted, identity)
        return await self.serving.acts.once(request, identity, act.name, roles=act.roles, act=doing)

    async def done(
        self, act: Act, referral_id: UUID, session: Session, *, said: Contract | None, identity: Identity
    ) -> Contract:
        """Do this act within a transaction, with the body `said`."""
        acting = self.acting(identity, session)
        for feature in self.features:
            if said is not None and (use := feature.acts.get(type(said))) is not None:
                return await use(referral_id, cast("Never", said), acting)
        return await _do(act, referral_id, said, acting=acting)

    async def changed(self, wanted: Changed, identity: Identity, session: Session) -> Contract:
        """Change a referral within a transaction."""
        return await wanted(self.acting(identity, session))

    def require_filing(self, identity: Identity) -> None:
        """Check that the role may file. Raises `Refused("forbidden")`."""
        self.serving.authority.require("referral", identity.role, action="submit", state=Disposition.ROUTED)

    async def check(self, request: Request, identity: Identity) -> Response:
        """Return the results that filing the posted referrals would have."""
        kind, encoding = request.headers.get("content-type"), request.headers.get("content-encoding")
        body = await self.checked(identity, await request.body(), kind, encoding=encoding)
        return Response(body, media_type="application/json")

    async def checked(self, identity: Identity, body: bytes, kind: str | None, *, encoding: str | None = None) -> bytes:
        """Check a body of this type and encoding, and return the JSON of `CheckAnswer`."""
        self.require_filing(identity)
        posted = CheckRequest(body, kind, encoding, identity.party, self.serving.clock.now(), identity.actor)
        async with self.alarms.posted(identity.party, posted.body):
            with refused_is_owed(body, partial(self.serving.owe, identity.principal)):
                checked = await self.checking(posted)
        self.alarms.judged(identity.party, checked.posted, checked.refused)
        self.serving.owe(identity.principal, checked.work)
        return checked.body

    @asynccontextmanager
    async def reading(self, identity: Identity) -> AsyncIterator[Actor]:
        """Open a transaction in which the party of `identity` reads its referrals. Raises `Refused("forbidden")`."""
        async with self.serving.reading(identity) as session:
            acting = self.acting(identity, session)
            acting.require("read")
            yield acting

    def acting(self, identity: Identity, session: Session) -> Actor:
        """Return the actor and stores of a transaction."""
        return Actor(
            party=identity.party,
            role=identity.role,
            actor=identity.actor,
            referrals=PostgresReferrals(session.driver, self.serving.kek),
            kek=self.serving.kek,
            authority=self.serving.authority,
            directory=self.serving.directory,
            documents=self.documents,
            then=self.then or (lambda _: self.documents()),
            instance=self.instance,
            at=self.serving.clock.now(),
            day_filled=partial(self.alarms.alarm, identity.party, AlarmKind.DAY_FILLED),
            owe=partial(self.serving.owe, identity.principal),
            edges_changed=[each.edges_changed for each in self.features if each.edges_changed is not None],
        )

    async def _filed(self, identity: Identity, posted: RequestBody, *, key: bytes, route: str) -> rules.HttpReply:
        is_list = route.endswith(":batch")
        async with self.alarms.posted(identity.party, posted.body):
            read = await self._read(posted, route, identity, is_list=is_list)
        party, trace = self.intake.origin(identity.party), current_traceparent()
        submissions = [
            rules.Submission(party, identity.role, content, trace, body_sha256=sha256, actor=identity.actor)
            for content, sha256 in zip(read.made, read.hashes, strict=True)
        ]
        return await self.intake.submit(Filed(submissions, key, read.same, not is_list))

    async def _read(
        self, posted: RequestBody, route: str, identity: Identity, *, is_list: bool
    ) -> ReadList[ReferralSubmission | Refused]:
        """Read each posted submission, or its refusal. Raises `Refused` if the body is refused as a whole."""
        owe = partial(self.serving.owe, identity.principal)
        if is_list:
            return await read_list(posted, "referrals", route, make=lambda _, value: parsed(value), owe=owe)
        with refused_is_owed(posted.body, owe):
            value = parse_body(posted.kind, posted.encoding, posted.body)
        same = items_hash(route, [(value, posted.body)])
        return ReadList([parsed(value)], [digest(posted.body)], same)


async def _do(act: Act, referral_id: UUID, said: Contract | None, *, acting: Actor) -> Contract:
    """Do an act of filing. An act without a body is a release or a drop by a second person."""
    match said:
        case Withdrawal():
            await withdraw_referral(referral_id, said.reason, acting)
            return rules.WithdrawnReferral(referral_id=referral_id, state="withdrawn")
        case _:
            review = {answers.RELEASE: answers.release_referral, answers.DROP: answers.drop_referral}[act]
            return rules.ReviewedReferral(
                referral_id=referral_id, state=ReferralState(await review(referral_id, acting))
            )


#: Declarations of the filing routes.
_FILES_ONE: Final = does(
    rules.AcceptedReferral, takes=[ReferralSubmission], conflict=bodies.ReferenceTaken, location=True
) | {
    "name": "submit",
    "description": "File one referral. 202 means that it is stored here, not that a recipient has received it.",
}
_FILES_MANY: Final = does(bodies.BatchAnswer, takes=[bodies.ReferralBatch], status=200, conflict=None) | {
    "name": "submit_batch",
    "description": "File up to 100 referrals. Each has its own result; a refused one does not affect the others.",
}


def _add_filing(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    @router.post("/referrals:batch", **_FILES_MANY)
    @router.post("/referrals", **_FILES_ONE)
    async def files(request: Request, identity: Identity = who) -> Response:
        return await origin.file(request, identity)


def referrals_router(origin: OriginApi) -> APIRouter:
    """Return the routes under /v1/referrals and /v1/work. Those for filing skip the search for parameters."""
    router = APIRouter(prefix="/v1", tags=["referrals"], route_class=IdentifiedRoute)
    who = Depends(origin.serving.identified)
    _add_filing(router, origin, who)

    @router.post("/referrals:check", **shows(bodies.CheckAnswer, takes=[ReferralSubmission, bodies.ReferralBatch]))
    async def check(request: Request, identity: Identity = who) -> Response:
        """Check referrals without storing anything. Return refusals, or each referral's recipients with the reasons."""
        return await origin.check(request, identity)

    @router.get("/referrals", **shows(rules.ReferralPage))
    async def page(
        sought: Finding,
        identity: Identity = who,
        state: ReferralState | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """List the party's referrals, newest first. With `party`, a page may be short although more pages follow."""
        async with origin.reading(identity) as acting:
            page = acting.referrals.page(acting.party, sought, state=state, cursor=cursor, limit=limit)
            return _answer(await page)

    @router.get("/referrals/{referral_id}", **shows(rules.ShownReferral))
    async def show(referral_id: UUID, identity: Identity = who) -> Response:
        """Show one referral with its three ticks: accepted, delivered, acknowledged."""
        async with origin.reading(identity) as acting:
            return _answer(await show_referral(referral_id, acting))

    @router.get("/work", **shows(rules.WorkPage))
    async def work(
        identity: Identity = who, reason: rules.ListReason | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """List referrals that did not reach every recipient, each with the reason."""
        async with origin.reading(identity) as acting:
            return _answer(await acting.referrals.work(acting.party, reason=reason, cursor=cursor, limit=limit))

    for act in _ACTS:
        add_act(router, origin, who, route=act)
    for feature in origin.features:
        feature.routes(router, origin, who)
    return router


#: The acts of filing: the withdrawal, and the second review.
_ACTS: Final = (
    ActRoute(
        row(Subject.REFERRAL, "withdraw"),
        rules.WithdrawnReferral,
        "Withdraw a referral. A repetition gets the same answer, and the first reason remains.",
        takes=Withdrawal,
        conflict=None,
    ),
    ActRoute(
        RELEASE,
        rules.ReviewedReferral,
        "Release another person's referral that is above its budget or above the daily quota.",
    ),
    ActRoute(DROP, rules.ReviewedReferral, "Erase another person's referral instead of releasing it."),
)


def _answer(view: Contract) -> Response:
    return Response(view.spelt(), media_type="application/json")
