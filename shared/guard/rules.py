"""L2: what a value of each kind must look like, beyond the alphabet and length that the schema states."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from shared.guard.leaves import Path, pointer
from shared.guard.parts import FULL_IPV6, Address, Host, Split, decoded
from shared.guard.shapes import SHAPELESS_CHARACTERS_MAX, check_shape
from shared.kernel.errors import Refused

HOST_CHARACTERS_MAX, LABEL_CHARACTERS_MAX, LABELS_MAX = 253, 63, 12
#: Lengths count decoded characters.
SEGMENTS_MAX, SEGMENT_CHARACTERS_MAX = 40, 255
PARAMETERS_MAX, PARAMETER_CHARACTERS_MAX, NAME_CHARACTERS_MAX = 40, 1_100, 96
FRAGMENT_CHARACTERS_MAX = 200
EMPTY_SEGMENTS_MAX = 4
#: Bytes that percent encoding stands for, per address: above 0x7f, of those not UTF-8, and that need no encoding.
HIGH_BYTES_MAX, NOT_UTF8_MAX, NEEDLESS_MAX = 320, 72, 24
MARKUP_MAX, ANGLE_BRACKETS_MAX, SPACES_MAX = 24, 2, 40
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(minutes=5)

_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NEEDLESS = re.compile(r"%(?:2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_MARKUP = re.compile(r'["\\^{|}`]')
_NOT_UTF8 = re.compile(r"[\udc80-\udcff]")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
#: Letters and digits, set apart by single dots and hyphens: when short and few, labels that need no further look.
_PLAIN = re.compile(r"(?:[A-Za-z0-9]++[.-])*+[A-Za-z0-9]++")
_EMPTY_SEGMENT = re.compile(r"[^A-Za-z0-9%]+")


def check_rules(texts: Split, now: datetime | None) -> None:
    """Check every value on its own. `now` bounds instants; without it only the past is bounded.

    Raises `Refused` with a code `guard_rules_…`.
    """
    latest = None if now is None else now + CLOCK_SKEW
    for _, instant, path in texts.instants:
        if instant < EARLIEST or (latest is not None and instant > latest):
            _refuse_instant(instant, path)
    for host in texts.hosts:
        _check_host(host)
    for address in texts.addresses:
        _check_address(address)
    for part in texts.parts:
        if len(part.text) > SHAPELESS_CHARACTERS_MAX or not part.text.isascii():
            check_shape(part)


def _refuse(rule: str, detail: str, path: Path) -> NoReturn:
    raise Refused(f"guard_rules_{rule}", detail, field=pointer(path))


def _refuse_instant(instant: datetime, path: Path) -> NoReturn:
    if instant < EARLIEST:
        _refuse("instant_too_early", "not before the year 2000", path)
    _refuse("instant_in_future", "at most five minutes ahead of our clock", path)


def _check_host(host: Host) -> None:
    """A host's address in its one canonical spelling (RFC 5952): 16 free bytes would hold a file's head."""
    text, packed, path = host
    if packed is None:
        _refuse("ip_not_an_address", "an IPv4 or IPv6 address", path)
    if len(packed) == 4:
        is_assigned = packed[0] < _FIRST_IPV4_GROUP and any(packed)
    else:
        if not FULL_IPV6.fullmatch(text) and str(ipaddress.IPv6Address(text)) != text:
            _refuse("ip_not_canonical", "the canonical spelling of RFC 5952", path)
        is_assigned = packed[0] >> 5 == _UNICAST or _is_reserved_for_hosts(ipaddress.IPv6Address(text))
    if not is_assigned:
        _refuse("ip_not_a_host", "an address that a host can have", path)


def _is_reserved_for_hosts(address: ipaddress.IPv6Address) -> bool:
    return (address.is_private or address.is_link_local or bool(address.ipv4_mapped)) and not address.is_unspecified


#: From this first byte on IPv4 is multicast and reserved (RFC 5771, RFC 1112 §4).
_FIRST_IPV4_GROUP = 224
#: The first three bits of 2000::/3, the global unicast addresses of IPv6 (RFC 4291 §2.4).
_UNICAST = 0b001


def _check_address(address: Address) -> None:
    raw, path = address.raw, address.path
    if raw.startswith("http"):
        _check_authority(address.authority, path)
    if len(address.segments) > SEGMENTS_MAX:
        _refuse("path_segments", f"at most {SEGMENTS_MAX} path segments", path)
    if len(address.segments) > EMPTY_SEGMENTS_MAX and (
        sum(1 for segment in address.segments[:-1] if not segment or _EMPTY_SEGMENT.fullmatch(segment))
        > EMPTY_SEGMENTS_MAX
    ):
        _refuse("path_without_names", "path segments have letters or digits", path)
    if len(address.parameters) > PARAMETERS_MAX:
        _refuse("query_parameters", f"at most {PARAMETERS_MAX} parameters", path)
    if len(raw) > NAME_CHARACTERS_MAX:
        _check_lengths(address)
    if "%" in raw:
        _check_percent(raw, path)
        _check_decoded(address.text, path)


def _check_lengths(address: Address) -> None:
    path = address.path
    for segment in address.segments:
        if len(segment) > SEGMENT_CHARACTERS_MAX and len(decoded(segment)) > SEGMENT_CHARACTERS_MAX:
            _refuse("path_segment", f"at most {SEGMENT_CHARACTERS_MAX} characters in a path segment", path)
    for name, value in address.parameters:
        if len(value) > PARAMETER_CHARACTERS_MAX < len(decoded(value)) or (
            len(name) > NAME_CHARACTERS_MAX < len(decoded(name))
        ):
            _refuse("query_parameter", f"at most {PARAMETER_CHARACTERS_MAX} characters in a parameter", path)
    if len(address.fragment) > FRAGMENT_CHARACTERS_MAX < len(decoded(address.fragment)):
        _refuse("fragment", f"at most {FRAGMENT_CHARACTERS_MAX} characters after #", path)


def _check_authority(authority: str, path: Path) -> None:
    if _is_plain_host(authority):
        return
    if "@" in authority:
        _refuse("host_user", "no user name or password in an address", path)
    if authority.startswith("["):
        literal, bracket, port = authority[1:].partition("]")
        try:
            ipaddress.IPv6Address(literal)
        except ValueError:
            _refuse("host_literal", "an IPv6 address in brackets", path)
        colon = port[:1] == ":" or not port
        if not bracket or not colon:
            _refuse("host_literal", "an IPv6 address in brackets", path)
        port = port[1:]
    else:
        host, _, port = authority.partition(":")
        if not host.isascii() or "%" in host or len(host) > HOST_CHARACTERS_MAX:
            _refuse("host", f"ASCII, at most {HOST_CHARACTERS_MAX} characters", path)
        labels = host.rstrip(".").split(".")
        if len(labels) > LABELS_MAX:
            _refuse("host_labels", f"at most {LABELS_MAX} labels", path)
        for label in labels:
            if len(label) > LABEL_CHARACTERS_MAX or not _LABEL.fullmatch(label):
                _refuse("host_label", "labels of letters, digits, - and _", path)
    if port and not (port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65_535):
        _refuse("host_port", "a port between 1 and 65535", path)


def _is_plain_host(authority: str) -> bool:
    return (
        len(authority) <= LABEL_CHARACTERS_MAX
        and authority.count(".") < LABELS_MAX
        and bool(_PLAIN.fullmatch(authority))
    )


def _check_percent(raw: str, path: Path) -> None:
    if _BAD_PERCENT.search(raw):
        _refuse("percent_encoding", "two hexadecimal digits after %", path)
    if len(_NEEDLESS.findall(raw)) > NEEDLESS_MAX:
        _refuse("percent_encoding_needless", "letters and digits are written as themselves (RFC 3986 §2.3)", path)


def _check_decoded(text: str, path: Path) -> None:
    if not text.isascii() and len(text.encode("utf-8", "surrogateescape")) - len(text) > HIGH_BYTES_MAX:
        _refuse("percent_encoding_length", f"at most {HIGH_BYTES_MAX} encoded bytes above 0x7f", path)
    if _PERCENT.search(text) and not _NOT_UTF8.search(text):
        _refuse("percent_encoding_nested", "at most three rounds of percent encoding", path)
    if _CONTROL.search(text):
        _refuse("control_character", "no control or direction characters, however encoded", path)
    if len(_MARKUP.findall(text)) > MARKUP_MAX or text.count("<") + text.count(">") > ANGLE_BRACKETS_MAX:
        _refuse("markup", "no markup in an address", path)
    if text.count(" ") > SPACES_MAX:
        _refuse("spaces", f"at most {SPACES_MAX} spaces", path)
    if len(_NOT_UTF8.findall(text)) > NOT_UTF8_MAX:
        _refuse("percent_encoding_not_utf8", f"at most {NOT_UTF8_MAX} bytes that are not UTF-8", path)
