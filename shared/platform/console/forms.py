"""Requests of console pages, and the form of an act, which is built from the fields of the act's model.

A request has a signed-in person, a query and a form. A new act needs no template.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Final, Literal, NamedTuple, Union, get_args, get_origin
from urllib.parse import unquote_to_bytes, urlsplit
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, JsonValue
from starlette.requests import Request

from shared.core.codes import ERRORS, RULES, find_remedy
from shared.core.envelope.base64url import to_base64url
from shared.core.errors import InvalidFields, Refused, not_found
from shared.platform.console.rendering import written_code
from shared.platform.http.identity import Identity

FORM_TYPE: Final = "application/x-www-form-urlencoded"
FIELDS_MAX: Final = 400
#: A large form is decoded in pieces, with a pause after each. A piece takes about a millisecond.
PIECE_BYTES: Final = 8_192
PIECE_REST_S: Final = 0.002
#: The console's own fields of a form: one against forgery, and one that makes a second click harmless.
CSRF: Final = "csrf"
ONCE: Final = "once"
#: The field with the opaque name of the person who was shown the form. It serves a form that outlives its session.
WHOSE: Final = "whose"

Form = Mapping[str, Sequence[str]]


class SignInTooOld(Refused):
    """An act or a record that needs a recent sign-in. The frame answers with a link to sign in again."""


@dataclass(frozen=True, slots=True)
class PageInput:
    """One request of a signed-in person. `form` is empty except for a POST; `csrf` is the token for the page's forms.

    `has_recent_sign_in`: the person signed in a short time ago. `name` is the opaque name that an administrator uses to
    grant roles.
    """

    request: Request
    identity: Identity
    csrf: str
    form: Form = field(default_factory=dict)
    has_recent_sign_in: bool = False
    name: str = ""

    @property
    def path(self) -> str:
        return self.request.url.path

    def id(self, name: str = "id") -> UUID:
        """Return the id in the path. A malformed id is answered as not found."""
        try:
            return UUID(self.request.path_params[name])
        except ValueError:
            raise not_found() from None

    def require_recent_sign_in(self) -> None:
        """Raise `SignInTooOld` if the person did not sign in a short time ago."""
        if not self.has_recent_sign_in:
            raise SignInTooOld("proof_too_old", "sign in again, then repeat the act", status=403)

    def query(self, name: str) -> str | None:
        """Return a query parameter; None if it is missing or empty."""
        return self.request.query_params.get(name) or None

    def said(self, name: str) -> str:
        """Return a field of the form; empty if it is missing."""
        return next(iter(self.form.get(name, ())), "").strip()

    @property
    def wants_part(self) -> bool:
        """Whether the page's script sent the request. The answer may then be a part of a page."""
        return self.request.headers.get("hx-request") == "true"


def csrf_of(session: str) -> str:
    """Return the token that a session's forms carry. It cannot be computed without the session's cookie."""
    return to_base64url(hashlib.sha256(f"csrf\n{session}".encode()).digest())


