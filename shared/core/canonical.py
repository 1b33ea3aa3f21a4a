"""Canonical bytes: one JSON text for one value, on every Python version and hash seed.

The format is a subset of RFC 8785 that needs no number formatting rules. Object keys are ASCII and sorted. There are no
floats, and integers are within ±(2^53−1). There is no insignificant white space. The text is UTF-8 with only the
escapes that JSON requires.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from json.encoder import c_make_encoder, encode_basestring  # type: ignore[attr-defined]
from typing import Any

#: A parsed JSON object. A schema states the types of its members.
Json = dict[str, Any]
#: A JSON object that its reader does not change.
JsonView = Mapping[str, Any]

MAX_INTEGER = 2**53 - 1

# Built once: a union of types that is written in a call is built at every call.
_SCALARS = (str, bool, type(None))
_ARRAYS = (list, tuple)
#: `JSONEncoder` makes one at each call, which takes longer than a message's clear part.
_ENCODE = c_make_encoder(None, None, encode_basestring, None, ":", ",", True, False, False)


def canonical_json(value: object) -> bytes:
    """Return the canonical bytes of a JSON value. Raises `ValueError` for a value without a canonical form."""
    _check(value)
    return "".join(_ENCODE(value, 0)).encode()


def signed_statement(context: str, stated: dict[str, object]) -> bytes:
    """Return the bytes that a statement's signature covers: the context, a line feed, the statement's canonical JSON.

    With the context, a signature for one purpose is not valid for another.
    """
    return f"{context}\n".encode() + canonical_json(stated)


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 lower-case hexadecimal digits."""
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
            if type(item) is not str:  # most are: a call would cost more than the rest
                _check(item)
    else:
        raise ValueError(f"{type(value).__name__} has no canonical form")
