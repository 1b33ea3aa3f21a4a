"""What a page is asked: by whom, with which query and form; and whether the request comes from a page of ours."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit
from uuid import UUID

from starlette.requests import Request

from shared.envelope.base64url import to_base64url
from shared.kernel.errors import Refused, not_found
from shared.runtime.http.identity import Identity

FORM_TYPE: Final = "application/x-www-form-urlencoded"
FIELDS_MAX: Final = 400
#: A large form is decoded in pieces with a rest after each: a piece takes about a millisecond.
PIECE_BYTES: Final = 8_192
PIECE_REST_S: Final = 0.002
#: The fields of a form that are ours: against forgery, and so that a second click does nothing more.
CSRF: Final = "csrf"
ONCE: Final = "once"
#: Who was shown a form that outlives its session, by their opaque name.
WHOSE: Final = "whose"
#: Hosts that are this machine: there is no TLS there, and a cookie may come without.
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

Form = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of somebody who has signed in. `form` is empty but for a POST; `csrf` is what its forms carry.

    `proven_at` is when their provider last had them prove who they are; None where nothing says so. `name` is theirs
    towards whoever gives roles.
    """

    request: Request
    identity: Identity
    csrf: str
    form: Form = field(default_factory=dict)
    proven_at: datetime | None = None
    name: str = ""

    @property
    def path(self) -> str:
        return self.request.url.path

    def id(self, name: str = "id") -> UUID:
        """The id in the path. What is none is not there."""
        try:
            return UUID(self.request.path_params[name])
        except ValueError:
            raise not_found() from None

    def query(self, name: str) -> str | None:
        """A parameter; None where it is left out or empty."""
        return self.request.query_params.get(name) or None

    def said(self, name: str) -> str:
        """A field of the form; empty where it is not there."""
        return next(iter(self.form.get(name, ())), "").strip()

    @property
    def wants_part(self) -> bool:
        """Whether our own script asks: then an answer may be less than a page."""
        return self.request.headers.get("hx-request") == "true"


def is_loopback(request: Request) -> bool:
    """Whether the page's own address is this machine, by the name that it was asked under."""
    return urlsplit(f"//{request.headers.get('host', '')}").hostname in _LOOPBACK


def csrf_of(session: str) -> str:
    """What the forms of a session carry: whoever does not have its cookie cannot know it."""
    return to_base64url(hashlib.sha256(f"csrf\n{session}".encode()).digest())


async def read_body(request: Request) -> bytes:
    """Read the body of a form, not parsed. Raises `Refused("form_foreign")` for a form of another site."""
    require_ours(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise Refused("form_type", f"send {FORM_TYPE}", status=415)
    return await request.body()


def is_of_session(body: bytes, session: str) -> bool:
    """Whether the form was shown to this very session. Only the token is read of the body."""
    return hmac.compare_digest(_raw_field(body, CSRF), csrf_of(session).encode())


def is_of_person(body: bytes, actor: str) -> bool:
    """Whether the form was shown to this person in any session, so that its text may be shown again."""
    return hmac.compare_digest(_raw_field(body, WHOSE), actor.encode())


async def parse_form(body: bytes) -> Form:
    """Parse the fields of a form in short pieces, so that a large form does not hold the event loop."""
    if body.count(b"&") >= FIELDS_MAX:
        raise _malformed()
    form: dict[str, list[str]] = {}
    done = 0
    for field_bytes in body.split(b"&") if body else ():
        done += len(field_bytes)
        if done >= PIECE_BYTES:
            done = 0
            await asyncio.sleep(PIECE_REST_S)
        name, separator, value = field_bytes.partition(b"=")
        if not separator:
            raise _malformed()
        form.setdefault(await _unquote(name), []).append(await _unquote(value))
    return form


async def _unquote(text: bytes) -> str:
    pieces, start = [], 0
    while start < len(text):
        end = start + PIECE_BYTES
        # An escape of three bytes belongs to one piece.
        cut = text.rfind(b"%", end - 2, end) if end < len(text) else -1
        end = end if cut < 0 else cut
        pieces.append(unquote_to_bytes(text[start:end].replace(b"+", b" ")))
        start = end
        if start < len(text):
            await asyncio.sleep(PIECE_REST_S)
    try:
        return b"".join(pieces).decode()
    except UnicodeDecodeError:
        raise _malformed() from None


def _raw_field(body: bytes, name: str) -> bytes:
    """Find the value of a field that needs no escapes, empty if it is missing."""
    marker = f"{name}=".encode()
    start = 0 if body.startswith(marker) else body.find(b"&" + marker) + 1
    if not body.startswith(marker, start):
        return b""
    start += len(marker)
    end = body.find(b"&", start)
    return body[start : len(body) if end < 0 else end]


def _malformed() -> Refused:
    return Refused("form_malformed", f"at most {FIELDS_MAX} fields of text", status=400)


def require_ours(request: Request) -> None:
    """By what the browser says of where a request comes from: one that says nothing is refused, `form_foreign`."""
    origin = urlsplit(request.headers.get("origin", ""))
    schemes = ("http", "https") if is_loopback(request) else ("https",)
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or origin.scheme not in schemes or origin.netloc != request.headers.get("host"):
        raise foreign()


def foreign() -> Refused:
    """What is said of a form that is not of this session."""
    return Refused("form_foreign", "open the page anew and send its form from there", status=403)
