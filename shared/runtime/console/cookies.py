"""Cookies of the console: bound to this very host by the prefix of their names, which browsers take over TLS alone."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from shared.runtime.console.asked import is_loopback
from shared.runtime.console.coming import ARRIVAL_COOKIE, COMING_MINUTES, PendingSession


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
