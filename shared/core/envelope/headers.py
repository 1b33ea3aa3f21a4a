"""The wire headers: CloudEvents 1.0, Kafka protocol binding, binary content mode.

The list is closed, except for extensions `ce_x…`, which are signed and ignored. Other unlisted `ce_` headers are
rejected; any other header is ignored. A value has exactly one valid text, so decoded headers encode to the received
bytes, and the signed bytes can be built from either. `salt` and `place` belong to delivery
(`shared.messaging.placement`). `traceparent` is telemetry, neither signed nor evidence. A malformed one is dropped (W3C
Trace Context §3.2.2) and the message is still accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Final, TypeVar
from uuid import UUID

from shared.core.clock import parse_rfc3339
from shared.core.envelope.attributes import (
    COVERED,
    EXTENSION,
    SPELLINGS,
    TEXT,
    Attributes,
    Envelope,
    Tier,
    head_of,
    malformed,
)
from shared.core.errors import Refused
from shared.core.ids import spelt_uuid

TRACEPARENT: Final = "traceparent"
#: The random first bytes of a message's leaf, and its place in its stream. They belong to one copy and are not covered.
SALT: Final = "salt"
PLACE: Final = "place"

_Value = TypeVar("_Value")

_KNOWN = frozenset(COVERED)
_EXTENSION = re.compile(EXTENSION)
_WELL_SPELT = re.compile("\n".join(SPELLINGS.get(name, TEXT) for name in COVERED))
_IN_ORDER = itemgetter(*COVERED)
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TIERS = {tier.value: tier for tier in Tier}
_SETTERS: list[Callable[[object, object], None]] = [getattr(Attributes, name).__set__ for name in Attributes.__slots__]


def covered_headers(attributes: Attributes) -> tuple[tuple[str, str], ...]:
    """Return the headers that a signature covers: those that every message has, then the extensions."""
    return (*zip(COVERED, attributes.texts, strict=True), *attributes.further)


def encode_headers(envelope: Envelope) -> list[tuple[str, bytes]]:
    """Return the Kafka headers of `envelope`: the covered ones, then `traceparent`."""
    headers = [(name, text.encode()) for name, text in covered_headers(envelope.attributes)]
    if envelope.traceparent is not None:
        headers.append((TRACEPARENT, envelope.traceparent.encode()))
    return headers


def decode_headers(headers: Iterable[tuple[str, bytes | None]], body: bytes) -> Envelope:
    """Decode headers from `encode_headers`, in any order.

    Success means that the headers are well-formed; the content proof proves the sender. Raises `Refused` with `field` =
    the header's name and one of the codes `header_unknown` (without field, because the name is input),
    `header_duplicate`, `header_null`, `header_not_utf8`, `header_malformed`, `header_missing`.
    """
    received = tuple(headers)
    return _decoded_at_once(received, body) or _decoded_one_by_one(received, body)


def _decoded_at_once(headers: tuple[tuple[str, bytes | None], ...], body: bytes) -> Envelope | None:
    """Decode the headers of a valid signed message quickly.

    Return None for others; `_decoded_one_by_one` finds why. One expression checks that every value has its only valid
    text, so no value is encoded again for comparison.
    """
    values = dict(headers)
    count = len(values)
    trace = values.pop(TRACEPARENT, None)
    for name in (SALT, PLACE):
        values.pop(name, None)
    if count != len(headers) or len(values) != len(_KNOWN):
        return None
    try:
        line = b"\n".join(_IN_ORDER(values)).decode("ascii")  # a null value is a `TypeError`
    except (KeyError, TypeError, UnicodeDecodeError):
        return None
    if not _WELL_SPELT.fullmatch(line):
        return None
    texts = line.split("\n")
    attributes = _attributes_spelt(tuple(texts))
    if attributes is None:
        return None
    return Envelope(attributes, body, traceparent=None if trace is None else _traceparent([trace]))


def _attributes_spelt(texts: tuple[str, ...]) -> Attributes | None:
    """Return the attributes with these valid texts; None if the day does not exist."""
    schema, exercise, guard, id_, recipient, sender, source, _, subject, tier, time, type_, _ = texts
    try:
        instant = parse_rfc3339(time)
    except ValueError:
        return None
    named = (spelt_uuid(id_), type_, source, instant, subject, schema, sender, recipient, _TIERS[tier])
    # The values are already checked; the constructor would repeat all checks.
    made = object.__new__(Attributes)
    for put, value in zip(_SETTERS, (*named, exercise == "true", guard, (), texts, (), head_of(texts)), strict=True):
        put(made, value)
    return made


def _decoded_one_by_one(headers: Iterable[tuple[str, bytes | None]], body: bytes) -> Envelope:
    texts: dict[str, str] = {}
    traces: list[bytes | None] = []
    for name, value in headers:
        if _is_covered(name):
            if name in texts:
                raise Refused("header_duplicate", field=_field(name))
            texts[name] = _text(name, value)
        elif name == TRACEPARENT:
            traces.append(value)
    return Envelope(_attributes(texts), body, traceparent=_traceparent(traces))


def _is_covered(name: str) -> bool:
    """Return whether a header is read and signed. Only this function decides about unknown `ce_` headers."""
    if name in _KNOWN or _EXTENSION.fullmatch(name):
        return True
    if (lower := name.lower()).startswith("ce_") or lower == "content-type":
        # Also other capitalisations: a reader that ignores case would see a header that we did not check.
        raise Refused("header_unknown")
    return False


def is_signed(name: str) -> bool:
    """Return whether a signature covers a header. The author of other headers is unknown."""
    return name.startswith("ce_") or name == "content-type"


def list_kept(headers: Iterable[tuple[str, bytes | None]]) -> tuple[tuple[str, bytes | None], ...]:
    """Return the headers that are stored with a record: signed ones, and a well-formed `traceparent`.

    Other capitalisations of signed names stay, since `decode_headers` rejects them.
    """
    received = tuple(headers)
    trace = _traceparent([value for name, value in received if name == TRACEPARENT])
    kept = [each for each in received if each[0] in _KNOWN or is_signed(each[0].lower())]
    return (*kept, *([] if trace is None else [(TRACEPARENT, trace.encode())]))


def _field(name: str) -> str | None:
    """Return a header's name, or None if the name itself is input."""
    return name if name in _KNOWN else None


