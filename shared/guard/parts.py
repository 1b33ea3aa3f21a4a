"""Takes leaves apart: an address into host, path, query and fragment, decoded, each with its role.

Reads only. Never raises on odd input: what is wrong with an address is for `rules` to say.
"""

from __future__ import annotations

import binascii
import re
from typing import Literal, NamedTuple
from urllib.parse import unquote_to_bytes

from shared.guard.leaves import INTEGER, TEXT, Leaf, Path
from shared.guard.tokens import Measure, measure

Role = Literal["host", "path", "value", "name", "fragment", "account", "message", "reference", "code"]

#: Rounds of percent decoding: addresses are carried inside addresses, and again inside those.
_PERCENT_ROUNDS = 3
_NOT_UTF8 = re.compile(r"[\udc80-\udcff]")
#: A stretch that may be base64 of text; shorter ones are not worth a look.
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_URLSAFE_TO_STANDARD = str.maketrans("-_", "+/")
#: Parameter names of storage services, trackers and content systems: choosing one carries a byte.
_KNOWN_NAMES_TEXT = """
a id p q s t u v e f n h w k x y url page start sort lang hl ref token sig signature key name file filename
type size x-amz-algorithm x-amz-date x-amz-expires x-amz-credential x-amz-signedheaders x-amz-signature
x-amz-security-token x-goog-algorithm x-goog-credential x-goog-date x-goog-expires x-goog-signedheaders
x-goog-signature policy key-pair-id expires expire sv st se sr sp skoid sktid ske sks skv stp _nc_cat ccb
_nc_sid _nc_ohc _nc_ht _nc_gid oh oe ex is hm fbclid gclid igsh si utm_source utm_medium utm_campaign
utm_content utm_term share_id rlkey dl usp state filter ei ip itag source requiressl mh mm mn ms mv mvi pl
initcwndbps vprv mime ns gir clen ratebypass dur lmt sparams lsparams lsig bti ch cr dr lr cd cv br bt ft
mime_type qs rc l btag ply_type tk xt dn tr xl ws
"""
_KNOWN_NAMES = frozenset(_KNOWN_NAMES_TEXT.split())
_KNOWN_NAME = Measure(0.0, 8.0, 0, 0.0)
_READABLE_CODES: dict[str, Measure] = {}
_READABLE_CODES_MAX = 1_024
_WHOLE_TEXT_ROLES: dict[str, Role] = {
    "account": "account",
    "message": "message",
    "reference": "reference",
}
ADDRESS_KINDS = frozenset({"url", "onion", "peer"})
DIGEST_KINDS = frozenset({"md5", "sha1", "sha256", "tmk_pdqf", "pdq", "photodna"})
NUMBER_KINDS = frozenset({"ip", INTEGER})


class Part(NamedTuple):
    """One decoded stretch of text and its measure. `name` is the parameter's for a query value, else empty.

    `carried_bits` is what the text could carry beside its words.
    """

    role: Role
    text: str
    path: Path
    name: str
    opaque_bits: float
    capacity_bits: float
    words: int
    carried_bits: float


class Address(NamedTuple):
    """An address split at its delimiters; components are still percent-encoded. `text` is the decoded whole."""

    raw: str
    authority: str
    segments: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    fragment: str
    path: Path
    text: str


class Split(NamedTuple):
    """All text of a record, by use. `digests` and `numbers` are leaves whose bytes are looked at, not their text."""

    addresses: tuple[Address, ...]
    parts: tuple[Part, ...]
    digests: tuple[Leaf, ...]
    numbers: tuple[Leaf, ...]


def split(found: list[Leaf]) -> Split:
    """Sort the leaves of a record into addresses, plain texts, digests and numbers."""
    addresses: list[Address] = []
    parts: list[Part] = []
    digests: list[Leaf] = []
    numbers: list[Leaf] = []
    for leaf in found:
        kind = leaf.kind
        if kind in ADDRESS_KINDS:
            address = split_address(leaf.value, leaf.path)
            addresses.append(address)
            _add_parts(address, parts)
        elif kind == TEXT:
            measured = _measured_code(leaf.value)
            parts.append(Part("code", leaf.value, leaf.path, "", *measured))
        elif kind in _WHOLE_TEXT_ROLES:
            parts.append(_part(_WHOLE_TEXT_ROLES[kind], leaf.value, leaf.path))
        elif kind in DIGEST_KINDS:
            digests.append(leaf)
        elif kind in NUMBER_KINDS:
            numbers.append(leaf)
    return Split(tuple(addresses), tuple(parts), tuple(digests), tuple(numbers))


def split_address(raw: str, path: Path) -> Address:
    """Split at the first `#`, then the first `?`, then `//` and `/` (RFC 3986 §3, without its corner cases)."""
    if raw.startswith("ed2k:"):
        return Address(raw, "", tuple(raw.split("|")), (), "", path, decoded(raw))
    rest, _, fragment = raw.partition("#")
    rest, _, query = rest.partition("?")
    _, colon, after = rest.partition("://")
    hierarchy = after if colon else rest
    authority, *segments = hierarchy.split("/")
    pairs = (pair.partition("=") for pair in query.split("&")) if query else ()
    parameters = [(name, value) if equals else ("", name) for name, equals, value in pairs]
    return Address(raw, authority, tuple(segments), tuple(parameters), fragment, path, decoded(raw))


def decoded(text: str) -> str:
    """`text` without percent encoding, however often applied (up to three times); other bytes as surrogates."""
    for _ in range(_PERCENT_ROUNDS):
        if "%" not in text:
            return text
        further = unquote_to_bytes(text).decode("utf-8", "surrogateescape")
        if further.isascii():
            text = further
            continue
        if _NOT_UTF8.search(further):
            return further
        text = further
    return text


def readable(text: str) -> str:
    """`text` with stretches of base64 that hold printable text replaced by that text (tokens, states, addresses)."""
    return _BASE64_RUN.sub(_as_text, text) if len(text) >= 24 else text


def _as_text(run: re.Match[str]) -> str:
    digits = run[0].rstrip("=").translate(_URLSAFE_TO_STANDARD)
    try:
        text = binascii.a2b_base64(digits + "===").decode()
    except ValueError:
        return run[0]
    return decoded(text) if text.isprintable() else run[0]


def _measured_code(code: str) -> Measure:
    """The measure of a code or party id, remembered when all of it reads: class S1 comes again in every record."""
    measured = _READABLE_CODES.get(code)
    if measured is None:
        measured = measure(code)
        if not measured.opaque_bits and len(_READABLE_CODES) < _READABLE_CODES_MAX:
            _READABLE_CODES[code] = measured
    return measured


def _part(role: Role, text: str, path: Path, *, name: str = "") -> Part:
    return Part(role, text, path, name, *measure(text))


def _add_parts(address: Address, parts: list[Part]) -> None:
    path = address.path
    if address.authority:
        parts.append(_part("host", address.authority, path))
    parts.extend(_part("path", readable(decoded(segment)), path) for segment in address.segments if segment)
    for name, value in address.parameters:
        if name.lower() in _KNOWN_NAMES:
            parts.append(Part("name", name, path, "", *_KNOWN_NAME))
        elif name:
            parts.append(_part("name", decoded(name), path))
        if value:
            parts.append(_part("value", readable(decoded(value)), path, name=name.lower()))
    if address.fragment:
        parts.append(_part("fragment", readable(decoded(address.fragment)), path))
