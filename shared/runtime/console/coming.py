"""What a browser keeps while its person is away at their provider. We keep nothing: a stranger's click costs no row.

The three values of OpenID Connect are hashes of all of it, each with a word of its own: who does not have the cookie
knows none of them, and nothing in it can be changed without changing them.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from shared.envelope.base64url import to_base64url
from shared.kernel.errors import Refused

#: So long somebody may take at their provider.
COMING_MINUTES: Final = 10
#: Where they may be sent on to: a page of ours, by its path alone.
_PATH: Final = r"/console(?:/[a-z0-9_-]+)*"
_KEPT = re.compile(
    r"(?P<secret>[A-Za-z0-9_-]{43})[.](?P<began>[0-9]{1,10})[.](?P<anew>[01])[.](?P<party>[a-z0-9.-]+)!"
    rf"(?P<to>{_PATH})"
)


@dataclass(frozen=True, slots=True)
class Coming:
    """One attempt to sign in as of `party`, on the way `to` a page; `anew` where they are to prove it again."""

    secret: str
    began: datetime
    party: str
    to: str
    anew: bool

    @classmethod
    def begin(cls, party: str, *, to: str, anew: bool, at: datetime) -> Coming:
        return cls(secrets.token_urlsafe(32), at, party, to if re.fullmatch(_PATH, to) else "/console", anew)

    @classmethod
    def read(cls, text: str | None, *, state: str, at: datetime) -> Coming:
        """Of the cookie, where it belongs to this `state`. Raises `Refused("sign_in_expired")`."""
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
        """What stands in the cookie."""
        return f"{self.secret}.{int(self.began.timestamp())}.{int(self.anew)}.{self.party}!{self.to}"

    @property
    def state(self) -> str:
        return self._named("state")

    @property
    def nonce(self) -> str:
        return self._named("nonce")

    @property
    def verifier(self) -> str:
        """Of PKCE (RFC 7636): 43 characters."""
        return self._named("verifier")

    def _named(self, word: str) -> str:
        return to_base64url(sha256(f"sign-in {word}\n{self.kept}".encode()).digest())


#: The cookie of a `PendingSession`. It is `Strict`: a request from another site has neither this cookie nor a session.
ARRIVAL_COOKIE: Final = "causeway-arrival"
_ARRIVAL: Final = re.compile(rf"(?P<session>[A-Za-z0-9_-]{{1,64}})!(?P<to>{_PATH})")


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


def expired() -> Refused:
    """The answer of a provider that fits nothing this browser has begun."""
    return Refused("sign_in_expired", "this sign-in was not begun here, or too long ago", status=400)
