"""Cookies of the console: bound to this very host by the prefix of their names, which browsers take over TLS alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from shared.runtime.console.forms import is_loopback

#: So long somebody may take at their provider.
COMING_MINUTES: Final = 10
#: Where they may be sent on to: a page of ours, by its path alone.
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


#: When somebody wants to be reminded of a break: kept by their own browser, and by nobody else.
REST_COOKIE: Final = "causeway-break"
#: What may be chosen, in minutes; 0: no reminder.
MINUTES: Final = (0, 30, 50, 90)
_REST: Final = re.compile(r"(30|50|90)\.([0-9]{1,11})")


@dataclass(frozen=True, slots=True)
class Rest:
    """A reminder after so many minutes since the last break."""

    minutes: int
    since: datetime

    @classmethod
    def read(cls, cookie: str | None) -> Rest | None:
        """Of the cookie; None where nothing was chosen."""
        found = _REST.fullmatch(cookie or "")
        return None if found is None else cls(int(found[1]), datetime.fromtimestamp(int(found[2]), UTC))

    @classmethod
    def chosen(cls, said: str, at: datetime) -> Rest | None:
        """What a form says; None for no reminder, or what is no choice."""
        return cls(int(said), at) if said in {str(each) for each in MINUTES if each} else None

    @property
    def kept(self) -> str:
        """What stands in the cookie."""
        return f"{self.minutes}.{int(self.since.timestamp())}"

    def due(self, now: datetime) -> bool:
        return now - self.since >= timedelta(minutes=self.minutes)


def bound(request: Request, name: str) -> str:
    """What a cookie is called here: with the prefix, unless the page was asked for at this machine's own name."""
    return name if is_loopback(request) else f"__Host-{name}"


def put(
    answer: Response,
    request: Request,
    name: str,
    *,
    value: str,
    seconds: int,
    same_site: Literal["strict", "lax"] = "strict",
) -> None:
    """Have the browser keep it, out of reach of scripts."""
    secure = not is_loopback(request)
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite=same_site)


def drop(answer: Response, request: Request, name: str) -> None:
    """Have the browser forget it."""
    answer.delete_cookie(name, path="/", secure=not is_loopback(request))


def put_arrival(answer: Response, request: Request, arrival: PendingSession) -> None:
    """Have the browser keep a new session beside the one that it uses."""
    name = bound(request, ARRIVAL_COOKIE)
    put(answer, request, name, value=arrival.kept, seconds=COMING_MINUTES * 60)


def read_arrival(request: Request) -> PendingSession | None:
    """Read the new session that the browser keeps; None if there is none."""
    return PendingSession.read(request.cookies.get(bound(request, ARRIVAL_COOKIE)))


def drop_arrival(answer: Response, request: Request) -> None:
    """Have the browser forget the new session, if it keeps one."""
    name = bound(request, ARRIVAL_COOKIE)
    if name in request.cookies:
        drop(answer, request, name)
