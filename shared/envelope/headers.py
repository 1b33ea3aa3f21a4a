"""The wire headers: CloudEvents 1.0, Kafka protocol binding, binary content mode.

The list is closed: a `ce_` header that is not on it is refused, any other header is not ours and is ignored. A value
has exactly one spelling, so what was decoded encodes to the bytes that came in, and the signed bytes can be built from
either. `traceparent` is telemetry, neither signed nor evidence: one that is malformed is dropped (W3C Trace Context
§3.2.2) and never costs the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from operator import itemgetter
from struct import unpack
from typing import TypeVar
from uuid import UUID

from shared.envelope.base64url import from_base64url, read_known, to_base64url
from shared.envelope.spelling import SPELLINGS, TEXT, TEXT_CHARACTERS_MAX
from shared.kernel.clock import parse_rfc3339
from shared.kernel.errors import Refused
from shared.kernel.ids import is_uuid7, uuid_of
from shared.ledger.tree import HASH_BYTES

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
COVERED = (
    "ce_dataschema",
    "ce_exercise",
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
)
"""The headers a signature covers, sorted; `Attributes.texts` has their values in this order."""

PROOF = ("ce_batchroot", "ce_batchsig", "ce_batchindex", "ce_batchsize", "ce_batchpath")
TRACEPARENT = "traceparent"

SEQUENCE_MAX = 2**63 - 1
BATCH_SIZE_MAX = 2**16
SIGNATURE_BYTES = 64

_Value = TypeVar("_Value")

_PATH_HASHES_MAX = BATCH_SIZE_MAX.bit_length() - 1
_KNOWN = frozenset(COVERED + PROOF)
_RULES = {
    "ce_id": "a UUID of version 7",
    "ce_sequence": "0 to 2^63-1",
    "ce_source": "/instances/ and an instance name",
    "ce_tier": "hosted or party",
    "ce_time": "an RFC 3339 time in UTC",
    "ce_batchroot": "32 bytes in hexadecimal",
    "ce_batchsig": "64 bytes in base64url without padding",
    "ce_batchindex": "0 to the batch size less one",
    "ce_batchsize": "1 to 65536",
    "ce_batchpath": "0 to 16 hashes of 32 bytes, in base64url without padding",
}
_WELL_SPELT = re.compile("\n".join(SPELLINGS.get(name, TEXT) for name in COVERED + PROOF))
_WRITABLE = re.compile("\n".join(SPELLINGS["ce_source"] if name == "ce_source" else TEXT for name in COVERED))
_IN_ORDER = itemgetter(*COVERED, *PROOF)
_HASH_LENGTHS = frozenset({HASH_BYTES})
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Tier(StrEnum):
    """Who holds the sender's signing key: the instance that serves it, or the party itself."""

    HOSTED = "hosted"
    PARTY = "party"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """The signed attributes of one message.

    `subject` is the Kafka key's text; `sequence` is dense per (sender, recipient). Texts are 1 to 256 visible ASCII
    characters. Raises `Refused("header_malformed")` for anything that cannot be written as a header.
    """

    id: UUID
    type: str
    source: str
    time: datetime
    subject: str
    dataschema: str
    sender: str
    recipient: str
    tier: Tier
    key_id: str
    sequence: int
    exercise: bool
    texts: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not is_uuid7(self.id):
            raise _malformed("ce_id")
        if self.time.tzinfo is None:
            raise _malformed("ce_time")
        if not 0 <= self.sequence <= SEQUENCE_MAX:
            raise _malformed("ce_sequence")
        # Written once here: the header encoding, the signed bytes and the decoder's check all use it.
        texts = (
            self.dataschema,
            "true" if self.exercise else "false",
            str(self.id),
            self.key_id,
            self.recipient,
            self.sender,
            str(self.sequence),
            self.source,
            SPEC_VERSION,
            self.subject,
            self.tier.value,
            _time_text(self.time),
            self.type,
            CONTENT_TYPE,
        )
        if not _WRITABLE.fullmatch("\n".join(texts)):
            unwritable = _first_unwritable(texts)
            if unwritable is None:
                raise _malformed("ce_source")
            raise Refused("header_malformed", "1 to 256 visible ASCII characters", field=unwritable)
        object.__setattr__(self, "texts", texts)


