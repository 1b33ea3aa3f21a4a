"""Limits on requests besides the body, on idle connections, and the end of a server: on a real socket."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Response

from shared.core.errors import Unavailable
from shared.platform.http import server
from shared.platform.http.server import serve_http
from tests.shared.platform.http.test_http import app_of, exchanged, served
from tests.support.ports import free_port

GET = b"GET /livez HTTP/1.1\r\nhost: x\r\n"
#: A chunked body that is complete except for its trailers. It is read to its end without authentication.
CHUNKED = (
    b"POST /v1/sized:batch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
)
MIB = 1 << 20


def resident_bytes() -> int:
    """Return the resident memory of this process, in which the server also runs."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.timing
async def test_answers_are_dated_anew_while_a_server_runs() -> None:
    async with served(app_of()) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        first = (await client.get("/livez")).headers["date"]
        async with asyncio.timeout(60):
            while (await client.get("/livez")).headers["date"] == first:  # noqa: ASYNC110 - a clock is waited for
                await asyncio.sleep(0.2)


@pytest.mark.timing
@pytest.mark.parametrize(
    "head",
    [
        GET + b"a: " + b"y" * 60_000 + b"\r\n\r\n",
        GET + b"a: b\r\n" * 200 + b"\r\n",
        b"GET /" + b"y" * 60_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
    ids=["one field", "many fields", "address"],
)
async def test_a_head_that_comes_in_one_read_is_bounded_as_well(head: bytes) -> None:
    """This used to be accepted: only bytes before the read in which a head ended were counted."""
    async with served(app_of()) as port:
        answer = await exchanged(port, head)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_head_within_the_bounds_is_answered() -> None:
    """The control of the refusals above: three quarters of the limit, in fields and in bytes."""
    fields = b"".join(b"x-%d: " % n + b"y" * 150 + b"\r\n" for n in range(server.FIELDS_MAX * 3 // 4))
    async with served(app_of()) as port:
        answer = await exchanged(port, GET + fields + b"connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.timing
@pytest.mark.parametrize("trailer", [b"x-%d: " + b"y" * 4_000 + b"\r\n", b"y" * 4_096], ids=["many", "one endless"])
async def test_trailers_are_bounded_and_not_kept(trailer: bytes) -> None:
    """Earlier, 120 MB of them were read and stored. Of 32 MB at most a fifth is now, sockets included."""
    async with served(app_of()) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CHUNKED + (b"t: " if b"%" not in trailer else b""))
        before, sent = resident_bytes(), 0
        try:
            while sent < 32 * MIB:
                block = b"".join(trailer % n if b"%" in trailer else trailer for n in range(64))
                writer.write(block)
                await writer.drain()
                sent += len(block)
        except OSError:
            pass  # cut off: the bytes sent until then are counted below
        grown = resident_bytes() - before
        writer.close()
    assert sent < 6 * MIB
    assert grown < 16 * MIB


async def test_a_trailer_that_is_small_is_thrown_away() -> None:
    async with served(app_of()) as port:
        answer = await exchanged(port, CHUNKED + b"x-checksum: 1\r\n\r\n" + GET + b"connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(("asked", "answers"), [(1 + server.WAITING_MAX, 9), (1_000, 0)])
async def test_a_client_with_many_requests_in_one_read_is_cut_off(asked: int, answers: int) -> None:
    """Earlier, all requests of a read waited in memory, and the process answered nobody else while it parsed them."""
    async with served(app_of()) as port:
        answer = await exchanged(port, (GET + b"\r\n") * (asked - 1) + GET + b"connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == answers


@pytest.mark.timing
@pytest.mark.parametrize("reads", [True, False])
async def test_a_client_that_takes_no_answer_is_cut_off(reads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier, it kept its connection for ever. A client that reads slowly gets everything."""
    monkeypatch.setattr(server, "TAKE_TIMEOUT_S", 1)
    app, size = app_of(), 32 * MIB

    @app.get("/v1/large")
    async def large() -> Response:
        return Response(bytes(size))

    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        taken = 0
        for _ in range(30):
            taken += len(await reader.read(MIB)) if reads else 0
            await asyncio.sleep(0.1)
        with suppress(ConnectionResetError):
            while block := await reader.read(MIB):
                taken += len(block)
        writer.close()
    assert (taken > size) == reads


@asynccontextmanager
async def idle(port: int, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open connections that ask nothing, each with half a head."""
    opened = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /livez HT")
        opened.append((reader, writer))
    try:
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()


@pytest.fixture
def many_files() -> None:
    """Raise the limit of open files for both ends of more than a thousand connections in this process."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))


@pytest.mark.timing
@pytest.mark.usefixtures("many_files")
async def test_a_thousand_idle_connections_take_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 600)  # none of them is closed for its half a head
    async with served(app_of()) as port, httpx.AsyncClient(timeout=60) as client:
        await client.get(f"http://127.0.0.1:{port}/livez")
        before = resident_bytes()
        async with idle(port, 1_005) as readers:
            answers = [await client.get(f"http://127.0.0.1:{port}/{path}") for path in ("livez", "v1/things")]
            assert [answer.status_code for answer in answers] == [200, 200]
            assert resident_bytes() - before < 64 * MIB
            closed = sum(reader.at_eof() for reader in readers)
            # The longest idle ones were closed; the newest may wait for their time-out.
            assert not readers[-1].at_eof()
    assert 1_005 - server.IDLE_OF_ADDRESS_MAX <= closed <= 1_005 - server.IDLE_OF_ADDRESS_MAX + 2


@pytest.mark.timing
@pytest.mark.usefixtures("many_files")
async def test_without_the_bound_they_would_take_everybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: no connection is closed, and the next client gets 503."""
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 600)
    monkeypatch.setattr(server, "IDLE_OF_ADDRESS_MAX", 2_000)
    monkeypatch.setattr(server, "IDLE_MAX", 2_000)
    async with served(app_of()) as port, httpx.AsyncClient(timeout=60) as client, idle(port, 1_005):
        assert (await client.get(f"http://127.0.0.1:{port}/livez")).status_code == 503


def slow_app() -> tuple[FastAPI, asyncio.Event, asyncio.Event]:
    """Return an app that begins its answer, and completes it once it is released."""
    begun, release = asyncio.Event(), asyncio.Event()
    app = app_of()

    @app.get("/v1/slow")
    async def slow() -> dict[str, bool]:
        begun.set()
        await release.wait()
        return {"done": True}

    return app, begun, release


@pytest.mark.timing
async def test_a_connection_on_which_a_request_runs_is_not_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_OF_ADDRESS_MAX", 2)
    app, begun, release = slow_app()
    async with served(app) as port, httpx.AsyncClient(timeout=60) as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/v1/slow"))
        await begun.wait()
        async with idle(port, 10):
            release.set()
            assert (await asking).json() == {"done": True}


async def test_an_address_that_is_taken_is_unavailable_and_does_not_end_the_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Unavailable) as raised:
        await serve_http(app_of(), "127.0.0.1", taken.getsockname()[1])
    assert raised.value.code == "http_address_taken"


async def test_a_server_that_is_ended_answers_what_it_had_begun() -> None:
    app, begun, release = slow_app()
    port = free_port()
    task = asyncio.create_task(serve_http(app, "127.0.0.1", port))
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=5), timeout=60) as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/v1/slow"))
        await begun.wait()
        task.cancel()
        asyncio.get_running_loop().call_later(0.3, release.set)
        assert (await asking).json() == {"done": True}
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.timing
async def test_a_head_without_end_is_refused_and_not_kept() -> None:
    async with served(app_of()) as port:
        answer = await exchanged(port, b"GET /livez HTTP/1.1\r\n", *[b"x: " + b"y" * 4000 + b"\r\n"] * 5, pause_s=0.02)
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.timing
async def test_what_is_left_of_a_refused_body_is_not_taken_for_the_next_request() -> None:
    smuggled = b"GET /v1/things HTTP/1.1\r\nhost: x\r\n\r\n"
    head = b"POST /v1/guarded HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (len(smuggled) + 1000)
    async with served(app_of()) as port:
        answer = await exchanged(port, head, smuggled, pause_s=0.05)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 401 ")
