"""Messages that audit could not read are counted. They are no difference to a later or an earlier release."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any, Final

import pytest

from deploy.accounting import views
from deploy.accounting.book import Snapshot
from deploy.site.endpoints import DatabaseEndpoint
from services.audit.domain import decisions
from services.audit.domain.entries import UNREAD
from shared.core.contracts import registry
from shared.core.contracts.facts import RecordRevealedClear
from shared.core.contracts.registry import (
    RECORD_REVEALED,
    REFERRAL_DECIDED,
    REFERRAL_OFFERED,
    REFERRAL_REFUSED,
)
from shared.core.envelope.headers import Envelope, decode_headers, encode_headers
from shared.core.errors import Refused, Unavailable
from shared.core.protocol.message import Record
from shared.messaging import contract
from shared.messaging.exceptions import OutcomeKind
from tests.services.audit.broker import Broker
from tests.services.audit.log import Log
from tests.services.audit.test_entitled import revealed
from tests.services.audit.test_junk_folded import accountant, reconciled
from tests.services.audit.test_later_release import NOT_INVENTED, decision, look, offer, type_of
from tests.services.audit.test_reported_outcomes import change, outcome, reported
from tests.support.builders import HOTLINE
from tests.support.exchange_world import next_version
from tests.support.wire_records import compose_altered, write_segment

#: A later release adds one member to each of these messages.
GROWN: Final = (REFERRAL_DECIDED, REFERRAL_REFUSED, REFERRAL_OFFERED, RECORD_REVEALED)


def topic_with(log: Log, make: Callable[[Log], Record], *, version: int = 1) -> tuple[Broker, Record]:
    """Return a topic with one message in this version, and that message's record as Kafka has it."""
    record = make(replace(log, world=log.world.anew()))
    name = type_of(record).decode().removeprefix("causeway.").removesuffix(".v1")
    value = record.value or b""
    attributes = replace(
        decode_headers(record.headers, value).attributes,
        type=f"causeway.{name}.v{version}",
        dataschema=registry.schema_uri(f"{name}.v{version}"),
    )
    key, pair = log.world.keys["hotline"].signing, log.observed(record).pair
    unplaced = compose_altered(record, encode_headers(Envelope(attributes, value)), value, pair=pair, key=key)
    broker = Broker()
    broker.append(*log.opening(pair))
    *_, last = broker.append(*write_segment(log.world.streams.place(unplaced, log.world.at), key))
    return broker, last


def test_what_is_counted_is_what_audit_calls_unread() -> None:
    for query in (views.NOTES_OF_UNREAD, views.UNREAD_FILINGS):
        assert frozenset(re.findall(r"'(\w+_unknown)'", query)) == UNREAD


def to_later(log: Log) -> Log:
    """Return the log as the next release has it, which also reads version 2 of some messages."""
    return replace(log, world=log.world.later(*map(next_version, GROWN)))


async def notes(endpoint: DatabaseEndpoint, broker: Broker) -> list[str]:
    [*ids] = [str(topic.topic_id) for topic in broker.topics.values()]
    query = views.NOTES_OF_UNREAD.replace("WHERE", f"WHERE topic_id::text = ANY ('{{{','.join(ids)}}}') AND")
    async with accountant(endpoint) as connection:
        return [row["note"] for row in await Snapshot(connection, kind="audit").fetch(query)]


@pytest.mark.parametrize("make", [look, offer, decision], ids=lambda make: make.__name__)
async def test_what_audit_could_not_read_is_counted_and_is_no_difference_to_a_later_release(
    log: Log, audit_endpoint: DatabaseEndpoint, make: Callable[[Log], Record]
) -> None:
    broker, record = topic_with(log, make, version=2)
    await log.take(broker)
    assert (await reconciled(audit_endpoint, to_later(log), broker))[0] == []
    [note] = await notes(audit_endpoint, broker)
    where = f"{record.topic}/{record.partition}/{record.offset} to {record.offset}"
    assert note.startswith(f"{where}: 1 of {type_of(record).decode()} ")
    assert note.endswith("that audit could not read (version_unknown)")