_TIERS = {tier.value: tier for tier in Tier}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The batch proof of one message: a signed Merkle root and the way to it.

    `root` 32 bytes, `signature` 64 bytes (Ed25519), `path` 0 to 16 hashes of 32 bytes, lowest first. A proof that
    exists is well-formed, not valid: `batch.verify` says that.
    """

    root: bytes
    signature: bytes
    index: int
    size: int
    path: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if len(self.root) != HASH_BYTES:
            raise _malformed("ce_batchroot")
        if len(self.signature) != SIGNATURE_BYTES:
            raise _malformed("ce_batchsig")
        if not 1 <= self.size <= BATCH_SIZE_MAX:
            raise _malformed("ce_batchsize")
        if not 0 <= self.index < self.size:
            raise _malformed("ce_batchindex")
        if len(self.path) > _PATH_HASHES_MAX or not _HASH_LENGTHS.issuperset(map(len, self.path)):
            raise _malformed("ce_batchpath")


_SETTERS: dict[object, list[Callable[[object, object], None]]] = {
    kind: [getattr(kind, name).__set__ for name in kind.__slots__] for kind in (Attributes, Proof)
}


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message as Kafka carries it: headers and the exact value bytes. `proof` is None before it is signed."""

    attributes: Attributes
    proof: Proof | None
    body: bytes
    traceparent: str | None = field(default=None, kw_only=True)


def encode_headers(envelope: Envelope) -> list[tuple[str, bytes]]:
    """The Kafka headers of `envelope`: the covered ones in sorted order, then the proof, then `traceparent`."""
    proof_texts = () if envelope.proof is None else _proof_texts(envelope.proof)
    texts = envelope.attributes.texts + proof_texts
    names = COVERED + PROOF if proof_texts else COVERED
    # No text holds a line feed, so all of them are encoded at once.
    headers = list(zip(names, "\n".join(texts).encode().split(b"\n"), strict=True))
    if envelope.traceparent is not None:
        headers.append((TRACEPARENT, envelope.traceparent.encode()))
    return headers


def decode_headers(headers: Iterable[tuple[str, bytes | None]], body: bytes) -> Envelope:
    """Read what `encode_headers` writes, in any order.

    Success says the headers are well-formed; it does not say who sent them: `batch.verify` does. Raises `Refused`
    with `field` = the header's name and one of the codes `header_unknown` (no field: the name itself is input),
    `header_duplicate`, `header_null`, `header_not_utf8`, `header_malformed`, `header_missing`.
    """
    received = tuple(headers)
    return _decoded_at_once(received, body) or _decoded_one_by_one(received, body)


def _decoded_at_once(headers: tuple[tuple[str, bytes | None], ...], body: bytes) -> Envelope | None:
    """What `_decoded_one_by_one` makes of a signed message in order. None for any other, whose problem that one names.

    One expression says that every value is in its one spelling, so nothing is written again to compare.
    """
    values = dict(headers)
    count = len(values)
    trace = values.pop(TRACEPARENT, None)
    if count != len(headers) or len(values) != len(_KNOWN):
        return None
    try:
        line = b"\n".join(_IN_ORDER(values)).decode("ascii")  # a null value is a `TypeError`
    except (KeyError, TypeError, UnicodeDecodeError):
        return None
    if not _WELL_SPELT.fullmatch(line):
        return None
    texts = line.split("\n")
    attributes = _attributes_spelt(tuple(texts[: len(COVERED)]))
    proof = _proof_spelt(texts[len(COVERED) :])
    if attributes is None or proof is None:
        return None
    return Envelope(attributes, proof, body, traceparent=None if trace is None else _traceparent([trace]))


def _attributes_spelt(texts: tuple[str, ...]) -> Attributes | None:
    """The attributes whose texts, in their one spelling, these are; None if there is no such day or sequence number."""
    dataschema, exercise, id_, key_id, recipient, sender, sequence, source, _, subject, tier, time, type_, _ = texts
    try:
        instant = parse_rfc3339(time)
    except ValueError:
        return None
    number = int(sequence)
    if number > SEQUENCE_MAX:
        return None
    identity = uuid_of(int(id_.replace("-", ""), 16))
    named = (identity, type_, source, instant, subject, dataschema, sender, recipient, _TIERS[tier], key_id)
    return _made(Attributes, (*named, number, exercise == "true", texts))


def _proof_spelt(texts: list[str]) -> Proof | None:
    """The proof whose texts, in their one spelling, these are; None if a number is out of bounds."""
    root, signature, index_text, size_text, path = texts
    index, size, hashes = int(index_text), int(size_text), read_known(path)
    count = len(hashes) // HASH_BYTES
    if not index < size <= BATCH_SIZE_MAX or count > _PATH_HASHES_MAX:
        return None
    each = unpack(f"{HASH_BYTES}s" * count, hashes)
    return _made(Proof, (bytes.fromhex(root), read_known(signature), index, size, each))


def _made(kind: type[_Value], values: tuple[object, ...]) -> _Value:
    """A frozen value whose checks are known to hold: without its constructor, which would make all of them again."""
    made = object.__new__(kind)
    for put, value in zip(_SETTERS[kind], values, strict=True):
        put(made, value)
    return made


