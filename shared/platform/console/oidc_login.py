"""Sign-in to a console by the party's identity provider, and the cookies of a console."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, Literal, NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shared.core.clock import Clock
from shared.core.envelope.base64url import to_base64url
from shared.core.errors import Refused, not_found
from shared.platform.admission.budgets import Principal, read_address
from shared.platform.console.accounts import Person, Sessions, SignedInUser

#: The time that a person has to sign in at the identity provider.
COMING_MINUTES: Final = 10

#: The allowed target after sign-in: the path of a console page.
PATH: Final = r"/console(?:/[a-z0-9_-]+)*"

#: The cookie of a `PendingSession`. It is `Strict`: a request from another site has neither this cookie nor a session.
ARRIVAL_COOKIE: Final = "causeway-arrival"

_ARRIVAL: Final = re.compile(rf"(?P<session>[A-Za-z0-9_-]{{1,64}})!(?P<to>{PATH})")


class PendingSession(NamedTuple):
    """A new session that this browser does not use yet, and the page `to` which it leads."""

    session: str
    to: str

    @classmethod
    def read(cls, text: str | None) -> PendingSession | None:
        """Parse the cookie; None for a missing or malformed one."""
        found = _ARRIVAL.fullmatch(text or "")
        return None if found is None else cls(found["session"], found["to"])

    @property
    def kept(self) -> str:
        """The value of the cookie."""
        return f"{self.session}!{self.to}"


#: The person's choice of break reminders. Only their own browser stores it.
REST_COOKIE: Final = "causeway-break"

#: The choices, in minutes; 0: no reminder.
MINUTES: Final = (0, 30, 50, 90)

_REST: Final = re.compile(r"(30|50|90)\.([0-9]{1,11})")


@dataclass(frozen=True, slots=True)
class BreakReminder:
    """A reminder that is due a number of minutes after the last break."""

    minutes: int
    since: datetime

    @classmethod
    def read(cls, cookie: str | None) -> BreakReminder | None:
        """Parse the cookie; None if the person has not chosen a reminder."""
        found = _REST.fullmatch(cookie or "")
        return None if found is None else cls(int(found[1]), datetime.fromtimestamp(int(found[2]), UTC))

    @classmethod
    def chosen(cls, text: str, at: datetime) -> BreakReminder | None:
        """Return the reminder that a form chose; None for no reminder and for an invalid choice."""
        return cls(int(text), at) if text in {str(each) for each in MINUTES if each} else None

    @property
    def kept(self) -> str:
        """The value of the cookie."""
        return f"{self.minutes}.{int(self.since.timestamp())}"

    def due(self, now: datetime) -> bool:
        return now - self.since >= timedelta(minutes=self.minutes)


def bound(request: Request, name: str) -> str:
    """Return the cookie's name: with the prefix; on a site without TLS with its port, as all ports share cookies."""
    return f"__Host-{name}" if _has_tls(request) else f"{name}-{request.url.port}".removesuffix("-None")


def _has_tls(request: Request) -> bool:
    """Return whether browsers reach the site by https. Its settings say so, never the request's headers."""
    return request.url.scheme == "https"


def put(
    answer: Response,
    request: Request,
    name: str,
    *,
    value: str,
    seconds: int,
    same_site: Literal["strict", "lax"] = "strict",
) -> None:
    """Set a cookie that scripts cannot read."""
    secure = _has_tls(request)
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite=same_site)


def drop(answer: Response, request: Request, name: str) -> None:
    """Delete a cookie in the browser."""
    answer.delete_cookie(name, path="/", secure=_has_tls(request))


def put_arrival(answer: Response, request: Request, arrival: PendingSession) -> None:
    """Store a new session in the browser, in addition to the session that it uses."""
    put(answer, request, bound(request, ARRIVAL_COOKIE), value=arrival.kept, seconds=COMING_MINUTES * 60)


def read_arrival(request: Request) -> PendingSession | None:
    """Return the new session that the browser stores; None if there is none."""
    return PendingSession.read(request.cookies.get(bound(request, ARRIVAL_COOKIE)))


def drop_arrival(answer: Response, request: Request) -> None:
    """Delete the new session in the browser, if there is one."""
    name = bound(request, ARRIVAL_COOKIE)
    if name in request.cookies:
        drop(answer, request, name)


COOKIE: Final = "causeway-coming"

#: A person who opens a record must have signed in at the provider within this time.
RECENT_MINUTES: Final = 15

#: A provider's clock may be ahead of this service's clock by this time.
_AHEAD: Final = timedelta(minutes=1)

_KEPT = re.compile(
    r"(?P<secret>[A-Za-z0-9_-]{43})[.](?P<began>[0-9]{1,10})[.](?P<anew>[01])[.](?P<party>[a-z0-9.-]+)!"
    rf"(?P<to>{PATH})"
)


