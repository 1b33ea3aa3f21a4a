"""The way in over a party's own provider of OpenID Connect: out by a link, back by an address, on by a page of ours.

Out by a link, since `form-action 'self'` would stop a form whose answer leads elsewhere. Back to a page that leads on
by itself: the cookie of a session is `Strict`, so the request that comes from the provider is without it. Only the
next request, which comes from this site, can see whether the browser has another session already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shared.kernel.clock import Clock
from shared.kernel.errors import Refused, not_found
from shared.runtime.admission.principals import Principal, read_address
from shared.runtime.console import cookies
from shared.runtime.console.asked import Asked, is_loopback
from shared.runtime.console.coming import COMING_MINUTES, Coming, PendingSession
from shared.runtime.console.people import Person, Sessions

COOKIE: Final = "causeway-coming"
#: Who opens a record has proven who they are within so many minutes.
RECENT_MINUTES: Final = 15
#: A provider's clock may go so much before ours.
_AHEAD: Final = timedelta(minutes=1)


class Proof(NamedTuple):
    """Who somebody is, and when their provider last had them prove it; None where it does not say."""

    person: Person
    proven_at: datetime | None


class Elsewhere(Protocol):
    """The providers at which people of this instance's parties prove who they are."""

    def has(self, party: str) -> bool:
        """Whether people of this party come in over a provider; then they come in by nothing else."""
        ...

    async def leave_for(self, coming: Coming, back: str, *, address: Principal) -> str:
        """The address to go to; `back` is where the provider sends them after that.

        `address` is charged. Raises `Unavailable`, `BudgetExceeded`.
        """
        ...

    async def prove(self, coming: Coming, answer: Mapping[str, str], *, back: str, address: Principal) -> Proof:
        """Who came back; `address` is charged. Raises `Refused("sign_in_refused")`, `Unavailable`, `BudgetExceeded`."""
        ...


class Doorway:
    """The two addresses by which people come in. `plain` draws a page that says nothing of who asks."""

    def __init__(
        self,
        elsewhere: Elsewhere,
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
        """Off to the provider of the party in the path."""
        party = request.path_params["party"]
        if not self._elsewhere.has(party):
            raise not_found()
        asked = request.query_params
        coming = Coming.begin(party, to=asked.get("to", self._root), anew="anew" in asked, at=self._clock.now())
        address = read_address(request.scope)
        answer = RedirectResponse(await self._elsewhere.leave_for(coming, self._back(request), address=address), 303)
        answer.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        name = cookies.bound(request, COOKIE)
        cookies.put(answer, request, name, value=coming.kept, seconds=COMING_MINUTES * 60, same_site="lax")
        return answer

    async def back(self, request: Request) -> Response:
        """Begin a session for a person with a role, to be entered next; show others their own opaque name."""
        said, name = dict(request.query_params), cookies.bound(request, COOKIE)
        coming = Coming.read(request.cookies.get(name), state=said.get("state", ""), at=self._clock.now())
        address = read_address(request.scope)
        proof = await self._elsewhere.prove(coming, said, back=self._back(request), address=address)
        text = await self._sessions.begin(proof.person, proven_at=proof.proven_at)
        if await self._sessions.identify(text) is None:
            await self._sessions.end(text)
            answer = self._plain("nobody.html", 403, {"person": proof.person})
        else:
            answer = self._plain("come.html", 200, {"to": f"{self._root}/enter"})
            cookies.put_arrival(answer, request, PendingSession(text, coming.to))
        cookies.drop(answer, request, name)
        answer.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        return answer

    def require_recent(self, asked: Asked) -> None:
        """Let pass who has proven who they are a short time ago. Raises `Refused("proof_too_old")`.

        Who came in by a link has nowhere to prove it again: they pass, where their party has no provider.
        """
        if not self._elsewhere.has(asked.identity.party):
            return
        now, proven_at = self._clock.now(), asked.proven_at
        if proven_at is None or not -_AHEAD <= now - proven_at <= timedelta(minutes=RECENT_MINUTES):
            raise Refused("proof_too_old", "prove again who you are, then open it", status=403)

    def _back(self, request: Request) -> str:
        scheme = "http" if is_loopback(request) else "https"
        return f"{scheme}://{request.url.netloc}{self._root}/signed-in"
