"""A record of every message type, as a log holds it, is a CloudEvent to SDKs that are not ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from deploy.artifacts.examples import examples
from shared.contracts.registry import ALL, MessageType
from shared.exchange.message import Record
from shared.kernel.clock import SystemClock
from shared.kernel.ids import coarse_uuid7, uuid7
from shared.runtime.post.ports import Signed
from shared.runtime.post.stamping import Counter, counts_by_pair, sign
from tests.conformance.conftest import KEY, Log
from tests.contracts.cloudevents_sdks import read_in_javascript, read_in_python
from tests.support.builders import AT, draft
from tests.support.memory_stores import MemoryLog

Read = Callable[[Sequence[Record]], list[dict[str, Any]]]
SDKS = pytest.mark.parametrize("read", [read_in_javascript, read_in_python], ids=["javascript", "python"])


def body_of(message: MessageType) -> bytes:
    """The message's accepted example."""
    name = f"{message.name}.v{message.version}"
    found = next(each for each in examples() if each.schema == name and each.file.startswith("accepted-"))
    return json.dumps(found.content).encode()


def signed_of_every_type() -> list[Signed]:
    drafts = [draft(uuid7(), message=message, body=body_of(message)) for message in ALL]
    counters = {pair: Counter(coarse_uuid7(AT), count) for pair, count in counts_by_pair(drafts).items()}
    return sign(drafts, counters, instance="hotline", key=KEY)


async def held(log: Log) -> list[Record]:
    """A record of every type, as the log gives it back."""
    signed = signed_of_every_type()
    assert (await log.writer.append("law_enforcement", [each.record for each in signed])).count == len(ALL)
    ids = {str(each.draft.message_id).encode() for each in signed}
    records = [each for partition in await log.read() for each in partition if dict(each.headers)["ce_id"] in ids]
    assert len(records) == len(ALL)
    return records


@SDKS
async def test_a_record_of_every_type_is_read_elsewhere_as_what_it_says(log: Log, read: Read) -> None:
    records = await held(log)
    said = read(records)
    assert [each.get("error") for each in said] == [None] * len(ALL)
    assert {each["event"]["type"] for each in said} == {message.type for message in ALL}
    for record, each in zip(records, said, strict=True):
        headers = {name: (value or b"").decode() for name, value in record.headers}
        stated = {name.removeprefix("ce_"): text for name, text in headers.items() if name.startswith("ce_")}
        found = {name: str(each["event"][name]) for name in stated if name != "time"}
        assert found == {name: text for name, text in stated.items() if name != "time"}
        assert each["event"]["data"] == json.loads(record.value or b"")


def test_a_relative_schema_is_refused_elsewhere() -> None:
    """The control: what the first release wrote. The SDK in Python does not look."""
    signed = signed_of_every_type()[0]
    memory = MemoryLog(SystemClock())
    record = memory.append("law_enforcement", signed.record, "hotline")
    relative = tuple((n, b"/schemas/offered.json" if n == "ce_dataschema" else v) for n, v in record.headers)
    said = read_in_javascript([record, replace(record, headers=relative)])
    assert [each["valid"] for each in said] == [True, False]
    assert "dataschema" in said[1]["error"]
