"""Risks of a power failure are named in advance: for PostgreSQL by setting, for Kafka by topic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import pytest

from deploy.kafka.provision import manifest_in
from deploy.operator.doctor import examine_copies, judged
from tests.deploy.operator.conftest import Run
from tests.support.running import Exchange, rows_of, until


def ill(run: Run, exchange: Exchange) -> list[dict[str, Any]]:
    return [each for each in run("doctor", "--state", exchange.state, "--json").json["findings"] if not each["well"]]


@asynccontextmanager
async def set_to(exchange: Exchange, change: str, back: str) -> AsyncIterator[None]:
    admin = await asyncpg.connect(exchange.stack.postgres.admin_url)
    try:
        await admin.execute(change)
        await admin.execute("SELECT pg_reload_conf()")
        yield
    finally:
        await admin.execute(back)
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()


async def is_set(exchange: Exchange, setting: str, to: str) -> bool:
    """Return whether the setting has this value. The server reads changed settings a moment later."""
    return [row[0] for row in await rows_of(exchange.stack.postgres.admin_url, f"SHOW {setting}")] == [to]


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_does_not_wait_for_its_disk_is_found(run: Run, exchange: Exchange, setting: str) -> None:
    async with set_to(exchange, f"ALTER SYSTEM SET {setting} = off", f"ALTER SYSTEM RESET {setting}"):
        await until(partial(is_set, exchange, setting, "off"))
        found = await asyncio.to_thread(ill, run, exchange)
    await until(partial(is_set, exchange, setting, "on"))
    assert {each["what"] for each in found} == {f"durability {name}" for name in exchange.endpoints.databases}
    assert {each["code"] for each in found} == {f"{setting}_off"}
    assert all(f"set `{setting} = on`" in each["advice"] for each in found)


async def test_a_role_that_does_not_wait_for_its_commits_is_found(run: Run, exchange: Exchange) -> None:
    role = "ALTER ROLE causeway_hotline {} synchronous_commit"
    async with set_to(exchange, f"{role.format('SET')} = off", role.format("RESET")):
        (found,) = await asyncio.to_thread(ill, run, exchange)
    assert (found["what"], found["code"]) == ("durability hotline", "synchronous_commit_off")
    assert "set `synchronous_commit = on` (it is off by: user)" in found["advice"]


def test_topics_in_one_place_are_found_where_the_broker_is_not_the_stacks_own(exchange: Exchange) -> None:
    manifest = manifest_in((exchange.state / "directory.json").read_bytes())
    (found,) = examine_copies(exchange.endpoints.kafka, manifest, own_broker=False)
    assert (found.what, found.code) == ("durability kafka", "one_copy")
    assert all(topic in found.advice for topic in manifest.topics)
    (well,) = examine_copies(exchange.endpoints.kafka, manifest, own_broker=True)
    assert well.well


@pytest.mark.parametrize(
    ("replicas", "min_insync", "flushed", "code"),
    [
        (3, 2, False, None),
        (2, 2, False, None),
        (3, 1, False, "one_copy_acknowledged"),
        (3, 1, True, "one_copy_acknowledged"),
        (1, 1, True, None),
        (1, 1, False, "one_copy"),
        (1, 2, False, "one_copy"),
        (2, 3, False, None),
    ],
)
def test_a_record_is_in_two_places_first(replicas: int, min_insync: int, flushed: bool, code: str | None) -> None:
    wrong = judged(replicas, min_insync, flushed=flushed)
    assert (None if wrong is None else wrong[0]) == code
