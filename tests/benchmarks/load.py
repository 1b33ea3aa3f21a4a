"""A light load generator: HTTP/1.1 over persistent connections, so that the client costs little."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import urlsplit

from shared.core.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Post:
    """One request: its exact body and idempotency key; `refs` names the referrals in it."""

    path: str
    key: str
    body: bytes
    refs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Posted:
    """One answer: status, seconds from the planned start to the answer, and its arrival (Unix time)."""

    post: Post
    status: int
    seconds: float
    answered_at: float


class Connection:
    """One persistent connection with the part of HTTP/1.1 that answers with a content length need."""

    def __init__(self, url: str, api_key: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {api_key}\r\nContent-Type: application/json\r\n"

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def send(self, post: Post) -> int:
        head = (
            f"POST {post.path} HTTP/1.1\r\n{self._head}Idempotency-Key: {post.key}\r\n"
            f"Content-Length: {len(post.body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + post.body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await self._reader.readexactly(int(length.partition(b":")[2]))
        return int(answer[9:12])

    def close(self) -> None:
        self._writer.close()


async def closed_loop(url: str, api_key: str, posts: Sequence[Post], *, connections: int) -> list[Posted]:
    """Send all posts as fast as answers come, over `connections` connections."""
    waiting = list(reversed(posts))
    results: list[Posted] = []

    async def work() -> None:
        connection = Connection(url, api_key)
        await connection.open()
        while waiting:
            post, begun = waiting.pop(), perf_counter()
            status = await connection.send(post)
            results.append(Posted(post, status, perf_counter() - begun, SystemClock().now().timestamp()))
        connection.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return results


async def open_loop(
    url: str, api_key: str, posts: Sequence[Post], *, per_second: float, connections: int = 64
) -> list[Posted]:
    """Send posts at a fixed rate, regardless of the answers; latency counts from the planned moment."""
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        connection = Connection(url, api_key)
        await connection.open()
        idle.put_nowait(connection)
    begun = perf_counter()

    async def send(post: Post, planned: float) -> Posted:
        connection = await idle.get()
        status = await connection.send(post)
        idle.put_nowait(connection)
        return Posted(post, status, perf_counter() - planned, SystemClock().now().timestamp())

    tasks = []
    for number, post in enumerate(posts):
        planned = begun + number / per_second
        await asyncio.sleep(max(0.0, planned - perf_counter()))
        tasks.append(asyncio.create_task(send(post, planned)))
    results = await asyncio.gather(*tasks)
    while not idle.empty():
        idle.get_nowait().close()
    return list(results)
