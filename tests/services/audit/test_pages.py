"""A search is stored with its terms, which may be a party's id, another id or a day, but no free text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from starlette.requests import Request
from starlette.responses import Response

from services.audit.console.pages import FlowPages
from services.audit.domain.shown import FlowPage
from shared.kernel.authority import Role
from shared.kernel.clock import SystemClock
from shared.runtime.console.forms import PageInput
from shared.runtime.http.identity import Identity

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
    """A store that records searches and their cursors. It finds nothing and always reports a next page."""

    def __init__(self) -> None:
        self.looks: list[str] = []
        self.cursors: list[str | None] = []

    async def note_reading(self, _: str, __: str, what: str, *, actor: str | None = None) -> None:
        self.looks.append(what)

    async def find(self, *_: object, cursor: str | None, **__: object) -> FlowPage:
        self.cursors.append(cursor)
        return FlowPage(items=(), next="behind")


async def found(**said: str) -> tuple[int, list[str], Pages]:
    pages, kept = Pages(), Kept()
    FlowPages(
        pages,  # type: ignore[arg-type]
        kept,  # type: ignore[arg-type]
        kept,  # type: ignore[arg-type]
        clock=SystemClock(),
        within=lambda _: None,
        keys=lambda *_: None,
    )
    query = urlencode({"purpose": "yearly review"} | said).encode()
    request = Request({"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": []})
    answer = await pages.handlers["/flows"](PageInput(request, AUDITOR, "csrf"))
    pages.views["cursors"] = kept.cursors
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


async def test_a_party_and_a_period_are_looked_for_and_kept() -> None:
    status, looks, _ = await found(party="police-nl.example", since="2026-05-01", until="2026-05-31")
    assert (status, len(looks)) == (200, 1)
    assert looks[0].startswith("find/police-nl.example/2026-05-01/")


async def test_the_next_page_is_looked_for_by_the_same_words() -> None:
    said = {"party": "police-nl.example", "since": "2026-05-01", "until": "2026-05-02"}
    _, _, first = await found(**said)
    assert dict(parse_qsl(first.views["again"])) == said | {"purpose": "yearly review"}
    _, _, second = await found(**said, cursor=first.views["found"].next)
    assert (first.views["cursors"], second.views["cursors"]) == ([None], ["behind"])
    assert "cursor" not in dict(parse_qsl(second.views["again"]))