def _text(name: str, value: bytes | None) -> str:
    if value is None:
        raise Refused("header_null", field=_field(name))
    try:
        return value.decode()
    except UnicodeDecodeError:
        pass  # as in `_read`: the decoder's own error contains the bytes
    raise Refused("header_not_utf8", field=_field(name))


def _attributes(texts: dict[str, str]) -> Attributes:
    for name in COVERED:
        if name not in texts:
            raise Refused("header_missing", field=name)
    received = _IN_ORDER(texts)
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
        exercise=texts["ce_exercise"] == "true",
        guard=texts["ce_guard"],
        extensions=tuple(sorted((name, text) for name, text in texts.items() if name not in _KNOWN)),
    )
    _check_spelling(received, attributes.texts)
    return attributes


def _check_spelling(received: tuple[str, ...], canonical: tuple[str, ...]) -> None:
    """Refuse a value with the right meaning but without its only valid text (`+5`, `URN:UUID:…`, `.120Z`)."""
    if received != canonical:
        differing = zip(COVERED, received, canonical, strict=True)
        field = next(name for name, text, expected in differing if text != expected)
        raise Refused("header_malformed", "not in canonical form", field=field)


def _traceparent(values: list[bytes | None]) -> str | None:
    """Return the value if there is exactly one and it is well-formed; else None."""
    if len(values) != 1 or values[0] is None:
        return None
    text = values[0].decode("ascii", "replace")
    return text if _TRACEPARENT.fullmatch(text) else None


def _read(name: str, text: str, parse: Callable[[str], _Value]) -> _Value:
    """Return the parsed text of a header. `parse` may be lenient: the exact text is checked afterwards."""
    try:
        return parse(text)
    except (ValueError, OverflowError):
        pass  # the error is raised outside this block: the parser's error quotes the text and must not be its context
    raise malformed(name)
