"""A message that began an item, packed as it is kept beside it: what proves that it was sent."""

from __future__ import annotations

from struct import Struct
from typing import Final

from pydantic_core import from_json, to_json

from shared.envelope.base64url import from_base64url, to_base64url
from shared.envelope.headers import is_signed
from shared.exchange.message import Record
from shared.kernel.clock import parse_rfc3339, rfc3339

#: Of a packed record: how long are place and headers, and what of its value stands before what was sealed.
_LENGTHS: Final = Struct(">II")
#: The headers of nearly every message; their names are not kept with each. Those of the first form, in its order:
#: evidence is kept by them, so a header that comes later is not among them, and its message is kept with its names.
_USUAL_NAMES: Final = (
    "ce_dataschema",
    "ce_epoch",
    "ce_exercise",
    "ce_guard",
    "ce_id",
    "ce_keyid",
    "ce_recipient",
    "ce_sender",
    "ce_sequence",
    "ce_source",
    "ce_specversion",
    "ce_subject",
    "ce_tier",
    "ce_time",
    "ce_type",
    "content-type",
    "ce_batchroot",
    "ce_batchsig",
    "ce_batchindex",
    "ce_batchsize",
    "ce_batchpath",
)
_SEALED_END: Final = b'"}'


def packed(record: Record) -> bytes:
    """A record that `accept` has passed, as it is kept: two lengths, place and signed headers as JSON, the exact value.

    The base64url that ends a sealed part, half of the message, is kept as the bytes that it stands for.
    """
    headers = [(name, value) for name, value in record.headers if value is not None and is_signed(name)]
    names = tuple(name for name, _ in headers)
    values = [value.decode("latin-1") for _, value in headers]
    place = [record.topic, record.partition, record.offset, rfc3339(record.broker_time)]
    head = to_json([place, None if names == _USUAL_NAMES else names, values])
    value = record.value or b""
    begins = value.rfind(b".") + 1
    sealed = _sealed_bytes(value[begins:])
    front = value[:begins] if sealed else value
    return _LENGTHS.pack(len(head), len(front)) + head + front + sealed


def _sealed_bytes(ending: bytes) -> bytes:
    """What the end of a value stands for; nothing where it is kept as it is."""
    if not ending.endswith(_SEALED_END):
        return b""
    try:
        return from_base64url(ending[: -len(_SEALED_END)].decode())
    except ValueError:
        return b""


def unpacked(kept: bytes) -> Record:
    """What was packed of a record, without its key: that is the subject among the headers."""
    head_bytes, front_bytes = _LENGTHS.unpack_from(kept)
    begins = _LENGTHS.size + head_bytes
    ends = begins + front_bytes
    head, front, sealed = kept[_LENGTHS.size : begins], kept[begins:ends], kept[ends:]
    (topic, partition, offset, broker_time), names, values = from_json(head)
    headers = tuple(
        zip(_USUAL_NAMES if names is None else names, (text.encode("latin-1") for text in values), strict=True)
    )
    value = front + to_base64url(sealed).encode() + _SEALED_END if sealed else front
    return Record(topic, partition, offset, parse_rfc3339(broker_time), None, headers, value)
