"""A flow as audit shows it, read again from Kafka and verified by independent programs."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.site.endpoints import Endpoints
from tests.acceptance.programs import foreign


@dataclass(frozen=True, slots=True)
class Reread:
    """Results of independent programs: the digest of each record, and whether its proof is valid."""

    records: list[dict[str, Any]]
    verdicts: list[str]

    @property
    def digests(self) -> list[str]:
        return [record["digest"] for record in self.records]


def read_again(endpoints: Endpoints, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read each message of a flow with a foreign client at the offset that the flow names."""
    kafka = endpoints.kafka
    asked = {
        "servers": kafka.bootstrap_servers,
        "user": "audit",
        "password": kafka.passwords["audit"],
        "places": [[each["topic"], each["partition"], each["offset"]] for each in messages],
    }
    ran = foreign("foreign_reader.py", asked)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def verify(records: Sequence[dict[str, Any]], keys: dict[str, str]) -> list[str]:
    """Return the foreign verifier's verdict on each record. It has public keys only."""
    ran = foreign("foreign_verifier.py", {"keys": keys, "messages": list(records)})
    assert ran.stderr == ""
    return [line.split()[1] for line in ran.stdout.splitlines()]


def reread(endpoints: Endpoints, messages: Sequence[dict[str, Any]], directory: Path) -> Reread:
    """Read a flow again and verify it, with the signing keys that the directory publishes."""
    records = read_again(endpoints, messages)
    return Reread(records, verify(records, signing_keys(directory)))


def signing_keys(directory: Path) -> dict[str, str]:
    """Return the public signing keys of all instances by key id, from the published document."""
    instances = json.loads(directory.read_text())["instances"]
    keys = [key for instance in instances for key in instance["keys"] if key["use"] == "sign"]
    return {key["key_id"]: key["public"] for key in keys}


def with_a_bit_changed(record: dict[str, Any]) -> dict[str, Any]:
    """Return the same record with one bit of its value flipped."""
    value = bytearray(b64decode(record["value"]))
    value[len(value) // 2] ^= 1
    return record | {"value": b64encode(bytes(value)).decode()}


def instances_of(messages: Sequence[dict[str, Any]], directory: Path) -> set[str]:
    """Return the instances that sent something in the flow, for themselves or for a party."""
    served = {party["id"]: party["instance"] for party in json.loads(directory.read_text())["parties"]}
    return {served.get(each["sender"], each["sender"]) for each in messages}
