"""Read single Kafka records again, each at its own offset: `confluent-kafka` and the standard library only.

    python foreign_reader.py < places.json

Input: {"servers": "host:port", "user": name, "password": text, "places": [[topic, partition, offset], …]}.
Prints a JSON list in the same order, one {"headers": [[name, base64]], "value": base64, "digest": hexadecimal} each.
The digest is SHA-256 of a zero byte and the covered bytes, put together from the wire format's description
(`docs/messages.md`), not by the project's code. Exit code 1 when a place holds no record.
"""

from __future__ import annotations

import hashlib
import json
import sys
from base64 import b64encode

from confluent_kafka import Consumer, KafkaError, TopicPartition

UNCOVERED = {"ce_batchroot", "ce_batchsig", "ce_batchindex", "ce_batchsize", "ce_batchpath"}
PATIENCE_S = 15.0
NO_GROUP = KafkaError.GROUP_AUTHORIZATION_FAILED


def main() -> int:
    """Read the places that standard input names."""
    asked = json.load(sys.stdin)
    consumer = Consumer(
        {
            "bootstrap.servers": asked["servers"],
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": asked["user"],
            "sasl.password": asked["password"],
            "group.id": "causeway.audit.foreign-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        found = [read(consumer, topic, partition, offset) for topic, partition, offset in asked["places"]]
    except LookupError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        consumer.close()
    json.dump(found, sys.stdout)
    return 0


def read(consumer: Consumer, topic: str, partition: int, offset: int) -> dict[str, object]:
    """The record at exactly this place. Raises `LookupError` if there is none."""
    consumer.assign([TopicPartition(topic, partition, offset)])
    record = consumer.poll(PATIENCE_S)
    if record is not None and (error := record.error()) is not None and error.code() == NO_GROUP:
        record = consumer.poll(PATIENCE_S)  # the client asks for a group that nobody may join, and does not need it
    if record is None or record.error() is not None or record.offset() != offset:
        raise LookupError(f"no record at {topic}/{partition}/{offset}")
    headers: list[tuple[str, bytes]] = record.headers() or []  # type: ignore[assignment]
    value = record.value() or b""
    return {
        "headers": [[name, b64encode(text).decode()] for name, text in headers],
        "value": b64encode(value).decode(),
        "digest": digest(headers, value),
    }


def digest(headers: list[tuple[str, bytes]], value: bytes) -> str:
    """`name:value` and a line feed for each covered header in sorted order, a line feed, then the body."""
    covered = sorted((n, v) for n, v in headers if (n.startswith("ce_") or n == "content-type") and n not in UNCOVERED)
    head = b"".join(name.encode() + b":" + text + b"\n" for name, text in covered)
    return hashlib.sha256(b"\x00" + head + b"\n" + value).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
