"""Canonical bytes: one JSON text for one value, on every Python version and hash seed.

A subset of RFC 8785 that needs no number formatting rules: object keys are ASCII and sorted,
no floats, integers within ±(2^53−1), no insignificant white space, UTF-8 without escapes
beyond those JSON requires.
"""

from __future__ import annotations

import hashlib
import json

MAX_INTEGER = 2**53 - 1

# Made once: a union of types that stands in a call is made at every call.
_SCALARS = (str, bool, type(None))
_ARRAYS = (list, tuple)
_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


def canonical_json(value: object) -> bytes:
    """The canonical bytes of a JSON value. Raises `ValueError` for what has no canonical form."""
    _check(value)
    return _ENCODE(value).encode()


def signed_statement(context: str, stated: dict[str, object]) -> bytes:
    """What a signature over a statement is over: the context, a line feed, the canonical JSON of what is stated.

    The context keeps a signature for one purpose from passing as one for another.
    """
    return f"{context}\n".encode() + canonical_json(stated)


def digest(data: bytes) -> str:
    """SHA-256 of `data`, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _check(value: object) -> None:
    if isinstance(value, _SCALARS):
        return
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise ValueError("integer outside ±(2^53-1)")
    elif isinstance(value, _ARRAYS):
        for item in value:
            _check(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise ValueError("object key is not an ASCII string")
            _check(item)
    else:
        raise ValueError(f"{type(value).__name__} has no canonical form")
