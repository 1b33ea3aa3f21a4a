"""Two foreign CloudEvents SDKs, one in JavaScript and one in Python, read records as stored in Kafka."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.exceptions import BaseCloudEventException

from tests.contracts.npm_packages import installed, node, run
from tests.support.kafka_records import StoredRecord

HERE = Path(__file__).parent / "cloudevents"


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
    said = run([*node(), str(HERE / "check.cjs"), str(packages)], given="\n".join(lines))
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
