"""Where a party's key may be sent: over TLS, or to this very machine; and whose word for a server's name counts."""

from __future__ import annotations

import re
import ssl
from ipaddress import IPv4Network, IPv6Address, ip_address
from pathlib import Path

import httpx

from shared.kernel.errors import Refused

_BASE = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_PORT_MAX = 65_535
_LOOPBACK = IPv4Network("127.0.0.0/8")
_LOOPBACK_6 = IPv6Address("::1")


def service_address(text: str) -> httpx.URL:
    """The base address of a service. Raises `Refused`, never with the text in it: what is wrong there may be a key."""
    try:
        url = httpx.URL(text) if _BASE.fullmatch(text) else None
        # A name that its own coding does not allow shows only when it is read.
        named = url is not None and bool(url.host)
    except (httpx.InvalidURL, ValueError):
        url, named = None, False
    if url is None or not named or (url.port or 0) > _PORT_MAX:
        raise Refused("url_malformed", "a base address is https://host[:port]", field="/url", status=400)
    if url.scheme != "https" and not is_this_machine(url.host):
        raise Refused(
            "url_not_https",
            "plain http is for 127.0.0.0/8, ::1 and localhost alone: elsewhere the key and what is filed would cross "
            "the network in the clear. Give an https address",
            field="/url",
            status=400,
        )
    return url


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine by its very name. No name is looked up: who answers for it could say anything."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    # Compared one by one: `is_loopback` takes in more, and not the same on every Python.
    return address == _LOOPBACK_6 if isinstance(address, IPv6Address) else address in _LOOPBACK


def trust_in(ca_file: Path) -> ssl.SSLContext:
    """Trust in servers whose certificate an authority in `ca_file` (PEM) has signed, and in no others.

    Raises `Refused` for a file that cannot be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise Refused(
            "ca_file_unusable", "name a readable file of certificates in PEM", field="/ca_file", status=400
        ) from None
