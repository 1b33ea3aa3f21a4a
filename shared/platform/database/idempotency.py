"""The store of idempotency keys: one key of one party has one effect and one answer, also if it is sent again.

The effect and the stored answer commit in one transaction, which holds the key by an advisory lock (`hold_keys`). A
request with a key that an open transaction holds waits for that transaction. If it commits, the answer is stored; if
it fails, the key is free again.
Trust: a client that can write this table can suppress or repeat a request's effect, but not forge a request.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import asyncpg

from shared.core.errors import Refused
from shared.platform.database.columns import BoundRows, Columns, Statement, compress, decompress, pairs

#: The party of a request, the hash of its key, and that of its body.
KeyUse = tuple[str, bytes, bytes]

CLAIM: Final = Columns[str](
    {"party": "text", "key_hash": "bytea", "body_hash": "bytea", "response_status": "integer", "response_body": "bytea"}
)
#: Stores the keys of the rows `claims` in a fixed order, so that batches with common keys never wait in a circle. A
#: statement that includes it does not see rows that a holder commits meanwhile.
CLAIM_KEYS: Final = """
INSERT INTO idempotency_key ({claims.names}) SELECT {claims.values} FROM {claims}
ORDER BY claims.party, claims.key_hash ON CONFLICT DO NOTHING RETURNING party, key_hash
"""
_STORE: Final = Statement(CLAIM_KEYS, claims=CLAIM)
_STORED: Final = """
SELECT party, key_hash, body_hash, response_status, response_body FROM idempotency_key
JOIN unnest($1::text[], $2::bytea[]) AS c(party, key_hash) USING (party, key_hash)
"""
_HOLD: Final = "SELECT * FROM hold_keys($1::text[], $2::bytea[])"


class ClaimKind(StrEnum):
    """The action that the caller must take for its request."""

    NEW = "new"  # do it, and store the answer in this transaction
    STORED = "stored"  # do nothing: give the stored answer
    TWIN = "twin"  # do nothing: give the answer of the request at `twin_of` in the same batch
    REUSED = "reused"  # refuse: the key belongs to another body


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """The claim of one request. `STORED` has `status` and `answer`, `TWIN` has `twin_of`, an index in the batch."""

    kind: ClaimKind
    status: int | None = None
    answer: bytes | None = None
    twin_of: int | None = None


async def claim(driver: asyncpg.Connection, party: str, key_hash: bytes, *, body_hash: bytes) -> KeyClaim:
    """Claim one key within the caller's transaction."""
    return (await claim_many(driver, [(party, key_hash, body_hash)]))[0]


async def claim_many(driver: asyncpg.Connection, requests: Sequence[KeyUse]) -> list[KeyClaim]:
    """Claim the keys of a batch until the end of the caller's transaction. A free key has no row until its answer.

    Needs READ COMMITTED, so that rows are visible that a concurrent holder committed during the wait.
    """
    return _judge(requests, await driver.fetch(_HOLD, *pairs([key[:2] for key in requests])))


def bind_claims(requests: Sequence[KeyUse], answers: Sequence[tuple[int, bytes]]) -> BoundRows[str]:
    """Bind the rows of `CLAIM_KEYS`, one for each key. New claims store `answers` (status, exact answer)."""
    rows = [(*requests[at], answers[at][0], compress(answers[at][1])) for at in _firsts(requests).values()]
    return BoundRows(CLAIM, [list(column) for column in zip(*rows, strict=True)] or [[]] * len(CLAIM.sql_types))


async def read_claims(
    driver: asyncpg.Connection, requests: Sequence[KeyUse], new: Collection[tuple[str, bytes]]
) -> list[KeyClaim]:
    """Return the claim of each request of a batch. `new` are the keys that were just claimed."""
    others = [key for key in _firsts(requests) if key not in new]
    return _judge(requests, await driver.fetch(_STORED, *pairs(others)) if others else [])


def _judge(requests: Sequence[KeyUse], stored: Sequence[asyncpg.Record]) -> list[KeyClaim]:
    """Return the claim of each request of a batch, by the stored rows of its keys."""
    firsts, held = _firsts(requests), {(row["party"], row["key_hash"]): row for row in stored}
    claims = []
    for index, (party, key_hash, wanted_hash) in enumerate(requests):
        first = firsts[party, key_hash]
        if (row := held.get((party, key_hash))) is not None:
            claims.append(_held(row, wanted_hash))
        elif first == index:
            claims.append(KeyClaim(ClaimKind.NEW))
        elif requests[first][2] == wanted_hash:
            claims.append(KeyClaim(ClaimKind.TWIN, twin_of=first))
        else:
            claims.append(KeyClaim(ClaimKind.REUSED))
    return claims


def _firsts(requests: Sequence[KeyUse]) -> dict[tuple[str, bytes], int]:
    """Return the keys of a batch, each with the place of the first request that has it."""
    firsts: dict[tuple[str, bytes], int] = {}
    for index, (party, key_hash, _) in enumerate(requests):
        firsts.setdefault((party, key_hash), index)
    return firsts


async def store_many(driver: asyncpg.Connection, answers: Sequence[tuple[KeyUse, int, bytes]]) -> None:
    """Store (key and body, status, exact answer) for each `NEW` claim, in the transaction of the claims.

    Raises `Refused("idempotency_key_reused")` if a submission has taken one of the keys meanwhile.
    """
    claims = bind_claims([use for use, _, _ in answers], [(status, answer) for _, status, answer in answers])
    if answers and len(await driver.fetch(*_STORE.bind(claims=claims))) < len(answers):
        raise Refused("idempotency_key_reused", "the key was used with another body")


def _held(row: asyncpg.Record, wanted_hash: bytes) -> KeyClaim:
    if row["body_hash"] != wanted_hash:
        return KeyClaim(ClaimKind.REUSED)
    return KeyClaim(ClaimKind.STORED, row["response_status"], decompress(row["response_body"]))
