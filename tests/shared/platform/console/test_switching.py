"""A sign-in of another person or party replaces a session only if the person of that session agrees."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from shared.core.authority import Role
from shared.platform.admission.budgets import Principal
from shared.platform.console.accounts import Person, SignedInUser
from shared.platform.console.frame import ConsoleAccess, Frame
from shared.platform.console.oidc_login import LoginState, Proof
from shared.platform.http.edge import create_app
from shared.platform.http.identity import Identity
from shared.platform.http.server import serve_http
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock

VICTIM = Person("hotline.example", "a" * 32)
ATTACKER = Person("other.example", "e" * 32)
OF_SITE = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


@dataclass
class People:
    """The sessions by their text, and a provider at which `coming_in` proves a person's identity."""

    coming_in: Person = ATTACKER
    sessions: dict[str, Person] = field(default_factory=dict)

    async def begin(self, person: Person, *, authenticated_at: datetime | None = None) -> str:
        text = f"session-{len(self.sessions)}"
        self.sessions[text] = person
        return text

    async def identify(self, text: str | None, *, seen: bool = True) -> SignedInUser | None:
        person = self.sessions.get(text or "")
        if person is None:
            return None
        identity = Identity(person.party, Role.ANALYST, "hotline", exercise=True, actor=person.actor)
        return SignedInUser(identity, None, person.actor)

    async def end(self, text: str) -> None:
        self.sessions.pop(text, None)

    async def sign_in(self, request: Request) -> Person | None:
        return self.coming_in

    def has(self, party: str) -> bool:
        return party != "by-link.example"

    async def leave_for(self, coming: LoginState, back: str, *, address: Principal) -> str:
        return f"https://login.example/?state={coming.state}"

    async def prove(self, coming: LoginState, answer: Any, *, back: str, address: Principal) -> Proof:
        return Proof(self.coming_in, None)


