"""Takes leaves apart: an address into host, path, query and fragment, decoded, each with its role.

Reads only. Never raises on odd input: what is wrong with an address is for `rules` to say.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Literal, NamedTuple
from urllib.parse import unquote_to_bytes

from shared.guard.leaves import INSTANT, INTEGER, TEXT, Leaf, Path
from shared.guard.tokens import Measure, measure, measured

Role = Literal["host", "path", "value", "name", "fragment", "account", "message", "reference", "code"]

#: Rounds of percent decoding: addresses are carried inside addresses, and again inside those.
_PERCENT_ROUNDS = 3
_NOT_UTF8 = re.compile(r"[\udc80-\udcff]")
#: A stretch that may be base64 of text; shorter ones are not worth a look.
_BASE64_RUN_MIN = 24
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_SCHEMES = ("http://", "https://")
#: The one spelling of an IPv4 address, and an IPv6 address with all its groups, none of them zero or with zeros before.
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
FULL_IPV6 = re.compile(r"(?:[1-9a-f][0-9a-f]{0,3}:){7}[1-9a-f][0-9a-f]{0,3}")
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
#: Makes a named tuple without the Python function that its class puts before this one.
_new = tuple.__new__
_READABLE_CODES: dict[str, Measure] = {}
_READABLE_CODES_MAX = 1_024
_WHOLE_TEXT_ROLES: dict[str, Role] = {
    "account": "account",
    "message": "message",
    "reference": "reference",
}
_ADDRESS_KINDS = frozenset({"url", "onion", "peer"})
_DIGEST_KINDS = frozenset({"md5", "sha1", "sha256", "tmk_pdqf", "pdq", "photodna"})


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
    """An address split at its delimiters; components are still percent-encoded. `text` is the decoded whole, and
    `parts` are its components decoded."""

    raw: str
    authority: str
    segments: list[str]
    parameters: list[tuple[str, str]]
    fragment: str
    path: Path
    text: str
    parts: list[Part]


class Digest(NamedTuple):
    """A digest and its bytes."""

    kind: str
    data: bytes
    path: Path


class Host(NamedTuple):
    """An IP address as it was written, and its four or sixteen bytes; None when it is no address."""

    text: str
    packed: bytes | None
    path: Path


class Split(NamedTuple):
    """Everything in a record that can hold bytes, by use. `closed` are days and identifiers."""

    addresses: list[Address]
    parts: list[Part]
    digests: list[Digest]
    hosts: list[Host]
    integers: list[Leaf]
    instants: list[Leaf]
    closed: list[Leaf]
    choice_bits: float


def split(found: list[Leaf], choice_bits: float) -> Split:
    """Sort the leaves of a record by use, and take addresses apart."""
    texts = Split([], [], [], [], [], [], [], choice_bits)
    parts = texts.parts
    for leaf in found:
        kind, value, path = leaf
        if kind == TEXT:
            parts.append(_new(Part, ("code", value, path, "", *(_READABLE_CODES.get(value) or _measured_code(value)))))
        elif kind == INSTANT:
            texts.instants.append(leaf)
        elif kind in _DIGEST_KINDS:
            texts.digests.append(Digest(kind, _digest_bytes(kind, value), path))
        elif kind in _ADDRESS_KINDS:
            address = split_address(value, path)
            texts.addresses.append(address)
            parts += address.parts
        elif kind in _WHOLE_TEXT_ROLES:
            parts.append(_part(_WHOLE_TEXT_ROLES[kind], value, path))
        elif kind == "ip":
            texts.hosts.append(Host(value, _host_bytes(value), path))
        elif kind == INTEGER:
            texts.integers.append(leaf)
        else:
            texts.closed.append(leaf)
    return texts


def _digest_bytes(kind: str, text: str) -> bytes:
    """The schema has checked the alphabet and the length."""
    return base64.b64decode(text) if kind == "photodna" else bytes.fromhex(text)


def _host_bytes(text: str) -> bytes | None:
    if _IPV4.fullmatch(text):
        return bytes(map(int, text.split(".")))
    if FULL_IPV6.fullmatch(text):
        return bytes.fromhex("".join([group.zfill(4) for group in text.split(":")]))
    try:
        return ipaddress.IPv6Address(text).packed
    except ValueError:
        return None


def split_address(raw: str, path: Path) -> Address:
    """Split at the first `#`, then the first `?`, then `//` and `/` (RFC 3986 §3, without its corner cases)."""
    if raw.startswith("ed2k:"):
        segments = raw.split("|")
        parts = [_path_part(segment, path) for segment in segments if segment]
        return Address(raw, "", segments, [], "", path, decoded(raw), parts)
    rest, _, fragment = raw.partition("#")
    rest, _, query = rest.partition("?")
    _, colon, after = rest.partition("://")
    authority, *segments = (after if colon else rest).split("/")
    parts = [_part("host", authority, path)] if authority else []
    parts += [_path_part(segment, path) for segment in segments if segment]
    parameters: list[tuple[str, str]] = []
    if query:
        for pair in query.split("&"):
            name, equals, value = pair.partition("=")
            parameters.append((name, value) if equals else ("", name))
        _add_parameters(parameters, path, parts)
    if fragment:
        parts.append(_part("fragment", _read(fragment), path))
    return Address(raw, authority, segments, parameters, fragment, path, decoded(raw), parts)


def _path_part(segment: str, path: Path) -> Part:
    return _part("path", _read(segment), path)


def _read(component: str) -> str:
    """Decoded, and with stretches of base64 that hold printable text replaced by it (tokens, states, addresses)."""
    text = decoded(component) if "%" in component else component
    return _BASE64_RUN.sub(_as_text, text) if len(text) >= _BASE64_RUN_MIN else text


def _add_parameters(parameters: list[tuple[str, str]], path: Path, parts: list[Part]) -> None:
    for name, value in parameters:
        lower = name.lower()
        if lower in _KNOWN_NAMES:
            parts.append(_new(Part, ("name", name, path, "", *_KNOWN_NAME)))
        elif name:
            parts.append(_part("name", decoded(name), path))
        if value:
            text = _read(value)
            if text.startswith(_SCHEMES):  # an address inside the address has its own folders, parameters and names
                parts += split_address(text, path).parts
            else:
                parts.append(_part("value", text, path, name=lower))


def decoded(text: str) -> str:
    """`text` without percent encoding, however often applied (up to three times); other bytes as surrogates."""
    for _ in range(_PERCENT_ROUNDS):
        if "%" not in text:
            return text
        further = unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
        if further.isascii():
            text = further
            continue
        if _NOT_UTF8.search(further):
            return further
        text = further
    return text


def _as_text(run: re.Match[str]) -> str:
    digits = run[0].rstrip("=").translate(_URLSAFE_TO_STANDARD)
    try:
        text = binascii.a2b_base64(digits + "===").decode()
    except ValueError:
        return run[0]
    return decoded(text) if text.isprintable() else run[0]


def _measured_code(code: str) -> Measure:
    """The measure of a code or party id, remembered when all of it reads: class S1 comes again in every record."""
    measured = measure(code)
    if not measured.opaque_bits and len(_READABLE_CODES) < _READABLE_CODES_MAX:
        _READABLE_CODES[code] = measured
    return measured


def _part(role: Role, text: str, path: Path, *, name: str = "") -> Part:
    return _new(Part, (role, text, path, name, *measured(text)))
