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
from shared.core.errors import Refused, not_found
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
from shared.platform.http.problems import InvalidFields, problem_body

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

    async def _list(self, asked: PageInput) -> Response:
        known = [each.value for each in ReferralState]
        state = chosen_state(asked, known)
        sought, after = sought_in(asked.query), await self.last(asked.identity)
        async with self.use.reading(asked.identity) as acting:
            below = asked.query("cursor")
            page = await acting.referrals.page(acting.party, sought, state=state, cursor=below, limit=ROWS_OF_A_PAGE)
            ticks = await acting.referrals.ticked(page.items)
        views = {"listed": page, "ticks": ticks, "states": known, "state": state, "after": after}
        return self.frame.page(asked, "referrals.html", views | filters_of(asked))

    async def _reveal(self, asked: PageInput) -> Response:
        """Show the changes of each amendment, for a reason that is sent to audit."""
        reason = read_reason(asked)
        if (unproven := self.frame.unproven(asked, f"{PATH}/{asked.id()}")) is not None:
            return unproven
        async with self.use.reading(asked.identity) as acting:
            compared = await compare_revisions(asked.id(), acting, reason=reason)
        return await self._shown(asked, compared=compared)

    async def _shown(
        self,
        asked: PageInput,
        *,
        status: int = 200,
        problem: Refused | None = None,
        compared: Sequence[RevisionDiff] | None = None,
    ) -> Response:
        after = await self.last(asked.identity)
        async with self.use.reading(asked.identity) as acting:
            found = await show_referral(asked.id(), acting)
            directory = acting.directory()
            raised = await PostgresQuestions(acting.referrals.driver).about(acting.party, asked.id())
            looks = await acting.referrals.looks_at(acting.party, asked.id())
        kinds = {each.recipient: party.kind for each in found.edges if (party := directory.party(each.recipient))}
        forms = acting_forms(found, raised, asked.identity.role, kinds=kinds)
        refused = None if problem is None else asked.said("form")
        sent = next((each.inputs for each in forms if each.key == refused), ())
        views = {
            "it": found,
            "told": in_order(found),
            "raised": raised,
            "forms": forms,
            "may_amend": may_amend(found, asked.identity.role),
            "done": asked.query("done"),
            "problems": [] if problem is None else broken(problem, sent),
            "labels": labels_of(sent),
            "refused": refused,
            "after": after if compared is None else None,
            "compared": compared,
            "looks": looks,
            "reasons": list(RevealReason),
        }
        return self.frame.page(asked, "referral.html", views, status=status)

    async def _act(self, asked: PageInput) -> Response:
        """Do one act, once for the form that it was sent from."""
        act = chosen_act(asked, {each.name: each for each in FORMS})
        try:
            said = read_said(FORMS[act], asked)
            await self._do(asked, act, self._doing(act, asked, said), body=spelt(said))
        except Refused as error:
            if error.status == 404 or error.code == "forbidden":
                raise
            return await self._shown(asked, status=error.status, problem=error)
        return turned_to(f"{PATH}/{asked.id()}?done={act.name}")

    def _doing(self, act: Act, asked: PageInput, said: Contract | None) -> Doing:
        if not isinstance(said, Rerouting):
            return partial(self.use.done, act, asked.id(), said=said, identity=asked.identity)

        async def reroute(acting: Actor) -> AmendedReferral:
            return await reroute_referral(asked.id(), said, acting, body_sha256=digest(said.spelt()))

        return partial(self.use.changed, reroute, asked.identity)

    async def _do(self, asked: PageInput, act: Act, doing: Doing, *, body: bytes) -> None:
        await done_once(asked, self.use.serving.acts, act.name, doing=doing, roles=act.roles, body=body)

    async def _amend(self, asked: PageInput) -> Response:
        """Amend a referral by the filled-in fields. The other fields stay, and the form does not show them."""
        told: dict[str, JsonValue] = read_inputs(Amendment, asked.form)
        revision = asked.said("revision")

        async def amend(acting: Actor) -> AmendedReferral:
            follows = int(revision) if revision.isascii() and revision.isdecimal() and len(revision) < 5 else 0
            return await amend_in_part(asked.id(), lambda stands: amended(stands, told), acting, revision=follows)

        try:
            doing = partial(self.use.changed, amend, asked.identity)
            await self._do(asked, AMEND, doing, body=f"{revision}\n{to_json(told).decode()}".encode())
        except Refused as error:
            if error.status == 404 or error.code == "forbidden":
                raise
            return await self._amendment(asked, status=error.status, problem=error)
        return turned_to(f"{PATH}/{asked.id()}?done={AMEND.name}")

    async def _amendment(
        self, asked: PageInput, *, status: int = 200, problem: Refused | None = None, again: bool = False
    ) -> Response:
        async with self.use.reading(asked.identity) as acting:
            found = await show_referral(asked.id(), acting)
        if not may_amend(found, asked.identity.role):
            raise not_found()
        problems = [] if problem is None else _of_amendment(problem)
        inputs = _inputs(Amendment)
        views = {"it": found, "inputs": inputs, "labels": labels_of(inputs), "problems": problems, "again": again}
        return self.frame.page(asked, "amend.html", views, status=status)

    async def _new(self, asked: PageInput) -> Response:
        self.use.require_filing(asked.identity)
        return self._form(asked)

    async def _preview(self, asked: PageInput) -> Response:
        """Show the recipients: only that part for a script, else the form with it."""
        looked = await self._looked(asked)
        if asked.wants_part:
            views = {
                "looked": looked,
                "problems": _problems(looked),
                "labels": labels_of(_inputs(pages.NewReferral)),
            }
            return self.frame.page(asked, "preview.html", views)
        return self._form(asked, looked=looked)

    async def _file(self, asked: PageInput) -> Response:
        self.use.require_filing(asked.identity)
        if asked.said("preview"):
            return await self._preview(asked)
        key = read_key(asked.said(ONCE))
        try:
            reply = await self.use.file_spelt(asked.identity, self._body(asked), key=key, route=_ROUTE)
        except Refused as error:
            if error.code == "forbidden":
                raise
            return self._form(asked, status=error.status, problems=broken(error, _inputs(pages.NewReferral)))
        if reply.status >= 400:
            return self._form(asked, status=reply.status, problems=pages.problems_of(pages.read_problem(reply.body)))
        return turned_to(f"{PATH}/{AcceptedReferral.model_validate_json(reply.body).referral_id}?done=submit")

    async def _file_again(self, asked: PageInput) -> Response:
        self.use.require_filing(asked.identity)
        return self._form(asked, status=409, again=True)

    async def _looked(self, asked: PageInput) -> pages.Looked:
        answer = await self.use.checked(asked.identity, self._body(asked), _JSON)
        return CheckAnswer.model_validate_json(answer).results[0]

    def _body(self, asked: PageInput) -> bytes:
        said: dict[str, JsonValue] = read_inputs(pages.NewReferral, asked.form)
        return to_json(pages.submission(said, exercise=asked.identity.exercise))

    def _form(
        self,
        asked: PageInput,
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
        return self.frame.page(asked, "new.html", views | {"told": _problems(looked)}, status=status)


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
    said = [(edge.recipient, told) for edge in it.edges for told in edge.timeline]
    return sorted(said, key=lambda each: each[1].at)
