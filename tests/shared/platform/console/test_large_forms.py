"""A form is parsed only for its own session, and in pieces between which other requests run."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from shared.core.errors import Refused
from shared.platform.console import forms
from shared.platform.console.forms import FIELDS_MAX, FORM_TYPE, PIECE_BYTES, PageInput, csrf_of, parse_form
from shared.platform.console.frame import ConsoleAccess, Frame
from shared.platform.http.edge import create_app
from tests.shared.platform.builders import NOW
from tests.shared.platform.console.test_charged import Known
from tests.support.manual_clock import ManualClock

#: A table of a megabyte in which each character is escaped.
TABLE = b"%41%2c%0a" * 333_333
HEADERS = {"Origin": "http://localhost", "Content-Type": FORM_TYPE}


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of the pieces that are decoded."""
    sizes: list[int] = []

    def count(text: bytes) -> bytes:
        sizes.append(len(text))
        return unquote_to_bytes(text)

    monkeypatch.setattr(forms, "unquote_to_bytes", count)
    return sizes


async def send(body: bytes, shown: list[PageInput]) -> httpx.Response:
    """Send a form to a page that records its requests. An older session may see its own text again."""
    known: Any = Known()
    frame = Frame(ConsoleAccess(known, known, lambda *_: None, ManualClock(NOW), known), "Console", (), folders=())

    async def note(request: PageInput) -> Response:
        shown.append(request)
        return Response()

    frame.post("/table:batch", note)
    frame.post("/again:batch", note, again=note)
    app = create_app("Console", [frame.closed()])
    path = "/console/again:batch" if b"whose=" in body else "/console/table:batch"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        client.cookies = httpx.Cookies({"causeway": "session"})
        return await client.post(path, content=body, headers=HEADERS)


@pytest.mark.parametrize("start", [b"csrf=made-up&", b"", b"xcsrf=%TOKEN&", b"whose=11&csrf=made-up&"])
async def test_a_form_without_the_token_of_its_session_is_not_parsed(start: bytes, pieces: list[int]) -> None:
    shown: list[PageInput] = []
    start = start.replace(b"%TOKEN", csrf_of("session").encode())
    answer = await send(start + b"table=" + TABLE, shown)
    assert (answer.status_code, "form_foreign" in answer.text) == (403, True)
    assert (pieces, shown) == ([], [])


@pytest.mark.parametrize("place", ["first", "last", "whose"])
async def test_a_form_of_the_session_or_the_person_is_parsed_in_pieces(place: str, pieces: list[int]) -> None:
    token, table = b"csrf=" + csrf_of("session").encode(), b"table=" + TABLE
    whose = b"whose=" + b"0" * 32
    body = {"first": token + b"&" + table, "last": table + b"&" + token, "whose": whose + b"&" + table}[place]
    shown: list[PageInput] = []
    assert (await send(body, shown)).status_code == 200
    assert shown[0].form["table"] == ["A,\n" * 333_333]
    assert max(pieces) <= PIECE_BYTES
    assert len(pieces) >= len(TABLE) // PIECE_BYTES


async def test_many_fields_below_a_piece_rest_as_one_large_field_does() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    body = b"&".join(b"f%d=" % number + b"x" * 8_000 for number in range(FIELDS_MAX - 1))
    other = asyncio.create_task(count_turns())
    await parse_form(body)
    other.cancel()
    assert turns > FIELDS_MAX / 2


async def test_other_work_runs_between_the_pieces(pieces: list[int]) -> None:
    parsing, turns = asyncio.create_task(parse_form(b"table=" + TABLE)), 0
    while not parsing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= len(pieces) > 100


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=20))
async def test_a_form_is_read_as_it_was_written(fields: list[tuple[str, str]]) -> None:
    body = urlencode(fields).encode()
    form = await parse_form(body)
    read = [(name, value) for name in form for value in form[name]]
    assert sorted(read) == sorted(parse_qsl(body.decode(), keep_blank_values=True)) == sorted(fields)


@pytest.mark.parametrize("shift", range(4))
async def test_no_piece_cuts_an_escape(shift: int) -> None:
    text = "x" * (PIECE_BYTES - shift) + "\u00e9" * PIECE_BYTES
    assert await parse_form(urlencode({"t": text}).encode()) == {"t": [text]}


@pytest.mark.parametrize("body", [b"a", b"a=1&&b=2", b"a=%ff", b"a=1&" * FIELDS_MAX])
async def test_a_malformed_form_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="form_malformed"):
        await parse_form(body)
