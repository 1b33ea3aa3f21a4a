"""A form's work is charged to its party's budget before it is read, as for any other request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.responses import Response

from shared.core.authority import Role
from shared.core.ids import uuid7
from shared.features.workspace.pages.subjects import SubjectPages
from shared.platform.admission.budgets import Principal
from shared.platform.console.accounts import SignedInUser
from shared.platform.console.forms import PageInput
from shared.platform.console.frame import ConsoleAccess, Frame
from shared.platform.http.edge import create_app
from shared.platform.http.identity import Identity
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock

PARTY = "hotline.example"


class Known:
    """Sessions in which any cookie is valid."""

    async def identify(self, text: str | None, *, seen: bool = True) -> SignedInUser | None:
        who = Identity(PARTY, Role.ANALYST, "hotline", exercise=True, actor="0" * 32)
        return SignedInUser(who, None, "0" * 32) if text else None

    def has(self, party: str) -> bool:
        return False


async def test_a_form_is_charged_with_what_it_weighs() -> None:
    charged: list[tuple[Principal, int]] = []
    known: Any = Known()
    gate = ConsoleAccess(known, known, lambda *said: charged.append(said), ManualClock(NOW), known)
    app = create_app("Console", [Frame(gate, "Console", (), folders=()).closed()], probes=[])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for cookies in ({}, {"causeway": "word"}):
            client.cookies = httpx.Cookies(cookies)
            assert (await client.post("/console/out", content=b"x" * 1000)).status_code == (403 if cookies else 401)
            assert (await client.get("/console/settings")).status_code == (200 if cookies else 401)
    assert [(whose.party, size) for whose, size in charged] == [(PARTY, 1000), (PARTY, 0)]


async def test_an_act_on_many_is_owed_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    owed: list[tuple[str, int]] = []
    done: list[UUID] = []
    chosen = [uuid7() for _ in range(3)]

    async def do(_pages: SubjectPages, _asked: PageInput, _row: object, subject_id: UUID, **_: object) -> None:
        done.append(subject_id)

    monkeypatch.setattr(SubjectPages, "_chosen", lambda *_: (SimpleNamespace(takes=None), chosen))
    monkeypatch.setattr(SubjectPages, "_done", do)
    pages: Any = SubjectPages.__new__(SubjectPages)
    pages._serving = SimpleNamespace(owe=lambda *said: owed.append(said))
    pages._frame, pages._kind = SimpleNamespace(page=lambda *_: Response()), None
    await pages._in_bulk(SimpleNamespace(identity=SimpleNamespace(principal=PARTY)))
    assert (done, owed) == (chosen, [(PARTY, len(chosen))])
