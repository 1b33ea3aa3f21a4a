"""One key, one effect, one answer: repeated, raced in two processes, and with the process killed in between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.running import HOTLINE, OTHER_HOTLINE, Exchange, referral, until

SECOND = "hotline-api-2"
#: The parts of a second API process that accepts referrals. The first one's relay sends their messages.
API_PARTS = ("api", "documents")
RACERS = 50
POSTS, KILLS = 120, 3
#: Number of withheld commits, and the maximum time of each in seconds.
TURNS, SOON_S = 6, 10.0
#: A transaction that writes to the log and to no table.
WRITE = "SELECT pg_logical_emit_message(true, 'test', '')"

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def second_url(exchange: Exchange) -> Iterator[str]:
    """Return the address of another API process with the hotline's database."""
    port = exchange.stack.state.port("http/second", set())
    url = f"http://127.0.0.1:{port}"
    exchange.serve("hotline", only=API_PARTS, label=SECOND, port=port)
    exchange.wait_ready(SECOND, url)
    yield url
    exchange.stop(SECOND)


async def post(http: httpx.AsyncClient, body: dict[str, Any], key: str) -> httpx.Response:
    return await http.post("/v1/referrals", json=body, headers={"Idempotency-Key": key})


async def referral_ids(exchange: Exchange, party: str, external_ref: str) -> list[str]:
    admin = await exchange.admin("hotline")
    try:
        rows = await admin.fetch(
            "SELECT referral_id FROM referral WHERE party = $1 AND external_ref = $2", party, external_ref
        )
    finally:
        await admin.close()
    return [str(row["referral_id"]) for row in rows]


async def test_the_same_key_and_body_twice_is_one_referral_and_the_stored_answer(exchange: Exchange) -> None:
    body = referral()
    async with exchange.http(HOTLINE) as http:
        first, again = await post(http, body, "twice-1"), await post(http, body, "twice-1")
    assert first.status_code == 202
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"] == f"/v1/referrals/{first.json()['referral_id']}"
    assert await referral_ids(exchange, HOTLINE, body["external_ref"]) == [first.json()["referral_id"]]


async def test_another_body_under_the_same_key_is_refused(exchange: Exchange) -> None:
    first, other = referral(), referral()
    async with exchange.http(HOTLINE) as http:
        await post(http, first, "reused-1")
        answer = await post(http, other, "reused-1")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await referral_ids(exchange, HOTLINE, other["external_ref"]) == []


async def test_a_known_reference_under_a_new_key_is_answered_with_a_link_to_the_first(exchange: Exchange) -> None:
    body = referral()
    async with exchange.http(HOTLINE) as http:
        first, again = await post(http, body, "known-1"), await post(http, body, "known-2")
        linked = await http.get(again.json()["referral"])
    assert (again.status_code, again.json()["code"]) == (409, "external_ref_exists")
    assert linked.json()["referral_id"] == first.json()["referral_id"]


async def test_keys_and_references_are_each_senders_own(exchange: Exchange) -> None:
    body = referral()
    async with exchange.http(HOTLINE) as http, exchange.http(OTHER_HOTLINE) as other:
        first, second = await post(http, body, "shared-1"), await post(other, body, "shared-1")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["referral_id"] != second.json()["referral_id"]


