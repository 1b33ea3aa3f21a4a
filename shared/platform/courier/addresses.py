"""Rules for webhook addresses: the accepted form of a URL, and the IP addresses that its name may resolve to.

A party chooses the URL, so the URL may point into the operator's own network. Only one form is accepted: https, a
public host name, one of two ports. Every other form is refused, such as IP addresses in any notation, user information
and other alphabets. The name is resolved once, and every address that it resolves to must be public. The connection
goes to the checked address, so a different resolution a moment later has no effect.
Trust: the DNS server of a name chooses among public addresses; the certificate proves that the server is the receiver.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import Thread
from typing import Final, NamedTuple

from shared.core.errors import Refused, Unavailable

URL_CHARACTERS_MAX: Final = 200

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]{1,253}|\[::1\])(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)"
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last label begins with a letter, because a name that ends in a number is an IP address in some notation.
_NAME = re.compile(rf"(?:{_LABEL}[.])+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

# IANA's registries of special-purpose addresses, multicast addresses, and IPv6 addresses that embed an IPv4 address.
# The standard library's `is_global` is true for some of them.
_NOT_PUBLIC_4: Final = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
#: An address is public if it is in the first range and in none of the others. No form that embeds an IPv4 address is.
_PUBLIC_6: Final = ip_network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))
)

#: Resolves a name and port to IP addresses.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Rules for URLs. `ports` are for https. `loopback_http` permits plain http to this machine, in a dev stack."""

    loopback_http: bool = False
    ports: frozenset[int] = frozenset({443, 8443})


class Receiver(NamedTuple):
    """The parts of a webhook URL. `target` is path and query."""

    host: str
    port: int
    target: str
    tls: bool


def read_url(url: str, rules: AddressRules) -> Receiver:
    """Parse a webhook URL. Raises `Refused("webhook_url_refused")`, with the accepted form, for any other."""
    found = _URL.fullmatch(url) if len(url) <= URL_CHARACTERS_MAX else None
    if found is None:
        raise _refused(f"https://NAME/PATH in ASCII, at most {URL_CHARACTERS_MAX} characters, no user and no fragment")
    host, tls = found["host"].lower(), found["scheme"] == "https"
    port = int(found["port"] or (443 if tls else 80))
    target = found["target"]
    receiver = Receiver(host, port, target if target.startswith("/") else f"/{target}", tls)
    if not tls:
        if not rules.loopback_http:
            raise _refused("https only")
        if host not in _LOOPBACK_HOSTS or port > 65535:
            raise _refused("http is only for this machine: localhost, 127.0.0.1 or [::1]")
        return receiver
    if not _NAME.fullmatch(host):
        raise _refused("a public host name, such as hooks.party.example, and no IP address in any notation")
    if port not in rules.ports:
        raise _refused(f"one of the ports {', '.join(map(str, sorted(rules.ports)))}")
    return receiver


async def address_of(receiver: Receiver, resolve: Resolve) -> str:
    """Resolve the name and return the IP address to connect to. Every address that it resolves to must be permitted.

    Raises `Refused("webhook_address_refused")` if one is not, and `Unavailable("webhook_name_unresolved")`.
    """
    try:
        found = await resolve(receiver.host.strip("[]"), receiver.port)
    except (OSError, UnicodeError):
        found = ()
    if not found:
        raise Unavailable("webhook_name_unresolved")
    if not all(is_public(each) if receiver.tls else ip_address(each).is_loopback for each in found):
        raise Refused("webhook_address_refused", "its name resolves to an address that is not public", field="/url")
    return found[0]


def is_public(text: str) -> bool:
    """Return whether an IP address is reachable on the public network and not internal."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    match address:
        case IPv4Address():
            return not any(address in each for each in _NOT_PUBLIC_4)
        case IPv6Address():
            # A zone (`%eth0`) names a link of this machine.
            return (
                address.scope_id is None and address in _PUBLIC_6 and not any(address in each for each in _NOT_PUBLIC_6)
            )


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Resolve a name with this machine's resolver, for TCP, in its own thread.

    A party may register names whose servers never answer. With a thread for each, they delay neither other parties nor
    the end of the process. There is one thread for each present attempt, and a few more that outlast their attempt
    until the system gives up.
    """
    found = Future[list[str]]()
    found.set_running_or_notify_cancel()  # so that a caller that gives up cannot cancel it

    def look_up() -> None:
        try:
            found.set_result([str(each[4][0]) for each in socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)])
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    Thread(target=look_up, name="look_up", daemon=True).start()
    return await asyncio.wrap_future(found)


def _refused(right: str) -> Refused:
    return Refused("webhook_url_refused", right, field="/url")
