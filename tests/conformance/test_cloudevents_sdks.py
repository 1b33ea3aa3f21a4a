"""A record of every message type, as stored in a log, is a CloudEvent for foreign SDKs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.exceptions import BaseCloudEventException

from deploy.artifacts.examples import examples
from deploy.devstack.stack import DevStack
from deploy.site.access import kafka_access
from shared.catalog import CATALOG
from shared.core.contracts.registry import MessageType
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.messaging.composition import RecipientKey
from tests.architecture.source import ROOT
from tests.contracts.npm_packages import installed, node, run
from tests.support.builders import AT, draft
from tests.support.forging import write
from tests.support.kafka_records import StoredRecord, read_topic
from tests.support.wire_records import Streams, Written, compose, write_segment

KEY = SigningKey(bytes(range(32)))
SEALED_TO = RecipientKey(OpeningKey(bytes(range(32))).sealing_key)


def read_in_javascript(records: Sequence[StoredRecord]) -> list[dict[str, Any]]:
    """Return the SDK's result for each: `valid`, and `event` or `error`. A byte is a character."""
    packages = installed("cloudevents")
    lines = [
        json.dumps(
            {
                "headers": {name: (value or b"").decode("latin-1") for name, value in record.headers},
                "key": (record.key or b"").decode(),
                "value": (record.value or b"").decode("latin-1"),
            }
        )
        for record in records
    ]
    said = run([*node(), str(ROOT / "tests/contracts/cloudevents/check.cjs"), str(packages)], given="\n".join(lines))
    return [json.loads(line) for line in said.splitlines()]


def read_in_python(records: Sequence[StoredRecord]) -> list[dict[str, Any]]:
    """Return the same of the other SDK."""
    return [_read_in_python(record) for record in records]


def _read_in_python(record: StoredRecord) -> dict[str, Any]:
    headers = {name: value for name, value in record.headers if value is not None}
    try:
        event = from_binary_event(KafkaMessage(headers=headers, key=record.key, value=record.value or b""))
    except (BaseCloudEventException, ValueError) as error:
        return {"valid": False, "error": str(error)}
    data = event.get_data()
    text = data.decode("latin-1") if isinstance(data, bytes) else data
    return {"valid": True, "event": event.get_attributes() | {"data": text}}


Read = Callable[[Sequence[StoredRecord]], list[dict[str, Any]]]
SDKS = pytest.mark.parametrize("read", [read_in_javascript, read_in_python], ids=["javascript", "python"])


def clear_of(message: MessageType) -> dict[str, Any]:
    """Return the clear part of the message's accepted example."""
    name = f"{message.name}.v{message.version}"
    found = next(each for each in examples() if each.schema == name and each.file.startswith("accepted-"))
    assert isinstance(found.content, dict)
    return found.content


def written_of_every_type() -> list[Written]:
    drafts = [draft(message=message, clear=clear_of(message)) for message in CATALOG.messages]
    composed = compose(drafts, "hotline", key=KEY, sealing_keys=lambda _instance, _party: SEALED_TO)
    streams = Streams()
    return [each for unplaced in composed for each in write_segment(streams.place(unplaced, AT), KEY)]


async def held(stack: DevStack) -> list[StoredRecord]:
    """Return a record of every type, as read from the log."""
    written = written_of_every_type()
    await write(kafka_access(stack.endpoints, "hotline"), written)
    ids = {dict(each.record.headers).get("ce_id") for each in written}
    topic = await read_topic(kafka_access(stack.endpoints, "law_enforcement"), written[0].topic)
    records = [each for each in topic if each.is_message and each.texts["ce_id"] in ids]
    assert len(records) == len(CATALOG.messages)
    return records


@SDKS
async def test_a_record_of_every_type_is_read_elsewhere_as_what_it_says(stack: DevStack, read: Read) -> None:
    records = await held(stack)
    said = read(records)
    assert [each.get("error") for each in said] == [None] * len(CATALOG.messages)
    assert {each["event"]["type"] for each in said} == {message.type for message in CATALOG.messages}
    for record, each in zip(records, said, strict=True):
        stated = {name.removeprefix("ce_"): text.decode() for name, text in record.headers if name.startswith("ce_")}
        found = {name: str(each["event"][name]) for name in stated if name != "time"}
        assert found == {name: text for name, text in stated.items() if name != "time"}
        assert each["event"]["data"].encode("latin-1") == record.value


async def test_a_relative_schema_is_refused_elsewhere(stack: DevStack) -> None:
    """The control: the form of the first release. The SDK in Python does not check it."""
    record = (await held(stack))[0]
    relative = tuple((n, b"/schemas/offered.json" if n == "ce_dataschema" else v) for n, v in record.headers)
    said = read_in_javascript([record, replace(record, headers=relative)])
    assert [each["valid"] for each in said] == [True, False]
    assert "dataschema" in said[1]["error"]
