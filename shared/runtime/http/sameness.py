"""When two requests under one idempotency key are the same: they went to one place and say the same JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from shared.kernel.errors import Refused

#: Floats and half characters have a spelling here, too: whether they may be sent is for others to say.
_SPELT: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
#: What was read of an item, or why it was refused.
_Read = dict[str, Any] | Refused


def body_hash(route: str, body: bytes) -> bytes:
    """The SHA-256 of where a request went and of its JSON, however it is spelt; of its bytes, where it is none."""
    try:
        said = _SPELT(json.loads(body)).encode()
    except (ValueError, RecursionError):
        said = body
    same = Sameness(route)
    same.add(said)
    return same.value()


def items_hash(route: str, items: Iterable[tuple[_Read, bytes]]) -> bytes:
    """`body_hash` of a body that is read already: what was read of each item, or its bytes where it was refused."""
    same = Sameness(route)
    for read, raw in items:
        same.add_item(read, raw)
    return same.value()


class Sameness:
    """`items_hash`, item by item."""

    def __init__(self, route: str) -> None:
        self._hash = hashlib.sha256(route.encode())

    def add_item(self, read: _Read, raw: bytes) -> None:
        self.add(raw if isinstance(read, Refused) else _SPELT(read).encode())

    def add(self, said: bytes) -> None:
        self._hash.update(b"\n" + said)

    def value(self) -> bytes:
        return self._hash.digest()
