"""Pages of an origin's own referrals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydantic import BaseModel, JsonValue
from pydantic_core import to_json
from starlette.responses import Response

from shared.core.acts.act import Act
from shared.core.canonical import digest
from shared.core.contracts.base import Contract
from shared.core.errors import InvalidFields, Refused, not_found
from shared.core.protocol.origin import ReferralState
from shared.core.protocol.revision_diff import RevisionDiff
from shared.core.vocabulary.reveal import RevealReason
from shared.features.amendments.pages import Amendment, amended
from shared.features.amendments.service import Rerouting, amend_in_part, compare_revisions, reroute_referral
from shared.features.dialogues.store import PostgresQuestions
from shared.features.events.pages import chosen_act, chosen_state, done_once, read_reason, read_said, spelt
from shared.features.filing import pages
from shared.features.filing.api.act_handlers import Doing, OriginApi
from shared.features.filing.api.bodies import CheckAnswer, CheckRefused
from shared.features.filing.rules import AcceptedReferral, AmendedReferral, GivenAnswer, ShownReferral
from shared.features.filing.service.referrals import Actor, show_referral
from shared.features.search.api import filters_of, sought_in
from shared.features.workspace.pages.act_forms import AMEND, FORMS, may_amend
from shared.features.workspace.pages.act_forms import forms_of as acting_forms
from shared.platform.console.forms import ONCE, Choice, FieldGroup, Input, PageInput, inputs_of, labels_of, read_inputs
from shared.platform.console.forms import problems_of as broken
from shared.platform.console.frame import ROOT, Frame, turned_to
from shared.platform.http.edge import read_key
from shared.platform.http.identity import Identity
from shared.platform.http.problems import problem_body

PATH: Final = f"{ROOT}/referrals"
ROWS_OF_A_PAGE: Final = 25
#: A route name for the hash of the request, independent of the form's path.
_ROUTE: Final = "/console/referrals"
_JSON: Final = "application/json"


@dataclass(eq=False)
class ReferralPages:
    """The handlers of the referral pages. `last` is the event number after which a page listens for news."""

    frame: Frame
    use: OriginApi
    last: Callable[[Identity], Awaitable[int | None]]

    def __post_init__(self) -> None:
        frame = self.frame
        frame.get("/referrals", self._list)
        frame.get("/referrals/{id}", self._shown)
        frame.post("/referrals/{id}/act/{act}", self._act)
        frame.post("/referrals/{id}/reveal", self._reveal)
        frame.get("/referrals/{id}/amend", self._amendment)
        frame.post("/referrals/{id}/amend", self._amend, again=partial(self._amendment, status=409, again=True))
        frame.get("/new", self._new)
        frame.post("/new", self._file, again=self._file_again)
        frame.post("/new/preview", self._preview)

    async def _list(self, request: PageInput) -> Response:
        known = [each.value for each in ReferralState]
        state = chosen_state(request, known)
        sought, after = sought_in(request.query), await self.last(request.identity)
        async with self.use.reading(request.identity) as acting:
            below = request.query("cursor")
            page = await acting.referrals.page(acting.party, sought, state=state, cursor=below, limit=ROWS_OF_A_PAGE)
            ticks = await acting.referrals.ticked(page.items)
        views = {"listed": page, "ticks": ticks, "states": known, "state": state, "after": after}
        return self.frame.page(request, "referrals.html", views | filters_of(request))

    async def _reveal(self, request: PageInput) -> Response:
        """Show the changes of each amendment, for a reason that is sent to audit."""
        reason = read_reason(request)
        async with self.use.reading(request.identity) as acting:
            compared = await compare_revisions(request.id(), acting, reason=reason)
        return await self._shown(request, compared=compared)

    async def _shown(
        self,
        request: PageInput,
        *,
        status: int = 200,
        problem: Refused | None = None,
        compared: Sequence[RevisionDiff] | None = None,
    ) -> Response:
        after = await self.last(request.identity)
        async with self.use.reading(request.identity) as acting:
            found = await show_referral(request.id(), acting)
            directory = acting.directory()
            raised = await PostgresQuestions(acting.referrals.driver).about(acting.party, request.id())
            looks = await acting.referrals.looks_at(acting.party, request.id())
        kinds = {each.recipient: party.kind for each in found.edges if (party := directory.party(each.recipient))}
        forms = acting_forms(found, raised, request.identity.role, kinds=kinds)
        refused = None if problem is None else request.said("form")
        sent = next((each.inputs for each in forms if each.key == refused), ())
        views = {
            "it": found,
            "told": in_order(found),
            "raised": raised,
            "forms": forms,
            "may_amend": may_amend(found, request.identity.role),
            "done": request.query("done"),
            "problems": [] if problem is None else broken(problem, sent),
            "labels": labels_of(sent),
            "refused": refused,
            "after": after if compared is None else None,
            "compared": compared,
            "looks": looks,
            "reasons": list(RevealReason),
        }
        return self.frame.page(request, "referral.html", views, status=status)

    async def _act(self, request: PageInput) -> Response:
        """Do one act, once for the form that it was sent from."""
        act = chosen_act(request, {each.name: each for each in FORMS})
        try:
            said = read_said(FORMS[act], request)
            await self._do(request, act, self._doing(act, request, said), body=spelt(said))
        except Refused as error:
            if error.status == 404 or error.code == "forbidden":
                raise
            return await self._shown(request, status=error.status, problem=error)
        return turned_to(f"{PATH}/{request.id()}?done={act.name}")

    def _doing(self, act: Act, request: PageInput, said: Contract | None) -> Doing:
        if not isinstance(said, Rerouting):
            return partial(self.use.done, act, request.id(), said=said, identity=request.identity)

        async def reroute(acting: Actor) -> AmendedReferral:
            return await reroute_referral(request.id(), said, acting, body_sha256=digest(said.spelt()))

        return partial(self.use.changed, reroute, request.identity)

    async def _do(self, request: PageInput, act: Act, doing: Doing, *, body: bytes) -> None:
        await done_once(request, self.use.serving.acts, act.name, doing=doing, roles=act.roles, body=body)

    async def _amend(self, request: PageInput) -> Response:
        """Amend a referral by the filled-in fields. The other fields stay, and the form does not show them."""
        values: dict[str, JsonValue] = read_inputs(Amendment, request.form)
        revision = request.said("revision")

        async def amend(acting: Actor) -> AmendedReferral:
            follows = int(revision) if revision.isascii() and revision.isdecimal() and len(revision) < 5 else 0
            return await amend_in_part(request.id(), lambda current: amended(current, values), acting, revision=follows)

        try:
            doing = partial(self.use.changed, amend, request.identity)
            await self._do(request, AMEND, doing, body=f"{revision}\n{to_json(values).decode()}".encode())
        except Refused as error:
            if error.status == 404 or error.code == "forbidden":
                raise
            return await self._amendment(request, status=error.status, problem=error)
        return turned_to(f"{PATH}/{request.id()}?done={AMEND.name}")

    async def _amendment(
        self, request: PageInput, *, status: int = 200, problem: Refused | None = None, again: bool = False
    ) -> Response:
        async with self.use.reading(request.identity) as acting:
            found = await show_referral(request.id(), acting)
        if not may_amend(found, request.identity.role):
            raise not_found()
        problems = [] if problem is None else _of_amendment(problem)
        inputs = _inputs(Amendment)
        views = {"it": found, "inputs": inputs, "labels": labels_of(inputs), "problems": problems, "again": again}
        return self.frame.page(request, "amend.html", views, status=status)

    async def _new(self, request: PageInput) -> Response:
        self.use.require_filing(request.identity)
        return self._form(request)

    async def _preview(self, request: PageInput) -> Response:
        """Show the recipients: only that part for a script, else the form with it."""
        looked = await self._looked(request)
        if request.wants_part:
            views = {
                "looked": looked,
                "problems": _problems(looked),
                "labels": labels_of(_inputs(pages.NewReferral)),
                "stored": pages.stored_lines(read_inputs(pages.NewReferral, request.form)),
            }
            return self.frame.page(request, "preview.html", views)
        return self._form(request, looked=looked)

    async def _file(self, request: PageInput) -> Response:
        self.use.require_filing(request.identity)
        if request.said("preview"):
            return await self._preview(request)
        key = read_key(request.said(ONCE))
        try:
            reply = await self.use.file_spelt(request.identity, self._body(request), key=key, route=_ROUTE)
        except Refused as error:
            if error.code == "forbidden":
                raise
            return self._form(request, status=error.status, problems=broken(error, _inputs(pages.NewReferral)))
        if reply.status >= 400:
            return self._form(request, status=reply.status, problems=pages.problems_of(pages.read_problem(reply.body)))
        return turned_to(f"{PATH}/{AcceptedReferral.model_validate_json(reply.body).referral_id}?done=submit")

    async def _file_again(self, request: PageInput) -> Response:
        self.use.require_filing(request.identity)
        return self._form(request, status=409, again=True)

    async def _looked(self, request: PageInput) -> pages.Looked:
        answer = await self.use.checked(request.identity, self._body(request), _JSON)
        return CheckAnswer.model_validate_json(answer).results[0]

    def _body(self, request: PageInput) -> bytes:
        values: dict[str, JsonValue] = read_inputs(pages.NewReferral, request.form)
        return to_json(pages.submission(values, exercise=request.identity.exercise))

    def _form(
        self,
        request: PageInput,
        *,
        status: int = 200,
        looked: pages.Looked | None = None,
        problems: list[tuple[str, str]] | None = None,
        again: bool = False,
    ) -> Response:
        """Return the form with the values that this person typed. They are not stored."""
        found = problems or []
        inputs = _inputs(pages.NewReferral)
        views = {"inputs": inputs, "labels": labels_of(inputs), "looked": looked, "problems": found, "again": again}
        stored = pages.stored_lines(read_inputs(pages.NewReferral, request.form))
        return self.frame.page(
            request, "new.html", views | {"told": _problems(looked), "stored": stored}, status=status
        )


def _inputs(model: type[BaseModel]) -> tuple[Input | FieldGroup, ...]:
    chosen = tuple(Choice(each, each.replace("_", " ").replace(":", " ")) for each in pages.classes())
    return tuple(
        each._replace(kind="select", choices=chosen) if each.path == "classification" else each
        for each in inputs_of(model)
        if isinstance(each, Input)
    )


def _problems(looked: pages.Looked | None) -> list[tuple[str, str]]:
    return pages.problems_of(looked.problem) if isinstance(looked, CheckRefused) else []


def _of_amendment(problem: Refused) -> list[tuple[str, str]]:
    """Return the errors of an amendment, by form field."""
    if not isinstance(problem, InvalidFields):
        return broken(problem, _inputs(Amendment))
    return pages.problems_of(problem_body(problem), lines=False)


def in_order(it: ShownReferral) -> list[tuple[str, GivenAnswer]]:
    """Return the recipients' answers, each with its recipient, in the order of time."""
    answers = [(edge.recipient, answer) for edge in it.edges for answer in edge.timeline]
    return sorted(answers, key=lambda each: each[1].at)
