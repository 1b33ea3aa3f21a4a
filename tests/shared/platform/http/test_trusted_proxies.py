"""Clients behind a proxy that the settings name have addresses of their own; from others such a header is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, Final, cast

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request

from shared.core.errors import Refused
from shared.platform.admission.budgets import (
    SHARING_MIN,
    SHARING_S,
    SIGN_IN,
    BudgetLimits,
    Budgets,
    PlacePool,
    Principal,
    SourceWatch,
    note_principal,
    read_address,
    sign_in_places,
)
from shared.platform.http import edge
from shared.platform.http.edge import create_app
from shared.platform.http.identity import ApiKeys, identified, unauthenticated
from shared.platform.http.server import PROXY_BYTES_MAX, read_proxy_header, serve_http
from shared.platform.observability.health import Check
from tests.support.manual_clock import ManualClock
from tests.support.ports import free_port

NOW: Final = datetime(2026, 5, 4, 12, tzinfo=UTC)
LOOPBACK: Final = (ip_network("127.0.0.0/8"),)
GREEDY, OTHER = "192.0.2.7", "192.0.2.8"


def one(address: str, port: int = 4711) -> bytes:
    return f"PROXY TCP4 {address} 198.51.100.1 {port} 443\r\n".encode()


def two(address: bytes, *, transport: int = 0x11, command: int = 0x21, more: bytes = b"") -> bytes:
    body = address * 2 + (4711).to_bytes(2) + (443).to_bytes(2) + more
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, transport]) + len(body).to_bytes(2) + body


V4, V6 = bytes([192, 0, 2, 7]), bytes.fromhex("20010db8000000010000000000000007")


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (one(GREEDY), (GREEDY, 4711)),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", ("2001:db8::7", 4711)),
        (b"PROXY UNKNOWN\r\n", None),
        (two(V4), (GREEDY, 4711)),
        (two(V4, more=b"\x04\0\3abc"), (GREEDY, 4711)),
        (two(V6, transport=0x21), ("2001:db8:0:1::7", 4711)),
        (two(V4, command=0x20), None),
        (two(V4, transport=0), None),
    ],
)
def test_a_header_is_read_however_it_is_cut(header: bytes, source: object) -> None:
    for cut in range(1, len(header)):
        assert read_proxy_header(header[:cut]) is None
    assert read_proxy_header(header) == read_proxy_header(header + b"GET / HTTP/1.1\r\n") == (len(header), source)


@pytest.mark.parametrize(
    "header",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 host.example 198.51.100.1 1 443\r\n",
        b"PROXY " + b"x" * 107,
        two(V4)[:13] + b"\x21" + two(V4)[14:],
        two(V4, command=0x31),
        two(V4, more=bytes(PROXY_BYTES_MAX)),
    ],
)
def test_other_bytes_are_no_header(header: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_proxy_header(header)


class NoKeys:
    """A table without any key."""

    async def identify(self, _: object) -> None:
        raise unauthenticated()


def app_of(places: PlacePool) -> FastAPI:
    """Return an application with a route for keys, and one with places for sign-in; the greedy client stays there."""
    budgets = Budgets(BudgetLimits(5, 1_000_000), ManualClock(NOW))
    router, going_on = APIRouter(), asyncio.Event()
    who = Depends(identified(cast(ApiKeys, NoKeys()), budgets))

    @router.get("/v1/whoami")
    async def whoami(_: Any = who) -> None:
        raise AssertionError("no key is valid")

    @router.get("/source")
    async def source(request: Request) -> str:
        return read_address(request.scope).holder

    @router.get("/sign-in")
    async def sign_in(request: Request, *, stays: bool = False) -> None:
        async with places.place(read_address(request.scope)):
            if stays:
                await going_on.wait()
        raise Refused("link_invalid", status=400)

    @router.get("/known/{name}")
    async def known(request: Request, name: str) -> None:
        note_principal(request.scope, Principal("hotline-nl.example", name))

    @router.get("/go-on")
    async def go_on() -> None:
        going_on.set()

    return create_app("sample", [router])


@asynccontextmanager
async def served(
    proxies: Sequence[Any], scheme: str = "https", *, places: PlacePool | None = None
) -> AsyncIterator[int]:
    port, app = free_port(), app_of(places or sign_in_places())
    serving = asyncio.create_task(serve_http(app, "127.0.0.1", port, scheme=scheme, proxies=proxies))
    async with asyncio.timeout(60):
        while True:
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            except OSError:
                await asyncio.sleep(0.02)
    try:
        yield port
    finally:
        serving.cancel()
        await asyncio.wait([serving])


async def asked(port: int, path: str, header: bytes = b"", *, more: str = "") -> tuple[int, bytes]:
    """Return the status and the body of one request over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(header + f"GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{more}\r\n".encode())
        async with asyncio.timeout(60):
            answer = await reader.read()
    finally:
        writer.close()
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
async def test_a_greedy_client_behind_a_proxy_uses_up_its_own_budget_of_unknown_keys(*, named: bool) -> None:
    """Without the setting the proxy sends no header, and the other client is refused with the greedy one."""
    async with served(LOOPBACK if named else ()) as port:
        headers = {each: one(each) if named else b"" for each in (GREEDY, OTHER)}
        greedy = [(await asked(port, "/v1/whoami", headers[GREEDY]))[0] for _ in range(15)]
        assert greedy == [401] * 10 + [429] * 5
        assert (await asked(port, "/v1/whoami", headers[OTHER]))[0] == (401 if named else 429)


