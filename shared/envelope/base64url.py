"""Base64url without padding (RFC 4648 §5): one text for one byte string."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode


def to_base64url(data: bytes) -> str:
    """Write `data`."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Read `text`. Raises `ValueError` for any text that `to_base64url` does not write.

    The standard library skips foreign characters and ignores the unused bits of the last one, so a
    changed text could decode to the same bytes; writing it again catches both.
    """
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_base64url(data) != text:
        raise ValueError("not canonical base64url")
    return data
