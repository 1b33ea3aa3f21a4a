"""Arrival of verified records: each numbered message gets its name, its record and its proof for outsiders.

A message that cannot be read gets a name of the kind `malformed`, with the id and the subject that can be read. The
number of the message is taken; a person sees it as a dead letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from pydantic_core import from_json

from shared.envelope.content_proof import SALT_BYTES
from shared.envelope.headers import SALT, decode_headers, list_kept
from shared.envelope.record_value import split_value
from shared.exchange.accept import RECORD_BYTES_MAX
from shared.exchange.message import DecodedHeaders, Record
from shared.kernel.errors import Refused
from shared.messaging.arrival import PlacedMessage
from shared.messaging.contract import ControlBody, decode_control
from shared.messaging.exceptions import MALFORMED, Named
from shared.messaging.placement import read_hex
from shared.messaging.reception import Arrived
from shared.messaging.streams import CONTROL_ROLES, Lane, Role
from shared.messaging.tracks import name_unread
from shared.runtime.delivery.control import ROLE_BY_TYPE

#: Bytes of the key and of all headers that are kept. Those of a good record are fewer.
KEY_BYTES_MAX: Final = 64
HEADERS_BYTES_MAX: Final = 16_384

#: The namespace of ids for messages whose own id cannot be read.
_NAMELESS: Final = UUID("8f1c9a64-6a1c-5b0e-9d55-0f6f3c1b7a20")


def read_arrival(record: Record, placed: PlacedMessage) -> Arrived:
    """Return a numbered message. `record`: its key and coordinates as Kafka holds them.

    Of a record above the bounds of a party's record, which no recipient accepts, a part is kept.
    """
    salt = read_hex(_header(record, SALT), SALT_BYTES) or b""
    headers = list_kept(record.headers)
    kept = replace(
        record,
        headers=headers,
        topic_id=placed.raw.topic_id,
        writer=placed.proven.pair.writer,
        wrap=placed.wrap,
        proof=placed.proven.prove(placed.place.number, salt) if placed.is_signed else None,
        salt=salt,
        decoded=_decode(headers, record.value or b"", placed.digest),
    )
    named, clear = _name(kept, placed.digest)
    body = None
    if named.role in CONTROL_ROLES and clear is not None:
        body = _read_control(kept, placed, named.role, clear=clear) if placed.is_signed else None
        if body is None:
            named = Named(named.message_id, Role.FACT, MALFORMED)
    is_p0 = placed.place.lane is Lane.URGENT and named.role in (Role.STATE, Role.ANSWER)
    return Arrived(placed.place, placed.digest, named, _cut(kept), is_p0, body)


def _cut(record: Record) -> Record:
    """Return the record, or so much of a larger one that `accept` refuses it for the same reason."""
    key, value = record.key or b"", record.value or b""
    has_long_headers = sum([len(name) + len(text or b"") for name, text in record.headers]) > HEADERS_BYTES_MAX
    if len(key) <= KEY_BYTES_MAX and len(value) <= RECORD_BYTES_MAX and not has_long_headers:
        return record
    return replace(
        record,
        key=None if record.key is None else key[:KEY_BYTES_MAX],
        headers=() if has_long_headers else record.headers,
        value=None if record.value is None else value[: RECORD_BYTES_MAX + 1],
        decoded=None,
    )


def _decode(headers: Sequence[tuple[str, bytes | None]], value: bytes, digest: bytes) -> DecodedHeaders | None:
    """Return the decoded headers, or None if they are malformed: the recipient's check says why."""
    try:
        return DecodedHeaders(decode_headers(headers, value), digest.hex())
    except Refused:
        return None


def _read_control(record: Record, placed: PlacedMessage, role: Role, *, clear: bytes) -> ControlBody | None:
    """Return the body of a message of the protocol, or None if audit would not take it as that message.

    It goes from instance to instance, so audit has each such message that a recipient acts on.
    """
    if record.decoded is None:
        return None
    attributes = record.decoded.envelope.attributes
    try:
        is_of_pair = (attributes.sender, attributes.recipient) == placed.proven.pair
        return decode_control(role, clear) if is_of_pair else None
    except Refused:
        return None


class _Stated(NamedTuple):
    """What the headers of a message state, as far as its name depends on it."""

    type_text: str
    sender: str
    recipient: str
    subject: UUID


def _state(record: Record) -> _Stated:
    """Return what the headers state. Raises `ValueError` for one that is missing or repeated, or for a subject
    that is no UUID.
    """
    if record.decoded is not None:
        attributes = record.decoded.envelope.attributes
        return _Stated(attributes.type, attributes.sender, attributes.recipient, UUID(attributes.subject))
    type_text, sender, recipient = (_text(record, name) for name in ("ce_type", "ce_sender", "ce_recipient"))
    return _Stated(type_text, sender, recipient, UUID(_text(record, "ce_subject")))


def _name(record: Record, digest: bytes) -> tuple[Named, bytes | None]:
    """Return the name of a message, and the JSON of its clear part if there is one."""
    if record.decoded is not None:
        message_id = record.decoded.envelope.attributes.id
    else:
        message_id = _uuid(record, "ce_id") or uuid5(_NAMELESS, digest.hex())
    try:
        type_text, sender, recipient, subject = _state(record)
        if (role := ROLE_BY_TYPE.get(type_text)) is not None:
            return Named(message_id, role, role), split_value(record.value or b"")[0]
        name = partial(name_unread, message_id, type_text, sender=sender, recipient=recipient, subject=subject)
    except (Refused, ValueError):
        return Named(message_id, Role.FACT, MALFORMED), None
    try:
        clear, _ = split_value(record.value or b"")
        return name(clear=_parse(clear)), clear
    except (Refused, ValueError):
        stated = name(clear={})
        return Named(message_id, stated.role, MALFORMED, stated.subject), None


def _parse(clear: bytes) -> Mapping[str, object]:
    value = from_json(clear)
    if not isinstance(value, dict):
        raise ValueError("clear")
    return value


def _uuid(record: Record, name: str) -> UUID | None:
    try:
        return UUID(_text(record, name))
    except ValueError:
        return None


def _text(record: Record, name: str) -> str:
    """Return the text of a header. Raises `ValueError` if there is none, or more than one."""
    value = _header(record, name)
    if value is None:
        raise ValueError(name)
    return value.decode("ascii")


def _header(record: Record, name: str) -> bytes | None:
    values = [value for each, value in record.headers if each == name]
    return values[0] if len(values) == 1 else None
