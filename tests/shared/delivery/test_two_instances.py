"""Two instances exchange messages over real Kafka and PostgreSQL, through kills, lost topics and a restore."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka.admin import AdminClient

from shared.messaging import relay
from shared.messaging.streams import Lane, Pair
from tests.shared.delivery.toy_instances import Toy, until, until_acked, until_taken
from tests.shared.messaging.kafka.test_log import make_again


@pytest.mark.timing
async def test_kills_at_any_time_repeat_and_lose_nothing(
    toys: tuple[Toy, Toy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay dies between an append and its record of it, and the reader in the middle of segments."""
    a, b = toys
    sent = []
    noted = relay.note_appended

    async def dies(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    for turn in range(4):
        monkeypatch.setattr(relay, "note_appended", dies if turn % 2 == 0 else noted)
        async with a.running(), b.running():
            for _ in range(5):
                sent += await a.send(7)
            await asyncio.sleep(0.3 * turn)
    monkeypatch.setattr(relay, "note_appended", noted)
    async with a.running(), b.running():
        await until_taken(b, sent)
        await until_acked(a)


async def test_a_topic_that_is_made_again_while_both_run_loses_nothing(
    toys: tuple[Toy, Toy], admin: AdminClient
) -> None:
    a, b = toys
    async with a.running(), b.running():
        sent = await a.send(3)
        await until_taken(b, sent)
        await asyncio.to_thread(make_again, admin, Pair(a.name, b.name))
        for _ in range(3):
            sent += await a.send(2)
        await until_taken(b, sent)


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_records_that_their_topic_loses_are_appended_again(
    toys: tuple[Toy, Toy], admin: AdminClient, is_restarted: bool
) -> None:
    a, b = toys
    async with a.running(), b.running():
        sent = await a.send(2)
        await until_taken(b, sent)

    async def is_appended() -> bool:
        own = (await a.outgoing()).lanes[Lane.ORDINARY]
        return own.sent == own.last

    async with a.running():
        sent += await a.send(4)
        await until(is_appended)
        if not is_restarted:
            await asyncio.to_thread(make_again, admin, Pair(a.name, b.name))
            sent += await a.send(1)
            async with b.running():
                await until_taken(b, sent)
            return
    await asyncio.to_thread(make_again, admin, Pair(a.name, b.name))
    async with a.running(), b.running():
        sent += await a.send(1)
        await until_taken(b, sent)


async def test_a_restored_writer_opens_an_incarnation_before_it_sends(toys: tuple[Toy, Toy]) -> None:
    a, b = toys
    async with a.running(), b.running():
        sent = await a.send(3)
        await until_taken(b, sent)
        await until_acked(a)
        await a.save_tables()
        lost = await a.send(2)
        await until_taken(b, sent + lost)
        before = (await a.outgoing()).incarnation
        await a.restore_tables()

        async def is_opened() -> bool:
            return bool(await a.database.fetch("SELECT FROM incarnation WHERE writer = $1", a.name))

        await until(is_opened)
        after = await a.send(2)
        await until_taken(b, sent + lost + after)
        assert (await a.outgoing()).incarnation != before


async def test_a_restored_reader_takes_again_what_it_lost(toys: tuple[Toy, Toy]) -> None:
    a, b = toys
    async with a.running(), b.running():
        sent = await a.send(3)
        await until_taken(b, sent)
        await b.save_tables()
        sent += await a.send(4)
        await until_taken(b, sent)
        await b.restore_tables()
        sent += await a.send(1)
        await until_taken(b, sent)
