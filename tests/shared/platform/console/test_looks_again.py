"""Permissions apply at the time of the answer, not of the request.

With each check removed, the same attacks succeed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from shared.core.envelope.base64url import to_base64url
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.ids import uuid7
from shared.features.events.pages import chosen_act
from shared.features.workspace.pages.act_forms import FORMS
from shared.features.workspace.pages.subjects import SubjectPages
from shared.platform.console.accounts import RANDOM_CHARACTERS, Sessions
from shared.platform.console.forms import PageInput, csrf_of
from shared.platform.console.frame import ConsoleAccess, Frame
from shared.platform.http.edge import create_app
from tests.shared.core.routing.builders import directory_of, hotline
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock

PARTY = "hotline.example"
RECORD = "what the record says"
KEK = KeyEncryptionKey(bytes(32))
WORD = "w" * RANDOM_CHARACTERS + to_base64url(KEK.session_mac("w" * RANDOM_CHARACTERS))


@dataclass
class Holding:
    """A database in which every visitor has a valid session. Settings: proof time, role and end."""

    authenticated_at: Any = NOW
    role: str = "analyst"
    ended: bool = False
    waits: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(driver=self)

    async def fetchrow(self, *_: object) -> dict[str, object] | None:
        scope = dict.fromkeys(("scope_jurisdictions", "scope_parties"))
        row = {
            "party": PARTY,
            "actor": "5d0c" * 8,
            "role": self.role,
            "last_seen_at": NOW,
            "authenticated_at": self.authenticated_at,
        }
        return None if self.ended else row | scope


def console(holding: Holding) -> Frame:
    """Return the console of a party whose people sign in through a provider."""
    database: Any = holding
    directory = directory_of(hotline(PARTY, "NL", status="live"))
    clock = ManualClock(NOW)
    sessions = Sessions(database, "hotline", lambda: directory, clock, KEK)
    elsewhere: Any = SimpleNamespace(has=lambda _: True)
    nobody: Any = None
    return Frame(ConsoleAccess(sessions, nobody, lambda *_: None, clock, elsewhere), "Console", (), folders=())


@asynccontextmanager
async def visiting(frame: Frame) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app("Console", [frame.closed()], probes=[]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        client.cookies = httpx.Cookies({"causeway": WORD})
        yield client


@pytest.mark.parametrize(("status", "exercise"), [("live", False), ("sandbox", True), ("suspended", None)])
async def test_a_session_is_as_good_as_its_party(status: str, exercise: bool | None) -> None:
    holding: Any = Holding()
    directory = directory_of(hotline(PARTY, "NL", status=status))
    found = await Sessions(holding, "hotline", lambda: directory, ManualClock(NOW), KEK).identify(WORD)
    assert (found and found.identity.exercise) == exercise


@pytest.mark.parametrize("change", [{"ended": True}, {"role": "viewer"}], ids=["ended", "changed"])
@pytest.mark.parametrize("looks", [True, False], ids=["", "control"])
async def test_a_role_that_ends_while_a_stream_waits_is_told_nothing_more(
    change: dict[str, Any], looks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control answers with the permission at the time of the request, as other pages do, and sends the rows."""
    if not looks:
        monkeypatch.setattr(Frame, "stream", Frame.get)
    holding, waiting = Holding(), asyncio.Event()
    frame = console(holding)

    async def rows(_: PageInput) -> Response:
        waiting.set()
        await holding.waits.wait()
        return Response("rows")

    frame.stream("/live", rows)
    async with visiting(frame) as client:
        asked = asyncio.create_task(client.get("/console/live"))
        await waiting.wait()
        for name, value in change.items():
            setattr(holding, name, value)
        holding.waits.set()
        answer = await asked
    assert (answer.status_code, answer.text == "rows") == ((401, False) if looks else (200, True))


@pytest.mark.parametrize(("minutes", "opens"), [(0, True), (15, True), (16, False), (None, False)])
@pytest.mark.parametrize("looks", [True, False], ids=["", "control"])
async def test_a_record_is_opened_to_who_has_proven_themselves_within_a_quarter_of_an_hour(
    minutes: int | None, opens: bool, looks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Covers the page of every subject that has a record. The control needs no recent sign-in and always opens it."""
    if not looks:
        monkeypatch.setattr(PageInput, "require_recent_sign_in", lambda _: None)

    async def found(*_: object) -> SimpleNamespace:
        return SimpleNamespace(it=RECORD)

    # The whole page without the way to its record, which needs a database.
    monkeypatch.setattr(SubjectPages, "_found", found)
    monkeypatch.setattr(SubjectPages, "_shown", lambda *_, opened, **__: Response(opened))
    frame = console(Holding(authenticated_at=None if minutes is None else NOW - timedelta(minutes=minutes)))
    pages = SubjectPages.__new__(SubjectPages)
    kind = SimpleNamespace(path="inbox", recipient=None, amended=lambda _: ())
    pages._frame, pages._kind = frame, kind  # type: ignore[assignment]
    frame.post("/inbox/{id}/reveal", pages._reveal)
    assert await revealed(frame, "inbox") == ((200, True) if opens or not looks else (403, False))


@pytest.mark.parametrize(
    ("act", "minutes", "status"),
    [("withdraw", 15, 200), ("withdraw", 16, 403), ("release", 16, 403), ("drop", 16, 403), ("check", 16, 200)],
)
async def test_a_withdrawal_and_an_act_of_a_second_person_need_such_a_sign_in(
    act: str, minutes: int, status: int
) -> None:
    async def done(request: PageInput) -> Response:
        return Response(chosen_act(request, {each.name: each for each in FORMS}).name)

    frame = console(Holding(authenticated_at=NOW - timedelta(minutes=minutes)))
    frame.post("/referrals/{id}/act/{act}", done)
    path = f"/console/referrals/{uuid7()}"
    async with visiting(frame) as client:
        headers = {"Origin": "http://localhost"}
        answer = await client.post(f"{path}/act/{act}", data={"csrf": csrf_of(WORD)}, headers=headers)
    assert answer.status_code == status
    assert (f'&amp;to={path}"' in answer.text) == (status == 403)


async def revealed(frame: Frame, path: str) -> tuple[int, bool]:
    """Return the status of the answer to opening a record, and whether the answer contains the record."""
    said = {"csrf": csrf_of(WORD), "reason": "take_up"}
    async with visiting(frame) as client:
        where = f"/console/{path}/{uuid7()}/reveal"
        answer = await client.post(where, data=said, headers={"Origin": "http://localhost"})
    assert (answer.status_code == 403) == ("proof_too_old" in answer.text)
    return answer.status_code, RECORD in answer.text
