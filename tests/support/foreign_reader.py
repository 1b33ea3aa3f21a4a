"""Read single Kafka records again, each at its own offset: `confluent-kafka` and the standard library only.

    python foreign_reader.py < places.json

Input: {"servers": "host:port", "user": name, "password": text, "places": [[topic, partition, offset], …]}. Prints a
JSON list in the same order, with one {"headers": [[name, base64]], "value": base64, "digest": hexadecimal, "salt":
hexadecimal, "proof": {"key_id", "signature", "size", "position", "path"}} for each place.

The digest is SHA-256 of a zero byte, the salt and the covered bytes. The proof is that of the message in its group,
from the last proof record before it. Both follow the description of the wire format (`docs/messages.md`), without the
project's code. Exit code 1 if a place holds no record, or no proof precedes it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from base64 import b64encode, urlsafe_b64encode
from struct import Struct, unpack_from

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

PATIENCE_S = 15.0
#: The most messages of a segment. Its proof record precedes the first of them.
SEGMENT_MAX = 501
#: Head of a proof record: version, incarnation, lane, first number, count, chain before, signature of the place.
HEAD = Struct(">B16sBQH32s64s")
SIZES = (16, 256)
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
    """Return the record at exactly this place. Raises `LookupError` if there is none, or no proof precedes it."""
    proof, record = None, None
    for each in records(consumer, topic, partition, offset):
        if dict(each.headers() or []).get("causeway") == b"proof":
            proof = each.value() or b""
        record = each
    if record is None or record.offset() != offset or proof is None:
        raise LookupError(f"no record at {topic}/{partition}/{offset}")
    headers: list[tuple[str, bytes]] = record.headers() or []  # type: ignore[assignment]
    value, salt = record.value() or b"", bytes.fromhex(dict(headers)["salt"].decode())
    leaf = digest(headers, value, salt)
    return {
        "headers": [[name, b64encode(text).decode()] for name, text in headers],
        "value": b64encode(value).decode(),
        "digest": leaf.hex(),
        "salt": salt.hex(),
        "proof": proven(proof, leaf),
    }


def records(consumer: Consumer, topic: str, partition: int, offset: int) -> list[Message]:
    """Return the records from the earliest possible offset of the proof up to this offset."""
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), PATIENCE_S)
    if offset >= end:
        return []
    consumer.assign([TopicPartition(topic, partition, max(0, offset - SEGMENT_MAX))])
    found: list[Message] = []
    while not found or (found[-1].offset() or 0) < offset:
        record = consumer.poll(PATIENCE_S)
        if record is None:
            break
        error = record.error()
        if error is None:
            found.append(record)
        elif error.code() != NO_GROUP:  # the client asks for a group that no user may join; it does not need one
            break
    return found


def digest(headers: list[tuple[str, bytes]], value: bytes, salt: bytes) -> bytes:
    """Hash `name:value` and a line feed for each covered header in sorted order, a line feed, then the value."""
    covered = sorted((n, v) for n, v in headers if n.startswith("ce_") or n == "content-type")
    head = b"".join(name.encode() + b":" + text + b"\n" for name, text in covered)
    return hashlib.sha256(b"\x00" + salt + head + b"\n" + value).digest()


def proven(record: bytes, leaf: bytes) -> dict[str, object]:
    """Return the proof of one message: the signature of its group, and the sibling hashes up to the group's root."""
    count, at = HEAD.unpack_from(record)[4], HEAD.size
    for _ in range(3):  # skip the writing instance, the addressee and the key of the place
        at += 1 + record[at]
    groups, leaves = content_proof(record[at + 2 * count :])
    group, position = next(((each[0], each[1]) for each in leaves if each[2] == leaf), (None, 0))
    if group is None:
        raise LookupError("the proof before the record is not its own")
    key_id, signature, seed, size = groups[group]
    members = {each[1]: each[2] for each in leaves if each[0] == group}
    level = [members.get(each) or hashlib.sha256(seed + bytes([each])).digest() for each in range(size)]
    path, place = [], position
    while len(level) > 1:
        path.append(level[place ^ 1].hex())
        level = [hashlib.sha256(b"\x01" + level[n] + level[n + 1]).digest() for n in range(0, len(level), 2)]
        place //= 2
    told = urlsafe_b64encode(signature).rstrip(b"=").decode()
    return {"key_id": key_id, "signature": told, "size": size, "position": position, "path": path}


def content_proof(packed: bytes) -> tuple[list[tuple[str, bytes, bytes, int]], list[tuple[int, int, bytes]]]:
    """Return the groups (key id, signature, seed, size), and for each message its group, position and digest."""
    groups, at = [], 3
    for _ in range(unpack_from(">BH", packed)[1]):
        end = at + 1 + packed[at]
        signature, seed, size, wrap = unpack_from(">64s16sBH", packed, end)
        groups.append((packed[at + 1 : end].decode(), signature, seed, SIZES[size]))
        at = end + 83 + wrap
    (count,) = unpack_from(">H", packed, at)
    leaves = [unpack_from(">HB32s", packed, at + 2 + 35 * number) for number in range(count)]
    return groups, leaves


if __name__ == "__main__":
    sys.exit(main())
