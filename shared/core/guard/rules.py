"""L2 of the guard: rules for values of each kind, beyond the alphabet and length in the schema.

The rules do not limit the information in a value; its cost does (`budget`).
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

from shared.core.errors import Refused
from shared.core.guard.edition import GuardVersion
from shared.core.guard.leaves import INSTANT, Leaf, Path, pointer

HOST_CHARACTERS_MAX, LABEL_CHARACTERS_MAX = 253, 63
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
#: The latest instant within the cost of an instant: 2^41 milliseconds.
LATEST: Final = EARLIEST + timedelta(milliseconds=2**41 - 1)
CLOCK_SKEW: Final = timedelta(minutes=5)

_CONTROL: Final = re.compile(r"%(?:[01][0-9A-F]|7F)")
#: Control characters, and characters that change text direction or are invisible, in UTF-8 (Unicode 16, Cc and Cf).
_HIDDEN: Final = re.compile(
    r"%C2%[89][0-9A-F]|%E2%80%(?:8[EF]|A[A-E])|%E2%81%A[6-9]|%EF%BB%BF|%F3%A0%8[01]%[89AB][0-9A-F]"
)
#: Also labels that no registry assigns but servers answer to: `_` anywhere, and `-` at either end.
_LABEL: Final = re.compile(r"[a-z0-9_-]+")
#: Letters and digits, separated by single dots and hyphens. A short text of this form needs no further check.
_PLAIN: Final = re.compile(r"(?:[a-z0-9]++[.-])*+[a-z0-9]++")
_AUTHORITY: Final = re.compile(r"https?://([^/?#]*)")


def check_rules(found: list[Leaf], now: datetime | None, edition: GuardVersion) -> None:
    """Check every value on its own, by an edition.

    `now` limits instants. Without it, only the range of their cost does.

    Raises `Refused` with a code `guard_rules_…`.
    """
    latest = LATEST if now is None else now + CLOCK_SKEW
    for kind, value, path in found:
        if kind == INSTANT:
            if value < EARLIEST:
                _refuse("instant_too_early", "not before the year 2000", path)
            if value > latest:
                _refuse("instant_in_future", "at most five minutes ahead of our clock", path)
        elif kind == "ip":
            _check_ip(value, path)
        elif kind in ("url", "onion", "peer"):
            _check_address(kind, value, path, edition=edition)


def _refuse(rule: str, detail: str, path: Path) -> NoReturn:
    raise Refused(f"guard_rules_{rule}", detail, field=pointer(path))


def _check_ip(text: str, path: Path) -> None:
    """Check a host's IP address. It must be in canonical form (RFC 5952)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        _refuse("ip_not_an_address", "an IPv4 or IPv6 address", path)
    if str(address) != text:
        _refuse("ip_not_canonical", "use the canonical form of RFC 5952", path)
    if isinstance(address, ipaddress.IPv4Address):
        is_assigned = _NO_IPV4 < address < _MULTICAST
    else:
        local = address.is_private or address.is_link_local or address.ipv4_mapped is not None
        is_assigned = address in _UNICAST or (local and not address.is_unspecified)
    if not is_assigned:
        _refuse("ip_not_a_host", "an address that a host can have", path)


_NO_IPV4: Final = ipaddress.IPv4Address(0)
#: From here on IPv4 is multicast and reserved (RFC 5771, RFC 1112 §4).
_MULTICAST: Final = ipaddress.IPv4Address("224.0.0.0")
#: The global unicast addresses of IPv6 (RFC 4291 §2.4).
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")


def _check_address(kind: str, text: str, path: Path, *, edition: GuardVersion) -> None:
    if kind == "url" and (found := _AUTHORITY.match(text)) is not None:
        _check_authority(found[1].lower(), path)
    if edition.canonical(text, kind) != text:
        _refuse("not_canonical", "use the canonical form of an address (RFC 3986 §6.2)", path)
    if "%" in text and (_CONTROL.search(text) or _HIDDEN.search(text)):
        _refuse("control_character", "no control or direction characters", path)


def _check_authority(authority: str, path: Path) -> None:
    if len(authority) <= LABEL_CHARACTERS_MAX and _PLAIN.fullmatch(authority):
        return
    if "@" in authority:
        _refuse("host_user", "no user name or password in an address", path)
    if authority.startswith("["):
        port = _past_literal(authority, path)
    else:
        host, _, port = authority.partition(":")
        if "%" in host or len(host) > HOST_CHARACTERS_MAX:
            _refuse("host", f"ASCII, at most {HOST_CHARACTERS_MAX} characters", path)
        for label in host.rstrip(".").split("."):
            if len(label) > LABEL_CHARACTERS_MAX or not _LABEL.fullmatch(label):
                _refuse("host_label", "labels of letters, digits, - and _", path)
    if port and not (port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65_535):
        _refuse("host_port", "a port between 1 and 65535", path)


def _past_literal(authority: str, path: Path) -> str:
    """Check the IPv6 address in brackets, and return the port after it."""
    literal, bracket, port = authority[1:].partition("]")
    try:
        ipaddress.IPv6Address(literal)
    except ValueError:
        _refuse("host_literal", "an IPv6 address in brackets", path)
    if not bracket or (port and not port.startswith(":")):
        _refuse("host_literal", "an IPv6 address in brackets", path)
    return port[1:]
