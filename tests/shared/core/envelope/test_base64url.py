"""Base64url: only the standard library's own output is accepted."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from hypothesis import example, given
from hypothesis import strategies as st

from shared.core.envelope.base64url import from_base64url, to_base64url


def written_by_the_library(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def read_by_the_library(text: str) -> bytes | None:
    """Return the bytes that `text` encodes, or None if the library would not write this text."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return data if written_by_the_library(data) == text else None


def read(text: str) -> bytes | None:
    try:
        return from_base64url(text)
    except ValueError:
        return None


@given(st.binary(max_size=200))
def test_it_writes_what_the_library_writes_and_reads_it_back(data: bytes) -> None:
    text = to_base64url(data)
    assert text == written_by_the_library(data)
    assert from_base64url(text) == data


@given(st.text(st.sampled_from("AQgwz09-_+/=. \n\u00e4\u0661"), max_size=12) | st.text(max_size=12))
@example("AA=")
@example("AA==")
@example("AB")
@example("A")
@example("A+")
def test_it_reads_what_the_library_writes_and_nothing_else(text: str) -> None:
    assert read(text) == read_by_the_library(text)