async def test_fifty_at_once_under_one_key_at_two_processes_are_one_referral(
    exchange: Exchange, second_url: str, record_property: Record
) -> None:
    body = referral()
    async with exchange.http(HOTLINE) as one, exchange.http(HOTLINE, url=second_url) as two:
        answers = await asyncio.gather(*(post((one, two)[turn % 2], body, "race-1") for turn in range(RACERS)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert await referral_ids(exchange, HOTLINE, body["external_ref"]) == [answers[0].json()["referral_id"]]
    record_property("racers", RACERS)


async def test_fifty_keys_at_once_for_one_reference_at_two_processes_are_one_referral(
    exchange: Exchange, second_url: str
) -> None:
    body = referral()
    async with exchange.http(HOTLINE) as one, exchange.http(HOTLINE, url=second_url) as two:
        answers = await asyncio.gather(*(post((one, two)[n % 2], body, f"race-2.{n}") for n in range(RACERS)))
    accepted = [answer for answer in answers if answer.status_code == 202]
    refused = {(answer.status_code, answer.json()["referral"]) for answer in answers if answer not in accepted}
    assert len(accepted) == 1
    assert refused == {(409, accepted[0].headers["location"])}


@asynccontextmanager
async def commits_withheld(exchange: Exchange) -> AsyncIterator[asyncpg.Connection]:
    """Withhold the answers to commits within this context: a commit is durable, but PostgreSQL does not confirm it.

    It waits for a standby that does not exist. When the setting is removed, all sessions see the commit.
    """
    admin, other = await exchange.admin("hotline"), await exchange.admin("hotline")
    waiting = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'"
    try:
        await admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await admin.fetch("SELECT pg_reload_conf()")
        # A busy checkpointer applies the setting late: a commit of our own shows when it is in force.
        writing = asyncio.create_task(other.execute(WRITE))
        while not await admin.fetch(waiting, other.get_server_pid()):
            if writing.done():
                writing = asyncio.create_task(other.execute(WRITE))
            await asyncio.sleep(0.01)
        yield admin
    finally:
        await admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await admin.fetch("SELECT pg_reload_conf()")
        await until_none(admin, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        await writing
        await other.close()
        await admin.close()


async def until_some(admin: asyncpg.Connection, query: str) -> None:
    """Wait until the query has rows."""
    await until(lambda: admin.fetch(query))


async def is_seen(admin: asyncpg.Connection, query: str) -> bool:
    """Return whether the query has rows soon."""
    with suppress(AssertionError):
        await until(lambda: admin.fetch(query), seconds_max=SOON_S)
        return True
    return False


async def until_none(admin: asyncpg.Connection, query: str) -> None:
    """Wait until the query has no rows."""

    async def none() -> bool:
        return not await admin.fetch(query)

    await until(none)


async def test_a_process_killed_between_commit_and_answer_has_the_answer_stored(
    exchange: Exchange, second_url: str
) -> None:
    # Our transaction has committed, still holds its locks, and waits for the confirmation. Other transactions use at
    # most one of the two tables.
    waiting = """
        SELECT 1 FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE wait_event = 'SyncRep'
        AND relation IN ('referral'::regclass, 'idempotency_key'::regclass) AND mode = 'RowExclusiveLock'
        GROUP BY pid HAVING count(DISTINCT relation) = 2
    """
    async with exchange.http(HOTLINE, url=second_url) as http:
        for turn in range(TURNS):
            body, key = referral(), f"killed-1.{turn}"
            async with commits_withheld(exchange) as admin:
                asking = asyncio.create_task(post(http, body, key))
                if committed_here := await is_seen(admin, waiting):
                    exchange.processes[SECOND].kill()
                    with pytest.raises(httpx.TransportError):
                        await asking
                    break
            # Another transaction waited for its commit with a lock that ours needs.
            await asking
        assert committed_here
        committed = await referral_ids(exchange, HOTLINE, body["external_ref"])
        assert len(committed) == 1
        exchange.serve("hotline", only=API_PARTS, label=SECOND, port=int(second_url.rpartition(":")[2]))
        exchange.wait_ready(SECOND, second_url)
        answer = await post(http, body, key)
    assert (answer.status_code, answer.json()["referral_id"]) == (202, committed[0])
    assert await referral_ids(exchange, HOTLINE, body["external_ref"]) == committed


async def test_a_process_killed_before_the_commit_leaves_the_key_free(exchange: Exchange, second_url: str) -> None:
    """The control of the test above: killed a moment earlier, nothing is stored, and the retry submits the referral."""
    body = referral()
    admin = await exchange.admin("hotline")
    waiting = "SELECT 1 FROM pg_locks WHERE relation = 'referral'::regclass AND NOT granted"
    async with exchange.http(HOTLINE, url=second_url) as http:
        async with admin.transaction():
            await admin.execute("LOCK TABLE referral IN SHARE MODE")
            asking = asyncio.create_task(post(http, body, "killed-2"))
            await until_some(admin, waiting)
            exchange.processes[SECOND].kill()
            with pytest.raises(httpx.TransportError):
                await asking
        await admin.close()
        assert await referral_ids(exchange, HOTLINE, body["external_ref"]) == []
        exchange.serve("hotline", only=API_PARTS, label=SECOND, port=int(second_url.rpartition(":")[2]))
        exchange.wait_ready(SECOND, second_url)
        answer = await post(http, body, "killed-2")
    assert await referral_ids(exchange, HOTLINE, body["external_ref"]) == [answer.json()["referral_id"]]


@pytest.mark.timing
async def test_every_request_retried_over_kills_at_any_moment_is_one_referral(
    exchange: Exchange, second_url: str, record_property: Record
) -> None:
    bodies = [referral() for _ in range(POSTS)]
    turn, unanswered = asyncio.Semaphore(10), 0
    answers: dict[str, str] = {}

    async def until_answered(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
        nonlocal unanswered
        async with turn:
            while True:
                try:
                    answer = await post(http, body, f"kills.{body['external_ref']}")
                except httpx.TransportError:
                    unanswered += 1
                    await asyncio.sleep(0.2)
                    continue
                assert answer.status_code == 202
                answers[body["external_ref"]] = answer.json()["referral_id"]
                await asyncio.sleep(0.05)
                return

    async def answered(at_least: int) -> bool:
        return len(answers) >= at_least

    async def kill_now_and_then() -> None:
        chosen = random.Random(1)
        for kill in range(1, KILLS + 1):
            # After the next part of the work, at a random moment.
            await until(partial(answered, POSTS * kill // (KILLS + 2)))
            await asyncio.sleep(chosen.uniform(0, 0.1))
            exchange.processes[SECOND].kill()
            exchange.serve("hotline", only=API_PARTS, label=SECOND, port=int(second_url.rpartition(":")[2]))

    async with exchange.http(HOTLINE, url=second_url) as http:
        await asyncio.gather(kill_now_and_then(), *(until_answered(http, body) for body in bodies))
    filed = {body["external_ref"]: await referral_ids(exchange, HOTLINE, body["external_ref"]) for body in bodies}
    assert filed == {reference: [answers[reference]] for reference in answers}
    assert len(filed) == POSTS
    assert unanswered > 0
    record_property(
        "figure", f"{POSTS} posts over {KILLS} kills, {unanswered} unanswered and retried: {POSTS} referrals"
    )