@pytest.mark.timing
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
async def test_a_greedy_client_behind_a_proxy_holds_its_own_places_of_sign_in(*, named: bool) -> None:
    places = PlacePool("sign_in", replace(SIGN_IN, wait_s=0.5))
    async with served(LOOPBACK if named else (), places=places) as port:
        headers = {each: one(each) if named else b"" for each in (GREEDY, OTHER)}
        held = [asyncio.create_task(asked(port, "/sign-in?stays=true", headers[GREEDY])) for _ in range(4)]
        await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)  # two hold the places, two have waited in vain
        assert (await asked(port, "/sign-in", headers[OTHER]))[0] == (400 if named else 429)
        assert (await asked(port, "/go-on", headers[OTHER]))[0] == 200
        assert sorted(status for status, _ in await asyncio.gather(*held)) == [400, 400, 429, 429]


async def test_only_a_named_proxy_states_a_source() -> None:
    async with served(LOOPBACK) as port:
        assert await asked(port, "/source", one(GREEDY)) == (200, f'"{GREEDY}"'.encode())
        assert await asked(port, "/source", two(V6, transport=0x21)) == (200, b'"2001:db8:0:1::"')
        forwarded = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n"
        assert await asked(port, "/source", one(GREEDY), more=forwarded) == (200, f'"{GREEDY}"'.encode())
        assert await asked(port, "/source", b"PROXY UNKNOWN\r\n") == (200, b'"127.0.0.1"')
        assert await asked(port, "/source") == (200, b'"127.0.0.1"')
        assert (await asked(port, "/source", b"PROXY TCP4 here there 1 2\r\n"))[0] == 400
    async with served((ip_network("192.0.2.0/24"),)) as port:
        assert await asked(port, "/source", more=forwarded) == (200, b'"127.0.0.1"')
        assert (await asked(port, "/source", one(GREEDY)))[0] == 400


@pytest.mark.parametrize(("proxies", "scheme", "warned"), [((), "https", 1), (LOOPBACK, "https", 0), ((), "http", 0)])
async def test_a_site_behind_an_unnamed_proxy_warns_at_its_start(
    monkeypatch: pytest.MonkeyPatch, proxies: Sequence[Any], scheme: str, warned: int
) -> None:
    said: list[str] = []
    monkeypatch.setattr("shared.platform.http.server.log", lambda event, **_: said.append(event))
    async with served(proxies, scheme):
        pass
    assert said.count("proxy_unnamed") == warned


def scope_of(address: str, scheme: str, sources: SourceWatch) -> dict[str, Any]:
    return {"client": (address, 1), "scheme": scheme, "state": {edge.SOURCES: sources}}


@pytest.mark.parametrize(
    ("addresses", "scheme", "one_address"),
    [
        ([GREEDY], "https", True),
        (["127.0.0.1"], "https", True),
        (["127.0.0.1"], "http", False),
        ([GREEDY, OTHER], "https", False),
    ],
)
async def test_many_keys_of_one_address_are_noticed(addresses: list[str], scheme: str, *, one_address: bool) -> None:
    now_s = [0.0]
    sources = SourceWatch(lambda: now_s[0])
    for number in range(SHARING_MIN):
        assert not (await sources.probe_addresses()).reason
        scope = scope_of(addresses[number % len(addresses)], scheme, sources)
        note_principal(scope, Principal("hotline-nl.example", str(number)))
    assert await sources.probe_addresses() == Check("addresses", True, "one_address" if one_address else "")
    now_s[0] = SHARING_S + 1
    assert not (await sources.probe_addresses()).reason


async def test_readiness_names_one_address_and_stays_ready() -> None:
    async with served(()) as port:
        for number in range(SHARING_MIN):
            assert (await asked(port, f"/known/{number}"))[0] == 200
        status, body = await asked(port, "/readyz")
    assert status == 200
    assert b'"name":"addresses","ok":true,"reason":"one_address"' in body