def _decoded_one_by_one(headers: Iterable[tuple[str, bytes | None]], body: bytes) -> Envelope:
    texts: dict[str, str] = {}
    traces: list[bytes | None] = []
    for name, value in headers:
        if name in _KNOWN:
            if name in texts:
                raise Refused("header_duplicate", field=name)
            texts[name] = _text(name, value)
        elif name == TRACEPARENT:
            traces.append(value)
        elif (lower := name.lower()).startswith("ce_") or lower == "content-type":
            # Also other spellings of ours: some readers fold case and would see a header that we did not check.
            raise Refused("header_unknown")
    return Envelope(_attributes(texts), _proof(texts), body, traceparent=_traceparent(traces))


def _text(name: str, value: bytes | None) -> str:
    if value is None:
        raise Refused("header_null", field=name)
    try:
        return value.decode()
    except UnicodeDecodeError:
        pass  # as in `_read`: the decoder's own error holds the bytes
    raise Refused("header_not_utf8", field=name)


def _attributes(texts: dict[str, str]) -> Attributes:
    received = _present(texts, COVERED)
    attributes = Attributes(
        id=_read("ce_id", texts["ce_id"], UUID),
        type=texts["ce_type"],
        source=texts["ce_source"],
        time=_read("ce_time", texts["ce_time"], parse_rfc3339),
        subject=texts["ce_subject"],
        dataschema=texts["ce_dataschema"],
        sender=texts["ce_sender"],
        recipient=texts["ce_recipient"],
        tier=_read("ce_tier", texts["ce_tier"], Tier),
        key_id=texts["ce_keyid"],
        sequence=_read("ce_sequence", texts["ce_sequence"], int),
        exercise=texts["ce_exercise"] == "true",
    )
    _check_spelling(COVERED, received, attributes.texts)
    return attributes


def _proof(texts: dict[str, str]) -> Proof | None:
    if not any(name in texts for name in PROOF):
        return None
    received = _present(texts, PROOF)
    path = _read("ce_batchpath", texts["ce_batchpath"], from_base64url)
    proof = Proof(
        root=_read("ce_batchroot", texts["ce_batchroot"], bytes.fromhex),
        signature=_read("ce_batchsig", texts["ce_batchsig"], from_base64url),
        index=_read("ce_batchindex", texts["ce_batchindex"], int),
        size=_read("ce_batchsize", texts["ce_batchsize"], int),
        path=tuple(path[at : at + HASH_BYTES] for at in range(0, len(path), HASH_BYTES)),
    )
    _check_spelling(PROOF, received, _proof_texts(proof))
    return proof


def _proof_texts(proof: Proof) -> tuple[str, ...]:
    """The values of `PROOF`, in its order."""
    path = to_base64url(b"".join(proof.path))
    return proof.root.hex(), to_base64url(proof.signature), str(proof.index), str(proof.size), path


def _present(texts: dict[str, str], names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in texts:
            raise Refused("header_missing", field=name)
    return tuple(texts[name] for name in names)


def _check_spelling(names: tuple[str, ...], received: tuple[str, ...], canonical: tuple[str, ...]) -> None:
    """Refuse a value that means the right thing but is not spelled in its one way (`+5`, `URN:UUID:…`, `.120Z`)."""
    if received != canonical:
        differing = zip(names, received, canonical, strict=True)
        field = next(name for name, text, expected in differing if text != expected)
        raise Refused("header_malformed", "not in its one spelling", field=field)


def _traceparent(values: list[bytes | None]) -> str | None:
    """The one well-formed value, or None: two values are as good as none."""
    if len(values) != 1 or values[0] is None:
        return None
    text = values[0].decode("ascii", "replace")
    return text if _TRACEPARENT.fullmatch(text) else None


def _time_text(instant: datetime) -> str:
    """RFC 3339 in UTC with `Z`: no fraction when it is zero, else six digits. Loses nothing of a `datetime`."""
    return instant.astimezone(UTC).isoformat()[:-6] + "Z"  # the offset is always `+00:00` here


def _read(name: str, text: str, parse: Callable[[str], _Value]) -> _Value:
    """What `parse` makes of a header's text. It may be lenient: the spelling is checked afterwards."""
    try:
        return parse(text)
    except (ValueError, OverflowError):
        pass  # refused outside this block: the parser's own error quotes the text and must not ride along as context
    raise _malformed(name)


def _first_unwritable(texts: tuple[str, ...]) -> str | None:
    unwritable = (
        name
        for name, text in zip(COVERED, texts, strict=True)
        if not 0 < len(text) <= TEXT_CHARACTERS_MAX or not _is_visible_ascii(text)
    )
    return next(unwritable, None)


def _is_visible_ascii(text: str) -> bool:
    """Whether every character is %x21-7E (RFC 5234 VCHAR)."""
    return text.isascii() and text.isprintable() and " " not in text


def _malformed(name: str) -> Refused:
    return Refused("header_malformed", _RULES[name], field=name)
