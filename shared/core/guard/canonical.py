"""Canonical form of an address (RFC 3986 §6.2.2, §6.2.3).

A choice between two forms could carry a bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import product
from string import hexdigits
from typing import Final

_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_LONE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPES: Final = re.compile(r"%[0-9A-Fa-f]{2}")
#: The canonical form of each escape.
_SPELT: Final = {
    f"%{digits}": chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
    for digits in map("".join, product(hexdigits, repeat=2))
    for byte in (int(digits, 16),)
}
_PLAIN_ESCAPES: Final = re.compile(r"[^%]*+(?:%(?:2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-D]|[89A-F][0-9A-F])[^%]*+)*+")
_AUTHORITY: Final = re.compile(r"(?:(https?)://)?([^/?#]*)(.*)", re.DOTALL)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443", None: ""}


def canonical(text: str, kind: str) -> str:
    """Return the canonical form of an address, an onion address or a peer's file; other kinds unchanged.

    Escapes have capital letters and exist only where required. A `%` that begins no escape is escaped itself. Hosts are
    lower-case, without a default port. An empty path becomes `/`.
    """
    if kind not in ("url", "onion", "peer"):
        return text
    if "%" in text and not _PLAIN_ESCAPES.fullmatch(text := _LONE.sub("%25", text)):
        text = _ESCAPES.sub(lambda escape: _SPELT[escape[0]], text)
    if kind == "peer" or (found := _AUTHORITY.fullmatch(text)) is None:
        return text
    scheme, authority, rest = found.groups()
    authority = authority.lower()
    if (port := _DEFAULT_PORTS[scheme]) and authority.endswith(port):
        authority = authority.removesuffix(port)
    if kind == "url" and not rest.startswith("/"):
        rest = f"/{rest}"
    return f"{scheme}://{authority}{rest}" if scheme else f"{authority}{rest}"


#: The canonical forms by the number in an edition. A form never changes.
FORMS: Final[Mapping[int, Callable[[str, str], str]]] = {1: canonical}
