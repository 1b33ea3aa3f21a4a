"""Exceptions and the operator's list from outside: list, show, retry, discard, close."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import pytest

from deploy.accounting.book import open_snapshot
from deploy.accounting.log import reading_of
from deploy.site.access import kafka_access
from shared.catalog import CATALOG
from shared.core.clock import SystemClock
from shared.core.ids import uuid7
from shared.core.protocol.authority import inbox_topic
from shared.core.protocol.sender_verification import SigningKeys
from shared.delivery.arriving import pack, read_arrival, unpack
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, RawRecord
from shared.messaging.exceptions import Coordinates, OpenException, Outcome, OutcomeKind, TakenMessage
from shared.messaging.reception import ArrivedMessage
from shared.messaging.store.exceptions import ExceptionTables
from shared.messaging.streams import Lane, Pair
from shared.platform.database.transactions import Database
from shared.platform.kafka.reader import LogReader
from shared.platform.kafka.topic_metadata import Coordinate
from tests.deploy.operator.conftest import Ended, Run
from tests.support.running import HOTLINE, Exchange, referral

INSTANCE, WRITER = "law_enforcement", "hotline"
LANE = Lane.ORDINARY
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Message(NamedTuple):
    """A message that the agency's instance has applied, as stored in Kafka."""

    arrived: ArrivedMessage
    where: Coordinates


@pytest.fixture(scope="module")
def applied(exchange: Exchange) -> Message:
    return asyncio.run(_applied(exchange))


Keep = Callable[[OutcomeKind], UUID]


@pytest.fixture
def keep(exchange: Exchange, applied: Message) -> Iterator[Keep]:
    """Store an applied message as an exception. When it is processed again, its act has already been applied."""
    yield lambda kind: asyncio.run(_keep(exchange, applied, kind=kind))
    asyncio.run(_empty(exchange))


@pytest.fixture
def broken(exchange: Exchange, applied: Message) -> Iterator[UUID]:
    """Return a dead letter whose content signature is invalid. A retry changes nothing."""
    yield asyncio.run(_keep(exchange, applied, kind=OutcomeKind.DEAD, is_signed=False))
    asyncio.run(_empty(exchange))


def called(run: Run, exchange: Exchange, *arguments: object) -> Ended:
    return run(*arguments, "--state", exchange.state, "--json")


def listed(run: Run, exchange: Exchange, *options: str) -> list[tuple[str, str, str]]:
    found = called(run, exchange, "dead-letters", "list", INSTANCE, *options).json["messages"]
    return [(each["message_id"], each["outcome"], each["code"]) for each in found]


def test_exceptions_are_listed_with_their_code_and_no_content(run: Run, exchange: Exchange, keep: Keep) -> None:
    dead, waiting = keep(OutcomeKind.DEAD), keep(OutcomeKind.WAITING)
    every = [(str(dead), "dead", "handler_defect"), (str(waiting), "waiting", "handler_defect")]
    assert sorted(listed(run, exchange)) == sorted(every)
    assert listed(run, exchange, "--outcome", "dead") == every[:1]
    assert listed(run, exchange, "--code", "document_unknown") == []
    shown = run("dead-letters", "show", INSTANCE, dead, "--state", exchange.state)
    assert shown.code == 0
    assert "the service's own code failed on this message alone" in shown.out
    assert WRITER in shown.out


def test_a_retried_message_is_processed_and_is_no_exception_any_more(run: Run, exchange: Exchange, keep: Keep) -> None:
    id_ = keep(OutcomeKind.DEAD)
    ended = called(run, exchange, "dead-letters", "retry", INSTANCE, id_)
    assert (ended.code, ended.json) == (0, {"retried": {str(id_): "done"}})
    assert listed(run, exchange) == []
    again = run("dead-letters", "retry", INSTANCE, id_, "--state", exchange.state)
    assert (again.code, "not_found" in again.err) == (1, True)


def test_a_retry_of_all_says_which_are_still_exceptions(run: Run, exchange: Exchange, keep: Keep, broken: UUID) -> None:
    id_ = keep(OutcomeKind.WAITING)
    ended = called(run, exchange, "dead-letters", "retry", INSTANCE, "--all")
    assert ended.code == 1
    assert ended.json["retried"] == {str(id_): "done", str(broken): "dead"}


