"""The frame of a console: routes under /console, access checks, error pages and static files."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shared.core.authority import Role
from shared.core.canonical import digest
from shared.core.clock import Clock
from shared.core.codes import find_remedy
from shared.core.errors import CausewayError, Refused, RetryLater, Unavailable, not_found
from shared.platform.admission.budgets import Principal, note_principal
from shared.platform.console import forms as posted
from shared.platform.console import oidc_login
from shared.platform.console.accounts import SESSION_HOURS, LinkSignIn, Sessions, SignedInUser
from shared.platform.console.forms import PageInput, SignInTooOld
from shared.platform.console.oidc_login import (
    MINUTES,
    REST_COOKIE,
    BreakReminder,
    IdentityProvider,
    OidcLogin,
    PendingSession,
)
from shared.platform.console.rendering import environment
from shared.platform.http.edge import log_refusal
from shared.platform.http.identity import announced_bytes
from shared.platform.http.problems import RETRY_AFTER_S, status_of

ROOT: Final = "/console"
COOKIE: Final = "causeway"
#: The cookie that turns keyboard shortcuts off.
KEYS_OFF: Final = "causeway-keys-off"
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The console's own forms state their page; other sites get no referrer.
    "Referrer-Policy": "same-origin",
}
_YEAR_S: Final = 31_536_000
_STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

#: Refusals that are logged although their answer is neither 401 nor 403.
_DENIALS: Final = frozenset({"forbidden", "sign_in_expired"})

Handler = Callable[[PageInput], Awaitable[Response]]


class NavEntry(NamedTuple):
    """A line of the menu, for the roles that may open its page."""

    title: str
    path: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class ConsoleAccess:
    """Access to a console: sign-in by link, sessions, and the charge of a request.

    `elsewhere` are the identity providers of parties that have one.
    """

    sessions: Sessions
    sign_in: LinkSignIn
    charge: Callable[[Principal, int], None]
    clock: Clock
    elsewhere: IdentityProvider


class Frame:
    """Pages of one service. `title` names it; `menu` lists its pages; `folders` hold its templates."""

    def __init__(self, gate: ConsoleAccess, title: str, menu: Sequence[NavEntry], *, folders: Sequence[Path]) -> None:
        self._gate = gate
        self._title = title
        self._menu = menu
        self._templates = environment(*folders)
        files = {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.suffix in _TYPES}
        self._files = files
        self._named = {name: f"{ROOT}/static/{digest(body)[:12]}/{name}" for name, body in files.items()}
        self.router = APIRouter(include_in_schema=False)
        self._add("/static/{digest}/{name}", self._static, "GET")
        self._add("/in/{link}", self._ask_in, "GET")
        self._add("/in/{link}", self._let_in, "POST")
        self._doorway = OidcLogin(gate.elsewhere, gate.sessions, gate.clock, plain=self.plain, root=ROOT)
        self._add("/sign-in/{party}", self._doorway.leave, "GET")
        self._add("/signed-in", self._doorway.back, "GET")
        self._add("/enter", self._enter, "GET")
        self.post("/switch", self._switch)
        self._add("/blank", partial(self._shown, "blank.html"), "GET")
        self._add("/left", partial(self._shown, "stranger.html"), "GET")
        self.get("", self._home)
        self.get("/settings", self._settings)
        self.post("/settings", self._set)
        self.get("/break", self._break)
        self.post("/break", self._go_on)
        self.post("/out", partial(self._left_for, "left"))
        # "Exit at once" ends the session and shows a page that does not name the console.
        self.post("/exit", partial(self._left_for, "blank"))

    def get(self, path: str, handler: Handler) -> None:
        """Add a page below /console."""
        self._add(path, self._guarded(handler, form=False), "GET")

    def post(self, path: str, handler: Handler, *, again: Handler | None = None) -> None:
        """Add the target of a form.

        `again` shows the form with the typed text if the same person was shown it in a session that has ended. It
        changes nothing.
        """
        self._add(path, self._guarded(handler, form=True, again=again), "POST")

    def stream(self, path: str, handler: Handler) -> None:
        """Add a path that a page's script polls. It keeps no session alive, and checks the session again at the end."""

        async def until_then(request: PageInput) -> Response:
            answer = await handler(request)
            now = await self._gate.sessions.identify(self._session(request.request), seen=False)
            # The handler may have waited long, so the session and the role are checked again.
            return answer if now is not None and now.identity == request.identity else self.plain("stranger.html", 401)

        self._add(path, self._guarded(until_then, form=False, seen=False), "GET")

    def closed(self) -> APIRouter:
        """Return the routes. The last ones answer any method on every other path below /console as not found."""
        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
        self.router.add_route(f"{ROOT}/{{rest:path}}", self._lost, methods, include_in_schema=False)
        self.router.add_route(f"{ROOT}", self._lost, methods, include_in_schema=False)
        return self.router

    def page(
        self, request: PageInput, name: str, views: Mapping[str, object] = MappingProxyType({}), *, status: int = 200
    ) -> Response:
        """Render a page of the signed-in person with these views."""
        rest = self._rest(request.request)
        common = {
            "rest": rest,
            "rest_due": rest is not None and rest.due(self._gate.clock.now()),
            "asked": request,
            "identity": request.identity,
            "menu": [entry for entry in self._menu if request.identity.role in entry.roles],
            "keys": KEYS_OFF not in request.request.cookies,
            "once": secrets.token_urlsafe(16),
        }
        return self.plain(name, status, common | dict(views))

    def plain(self, template: str, status: int, views: Mapping[str, object] = MappingProxyType({})) -> Response:
        """Render a page with these views alone. Without views, every caller gets the same bytes."""
        known = {"title": self._title, "files": self._named, "root": ROOT, "now": self._gate.clock.now()}
        text = self._templates.get_template(template).render(known | dict(views))
        return Response(text, status_code=status, media_type="text/html", headers=dict(HEADERS))

    def _add(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str) -> None:
        async def answered(request: Request) -> Response:
            try:
                return await endpoint(request)
            except (Refused, Unavailable) as error:
                if error.code in _DENIALS:
                    log_refusal(request.scope, HTTPStatus.FORBIDDEN)
                return self._failed(error)

        self.router.add_route(f"{ROOT}{path}", answered, [method], include_in_schema=False)

    def _guarded(
        self, handler: Handler, *, form: bool, seen: bool = True, again: Handler | None = None
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            session = self._session(request)
            signed = await self._gate.sessions.identify(session, seen=seen)
            if signed is None or session is None:
                return self.plain("stranger.html", 401, {"typed": again is not None})
            identity = signed.identity
            note_principal(request.scope, identity.principal)
            self._gate.charge(identity.principal, announced_bytes(request))
            page_input = self._input(request, session, signed)
            if not form:
                return await handler(page_input)
            body = await posted.read_body(request)
            answering = handler if posted.is_of_session(body, session) else again
            if answering is None or (answering is again and not posted.is_of_person(body, identity.actor)):
                raise posted.foreign()
            page_input = replace(page_input, form=await posted.parse_form(body))
            try:
                return await answering(page_input)
            except SignInTooOld as error:
                return self._ask_again(page_input, error)

        return endpoint

    def _input(self, request: Request, session: str, signed: SignedInUser) -> PageInput:
        csrf, has_recent_sign_in = posted.csrf_of(session), self._doorway.is_recent(signed)
        return PageInput(request, signed.identity, csrf, has_recent_sign_in=has_recent_sign_in, name=signed.name)

    def _ask_again(self, request: PageInput, error: SignInTooOld) -> Response:
        """Ask the person to sign in again, and lead back to the page of the subject that the form is about."""
        subject = request.request.path_params.get("id")
        to = ROOT if subject is None else f"{request.path.partition(f'/{subject}')[0]}/{subject}"
        return self.page(request, "sign_in_again.html", {"error": error, "to": to}, status=error.status)

    def _failed(self, error: CausewayError) -> Response:
        # Missing, forbidden and other parties' objects have byte-equal answers, so that a caller cannot probe for them.
        if isinstance(error, Refused) and (error.status == 404 or error.code == "forbidden"):
            return self.plain("not_found.html", 404)
        answer = self.plain("error.html", status_of(error), {"error": error, "remedy": find_remedy(error.code)})
        if isinstance(error, RetryLater):
            answer.headers.update(error.headers)
        elif isinstance(error, Unavailable):
            answer.headers["Retry-After"] = str(RETRY_AFTER_S)
        return answer

    async def _lost(self, _: Request) -> Response:
        return self._failed(not_found())

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        body = self._files.get(name)
        if body is None or self._named[name] != request.url.path:
            raise not_found()
        kind = _TYPES[Path(name).suffix]
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(body, media_type=kind, headers=dict(HEADERS) | kept)

    async def _ask_in(self, request: Request) -> Response:
        """Ask the person to click. A GET alone, such as that of a mail filter, does not use the link."""
        person = await self._gate.sign_in.invited(request)
        return self.plain("sign_in.html", 200, {"path": request.url.path, "party": person and person.party})

    async def _let_in(self, request: Request) -> Response:
        posted.require_ours(request)
        person = await self._gate.sign_in.sign_in(request)
        if person is None or self._gate.elsewhere.has(person.party):
            return self.plain("stranger.html", 401)
        return await self._admit(request, PendingSession(await self._gate.sessions.begin(person), ROOT))

    async def _enter(self, request: Request) -> Response:
        arrival = oidc_login.read_arrival(request)
        return turned_to(ROOT) if arrival is None else await self._admit(request, arrival)

    async def _admit(self, request: Request, arrival: PendingSession) -> Response:
        """Use a new session, or ask first if this browser has a session of another person or party."""
        new = await self._gate.sessions.identify(arrival.session, seen=False)
        if new is None:
            return self.plain("stranger.html", 401)
        session = self._session(request)
        old = await self._gate.sessions.identify(session, seen=False)
        if session is None or old is None or (old.identity.party, old.name) == (new.identity.party, new.name):
            return self._entered(request, arrival)
        page_input = self._input(request, session, old)
        answer = self.page(page_input, "switch.html", {"new": new.identity, "arrival": posted.csrf_of(arrival.session)})
        oidc_login.put_arrival(answer, request, arrival)
        return answer

    async def _switch(self, request: PageInput) -> Response:
        """End one of two sessions, as the person chose: the present one, or the new one.

        If another sign-in has replaced the new session since the page was shown, the page is shown again.
        """
        arrival = oidc_login.read_arrival(request.request)
        if arrival is not None and request.said("choice") == "switch":
            is_shown = hmac.compare_digest(request.said("arrival").encode(), posted.csrf_of(arrival.session).encode())
            if not is_shown or await self._gate.sessions.identify(arrival.session, seen=False) is None:
                return await self._admit(request.request, arrival)
            await self._end(request)
            return self._entered(request.request, arrival)
        answer = turned_to(ROOT)
        if arrival is not None:
            await self._gate.sessions.end(arrival.session)
            oidc_login.drop_arrival(answer, request.request)
        return answer

    def _entered(self, request: Request, arrival: PendingSession) -> Response:
        answer = turned_to(arrival.to)
        self._open_to(answer, request, arrival.session)
        oidc_login.drop_arrival(answer, request)
        return answer

    async def _home(self, request: PageInput) -> Response:
        first = next((entry.path for entry in self._menu if request.identity.role in entry.roles), None)
        return turned_to(first) if first else self.page(request, "nothing_here.html", status=403)

    async def _settings(self, request: PageInput) -> Response:
        return self.page(request, "settings.html", {"choices": MINUTES, "name": request.name})

    async def _set(self, request: PageInput) -> Response:
        reply = turned_to(f"{ROOT}/settings")
        if "break" in request.form:
            self._keep_rest(reply, request.request, BreakReminder.chosen(request.said("break"), self._gate.clock.now()))
        elif request.said("keys") == "on":
            reply.delete_cookie(KEYS_OFF, path="/")
        else:
            oidc_login.put(reply, request.request, KEYS_OFF, value="1", seconds=_YEAR_S)
        return reply

    async def _break(self, request: PageInput) -> Response:
        return self.page(request, "break.html")

    async def _go_on(self, request: PageInput) -> Response:
        """Count the next reminder from the end of the break."""
        answer, rest = turned_to(ROOT), self._rest(request.request)
        self._keep_rest(answer, request.request, rest and replace(rest, since=self._gate.clock.now()))
        return answer

    def _rest(self, request: Request) -> BreakReminder | None:
        return BreakReminder.read(request.cookies.get(REST_COOKIE))

    def _keep_rest(self, answer: Response, request: Request, rest: BreakReminder | None) -> None:
        if rest is None:
            oidc_login.drop(answer, request, REST_COOKIE)
        else:
            oidc_login.put(answer, request, REST_COOKIE, value=rest.kept, seconds=_YEAR_S)

    async def _shown(self, template: str, _: Request) -> Response:
        return self.plain(template, 200)

    async def _left_for(self, page: str, request: PageInput) -> Response:
        answer = turned_to(f"{ROOT}/{page}")
        await self._end(request)
        oidc_login.drop(answer, request.request, oidc_login.bound(request.request, COOKIE))
        return answer

    async def _end(self, request: PageInput) -> None:
        session = self._session(request.request)
        assert session is not None
        await self._gate.sessions.end(session)

    def _session(self, request: Request) -> str | None:
        return request.cookies.get(oidc_login.bound(request, COOKIE))

    def _open_to(self, answer: Response, request: Request, session: str) -> None:
        """Set the session's cookie, for this host only."""
        oidc_login.put(answer, request, oidc_login.bound(request, COOKIE), value=session, seconds=SESSION_HOURS * 3600)
        if (rest := self._rest(request)) is not None:
            self._keep_rest(answer, request, replace(rest, since=self._gate.clock.now()))


def turned_to(path: str) -> Response:
    """Redirect to a path with a GET, so that a reload repeats no act."""
    return RedirectResponse(path, 303, headers=dict(HEADERS))
