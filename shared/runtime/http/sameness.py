"""When two requests under one idempotency key are the same: they went to one place and say the same JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from shared.kernel.errors import Refused

#: Floats and half characters have a spelling here, too: whether they may be sent is for others to say.
_SPELT: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


def body_hash(route: str, body: bytes) -> bytes:
    """The SHA-256 of where a request went and of its JSON, however it is spelt; of its bytes, where it is none."""
    try:
        said = _SPELT(json.loads(body)).encode()
    except (ValueError, RecursionError):
        said = body
    return _hash(route, [said])


def items_hash(route: str, items: Iterable[tuple[dict[str, Any] | Refused, bytes]]) -> bytes:
    """`body_hash` of a body that is read already: what was read of each item, or its bytes where it was refused."""
    return _hash(route, [raw if isinstance(read, Refused) else _SPELT(read).encode() for read, raw in items])


def _hash(route: str, said: list[bytes]) -> bytes:
    return hashlib.sha256(b"\n".join([route.encode(), *said])).digest()
