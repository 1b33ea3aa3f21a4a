"""The wire headers: CloudEvents 1.0, Kafka protocol binding, binary content mode.

The list is closed but for extensions `ce_x…`, which are covered and ignored: another `ce_` header that is not on it is
refused, any other header is not ours and is ignored. A value has exactly one spelling, so what was decoded encodes to
the bytes that came in, and the signed bytes can be built from either. `traceparent` is telemetry, neither signed nor
evidence: one that is malformed is dropped (W3C Trace Context §3.2.2) and never costs the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import itemgetter
from struct import unpack
from typing import TypeVar
from uuid import UUID

from shared.envelope.attributes import (
    BATCH_SIZE_MAX,
    CONTENT_TYPE,
    COVERED,
    FIRST_OF_EPOCH,
    PATH_HASHES_MAX,
    PROOF,
    SEQUENCE_MAX,
    SPEC_VERSION,
    Attributes,
    Envelope,
    Previous,
    Proof,
    Tier,
    head_of,
    malformed,
)
from shared.envelope.base64url import from_base64url, read_known, to_base64url
from shared.envelope.spelling import EXTENSION, SPELLINGS, TEXT, UNKNOWN
from shared.kernel.clock import parse_rfc3339
from shared.kernel.errors import Refused
from shared.kernel.ids import spelt_uuid
from shared.ledger.tree import HASH_BYTES

__all__ = [
    "BATCH_SIZE_MAX",
    "CONTENT_TYPE",
    "COVERED",
    "FIRST_OF_EPOCH",
    "PROOF",
    "SEQUENCE_MAX",
    "SPEC_VERSION",
    "TRACEPARENT",
    "Attributes",
    "Envelope",
    "Previous",
    "Proof",
    "Tier",
    "decode_headers",
    "encode_headers",
]

TRACEPARENT = "traceparent"

_Value = TypeVar("_Value")

_KNOWN = frozenset(COVERED + PROOF)
_NAMED = _KNOWN.union(FIRST_OF_EPOCH)
_EXTENSION = re.compile(EXTENSION)
_WELL_SPELT = re.compile("\n".join(SPELLINGS.get(name, TEXT) for name in COVERED + PROOF))
_IN_ORDER = itemgetter(*COVERED, *PROOF)
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TIERS = {tier.value: tier for tier in Tier}
_SETTERS: dict[object, list[Callable[[object, object], None]]] = {
    kind: [getattr(kind, name).__set__ for name in kind.__slots__] for kind in (Attributes, Proof)
}


def encode_headers(envelope: Envelope) -> list[tuple[str, bytes]]:
    """The Kafka headers of `envelope`: what every message has, what only some have, the proof, then `traceparent`."""
    attributes = envelope.attributes
    proof_texts = () if envelope.proof is None else _proof_texts(envelope.proof)
    further = tuple(zip(*attributes.further, strict=True)) or ((), ())
    texts = attributes.texts + further[1] + proof_texts
    names = COVERED + further[0] + (PROOF if proof_texts else ())
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
    schema, epoch, exercise, guard, id_, key_id, recipient, sender, sequence, source, *rest = texts
    _, subject, tier, time, type_, _ = rest
    try:
        instant = parse_rfc3339(time)
    except ValueError:
        return None
    number = int(sequence)
    if number > SEQUENCE_MAX:
        return None
    named = (spelt_uuid(id_), type_, source, instant, subject, schema, sender, recipient, _TIERS[tier], key_id)
    numbered = (number, exercise == "true", spelt_uuid(epoch), guard, None, ())
    return _made(Attributes, (*named, *numbered, texts, (), head_of(texts)))


def _proof_spelt(texts: list[str]) -> Proof | None:
    """The proof whose texts, in their one spelling, these are; None if a number is out of bounds."""
    root, signature, index_text, size_text, path = texts
    index, size, hashes = int(index_text), int(size_text), read_known(path)
    count = len(hashes) // HASH_BYTES
    if not index < size <= BATCH_SIZE_MAX or count > PATH_HASHES_MAX:
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
        if _is_covered_or_proof(name):
            if name in texts:
                raise Refused("header_duplicate", field=_field(name))
            texts[name] = _text(name, value)
        elif name == TRACEPARENT:
            traces.append(value)
    return Envelope(_attributes(texts), _proof(texts), body, traceparent=_traceparent(traces))


def _is_covered_or_proof(name: str) -> bool:
    """Whether a header is ours to read. The one place that says what becomes of a `ce_` header that we do not know."""
    if name in _NAMED or _EXTENSION.fullmatch(name):
        return True
    if (lower := name.lower()).startswith("ce_") or lower == "content-type":
        # Also other spellings of ours: some readers fold case and would see a header that we did not check.
        raise Refused("header_unknown")
    return False


def is_signed(name: str) -> bool:
    """Whether a header that was read is covered or part of the proof: of others nobody could say who wrote them."""
    return name.startswith("ce_") or name == "content-type"


def _field(name: str) -> str | None:
    """A header's name, unless it is itself input."""
    return name if name in _NAMED else None


def _text(name: str, value: bytes | None) -> str:
    if value is None:
        raise Refused("header_null", field=_field(name))
    try:
        return value.decode()
    except UnicodeDecodeError:
        pass  # as in `_read`: the decoder's own error holds the bytes
    raise Refused("header_not_utf8", field=_field(name))


def _attributes(texts: dict[str, str]) -> Attributes:
    received = _present(texts, COVERED)
    previous = _previous(texts)
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
        epoch=_read("ce_epoch", texts["ce_epoch"], UUID),
        guard=texts["ce_guard"],
        previous=previous,
        extensions=tuple(sorted((name, text) for name, text in texts.items() if name not in _NAMED)),
    )
    _check_spelling(COVERED, received, attributes.texts)
    return attributes


def _previous(texts: dict[str, str]) -> Previous | None:
    """What the first message of an epoch says of the one before: both headers, or none."""
    if not any(name in texts for name in FIRST_OF_EPOCH):
        return None
    epoch, last = received = _present(texts, FIRST_OF_EPOCH)
    previous = Previous(
        None if epoch == UNKNOWN else _read("ce_prevepoch", epoch, UUID),
        None if last == UNKNOWN else _read("ce_prevlast", last, int),
    )
    _check_spelling(FIRST_OF_EPOCH, received, previous.texts())
    return previous


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


def _read(name: str, text: str, parse: Callable[[str], _Value]) -> _Value:
    """What `parse` makes of a header's text. It may be lenient: the spelling is checked afterwards."""
    try:
        return parse(text)
    except (ValueError, OverflowError):
        pass  # refused outside this block: the parser's own error quotes the text and must not ride along as context
    raise malformed(name)
