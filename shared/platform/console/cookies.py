"""Cookies of the console. The prefix of their names binds them to this host; browsers accept it only over TLS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from shared.platform.console.forms import is_loopback

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
    def chosen(cls, said: str, at: datetime) -> BreakReminder | None:
        """Return the reminder that a form chose; None for no reminder and for an invalid choice."""
        return cls(int(said), at) if said in {str(each) for each in MINUTES if each} else None

    @property
    def kept(self) -> str:
        """The value of the cookie."""
        return f"{self.minutes}.{int(self.since.timestamp())}"

    def due(self, now: datetime) -> bool:
        return now - self.since >= timedelta(minutes=self.minutes)


def bound(request: Request, name: str) -> str:
    """Return the cookie's name: with the prefix; on a loopback host with its port, as all ports share cookies."""
    return f"{name}-{request.url.port}".removesuffix("-None") if is_loopback(request) else f"__Host-{name}"


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
    secure = not is_loopback(request)
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite=same_site)


def drop(answer: Response, request: Request, name: str) -> None:
    """Delete a cookie in the browser."""
    answer.delete_cookie(name, path="/", secure=not is_loopback(request))


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
