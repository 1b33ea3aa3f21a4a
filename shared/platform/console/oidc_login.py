"""Sign-in at a party's own OpenID Connect provider.

The person leaves by a link, because `form-action 'self'` would block a form whose answer redirects to another site. The
provider sends the browser back to a page that redirects at once. The session's cookie is `Strict`, so the request from
the provider does not carry it. Only the next request, which comes from this site, shows whether the browser already has
another session.

The browser stores the attempt in a cookie and the service stores nothing, so an anonymous click costs no row. The three
values of OpenID Connect (state, nonce, verifier) are hashes of the whole attempt, each with its own label. A client
without the cookie knows none of them, and a change in the cookie changes all of them.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shared.core.clock import Clock
from shared.core.envelope.base64url import to_base64url
from shared.core.errors import Refused, not_found
from shared.platform.admission.budgets import Principal, read_address
from shared.platform.console import cookies
from shared.platform.console.accounts import Person, Sessions
from shared.platform.console.cookies import COMING_MINUTES, PATH, PendingSession
from shared.platform.console.forms import PageInput, is_loopback

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
        asked = request.query_params
        coming = LoginState.begin(party, to=asked.get("to", self._root), anew="anew" in asked, at=self._clock.now())
        address = read_address(request.scope)
        answer = RedirectResponse(await self._elsewhere.leave_for(coming, self._back(request), address=address), 303)
        answer.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        name = cookies.bound(request, COOKIE)
        cookies.put(answer, request, name, value=coming.kept, seconds=COMING_MINUTES * 60, same_site="lax")
        return answer

    async def back(self, request: Request) -> Response:
        """Begin a session for a person with a role, for the next request to enter. Show others their opaque name."""
        said, name = dict(request.query_params), cookies.bound(request, COOKIE)
        coming = LoginState.read(request.cookies.get(name), state=said.get("state", ""), at=self._clock.now())
        address = read_address(request.scope)
        proof = await self._elsewhere.prove(coming, said, back=self._back(request), address=address)
        text = await self._sessions.begin(proof.person, authenticated_at=proof.authenticated_at)
        if await self._sessions.identify(text) is None:
            await self._sessions.end(text)
            answer = self._plain("nobody.html", 403, {"person": proof.person})
        else:
            answer = self._plain("come.html", 200, {"to": f"{self._root}/enter"})
            cookies.put_arrival(answer, request, PendingSession(text, coming.to))
        cookies.drop(answer, request, name)
        answer.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        return answer

    def require_recent(self, asked: PageInput) -> None:
        """Check that the person signed in at their provider a short time ago. Raises `Refused("proof_too_old")`.

        A person of a party without a provider signed in by a link and always passes.
        """
        if not self._elsewhere.has(asked.identity.party):
            return
        now, authenticated_at = self._clock.now(), asked.authenticated_at
        if authenticated_at is None or not -_AHEAD <= now - authenticated_at <= timedelta(minutes=RECENT_MINUTES):
            raise Refused("proof_too_old", "sign in again, then open the record", status=403)

    def _back(self, request: Request) -> str:
        scheme = "http" if is_loopback(request) else "https"
        return f"{scheme}://{request.url.netloc}{self._root}/signed-in"


def expired() -> Refused:
    """Return the error for a provider's answer that matches no attempt of this browser."""
    return Refused("sign_in_expired", "this browser did not begin this sign-in, or began it too long ago", status=400)