@asynccontextmanager
async def browser_of(people: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Return a browser in which the victim has a session."""
    gate = ConsoleAccess(people, people, lambda *_: None, ManualClock(NOW), people)
    app = create_app("Console", [Frame(gate, "Console", (), folders=()).closed()])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        client.cookies.set("causeway", await people.begin(VICTIM), domain="localhost.local")
        yield client


async def sign_in(client: httpx.AsyncClient) -> httpx.Response:
    """Go to the provider and back: two top-level GETs that any site can cause."""
    away = await client.get(f"/console/sign-in/{ATTACKER.party}", params={"to": "/console/new"})
    state = away.headers["location"].partition("state=")[2]
    return await client.get("/console/signed-in", params={"code": "any", "state": state})


def session_of(client: httpx.AsyncClient) -> str | None:
    return client.cookies.get("causeway")


async def choose(client: httpx.AsyncClient, choice: str, *, page: str) -> httpx.Response:
    fields = {name: re.search(rf'name="{name}" value="([^"]+)"', page) for name in ("csrf", "arrival")}
    told = {name: found[1] for name, found in fields.items() if found is not None}
    assert told.keys() == fields.keys()
    return await client.post("/console/switch", data=told | {"choice": choice}, headers=OF_SITE)


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_the_flags_of_cookies_follow_the_site_and_not_the_host_that_a_request_names(scheme: str) -> None:
    people: Any = People()
    gate = ConsoleAccess(people, people, lambda *_: None, ManualClock(NOW), people)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = create_app("Console", [Frame(gate, "Console", (), folders=()).closed()])
    serving = asyncio.create_task(serve_http(app, "127.0.0.1", port, scheme=scheme))
    async with httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(retries=9), base_url=f"http://127.0.0.1:{port}", trust_env=False
    ) as client:
        for host in ("localhost", "console.police.example"):
            answer = await client.get(f"/console/sign-in/{ATTACKER.party}", headers={"Host": host})
            cookie = answer.headers["set-cookie"]
            assert (cookie.startswith("__Host-"), cookie.endswith("; Secure")) == (scheme == "https",) * 2
    serving.cancel()
    await asyncio.wait([serving])


async def test_a_sign_in_of_another_party_leaves_the_session_and_asks() -> None:
    people = People()
    async with browser_of(people) as client:
        assert (await sign_in(client)).status_code == 200
        assert session_of(client) == "session-0"
        asked = await client.get("/console/enter")
        assert "Switch to another account?" in asked.text
        assert session_of(client) == "session-0"
        assert (await client.get("/console/settings")).text.count(VICTIM.party) == 1


@asynccontextmanager
async def asked_to_switch() -> AsyncIterator[tuple[People, httpx.AsyncClient, str]]:
    """Sign in as another person. Return the people, their browser, and the page that asks."""
    people = People()
    async with browser_of(people) as client:
        await sign_in(client)
        yield people, client, (await client.get("/console/enter")).text


async def test_staying_ends_the_new_session() -> None:
    async with asked_to_switch() as (people, client, page):
        assert (await choose(client, "stay", page=page)).status_code == 303
        assert people.sessions == {"session-0": VICTIM}
        assert session_of(client) == "session-0"
        assert client.cookies.get("causeway-arrival") is None
        # Another port of this machine has other cookies.
        assert (await client.get("/console/settings", headers={"Host": "localhost:8001"})).status_code == 401


async def test_switching_ends_the_old_session_and_leads_on() -> None:
    async with asked_to_switch() as (people, client, page):
        answer = await choose(client, "switch", page=page)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/new")
        assert people.sessions == {"session-1": ATTACKER}
        assert 'causeway="session-1"' in str(answer.headers) or "causeway=session-1" in str(answer.headers)


async def test_a_page_switches_only_to_the_session_that_it_showed() -> None:
    async with asked_to_switch() as (_, client, page):
        await sign_in(client)  # a later one replaces the session that the page showed
        answer = await choose(client, "switch", page=page)
        assert (answer.status_code, "Switch to another account?" in answer.text) == (200, True)
        assert session_of(client) == "session-0"


async def test_a_new_session_that_has_ended_leaves_the_old_one() -> None:
    async with asked_to_switch() as (people, client, page):
        del people.sessions["session-1"]
        assert (await choose(client, "switch", page=page)).status_code == 401
        assert people.sessions == {"session-0": VICTIM}


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://other.example"}, OF_SITE], ids=["none", "foreign", "own"])
async def test_a_switch_without_the_token_of_the_session_is_refused(headers: dict[str, str]) -> None:
    people = People()
    async with browser_of(people) as client:
        await sign_in(client)
        answer = await client.post("/console/switch", data={"choice": "switch", "csrf": "made-up"}, headers=headers)
        assert (answer.status_code, "form_foreign" in answer.text) == (403, True)
        assert VICTIM in people.sessions.values()


@pytest.mark.parametrize("signed_in", [True, False])
async def test_the_same_person_or_a_browser_without_a_session_enters_at_once(signed_in: bool) -> None:
    people = People(coming_in=VICTIM)
    async with browser_of(people) as client:
        if not signed_in:
            people.sessions.clear()
        await sign_in(client)
        answer = await client.get("/console/enter")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/new")
        assert any(line.startswith("causeway=session-") for line in answer.headers.get_list("set-cookie"))


async def test_a_link_of_another_person_asks_first() -> None:
    people = People(coming_in=Person("by-link.example", "b" * 32))
    async with browser_of(people) as client:
        asked = await client.post("/console/in/link", headers=OF_SITE)
        assert "Switch to another account?" in asked.text
        assert session_of(client) == "session-0"


async def test_an_entrance_without_the_cookies_of_this_site_changes_nothing() -> None:
    """A navigation from another site sends no `Strict` cookie, not even the new session's."""
    people = People()
    async with browser_of(people) as client:
        back = await sign_in(client)
        kept = [line for line in back.headers.get_list("set-cookie") if line.startswith("causeway-arrival=")]
        assert len(kept) == 1
        assert kept[0].endswith("SameSite=strict")
        client.cookies.clear()
        answer = await client.get("/console/enter")
        assert (answer.status_code, answer.headers.get("set-cookie")) == (303, None)
