"""Arrival of verified records: each numbered message gets its name, its record and its proof for outsiders.

A message that cannot be read gets a name of the kind `malformed`, with the id and the subject that can be read. The
number of the message is taken; a person sees it as a dead letter.

Three forms in bytes follow. The first is a verified record as it arrived:

    version · partition · offset · broker time in µs · topic id · parts

Each part is its length (4 bytes, all ones for an absent part) and its bytes. The parts are topic, writer, key, value,
then the name and value of each header, then wrap, salt and proof. The name is absent where the header is at the place
that `COVERED` gives it. The sealed part stays sealed.

An exception stores the second form, the first one encrypted, because its clear part may have passed no check. The row,
with its data key, is deleted when the exception ends.

    version · wrapped data key · encrypted record

A recipient stores the third form of a received record, encrypted, also as evidence. It has the record without its
sealed part, with covered headers alone and without its topic's id, and the opened part.

    message key · nonce · length (4) and stored text · salt · proof, unless it is stored apart

    text: length (2) of the associated data · length (4) of the plaintext · both · the other parts of the record;
          compressed against the edge and the ids, which its row has

Salt and proof are not compressed, because they are random. If the opened part is sealed again with its own key, it has
the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, repeat
from struct import Struct
from struct import error as StructError  # noqa: N812 - the library's class has a lower-case name
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from pydantic_core import from_json

from shared.core.acts.catalog import Catalog
from shared.core.envelope.attributes import COVERED
from shared.core.envelope.content_proof import SALT_BYTES, MessageProof
from shared.core.envelope.datakeys import (
    KEY_BYTES,
    NONCE_BYTES,
    DataKey,
    KeyEncryptionKey,
    RowRef,
    protect,
    reveal,
    unwrap,
    wrap,
)
from shared.core.envelope.headers import is_signed, list_kept
from shared.core.envelope.record_value import join_value, split_value
from shared.core.envelope.segment_sealing import KEY_BYTES as MESSAGE_KEY_BYTES
from shared.core.envelope.segment_sealing import NONCE_BYTES as SEALED_NONCE_BYTES
from shared.core.envelope.segment_sealing import OpenedPart
from shared.core.errors import Defect, Refused
from shared.core.ids import parse_uuid
from shared.core.ledger.tree import HASH_BYTES
from shared.core.protocol.accept import RECORD_BYTES_MAX
from shared.core.protocol.message import Record
from shared.delivery.control import ROLE_BY_TYPE
from shared.messaging.arrival import PlacedMessage
from shared.messaging.contract import ControlBody, decode_control
from shared.messaging.exceptions import MALFORMED, NamedMessage, TakenMessage
from shared.messaging.reception import ArrivedMessage
from shared.messaging.streams import CONTROL_ROLES, Lane, WireRole
from shared.messaging.tracks import name_unread
from shared.platform.database.columns import compress, decompress

_VERSION: Final = 1
#: The first byte of an encrypted record.
ENCRYPTED: Final = b"\x02"
#: The version and the wrapped data key, whose tag has 16 bytes.
_KEY_END: Final = 1 + NONCE_BYTES + KEY_BYTES + 16
_HEAD: Final = Struct(">BHqqB16s")
_LENGTH: Final = Struct(">I")
_OPENED: Final = Struct(">HI")
_NONCE_END: Final = MESSAGE_KEY_BYTES + SEALED_NONCE_BYTES
_TEXT_START: Final = _NONCE_END + _LENGTH.size
_ABSENT: Final = 0xFFFFFFFF
_NONE: Final = _LENGTH.pack(_ABSENT)
_TIME_STATED: Final = 1
_HAS_TOPIC_ID: Final = 2
_PROOF: Final = Struct(">HHB")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def pack(record: Record) -> bytes:
    """Return the bytes of a record and of its proof."""
    proof = None if record.proof is None else _pack_proof(record.proof)
    return _pack_head(record, record.value) + _join_parts((record.wrap, record.salt, proof))


def _pack_head(record: Record, value: bytes | None) -> bytes:
    """Return the bytes up to the headers."""
    flags = (_TIME_STATED if record.time_stated else 0) | (0 if record.topic_id is None else _HAS_TOPIC_ID)
    topic_id = bytes(16) if record.topic_id is None else record.topic_id.bytes
    broker_time = (record.broker_time - _EPOCH) // _MICROSECOND
    parts: list[bytes | None] = [record.topic.encode(), record.writer.encode(), record.key, value]
    for usual, (name, text) in zip(chain(COVERED, repeat(None)), record.headers, strict=False):
        parts += [None if name == usual else name.encode(), text]
    head = _HEAD.pack(_VERSION, record.partition, record.offset, broker_time, flags, topic_id)
    return head + _join_parts(parts)


def unpack(packed: bytes | Record) -> Record:
    """Return the record of `pack`, or one that has just arrived. Raises `Defect("record_malformed")`."""
    if isinstance(packed, Record):
        return packed
    try:
        version, partition, offset, broker_time, flags, topic_id = _HEAD.unpack_from(packed)
        if version != _VERSION:
            raise ValueError(version)
        topic, writer, key, value, *headers, wrap, salt, proof = _read_parts(packed)
        return Record(
            topic=(topic or b"").decode(),
            partition=partition,
            offset=offset,
            broker_time=_EPOCH + broker_time * _MICROSECOND,
            key=key,
            headers=tuple(
                (COVERED[place] if name is None else name.decode(), text)
                for place, (name, text) in enumerate(zip(headers[::2], headers[1::2], strict=True))
            ),
            value=value,
            time_stated=bool(flags & _TIME_STATED),
            topic_id=UUID(bytes=topic_id) if flags & _HAS_TOPIC_ID else None,
            writer=(writer or b"").decode(),
            wrap=wrap or b"",
            proof=None if proof is None else _unpack_proof(proof, salt or b""),
            salt=salt or b"",
        )
    except (StructError, ValueError, IndexError):
        raise Defect("record_malformed") from None


class OpenedRecord(NamedTuple):
    """A record without its sealed part, and the opened part."""

    rest: Record
    part: OpenedPart

    @property
    def record(self) -> Record:
        """The record as it arrived, without its wrap."""
        clear, _ = split_value(self.rest.value or b"")
        return replace(self.rest, value=join_value(clear, self.part.seal_again()))


def pack_opened(record: Record, part: OpenedPart, known: bytes) -> bytes:
    """Return the bytes of a record whose sealed part was opened. Its shared proof and `known` are stored apart."""
    clear, _ = split_value(record.value or b"")
    sizes = _OPENED.pack(len(part.associated), len(part.plaintext))
    covered = tuple(each for each in record.headers if is_signed(each[0]))
    rest = _pack_head(replace(record, headers=covered, topic_id=None), join_value(clear, None))
    stored = compress(b"".join((sizes, part.associated, part.plaintext, rest)), known)
    proof = b"" if record.proof is None or record.shared else _pack_proof(record.proof)
    return b"".join((part.key, part.nonce, _LENGTH.pack(len(stored)), stored, record.salt, proof))


def unpack_opened(packed: bytes, known: bytes) -> OpenedRecord:
    """Return the record of `pack_opened`. Raises `Defect("record_malformed")` for other bytes."""
    try:
        (stored_bytes,) = _LENGTH.unpack_from(packed, _NONCE_END)
        stored_end = _TEXT_START + stored_bytes
        text = decompress(packed[_TEXT_START:stored_end], known)
        associated_bytes, plaintext_bytes = _OPENED.unpack_from(text)
    except StructError:
        raise Defect("record_malformed") from None
    associated_end = _OPENED.size + associated_bytes
    plaintext_end = associated_end + plaintext_bytes
    part = OpenedPart(
        text[associated_end:plaintext_end],
        packed[:MESSAGE_KEY_BYTES],
        packed[MESSAGE_KEY_BYTES:_NONCE_END],
        text[_OPENED.size : associated_end],
    )
    rest = _join_parts((None, packed[stored_end:][:SALT_BYTES], packed[stored_end:][SALT_BYTES:] or None))
    return OpenedRecord(unpack(text[plaintext_end:] + rest), part)


def encrypt_kept(taken: TakenMessage, kek: KeyEncryptionKey) -> bytes:
    """Encrypt the record of a message for its exception, with its own data key."""
    packed = pack(taken.record) if isinstance(taken.record, Record) else taken.record
    if packed.startswith(ENCRYPTED):
        return packed
    place, key = _place_of(taken), DataKey.generate()
    wrapped = wrap(key, kek, place.column("key"))
    return ENCRYPTED + wrapped + protect(packed, key, place.column("record"))


def open_kept(taken: TakenMessage, kek: KeyEncryptionKey) -> Record:
    """Return the record of a message that has just arrived or was stored. Raises `Defect`."""
    kept = taken.record
    if isinstance(kept, bytes) and kept.startswith(ENCRYPTED):
        place = _place_of(taken)
        key = unwrap(kept[1:_KEY_END], kek, place.column("key"))
        kept = reveal(kept[_KEY_END:], key, place.column("record"))
    return unpack(kept)


def _place_of(taken: TakenMessage) -> RowRef:
    return RowRef("exception", str(taken.named.message_id), taken.writer)


def _join_parts(parts: Iterable[bytes | None]) -> bytes:
    return b"".join([_NONE if part is None else len(part).to_bytes(4) + part for part in parts])


def _read_parts(packed: bytes) -> Iterator[bytes | None]:
    at = _HEAD.size
    while at < len(packed):
        (length,) = _LENGTH.unpack_from(packed, at)
        at += _LENGTH.size
        if length == _ABSENT:
            yield None
            continue
        if at + length > len(packed):
            raise ValueError(length)
        yield packed[at : at + length]
        at += length


def _pack_proof(proof: MessageProof) -> bytes:
    key_id = proof.key_id.encode()
    head = _PROOF.pack(proof.size, proof.position, len(key_id))
    return b"".join((head, key_id, len(proof.signature).to_bytes(1), proof.signature, *proof.path))


def _unpack_proof(packed: bytes, salt: bytes) -> MessageProof:
    size, position, key_bytes = _PROOF.unpack_from(packed)
    key_end = _PROOF.size + key_bytes
    signature_end = key_end + 1 + packed[key_end]
    path = packed[signature_end:]
    return MessageProof(
        packed[_PROOF.size : key_end].decode(),
        packed[key_end + 1 : signature_end],
        size,
        position,
        tuple(path[at : at + HASH_BYTES] for at in range(0, len(path), HASH_BYTES)),
        salt,
    )


#: The limits of stored bytes of the key, and of all headers. Valid records have fewer.
KEY_BYTES_MAX: Final = 64
HEADERS_BYTES_MAX: Final = 16_384

#: The namespace of ids for messages whose own id cannot be read.
_NAMELESS: Final = UUID("8f1c9a64-6a1c-5b0e-9d55-0f6f3c1b7a20")


def read_arrival(record: Record, placed: PlacedMessage, catalog: Catalog) -> ArrivedMessage:
    """Return a numbered message. `record` has its key and coordinates as in Kafka.

    A record above the limits of a party's record, which no recipient accepts, is stored only in part.
    """
    kept = placed.know(record, list_kept(record.headers))
    named, clear = _name(kept, placed.digest, catalog)
    body = None
    if named.role in CONTROL_ROLES and clear is not None:
        body = _read_control(kept, placed, named.role, clear=clear) if placed.is_signed else None
        if body is None:
            named = NamedMessage(named.message_id, WireRole.FACT, MALFORMED)
    is_p0 = placed.place.lane is Lane.URGENT and named.role in (WireRole.STATE, WireRole.ANSWER)
    return ArrivedMessage(placed.place, placed.digest, named, _cut(kept), is_p0, body)


def _cut(record: Record) -> Record:
    """Return the record. A larger one is cut so that `accept` still refuses it for the same reason."""
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


def _read_control(record: Record, placed: PlacedMessage, role: WireRole, *, clear: bytes) -> ControlBody | None:
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


def _state(record: Record) -> tuple[str, str, str, UUID]:
    """Return the type, sender, recipient and subject that a message's headers state.

    Raises `ValueError` for a missing or repeated one, or if the subject is not a UUID.
    """
    if record.decoded is not None:
        attributes = record.decoded.envelope.attributes
        return attributes.type, attributes.sender, attributes.recipient, parse_uuid(attributes.subject)
    type_text, sender, recipient = (_text(record, name) for name in ("ce_type", "ce_sender", "ce_recipient"))
    return type_text, sender, recipient, UUID(_text(record, "ce_subject"))


def _name(record: Record, digest: bytes, catalog: Catalog) -> tuple[NamedMessage, bytes | None]:
    """Return the name of a message, and the JSON of its clear part if there is one."""
    if record.decoded is not None:
        message_id = record.decoded.envelope.attributes.id
    else:
        message_id = _uuid(record, "ce_id") or uuid5(_NAMELESS, digest.hex())
    try:
        type_text, sender, recipient, subject = _state(record)
        if (role := ROLE_BY_TYPE.get(type_text)) is not None:
            return NamedMessage(message_id, role, role), split_value(record.value or b"")[0]
        name = partial(name_unread, message_id, type_text, catalog, sender=sender, recipient=recipient, subject=subject)
    except (Refused, ValueError):
        return NamedMessage(message_id, WireRole.FACT, MALFORMED), None
    try:
        clear, _ = split_value(record.value or b"")
        return name(clear=_parse(clear)), clear
    except (Refused, ValueError):
        stated = name(clear={})
        return NamedMessage(message_id, stated.role, MALFORMED, stated.subject), None


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
    values = [value for each, value in record.headers if each == name]
    if len(values) != 1 or values[0] is None:
        raise ValueError(name)
    return values[0].decode("ascii")
