"""One act, once: an HTTP request that changes something, its idempotency claim and its answer in one transaction.

Two requests under one idempotency key are the same where they went to one place and say the same JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from typing import Any, Final

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from shared.contracts.base import Contract
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.runtime.database.idempotency import ClaimKind, claim, store_answer
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.http.edge import read_key
from shared.runtime.http.identity import Identity

#: What an act does within its transaction; it returns the body of its answer.
Act = Callable[[Session], Awaitable[Contract | Mapping[str, object]]]


class Acts:
    """Runs acts against one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def once(
        self,
        request: Request,
        identity: Identity,
        action: str,
        *,
        roles: Container[Role],
        act: Act,
        status: int = 202,
        wanted: bytes | None = None,
    ) -> Response:
        """Run `act` for this request's `Idempotency-Key`, or give the answer that it was given before.

        `wanted` is the hash of what the body wants, where that was read already.

        Whoever is in none of the `roles` that may act is refused first: an answer is no more theirs than the act. A
        refusal rolls everything back and is not kept: the same request may succeed later.
        """
        if identity.role not in roles:
            raise Refused("forbidden", "the role may not do this", status=403)
        key = read_key(request.headers.get("idempotency-key"))
        wanted = wanted or body_hash(request.url.path, await request.body())
        status, body = await self.done(identity, action, roles=roles, key=key, wanted=wanted, act=act, status=status)
        return Response(body, status_code=status, media_type="application/json")

    async def done(
        self,
        identity: Identity,
        action: str,
        *,
        roles: Container[Role],
        key: bytes,
        wanted: bytes,
        act: Act,
        status: int = 202,
    ) -> tuple[int, bytes]:
        """One act for whoever has its key and the hash of what is wanted: status and body of the answer."""
        if identity.role not in roles:
            raise Refused("forbidden", "the role may not do this", status=403)
        async with self._database.transaction(RowScope([identity.party], identity.role, action)) as session:
            claimed = await claim(session.driver, identity.party, key, body_hash=wanted)
            if claimed.kind is ClaimKind.STORED and claimed.status is not None and claimed.answer is not None:
                return claimed.status, claimed.answer
            if claimed.kind is not ClaimKind.NEW:
                raise Refused("idempotency_key_reused", "the key was used for another body, or elsewhere")
            done = await act(session)
            answer = done.spelt() if isinstance(done, Contract) else to_json(done)
            await store_answer(session.driver, identity.party, key, status=status, answer=answer)
        return status, answer


#: Floats and half characters have a spelling here, too: whether they may be sent is for others to say.
_SPELT: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
#: What was read of an item, or why it was refused.
_Read = dict[str, Any] | Refused


def body_hash(route: str, body: bytes) -> bytes:
    """The SHA-256 of where a request went and of its JSON, however it is spelt; of its bytes, where it is none."""
    try:
        said = _SPELT(json.loads(body)).encode()
    except (ValueError, RecursionError):
        said = body
    same = Sameness(route)
    same.add(said)
    return same.value()


def items_hash(route: str, items: Iterable[tuple[_Read, bytes]]) -> bytes:
    """`body_hash` of a body that is read already: what was read of each item, or its bytes where it was refused."""
    same = Sameness(route)
    for read, raw in items:
        same.add_item(read, raw)
    return same.value()


class Sameness:
    """`items_hash`, item by item."""

    def __init__(self, route: str) -> None:
        self._hash = hashlib.sha256(route.encode())

    def add_item(self, read: _Read, raw: bytes) -> None:
        self.add(raw if isinstance(read, Refused) else _SPELT(read).encode())

    def add(self, said: bytes) -> None:
        self._hash.update(b"\n" + said)

    def value(self) -> bytes:
        return self._hash.digest()
