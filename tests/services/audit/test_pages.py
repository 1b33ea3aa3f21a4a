"""A search is stored with its terms, which may be a party's id, another id or a day, but no free text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from starlette.responses import Response

from services.audit.console.pages import FlowPages
from services.audit.domain.shown import FlowPage
from shared.core.authority import Role
from shared.core.clock import SystemClock
from shared.platform.console.forms import PageInput
from shared.platform.http.identity import Identity

AUDITOR = Identity("auditor.example", Role.AUDITOR, "auditor", exercise=True, actor="0" * 32)


class Pages:
    """A page registry that records handlers by path and the views of a page. It renders nothing."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}
        self.views: dict[str, Any] = {}

    def get(self, path: str, handler: Any) -> None:
        self.handlers[path] = handler

    def page(self, _: PageInput, __: str, views: Mapping[str, object], *, status: int = 200) -> Response:
        self.views = dict(views)
        return Response(status_code=status)


class Kept:
    """A store that records searches. It finds nothing."""

    def __init__(self) -> None:
        self.looks: list[str] = []

    async def note_reading(self, _: str, __: str, what: str, *, actor: str | None = None) -> None:
        self.looks.append(what)

    async def find(self, *_: object, **__: object) -> FlowPage:
        return FlowPage(items=(), next=None)


async def found(**said: str) -> tuple[int, list[str], Pages]:
    pages, kept = Pages(), Kept()
    clock = SystemClock()
    FlowPages(pages, kept, kept, clock=clock, within=lambda _: None, keys=lambda *_: None)  # type: ignore[arg-type]
    query = urlencode({"purpose": "yearly review"} | said).encode()
    request = Request({"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": []})
    answer = await pages.handlers["/flows"](PageInput(request, AUDITOR, "csrf"))
    return answer.status_code, kept.looks, pages


@pytest.mark.parametrize(
    "said",
    [
        {"party": "what somebody saw there"},
        {"party": "a" * 300 + ".example"},
        {"party": "police-nl.example\0"},
        {"until": "9999-12-31"},
        {"since": "0001-01-01"},
        {"reference": "a remark"},
    ],
    ids=["a text", "long", "a zero byte", "no day after it", "long ago", "no id"],
)
async def test_what_is_none_is_refused_at_its_field_and_not_kept(said: dict[str, str]) -> None:
    status, looks, pages = await found(**said)
    assert (status, looks) in ((422, []), (400, []))
    [(field, told)] = pages.views["problems"]
    assert field == next(iter(said))
    assert next(iter(said.values())) not in told
