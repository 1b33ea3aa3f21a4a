"""One key has one effect and one answer, also when fifty requests race for it through two pools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.platform.database.idempotency import ClaimKind, KeyClaim, claim, claim_many, store_many
from shared.platform.database.transactions import Database
from shared.platform.http.acts import body_hash, items_hash
from shared.platform.http.edge import read_key

pytestmark = pytest.mark.timing

BODY = body_hash("/v1/referrals", b'{"a":1}')
OTHER = body_hash("/v1/referrals", b'{"a":2}')


@pytest.fixture
def key() -> bytes:
    return read_key(str(uuid7()))


@pytest.fixture
async def pools(database_url: str) -> AsyncIterator[tuple[Database, Database]]:
    """Return two pools, as of two processes of an instance."""
    pools = Database(database_url), Database(database_url)
    yield pools
    for pool in pools:
        await pool.close()


async def request(pool: Database, key: bytes, answer: bytes = b"{}", body: bytes = BODY) -> KeyClaim:
    """Claim the key, and store the answer if this request is the first, as every request does."""
    async with pool.transaction() as session:
        found = await claim(session.driver, "hotline.example", key, body_hash=body)
        if found.kind is ClaimKind.NEW:
            await asyncio.sleep(0.01)
            await store_many(session.driver, [(("hotline.example", key, body), 202, answer)])
        return found


async def test_of_fifty_requests_that_race_for_a_key_one_has_an_effect_and_all_have_its_answer(
    pools: tuple[Database, Database], key: bytes
) -> None:
    claims = await asyncio.gather(*(request(pools[n % 2], key, b"answer %d" % n) for n in range(50)))
    (winner,) = [n for n, found in enumerate(claims) if found.kind is ClaimKind.NEW]
    others = {found for n, found in enumerate(claims) if n != winner}
    assert others == {KeyClaim(ClaimKind.STORED, 202, b"answer %d" % winner)}


async def test_without_the_claim_fifty_requests_have_fifty_effects(pools: tuple[Database, Database]) -> None:
    # Negative control: the same race, each under a key of its own.
    claims = await asyncio.gather(*(request(pools[n % 2], read_key(str(uuid7()))) for n in range(50)))
    assert [found.kind for found in claims] == [ClaimKind.NEW] * 50


async def test_the_same_key_of_two_parties_is_two_keys(database: Database, key: bytes) -> None:
    async with database.transaction() as session:
        first = await claim(session.driver, "one.example", key, body_hash=BODY)
        second = await claim(session.driver, "two.example", key, body_hash=OTHER)
    assert [first.kind, second.kind] == [ClaimKind.NEW, ClaimKind.NEW]


async def test_a_waiting_request_takes_over_when_the_holder_fails(pools: tuple[Database, Database], key: bytes) -> None:
    holds, may_fail = asyncio.Event(), asyncio.Event()

    async def hold_and_fail() -> None:
        async with pools[0].transaction() as session:
            await claim(session.driver, "hotline.example", key, body_hash=BODY)
            holds.set()
            await may_fail.wait()
            raise ZeroDivisionError

    holder = asyncio.create_task(hold_and_fail())
    await holds.wait()
    waiter = asyncio.create_task(request(pools[1], key))
    await asyncio.wait([waiter], timeout=0.1)
    assert not waiter.done()
    may_fail.set()
    with pytest.raises(ZeroDivisionError):
        await holder
    assert (await waiter).kind is ClaimKind.NEW


async def test_a_batch_tells_new_stored_reused_and_twin_apart(database: Database, key: bytes) -> None:
    old, fresh = read_key(str(uuid7())), read_key(str(uuid7()))
    await request(database, old, answer=b"old")
    party = "hotline.example"
    wanted = [
        (party, fresh, BODY),
        (party, old, BODY),
        (party, fresh, BODY),
        (party, old, OTHER),
        (party, fresh, OTHER),
    ]
    async with database.transaction() as session:
        assert await claim_many(session.driver, wanted) == [
            KeyClaim(ClaimKind.NEW),
            KeyClaim(ClaimKind.STORED, 202, b"old"),
            KeyClaim(ClaimKind.TWIN, twin_of=0),
            KeyClaim(ClaimKind.REUSED),
            KeyClaim(ClaimKind.REUSED),
        ]


async def test_batches_that_share_keys_in_opposite_order_do_not_block_each_other_for_ever(
    pools: tuple[Database, Database],
) -> None:
    for _ in range(20):
        keys = [read_key(str(uuid7())) for _ in range(20)]

        async def batch(pool: Database, keys: list[bytes]) -> None:
            async with pool.transaction() as session:
                claims = await claim_many(session.driver, [("hotline.example", each, BODY) for each in keys])
                new = [each for each, found in zip(keys, claims, strict=True) if found.kind is ClaimKind.NEW]
                await store_many(session.driver, [(("hotline.example", each, BODY), 202, b"{}") for each in new])

        async with asyncio.timeout(60):
            await asyncio.gather(batch(pools[0], keys), batch(pools[1], keys[::-1]))
        async with pools[0].transaction() as session:
            claims = await claim_many(session.driver, [("hotline.example", each, BODY) for each in keys])
        assert {each.kind for each in claims} == {ClaimKind.STORED}, "each was answered by one of the two"


async def test_nothing_of_a_key_is_kept_but_its_hash(database: Database) -> None:
    text = f"visible-{uuid7()}"
    await request(database, read_key(text))
    async with database.transaction() as session:
        rows = await session.driver.fetch("SELECT idempotency_key::text AS row FROM idempotency_key")
    assert not any(text in row["row"] or text.encode().hex() in row["row"] for row in rows)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "idempotency_key_missing"),
        ("", "idempotency_key_malformed"),
        ("a b", "idempotency_key_malformed"),
        ("a" * 65, "idempotency_key_malformed"),
        ("é", "idempotency_key_malformed"),
    ],
)
def test_a_key_that_is_missing_or_malformed_is_refused_with_400(header: str | None, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read_key(header)
    assert (refused.value.code, refused.value.status) == (code, 400)


def test_two_routes_with_one_body_are_two_requests() -> None:
    assert body_hash("/v1/referrals", b"{}") != body_hash("/v1/referrals:batch", b"{}")


@pytest.mark.parametrize(
    ("body", "same"),
    [
        (b'{ "b" : [1, 2],\n "a":"\xc3\xa9"}', True),
        (b'{"b":[1,2],"a":"\\u00e9"}', True),
        (b'{"a":"\xc3\xa9","b":[2,1]}', False),
        (b'{"a":"\xc3\xa9","b":[1,"2"]}', False),
        (b'{"a":"\xc3\xa9"', False),
    ],
    ids=["spaces", "escapes", "order of a list", "type", "no JSON"],
)
def test_two_bodies_are_the_same_when_their_json_is(body: bytes, same: bool) -> None:
    assert (body_hash("/", body) == body_hash("/", b'{"a":"\xc3\xa9","b":[1,2]}')) is same


def test_what_was_read_is_the_same_when_its_json_is_and_what_was_refused_when_its_bytes_are() -> None:
    refused = Refused("body_key")
    first = items_hash("/", [({"b": 1, "a": 2}, b"x"), (refused, b"{1}")])
    assert first == items_hash("/", [({"a": 2, "b": 1}, b"y"), (refused, b"{1}")])
    assert first != items_hash("/", [({"a": 2, "b": 1}, b"x"), (refused, b"{2}")])
    assert first != items_hash("/", [({"a": 2}, b"x"), (refused, b"{1}")])


@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b"1" * 5000, b"\xff", b'"\\ud800"'], ids=len)
def test_whatever_is_sent_has_a_hash(body: bytes) -> None:
    assert len(body_hash("/", body)) == 32
