"""The principals that are charged: an instance has parties, a party has keys and sessions. Before that, an address."""

from __future__ import annotations

from collections.abc import MutableMapping
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, NamedTuple

#: Where a request's scope holds its principal, once its key or session is known.
_PRINCIPAL: Final = "causeway.principal"
#: An IPv6 client has a whole network of this prefix, so all its addresses are one principal.
_IPV6_HOST_BITS: Final = 64


class Principal(NamedTuple):
    """A key or session, by its opaque name, of a party; or a source address, of no party."""

    party: str | None
    holder: str


def read_principal(scope: MutableMapping[str, Any]) -> Principal:
    """The principal of a request: its key or session if known, else the address of its socket."""
    known: Principal | None = scope.get(_PRINCIPAL)
    return known or read_address(scope)


def note_principal(scope: MutableMapping[str, Any], principal: Principal) -> None:
    """Charge the rest of a request to the key or session, and no longer to the address."""
    scope[_PRINCIPAL] = principal


def read_address(scope: MutableMapping[str, Any]) -> Principal:
    """The address that a request came from, as a principal; a network of 2**64 addresses for IPv6."""
    client = scope.get("client")
    try:
        address = ip_address(client[0] if client else "")
    except ValueError:
        return Principal(None, "")
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return Principal(None, str(mapped or IPv6Address(int(address) >> _IPV6_HOST_BITS << _IPV6_HOST_BITS)))
    return Principal(None, str(address))
