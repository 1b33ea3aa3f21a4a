"""Base64url without padding (RFC 4648 §5): one text for one byte string."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")


def to_base64url(data: bytes) -> str:
    """Encode `data`."""
    return b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Decode `text`. Raises `ValueError` for any text that `to_base64url` does not return.

    The standard library skips foreign characters and ignores the unused bits of the last one, so a changed text could
    decode to the same bytes. Encoding the result again detects both.
    """
    data = a2b_base64(text.encode("ascii").translate(_STANDARD) + b"=" * (-len(text) % 4))
    if to_base64url(data) != text:
        raise ValueError("not canonical base64url")
    return data
