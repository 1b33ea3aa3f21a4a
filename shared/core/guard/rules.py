"""L2 of the guard: rules for values of each kind, beyond the alphabet and length in the schema.

The rules do not limit the information in a value; its cost does (`budget`).
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn

from shared.core.errors import Refused
from shared.core.guard.edition import GuardVersion
from shared.core.guard.leaves import INSTANT, Leaf, Path, pointer

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
#: The latest instant within the cost of an instant: 2^41 milliseconds.
LATEST: Final = EARLIEST + timedelta(milliseconds=2**41 - 1)
CLOCK_SKEW: Final = timedelta(minutes=5)


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
    try:
        is_canonical = edition.canonical(text, kind) == text
    except Refused as error:
        raise Refused(error.code, error.detail, field=pointer(path)) from None
    if not is_canonical:
        _refuse("not_canonical", "use the canonical form of an address (RFC 3986 §6.2)", path)
