"""`Idempotency-Key`, kept: one key of one party has one effect and one answer, however often it is sent.

The claim, the effect and the stored answer commit in one transaction. Whoever claims a key that an open transaction
holds waits for that transaction: if it commits, the answer is there; if it fails, the key is free again.
Trust: whoever can write this table can have a request's effect left out, or done twice; not forge one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import asyncpg

_CLAIM = """
INSERT INTO idempotency (party, key_hash, body_hash, status, answer)
SELECT p, k, b, s, a FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::int[], $5::bytea[]) AS c(p, k, b, s, a)
ORDER BY p, k
ON CONFLICT DO NOTHING
RETURNING party, key_hash
"""

_HELD = """
SELECT party, key_hash, body_hash, status, answer FROM idempotency
JOIN unnest($1::text[], $2::bytea[]) AS c(party, key_hash) USING (party, key_hash)
"""

_STORE = """
UPDATE idempotency AS i SET status = a.status, answer = a.answer
FROM unnest($1::text[], $2::bytea[], $3::int[], $4::bytea[]) AS a(party, key_hash, status, answer)
WHERE i.party = a.party AND i.key_hash = a.key_hash
"""


_FORGET = """
DELETE FROM idempotency AS i USING unnest($1::text[], $2::bytea[]) AS a(party, key_hash)
WHERE i.party = a.party AND i.key_hash = a.key_hash
"""


class ClaimKind(StrEnum):
    """What the caller must do with its request."""

    NEW = "new"  # do it, and store the answer in this transaction
    STORED = "stored"  # do nothing: give the stored answer
    TWIN = "twin"  # do nothing: give the answer of the request at `twin_of` in the same batch
    REUSED = "reused"  # refuse: the key belongs to another body


@dataclass(frozen=True, slots=True)
class Claim:
    """`status` and `answer` are set for `STORED`, `twin_of` (a position in the batch) for `TWIN`."""

    kind: ClaimKind
    status: int | None = None
    answer: bytes | None = None
    twin_of: int | None = None


async def claim(driver: asyncpg.Connection, party: str, key_hash: bytes, *, body_hash: bytes) -> Claim:
    """Claim one key within the caller's transaction."""
    return (await claim_many(driver, [(party, key_hash, body_hash)]))[0]


async def claim_many(
    driver: asyncpg.Connection,
    requests: Sequence[tuple[str, bytes, bytes]],
    answers: Sequence[tuple[int, bytes]] | None = None,
) -> list[Claim]:
    """Claim (party, key hash, body hash) for each request of a batch, within the caller's transaction.

    `answers`, as (status, exact answer), are kept with the claims that are `NEW`: where the caller knows already what
    it will answer, nothing is left to store. Needs READ COMMITTED: what a concurrent holder has committed while we
    waited must be visible.
    """
    kept = answers if answers is not None else [(None, None)] * len(requests)
    firsts: dict[tuple[str, bytes], int] = {}
    for index, (party, key_hash, _) in enumerate(requests):
        firsts.setdefault((party, key_hash), index)
    wanted = [(*requests[index], *kept[index]) for index in firsts.values()]
    # Inserted in one order by everyone: two batches that share keys wait for each other, never in a circle.
    claimed = await driver.fetch(_CLAIM, *(list(column) for column in zip(*wanted, strict=True)))
    new = {(row["party"], row["key_hash"]) for row in claimed}
    held: dict[tuple[str, bytes], asyncpg.Record] = {}
    if others := [key for key in firsts if key not in new]:
        rows = await driver.fetch(_HELD, [party for party, _ in others], [key_hash for _, key_hash in others])
        held = {(row["party"], row["key_hash"]): row for row in rows}
    claims = []
    for index, (party, key_hash, wanted_hash) in enumerate(requests):
        first = firsts[party, key_hash]
        if (row := held.get((party, key_hash))) is not None:
            claims.append(_held(row, wanted_hash))
        elif first == index:
            claims.append(Claim(ClaimKind.NEW))
        elif requests[first][2] == wanted_hash:
            claims.append(Claim(ClaimKind.TWIN, twin_of=first))
        else:
            claims.append(Claim(ClaimKind.REUSED))
    return claims


async def store_answer(driver: asyncpg.Connection, party: str, key_hash: bytes, *, status: int, answer: bytes) -> None:
    """Keep the answer of a `NEW` claim, in the transaction that made it."""
    await store_many(driver, [(party, key_hash, status, answer)])


async def store_many(driver: asyncpg.Connection, answers: Sequence[tuple[str, bytes, int, bytes]]) -> None:
    """Keep (party, key hash, status, exact answer) for each `NEW` claim, in the transaction that made them."""
    if answers:
        await driver.execute(_STORE, *(list(column) for column in zip(*answers, strict=True)))


async def forget_many(driver: asyncpg.Connection, keys: Sequence[tuple[str, bytes]]) -> None:
    """Free these keys, in the transaction that claimed them: nothing came of their requests, which may come again."""
    await driver.execute(_FORGET, *(list(column) for column in zip(*keys, strict=True)))


def _held(row: asyncpg.Record, wanted_hash: bytes) -> Claim:
    if row["body_hash"] != wanted_hash:
        return Claim(ClaimKind.REUSED)
    return Claim(ClaimKind.STORED, row["status"], row["answer"])