@pytest.mark.parametrize("make", [offer, decision], ids=lambda make: make.__name__)
async def test_nor_is_what_audit_reads_and_this_release_does_not(
    log: Log, audit_endpoint: DatabaseEndpoint, make: Callable[[Log], Record]
) -> None:
    """The accountant's tool is of the earlier release.

    It compares the messages that it can read, and reports the others.
    """
    broker, _ = topic_with(log, make, version=2)
    await to_later(log).take(broker)
    assert (await reconciled(audit_endpoint, log, broker))[0] == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("digest", "decode(repeat('ab', 32), 'hex')"),
        ("edge_id", "uuidv7()"),
        ("detail", """'{"a": 1}'"""),
    ],
)
async def test_what_else_such_an_entry_says_is_compared_as_everywhere(
    log: Log, audit_endpoint: DatabaseEndpoint, column: str, value: str
) -> None:
    broker, record = topic_with(log, offer, version=2)
    await log.take(broker)
    topic_id = broker.topics[record.topic].topic_id
    where = 'topic_id = $1 AND number IS NOT NULL AND partition = $2 AND "offset" = $3'
    place = topic_id, record.partition, record.offset
    await change(audit_endpoint, f"UPDATE entry SET {column} = {value} WHERE {where}", *place)
    found = set((await reconciled(audit_endpoint, to_later(log), broker))[0])
    if column == "digest":
        assert found == {"audit has another record than Kafka"}
    else:
        assert found == {f"audit's entry says another {column} than its record"}


def code_unknown(*_: Any) -> None:
    RecordRevealedClear.model_validate({**revealed(HOTLINE), "reason": NOT_INVENTED})


def engine_unknown(*_: Any, **__: Any) -> None:
    raise Refused("engine_unknown")


def document_unknown(*_: Any, **__: Any) -> None:
    raise Unavailable("document_unknown")


@pytest.mark.parametrize(
    ("what", "fails"),
    [
        ((decisions, "read_decided"), code_unknown),
        ((decisions, "judged_edges"), engine_unknown),
        ((decisions, "judged_edges"), document_unknown),
    ],
    ids=["code", "engine", "document"],
)
async def test_what_was_not_made_of_a_decision_is_no_difference(
    log: Log,
    audit_endpoint: DatabaseEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    what: tuple[ModuleType, str],
    fails: Callable[..., None],
) -> None:
    """An earlier release stored nothing of the sealed part, or not the rules that led to the decision."""
    broker, record = topic_with(log, decision)
    with monkeypatch.context() as earlier:
        earlier.setattr(*what, fails)
        await log.take(broker)
    topic = broker.topics[record.topic]
    items = (await log.page(replace(record, topic_id=topic.topic_id)))["items"]
    assert [each["problem"] for each in items if each["kind"] == "decision"] == [fails.__name__]
    assert (await reconciled(audit_endpoint, log, broker))[0] == []


@pytest.mark.parametrize("audit_is_later", [False, True], ids=["to a later release", "to one before it"])
async def test_the_code_of_an_outcome_that_one_release_does_not_know_is_no_difference(
    log: Log, audit_endpoint: DatabaseEndpoint, monkeypatch: pytest.MonkeyPatch, *, audit_is_later: bool
) -> None:
    with monkeypatch.context() as later:
        if audit_is_later:
            later.setattr(contract, "KNOWN_CODES", contract.KNOWN_CODES | {NOT_INVENTED})
        broker = await reported(log, said := outcome(OutcomeKind.DEFERRED, NOT_INVENTED))
    [(kept,)] = await log.database.fetch("SELECT code FROM outcome WHERE message_id = $1", said.named.message_id)
    assert kept == (NOT_INVENTED if audit_is_later else contract.CODE_UNKNOWN)
    if not audit_is_later:
        monkeypatch.setattr(contract, "KNOWN_CODES", contract.KNOWN_CODES | {NOT_INVENTED})
    assert (await reconciled(audit_endpoint, log, broker))[0] == []
