"""Acts over HTTP: a changing request, its idempotency claim and its answer in one transaction.

Two requests with one idempotency key are the same if they have the same path and equal JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from typing import Any, Final

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from shared.core.authority import Role
from shared.core.contracts.base import Contract
from shared.core.errors import Refused
from shared.platform.admission.budgets import PlacePool, Shares
from shared.platform.database.idempotency import ClaimKind, claim, store_many
from shared.platform.database.transactions import Database, RowScope, Session
from shared.platform.http.edge import read_key
from shared.platform.http.identity import Identity

#: Runs an act within its transaction and returns the body of its answer.
Act = Callable[[Session], Awaitable[Contract | Mapping[str, object]]]
#: An act takes one of the pool's eight connections. Two are left for reads, and for messages that arrive.
ACTS: Final = Shares(of_holder=2, of_party=2, of_instance=6, waiting=100, wait_s=5.0, keeps_first=False)


class Acts:
    """The runner of acts on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._places = PlacePool("acts", ACTS)

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
        """Run `act` for this request's `Idempotency-Key`, or return the stored answer of the same request.

        `wanted` is the hash of the request, if the body was read before.

        A caller without one of the `roles` is refused first, because a stored answer needs the same role as the act. A
        refusal rolls everything back and is not stored, so the same request may succeed later.
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
        """Run one act with its key and the hash of the request; return the status and body of the answer."""
        if identity.role not in roles:
            raise Refused("forbidden", "the role may not do this", status=403)
        async with (
            self._places.place(identity.principal),
            self._database.transaction(RowScope([identity.party], identity.role, action)) as session,
        ):
            claimed = await claim(session.driver, identity.party, key, body_hash=wanted)
            if claimed.kind is ClaimKind.STORED and claimed.status is not None and claimed.answer is not None:
                return claimed.status, claimed.answer
            if claimed.kind is not ClaimKind.NEW:
                raise Refused("idempotency_key_reused", "the key was used for another body or another path")
            done = await act(session)
            answer = done.spelt() if isinstance(done, Contract) else to_json(done)
            await store_many(session.driver, [((identity.party, key, wanted), status, answer)])
        return status, answer


#: Floats and lone surrogates are encoded here, too; other code checks whether a body may contain them.
_SPELT: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
#: The parsed item, or the error for which it was refused.
_Read = dict[str, Any] | Refused


def body_hash(route: str, body: bytes) -> bytes:
    """Return the SHA-256 of a request's path and its normalised JSON, or its bytes if they are not JSON."""
    try:
        canonical = _SPELT(json.loads(body)).encode()
    except (ValueError, RecursionError):
        canonical = body
    same = RequestFingerprint(route)
    same.add(canonical)
    return same.value()


def items_hash(route: str, items: Iterable[tuple[_Read, bytes]]) -> bytes:
    """Return a hash like `body_hash` for a parsed body: of each item's JSON, or of its bytes if it was refused."""
    same = RequestFingerprint(route)
    for read, raw in items:
        same.add_item(read, raw)
    return same.value()


class RequestFingerprint:
    """The incremental computation of `items_hash`."""

    def __init__(self, route: str) -> None:
        self._hash = hashlib.sha256(route.encode())

    def add_item(self, read: _Read, raw: bytes) -> None:
        self.add(raw if isinstance(read, Refused) else _SPELT(read).encode())

    def add(self, part: bytes) -> None:
        self._hash.update(b"\n" + part)

    def value(self) -> bytes:
        return self._hash.digest()
