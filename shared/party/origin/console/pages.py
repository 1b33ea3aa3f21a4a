"""Pages of an origin's own referrals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol
from uuid import UUID

from pydantic import JsonValue
from pydantic_core import to_json
from starlette.responses import Response

from shared.contracts.base import Contract
from shared.exchange.act import Act, Subject
from shared.exchange.origin import ReferralState
from shared.exchange.states import may_come_in, row
from shared.kernel.authority import Authority, Role
from shared.kernel.errors import Refused, not_found
from shared.party.console.filters import filters_of
from shared.party.finding import sought_in
from shared.party.origin.console import filing
from shared.party.origin.domain import AcceptedReferral, Reply
from shared.party.origin.use_cases.referrals import Acting, list_referrals, show_referral
from shared.runtime.console.asked import ONCE, Asked
from shared.runtime.console.forms import Choice, Group, Input, inputs_of, read_inputs
from shared.runtime.console.forms import problems_of as broken
from shared.runtime.console.frame import ROOT, Frame, turned_to
from shared.runtime.database.transactions import Session
from shared.runtime.http.acts import Acts
from shared.runtime.http.edge import read_key
from shared.runtime.http.identity import Identity
from shared.runtime.http.sameness import body_hash
from shared.vocabulary.referral import WithdrawalReason
from shared.vocabulary.routing import Disposition

PATH: Final = f"{ROOT}/referrals"
ROWS_OF_A_PAGE: Final = 25
#: What the API's own route is called: the same request has the same hash, whichever door it came in at.
_ROUTE: Final = "/console/referrals"
_JSON: Final = "application/json"
WITHDRAW: Final = row(Subject.REFERRAL, "withdraw")
RELEASE: Final = row(Subject.REFERRAL, "release")
DROP: Final = row(Subject.REFERRAL, "drop")

Doing = Callable[[Session], Awaitable[Contract]]


class OriginUse(Protocol):
    """The use cases of an origin, wired to its transactions: the same that its other doors have."""

    def listing(self, identity: Identity) -> AbstractAsyncContextManager[Acting]: ...

    def reading(self, identity: Identity) -> AbstractAsyncContextManager[Acting]: ...

    async def checked(self, identity: Identity, body: bytes, kind: str | None) -> bytes: ...

    async def file_alone(self, identity: Identity, body: bytes, *, key: bytes, route: str) -> Reply: ...

    def withdrawing(self, referral_id: UUID, reason: WithdrawalReason, identity: Identity) -> Doing: ...

    def reviewing(self, act: Act, referral_id: UUID, identity: Identity) -> Doing: ...


class ReferralPages:
    """What the pages do. `last` is where a page begins to listen for news."""

    def __init__(
        self,
        frame: Frame,
        use: OriginUse,
        acts: Acts,
        *,
        authority: Authority,
        last: Callable[[Identity], Awaitable[int | None]],
    ) -> None:
        self._frame = frame
        self._use = use
        self._acts = acts
        self._authority = authority
        self._last = last
        frame.get("/referrals", self._list)
        frame.get("/referrals/{id}", self._one)
        frame.post("/referrals/{id}/withdraw", self._withdraw)
        frame.post("/referrals/{id}/release", self._release)
        frame.post("/referrals/{id}/drop", self._drop)
        frame.get("/new", self._new)
        frame.post("/new", self._file)
        frame.post("/new/preview", self._preview)

    async def _list(self, asked: Asked) -> Response:
        state = asked.query("state")
        known = [each.value for each in ReferralState]
        if state is not None and state not in known:
            raise not_found()
        sought, after = sought_in(asked.query), await self._last(asked.identity)
        async with self._use.listing(asked.identity) as acting:
            page = await list_referrals(acting, sought, state=state, cursor=asked.query("cursor"), limit=ROWS_OF_A_PAGE)
            shown = [await show_referral(each.referral_id, acting) for each in page.items]
        views = {"listed": page, "shown": shown, "states": known, "state": state, "after": after}
        return self._frame.page(asked, "referrals.html", views | filters_of(asked))

    async def _one(self, asked: Asked) -> Response:
        return await self._shown(asked)

    async def _shown(self, asked: Asked, *, status: int = 200, problem: Refused | None = None) -> Response:
        after = await self._last(asked.identity)
        async with self._use.reading(asked.identity) as acting:
            found = await show_referral(asked.id(), acting)
        may = [
            act.name
            for act in (WITHDRAW, RELEASE, DROP)
            if asked.identity.role in act.roles and found.state.value in may_come_in(act)
        ]
        views = {
            "it": found,
            "may": may,
            "reasons": list(WithdrawalReason),
            "done": asked.query("done"),
            "problems": [] if problem is None else broken(problem),
            "after": after,
        }
        return self._frame.page(asked, "referral.html", views, status=status)

    async def _withdraw(self, asked: Asked) -> Response:
        try:
            reason = WithdrawalReason(asked.said("reason"))
        except ValueError:
            refusal = Refused("reason_missing", "say why you take it back", field="/reason")
            return await self._shown(asked, status=refusal.status, problem=refusal)
        return await self._done(asked, WITHDRAW, self._use.withdrawing(asked.id(), reason, asked.identity), said=reason)

    async def _release(self, asked: Asked) -> Response:
        return await self._done(asked, RELEASE, self._use.reviewing(RELEASE, asked.id(), asked.identity))

    async def _drop(self, asked: Asked) -> Response:
        return await self._done(asked, DROP, self._use.reviewing(DROP, asked.id(), asked.identity))

    async def _done(self, asked: Asked, act: Act, doing: Doing, *, said: str = "") -> Response:
        key, wanted = read_key(asked.said(ONCE)), body_hash(asked.path, said.encode())
        try:
            await self._acts.done(asked.identity, act.name, roles=act.roles, key=key, wanted=wanted, act=doing)
        except Refused as error:
            if error.status == 404 or error.code == "forbidden":
                raise
            return await self._shown(asked, status=error.status, problem=error)
        return turned_to(f"{PATH}/{asked.id()}?done={act.name}")

    def _require_filing(self, role: Role) -> None:
        self._authority.require("referral", role, action="submit", state=Disposition.ROUTED)

    async def _new(self, asked: Asked) -> Response:
        self._require_filing(asked.identity.role)
        return self._form(asked)

    async def _preview(self, asked: Asked) -> Response:
        """Where it would go: the part alone for a script, else the form with it."""
        looked = await self._looked(asked)
        if asked.wants_part:
            return self._frame.page(asked, "preview.html", {"looked": looked, "problems": _problems(looked)})
        return self._form(asked, looked=looked)

    async def _file(self, asked: Asked) -> Response:
        self._require_filing(asked.identity.role)
        if asked.said("preview"):
            return await self._preview(asked)
        key = read_key(asked.said(ONCE))
        try:
            reply = await self._use.file_alone(asked.identity, self._body(asked), key=key, route=_ROUTE)
        except Refused as error:
            if error.code == "forbidden":
                raise
            return self._form(asked, status=error.status, problems=broken(error))
        if reply.status >= 400:
            problem = filing.ToldProblem.model_validate_json(reply.body)
            return self._form(asked, status=reply.status, problems=filing.problems_of(problem))
        accepted = AcceptedReferral.model_validate_json(reply.body)
        return turned_to(f"{PATH}/{accepted.referral_id}?done=submit")

    async def _looked(self, asked: Asked) -> filing.Looked:
        answer = await self._use.checked(asked.identity, self._body(asked), _JSON)
        return filing.LookedAt.model_validate_json(answer).results[0]

    def _body(self, asked: Asked) -> bytes:
        said: dict[str, JsonValue] = read_inputs(filing.NewReferral, asked.form)
        return to_json(filing.submission(said, exercise=asked.identity.exercise))

    def _form(
        self,
        asked: Asked,
        *,
        status: int = 200,
        looked: filing.Looked | None = None,
        problems: list[tuple[str, str]] | None = None,
    ) -> Response:
        """The form, with what was filled in: it was typed by whoever it is shown to, and is kept nowhere."""
        found = problems or []
        views = {"inputs": _inputs(), "looked": looked, "problems": found, "told": _problems(looked)}
        return self._frame.page(asked, "new.html", views, status=status)


def _inputs() -> tuple[Input | Group, ...]:
    chosen = tuple(Choice(each, each.replace("_", " ").replace(":", " ")) for each in filing.classes())
    return tuple(
        each._replace(kind="select", choices=chosen) if each.path == "classification" else each
        for each in inputs_of(filing.NewReferral)
        if isinstance(each, Input)
    )


def _problems(looked: filing.Looked | None) -> list[tuple[str, str]]:
    return [] if looked is None or looked.problem is None else filing.problems_of(looked.problem)