def test_a_dead_letter_is_discarded_and_a_waiting_message_is_not(run: Run, exchange: Exchange, keep: Keep) -> None:
    dead, waiting = keep(OutcomeKind.DEAD), keep(OutcomeKind.WAITING)
    assert called(run, exchange, "dead-letters", "discard", INSTANCE, dead).json == {"discarded": str(dead)}
    refused = run("dead-letters", "discard", INSTANCE, waiting, "--state", exchange.state)
    assert (refused.code, "not_dead" in refused.err) == (2, True)
    assert [each[0] for each in listed(run, exchange)] == [str(waiting)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry", INSTANCE),
        ("retry", INSTANCE, "0190a5b8-0000-7000-8000-000000000000", "--all"),
        ("show", INSTANCE, "nonsense"),
        ("list", INSTANCE, "--outcome", "applied"),
        ("list", "audit"),
    ],
)
def test_a_wrong_call_is_told_from_a_failure(run: Run, exchange: Exchange, arguments: tuple[str, ...]) -> None:
    assert run("dead-letters", *arguments, "--state", exchange.state).code == 2


def test_lines_of_the_operators_list_are_shown_until_a_person_closes_them(run: Run, exchange: Exchange) -> None:
    subject = uuid7()
    line = f"('unknown', 'hotline', '{subject}', NULL), ('ahead', 'industry', NULL, NULL)"
    asyncio.run(_execute(exchange, f"INSERT INTO operator_line (kind, peer, subject, act) VALUES {line}"))
    try:
        shown = called(run, exchange, "operator-list", "show", INSTANCE)
        assert shown.code == 1
        lines = [(each["kind"], each["subject"]) for each in shown.json["lines"]]
        assert lines == [("ahead", None), ("unknown", str(subject))]
        close = ("operator-list", "close", INSTANCE, "unknown", "hotline", "--by", "A. Person")
        assert called(run, exchange, *close, "--subject", uuid7()).code == 1
        assert called(run, exchange, *close, "--subject", subject).json == {"closed": 1}
        assert called(run, exchange, *close).code == 1, "it is closed"
        called(run, exchange, "operator-list", "close", INSTANCE, "ahead", "industry", "--by", "A. Person")
        after = called(run, exchange, "operator-list", "show", INSTANCE, "--closed")
        assert (after.code, {each["closed_by"] for each in after.json["lines"]}) == (0, {"A. Person"})
    finally:
        asyncio.run(_execute(exchange, "DELETE FROM operator_line"))


async def _applied(exchange: Exchange) -> Message:
    async with exchange.client(HOTLINE) as client:
        await client.submit(referral())
    await exchange.until_quiet()
    async with open_snapshot(exchange.endpoints.database("audit").accountant_url, kind="audit") as book:
        reading = await reading_of(book, [])
    where = Coordinate(inbox_topic(INSTANCE, WRITER), int(LANE))
    reader = LogReader(kafka_access(exchange.endpoints, INSTANCE), [where.topic], client_id="causeway-tests")
    topic_id = (await reader.topic_ids())[where.topic]
    bounds = (await reader.bounds())[where]
    keys = SigningKeys(reading.shelf.directories, SystemClock())
    verifier = PartitionVerifier(Pair(WRITER, INSTANCE), LANE, keys)
    found: list[Message] = []
    async with aclosing(reader.read_range(where, bounds.first, bounds.end)) as batches:
        async for batch in batches:
            for record in batch:
                where = Coordinates(topic_id, record.offset, record.broker_time)
                (verified,) = verifier.verify([RawRecord(*where, tuple(record.headers), record.value)])
                if isinstance(verified, PlacedMessage):
                    found.append(Message(read_arrival(record, verified, CATALOG), where))
    return [each for each in found if each.arrived.named.kind == "referral_offered"][-1]


async def _keep(exchange: Exchange, message: Message, *, kind: OutcomeKind, is_signed: bool = True) -> UUID:
    arrived = message.arrived
    named = replace(arrived.named, message_id=uuid7())
    record = unpack(arrived.record)
    packed = pack(record if is_signed else replace(record, proof=None))
    taken = TakenMessage(WRITER, arrived.place, bytes(32), named, packed, message.where)
    row = OpenException(taken, Outcome(named, kind, "handler_defect"), NOW)
    database = Database(exchange.endpoints.database(INSTANCE).service_url, pool_size=1)
    try:
        async with database.transaction() as session:
            await ExceptionTables(session, INSTANCE).add_exceptions([row])
    finally:
        await database.close()
    return named.message_id


async def _empty(exchange: Exchange) -> None:
    await _execute(exchange, "DELETE FROM exception")


async def _execute(exchange: Exchange, statement: str) -> None:
    agency = await exchange.admin(INSTANCE)
    await agency.execute(statement)
    await agency.close()