@dataclass(frozen=True, slots=True)
class LoginState:
    """One attempt to sign in for `party` and open the page `to`. `anew` asks the provider to authenticate again."""

    secret: str
    began: datetime
    party: str
    to: str
    anew: bool

    @classmethod
    def begin(cls, party: str, *, to: str, anew: bool, at: datetime) -> LoginState:
        return cls(secrets.token_urlsafe(32), at, party, to if re.fullmatch(PATH, to) else "/console", anew)

    @classmethod
    def read(cls, text: str | None, *, state: str, at: datetime) -> LoginState:
        """Parse the cookie and check its `state` and age. Raises `Refused("sign_in_expired")`."""
        found = _KEPT.fullmatch(text or "")
        if found is None:
            raise expired()
        began = datetime.fromtimestamp(int(found["began"]), UTC)
        coming = cls(found["secret"], began, found["party"], found["to"], found["anew"] == "1")
        in_time = timedelta(0) <= at - began + timedelta(seconds=1) <= timedelta(minutes=COMING_MINUTES)
        if not in_time or not hmac.compare_digest(coming.state.encode(), state.encode()):
            raise expired()
        return coming

    @property
    def kept(self) -> str:
        """The value of the cookie."""
        return f"{self.secret}.{int(self.began.timestamp())}.{int(self.anew)}.{self.party}!{self.to}"

    @property
    def state(self) -> str:
        return self._named("state")

    @property
    def nonce(self) -> str:
        return self._named("nonce")

    @property
    def verifier(self) -> str:
        """The code verifier of PKCE (RFC 7636): 43 characters."""
        return self._named("verifier")

    def _named(self, word: str) -> str:
        return to_base64url(sha256(f"sign-in {word}\n{self.kept}".encode()).digest())


class Proof(NamedTuple):
    """A person, and the time when the provider last authenticated them; None if it does not say."""

    person: Person
    authenticated_at: datetime | None


class IdentityProvider(Protocol):
    """The identity providers of this instance's parties."""

    def has(self, party: str) -> bool:
        """Return whether the party has a provider. Its people can then sign in only there."""
        ...

    async def leave_for(self, coming: LoginState, back: str, *, address: Principal) -> str:
        """Return the provider's address for the sign-in; the provider then redirects to `back`.

        `address` is charged. Raises `Unavailable`, `BudgetExceeded`.
        """
        ...

    async def prove(self, coming: LoginState, answer: Mapping[str, str], *, back: str, address: Principal) -> Proof:
        """Return the person that the provider's answer proves. `address` is charged.

        Raises `Refused("sign_in_refused")`, `Unavailable`, `BudgetExceeded`.
        """
        ...


class OidcLogin:
    """The two routes of a sign-in at a provider. `plain` renders a page without data of the caller."""

    def __init__(
        self,
        elsewhere: IdentityProvider,
        sessions: Sessions,
        clock: Clock,
        *,
        plain: Callable[[str, int, Mapping[str, object]], Response],
        root: str,
    ) -> None:
        self._elsewhere = elsewhere
        self._sessions = sessions
        self._clock = clock
        self._plain = plain
        self._root = root

    async def leave(self, request: Request) -> Response:
        """Redirect to the provider of the party in the path."""
        party = request.path_params["party"]
        if not self._elsewhere.has(party):
            raise not_found()
        query = request.query_params
        coming = LoginState.begin(party, to=query.get("to", self._root), anew="anew" in query, at=self._clock.now())
        address = read_address(request.scope)
        answer = RedirectResponse(await self._elsewhere.leave_for(coming, self._back(request), address=address), 303)
        answer.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        name = bound(request, COOKIE)
        put(answer, request, name, value=coming.kept, seconds=COMING_MINUTES * 60, same_site="lax")
        return answer

    async def back(self, request: Request) -> Response:
        """Begin a session for a person with a role, for the next request to enter. Show others their opaque name."""
        query, name = dict(request.query_params), bound(request, COOKIE)
        coming = LoginState.read(request.cookies.get(name), state=query.get("state", ""), at=self._clock.now())
        address = read_address(request.scope)
        proof = await self._elsewhere.prove(coming, query, back=self._back(request), address=address)
        text = await self._sessions.begin(proof.person, authenticated_at=proof.authenticated_at)
        if await self._sessions.identify(text) is None:
            await self._sessions.end(text)
            answer = self._plain("nobody.html", 403, {"person": proof.person})
        else:
            answer = self._plain("come.html", 200, {"to": f"{self._root}/enter"})
            put_arrival(answer, request, PendingSession(text, coming.to))
        drop(answer, request, name)
        answer.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        return answer

    def is_recent(self, user: SignedInUser) -> bool:
        """Return whether the person signed in at their provider a short time ago.

        A person of a party without a provider signed in by a link and always passes.
        """
        if not self._elsewhere.has(user.identity.party):
            return True
        at = user.authenticated_at
        return at is not None and -_AHEAD <= self._clock.now() - at <= timedelta(minutes=RECENT_MINUTES)

    def _back(self, request: Request) -> str:
        return f"{request.url.scheme}://{request.url.netloc}{self._root}/signed-in"


def expired() -> Refused:
    """Return the error for a provider's answer that matches no attempt of this browser."""
    return Refused("sign_in_expired", "this browser did not begin this sign-in, or began it too long ago", status=400)