async def read_body(request: Request) -> bytes:
    """Return the unparsed body of a form. Raises `Refused("form_foreign")` for a form of another site."""
    require_ours(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise Refused("form_type", f"send {FORM_TYPE}", status=415)
    return await request.body()


def is_of_session(body: bytes, session: str) -> bool:
    """Return whether the form was shown to this session. Only the token is read from the body."""
    return hmac.compare_digest(_raw_field(body, CSRF), csrf_of(session).encode())


def is_of_person(body: bytes, actor: str) -> bool:
    """Return whether the form was shown to this person in any session, so that its text may be shown again."""
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
    """Check the origin that the browser states for the request. Raises `Refused("form_foreign")`, also without one."""
    origin = urlsplit(request.headers.get("origin", ""))
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or origin.scheme != request.url.scheme or origin.netloc != request.headers.get("host"):
        raise foreign()


def foreign() -> Refused:
    """Return the error for a form that was not shown to this session."""
    return Refused("form_foreign", "open the page again and send its form from there", status=403)


#: Empty rows of a list whose length is not known in advance.
ROWS: Final = 3
_TICK: Final = "this"
#: The rule for characters that a field does not accept. Its `expected` is a text in words, or a pattern.
_CHARACTERS, _A_PATTERN = "string_pattern_mismatch", "the pattern "
#: Labels of fields that differ from the fields' names.
_LABELS: Final = {"n": "Item number"}
#: The item number for answers that apply to every item. No item has it.
ALIKE: Final = 0


class Choice(NamedTuple):
    """One value of a list, with its label."""

    value: str
    shown: str


class Input(NamedTuple):
    """One field to fill in. `kind` is select, checks, text, lines, number, date, time or flag.

    `path` is the name of the form field, such as `items.0.outcome`: an error's JSON pointer with dots.
    """

    path: str
    label: str
    kind: str
    required: bool
    choices: tuple[Choice, ...] = ()
    value: str = ""
    hint: str = ""


class FieldGroup(NamedTuple):
    """Inputs that belong together: a model in a model, or one row of a list. `fixed` are its hidden inputs."""

    path: str
    label: str
    inputs: tuple[Input | FieldGroup, ...]
    fixed: tuple[Input, ...] = ()
    #: The name of the checkbox that makes an empty row count; empty if the row has none.
    tick: str = ""


def inputs_of(model: type[BaseModel] | None, *, rows: Sequence[int] = ()) -> tuple[Input | FieldGroup, ...]:
    """Return the inputs of a form for `model`. `rows` are the numbers of the items that get a row in each list.

    The number `ALIKE` alone is one row, which applies to every item.
    """
    return () if model is None else tuple(_inputs(model, "", rows))


def read_inputs(model: type[BaseModel], form: Form) -> dict[str, JsonValue]:
    """Return the filled-in fields as JSON for `model`, without the empty ones."""
    return _read(model, "", form) or {}


def labels_of(inputs: Iterable[Input | FieldGroup]) -> dict[str, str]:
    """Return the label of each input and group by its path. A group's label precedes that of its inputs."""
    found: dict[str, str] = {}
    for each in inputs:
        found[each.path] = each.label
        if isinstance(each, FieldGroup):
            found |= {path: f"{each.label}, {label}" for path, label in labels_of(each.inputs).items()}
    return found


def problems_of(error: Refused, inputs: Sequence[Input | FieldGroup] = ()) -> list[tuple[str, str]]:
    """Return the problems as pairs: the path of one of the `inputs`, and the rule with its remedy, never the value.

    The path is empty if the error concerns none of the inputs.
    """
    if isinstance(error, InvalidFields):
        problems = [(_path(each["field"]), said_of(each["rule"], each.get("expected"))) for each in error.errors]
    else:
        problems = [(_path(error.field or ""), refused_as(error.code, error.detail))]
    known = labels_of(inputs)
    return [(_nearest(path, known) if known else path, text) for path, text in problems]


def refused_as(code: str, detail: str) -> str:
    """Return the text of a refusal: the error, its code and the remedy."""
    remedy = find_remedy(code)
    helps = f" {remedy}" if remedy else ""
    return f"{detail or written_code(code)} ({code}).{helps}"


def _nearest(path: str, known: Mapping[str, str]) -> str:
    """Return the known path nearest to `path`: itself, the closest one above it, or the first one below it."""
    above = [each for each in known if f"{path}.".startswith(f"{each}.")]
    below = [each for each in known if path and each.startswith(f"{path}.")]
    return max(above, key=len, default=next(iter(below), ""))


def _path(pointer: str) -> str:
    return pointer.strip("/").replace("/", ".")


def said_of(rule: str, expected: str | None) -> str:
    """Return the text for a broken rule, without the value."""
    if rule == "missing":
        return "Fill this in"
    if rule == _CHARACTERS:
        return f"Write {expected}" if expected and not expected.startswith(_A_PATTERN) else RULES[rule]
    if (entry := ERRORS.get(rule)) is not None:
        return f"{entry.cause} {entry.remedy}"
    named = written_code(rule).capitalize()
    return f"{named}: expected {expected}" if expected else RULES.get(rule, named)


def _inputs(model: type[BaseModel], under: str, rows: Sequence[int]) -> Iterator[Input | FieldGroup]:
    for name, info in model.model_fields.items():
        path, label = f"{under}{name}", info.title or _LABELS.get(name) or written_code(name).capitalize()
        kind, entry = _kind(info.annotation)
        required = info.is_required()
        if isinstance(entry, type) and issubclass(entry, BaseModel) and kind == "list":
            yield from _rows(entry, path, label, rows=rows)
        elif isinstance(entry, type) and issubclass(entry, BaseModel):
            yield FieldGroup(path, label, tuple(_inputs(entry, f"{path}.", rows)))
        elif kind == "list":
            choices = _choices(entry)
            yield Input(path, label, "checks" if choices else "lines", required, choices, hint=info.description or "")
        else:
            default = info.default if isinstance(info.default, Enum | int) and not required else ""
            value = str(default.value if isinstance(default, Enum) else default)
            # A field with a default value is not marked as optional.
            needed = required or bool(value)
            yield Input(path, label, _widget(entry), needed, _choices(entry), value, info.description or "")


def _rows(entry: type[BaseModel], path: str, label: str, *, rows: Sequence[int]) -> Iterator[FieldGroup]:
    """Yield a row for each item if the list is about items, and otherwise a few empty rows.

    A form for several subjects has no list whose rows would refer to parts of one subject.
    """
    numbered = "n" in entry.model_fields and bool(rows)
    if not numbered and ALIKE in rows:
        return
    for place, number in enumerate(rows if numbered else range(1, ROWS + 1)):
        inputs = tuple(_inputs(entry, f"{path}.{place}.", ()))
        shown = "Every item" if number == ALIKE else f"Item {number}" if numbered else f"{label} {number}"
        columns = tuple(each for each in inputs if not (numbered and each.path.endswith(".n")))
        # No value is preselected in a row, so that an empty row says nothing about its item.
        blank = tuple(
            each._replace(required=False, value="" if each.kind == "select" else each.value)
            if isinstance(each, Input)
            else each
            for each in columns
        )
        fixed = (
            (Input(f"{path}.{place}.n", "", "number", True, value=str(number)),) if numbered and number != ALIKE else ()
        )
        tick = f"{path}.{place}.{_TICK}" if fixed and len(blank) == 1 else ""
        yield FieldGroup(f"{path}.{place}", shown, blank, fixed, tick)


def _kind(annotation: object) -> tuple[str, object]:
    """Return `list` or `one`, and the type of an entry."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin in (Union, UnionType):
        return _kind(next(each for each in arguments if each is not NoneType))
    if origin is tuple:
        return "list", _kind(arguments[0])[1]
    return "one", annotation


def _widget(entry: object) -> str:
    if _choices(entry):
        return "select"
    kinds: Mapping[object, str] = {bool: "flag", int: "number", date: "date", datetime: "time", AwareDatetime: "time"}
    return kinds.get(entry, "text")


def _choices(entry: object) -> tuple[Choice, ...]:
    if get_origin(entry) is Literal:
        return tuple(Choice(str(each), written_code(each)) for each in get_args(entry))
    if isinstance(entry, type) and issubclass(entry, Enum):
        return tuple(Choice(str(each.value), written_code(each.value)) for each in entry)
    return ()


def _read(model: type[BaseModel], under: str, form: Form) -> dict[str, JsonValue] | None:
    """Return the filled-in fields of a model; None if there are none."""
    found: dict[str, JsonValue] = {}
    for name, info in model.model_fields.items():
        kind, entry = _kind(info.annotation)
        value = _value(kind, entry, f"{under}{name}", form=form)
        if value is not None:
            found[name] = value
    return found or None


def _value(kind: str, entry: object, path: str, *, form: Form) -> JsonValue:
    if isinstance(entry, type) and issubclass(entry, BaseModel):
        return _read_rows(entry, path, form) if kind == "list" else _read(entry, f"{path}.", form)
    texts = [each.strip() for each in form.get(path, ()) if each.strip()]
    if kind == "list":
        lines = [line.strip() for each in texts for line in each.splitlines() if line.strip()]
        return [_scalar(_widget(entry), line) for line in lines] or None
    return _scalar(_widget(entry), texts[0]) if texts else None


def _read_rows(entry: type[BaseModel], path: str, form: Form) -> list[JsonValue] | None:
    pattern = re.compile(rf"{re.escape(path)}\.([0-9]{{1,3}})\.")
    places = sorted({int(match[1]) for each in form if (match := pattern.match(each))})
    found = [(_read(entry, f"{path}.{place}.", form), f"{path}.{place}.{_TICK}" in form) for place in places]
    # A row that has only its number was left empty, unless its checkbox is set.
    return [each for each, ticked in found if each and (ticked or set(each) - {"n", "round"})] or None


def _scalar(widget: str, text: str) -> JsonValue:
    """Return the JSON value of a field. An invalid number stays text, and the model reports the error."""
    if widget == "number" and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if widget == "flag":
        return text == "on"
    if widget == "time" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", text):
        return f"{text}:00Z" if len(text) == len("0000-00-00T00:00") else f"{text}Z"
    return text
