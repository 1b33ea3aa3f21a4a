"""The quarantine from outside: looking, and having a record judged again through the instance's own consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from deploy.site.access import kafka_access
from shared.exchange.message import Record, told_digest
from shared.kernel.clock import SystemClock
from shared.runtime.kafka.reader import LogReader
from shared.runtime.post.ports import Coordinate
from tests.deploy.operator.conftest import Run
from tests.support.running import AGENCY, HOTLINE, Exchange, referral

INSTANCE, TOPIC = "law_enforcement", "causeway.inbox.law_enforcement.hotline.v1"
_PARK = """
INSERT INTO quarantine (same, count, topic, partition, "offset", broker_time, length_bytes, digest, reason, sender)
VALUES ($5, 1, $1, $2, $3, $4, 1, $5, 'handler_defect', $6)
"""
_FIRST = """
SELECT topic, partition, "offset" FROM inbox WHERE recipient = $1 AND outcome = 'applied' ORDER BY received_at LIMIT 1
"""


@pytest.fixture
def parked(exchange: Exchange) -> Iterator[str]:
    """A record that was applied, put into quarantine all the same: judged again, it is known as applied."""
    coordinates = asyncio.run(_park_applied(exchange))
    yield coordinates
    asyncio.run(_empty(exchange))


@pytest.fixture
def gone(exchange: Exchange) -> Iterator[str]:
    """A row about a record that Kafka does not hold."""
    asyncio.run(_park(exchange, Record(TOPIC, 0, 10**12, SystemClock().now(), None, (), b"gone")))
    yield f"{TOPIC}/0/{10**12}"
    asyncio.run(_empty(exchange))


def test_what_waits_is_listed_with_its_reason_and_shown_without_its_content(
    run: Run, exchange: Exchange, parked: str
) -> None:
    listed = run("quarantine", "list", INSTANCE, "--state", exchange.state, "--json").json["records"]
    assert [(each["coordinates"], each["reason"]) for each in listed] == [(parked, "handler_defect")]
    shown = run("quarantine", "show", INSTANCE, parked, "--state", exchange.state)
    assert shown.code == 0
    assert "the service's own code failed on this message alone" in shown.out
    assert run("quarantine", "list", INSTANCE, "--reason", "topic_wrong", "--state", exchange.state, "--json").json == {
        "records": []
    }


def test_a_replayed_record_goes_through_the_consumer_and_waits_no_more(
    run: Run, exchange: Exchange, parked: str
) -> None:
    replayed = run("quarantine", "replay", INSTANCE, parked, "--state", exchange.state, "--json")
    assert (replayed.code, replayed.json) == (0, {"replayed": {parked: "done"}})
    assert run("quarantine", "list", INSTANCE, "--state", exchange.state, "--json").json == {"records": []}
    again = run("quarantine", "replay", INSTANCE, parked, "--state", exchange.state)
    assert (again.code, again.err.partition(":")[2].strip().partition(":")[0]) == (1, "not_found")


def test_a_replay_of_all_says_which_are_not_done(run: Run, exchange: Exchange, parked: str, gone: str) -> None:
    ended = run("quarantine", "replay", INSTANCE, "--all", "--state", exchange.state, "--json")
    assert ended.code == 1
    assert ended.json["replayed"] == {parked: "done", gone: "gone"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", INSTANCE),
        ("replay", INSTANCE, f"{TOPIC}/0/1", "--all"),
        ("show", INSTANCE, "nonsense"),
        ("show", INSTANCE, f"{TOPIC}/0/-1"),
        ("list", "audit"),
    ],
)
def test_a_wrong_call_is_told_from_a_failure(run: Run, exchange: Exchange, arguments: tuple[str, ...]) -> None:
    assert run("quarantine", *arguments, "--state", exchange.state).code == 2


async def _park_applied(exchange: Exchange) -> str:
    async with exchange.client(HOTLINE) as client:
        await client.submit(referral())
    await exchange.until_quiet()
    agency = await exchange.admin(INSTANCE)
    row = await agency.fetchrow(_FIRST, AGENCY)
    await agency.close()
    reader = LogReader(kafka_access(exchange.endpoints, INSTANCE), [TOPIC], client_id="causeway-tests")
    record = await reader.read_at(Coordinate(TOPIC, row["partition"]), row["offset"])
    assert record is not None
    await _park(exchange, record)
    return f"{row['topic']}/{row['partition']}/{row['offset']}"


async def _park(exchange: Exchange, record: Record) -> None:
    agency = await exchange.admin(INSTANCE)
    place = (record.topic, record.partition, record.offset, record.broker_time)
    await agency.execute(_PARK, *place, told_digest(record), HOTLINE)
    await agency.close()


async def _empty(exchange: Exchange) -> None:
    agency = await exchange.admin(INSTANCE)
    await agency.execute("DELETE FROM quarantine")
    await agency.close()
