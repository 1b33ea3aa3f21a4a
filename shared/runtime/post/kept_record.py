"""A record that is parked or waits, kept whole: encrypted under a key of its own, bound to table and coordinates.

Kept only where signature and guard both passed, so that it can be replayed when Kafka no longer has it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from shared.envelope.datakeys import DataKey, KeyEncryptionKey, protect, reveal, unwrap, wrap
from shared.envelope.headers import is_signed
from shared.exchange.message import Record
from shared.kernel.canonical import canonical_json

_LENGTH_BYTES = 2


class _Kept(BaseModel):
    """The record without its coordinates, bytes in base64; of its headers, what is signed."""

    broker_time: datetime
    topic_id: UUID | None
    key: str | None
    headers: list[tuple[str, str | None]]
    value: str | None


def encrypt_record(record: Record, kek: KeyEncryptionKey, *, table: str) -> bytes:
    """Length (2 bytes) of the wrapped key ‖ wrapped key ‖ protected record."""
    place = _place(table, topic=record.topic, partition=record.partition, offset=record.offset)
    kept = {
        "broker_time": record.broker_time.isoformat(),
        "topic_id": None if record.topic_id is None else str(record.topic_id),
        "key": _text(record.key),
        "headers": [[name, _text(value)] for name, value in record.headers if is_signed(name)],
        "value": _text(record.value),
    }
    key = DataKey.generate()
    wrapped = wrap(key, kek, place)
    return len(wrapped).to_bytes(_LENGTH_BYTES, "big") + wrapped + protect(canonical_json(kept), key, place)


def decrypt_record(
    kept: bytes, kek: KeyEncryptionKey, *, topic: str, partition: int, offset: int, table: str
) -> Record:
    """The record that `encrypt_record` was given. Raises `Defect` if it was changed or moved to other coordinates."""
    place = _place(table, topic=topic, partition=partition, offset=offset)
    end = _LENGTH_BYTES + int.from_bytes(kept[:_LENGTH_BYTES], "big")
    read = _Kept.model_validate_json(reveal(kept[end:], unwrap(kept[_LENGTH_BYTES:end], kek, place), place))
    headers = tuple((name, _bytes(value)) for name, value in read.headers)
    return Record(
        topic,
        partition,
        offset,
        read.broker_time,
        _bytes(read.key),
        headers,
        _bytes(read.value),
        topic_id=read.topic_id,
    )


def _place(table: str, *, topic: str, partition: int, offset: int) -> bytes:
    return f"{table}/record/{topic}/{partition}/{offset}".encode()


def _text(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
