"""Canaries: marked values, and a search for the mark in every encoding that bytes may have on the way."""

from __future__ import annotations

import errno
import os
import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Hexadecimal digits that are also base32 letters, so that one mark fits every alphabet in use.
_ALPHABET = "abcdef234567"
MARK_CHARACTERS = 16


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """The place and the encoding of a found mark, without the value around it."""

    place: str
    spelling: str


def new_mark() -> str:
    """Return 16 random characters that are hexadecimal digits and base32 letters, so no store has them by chance."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(MARK_CHARACTERS))


def spellings(mark: str) -> dict[str, bytes]:
    """Return the mark as text, as the bytes that it denotes and as an address, with each text in several encodings."""
    groups = ":".join(mark[at : at + 4] for at in range(0, MARK_CHARACTERS, 4))
    plain = {"plain": mark.encode(), "address": groups.encode()}
    found = dict(plain) | {"bytes": bytes.fromhex(mark), "upper": mark.upper().encode()}
    for name, text in plain.items():
        for offset in range(3):
            # base64url encodes these characters equally. Only `>`, `?` and `~` produce the letters that differ.
            found[f"{name} base64 at {offset}"] = _base64(b64encode(b"\0" * offset + text), offset, len(text))
        found[f"{name} hex"] = text.hex().encode()
        found[f"{name} utf-16-le"] = text.decode().encode("utf-16-le")
        found[f"{name} utf-16-be"] = text.decode().encode("utf-16-be")
    # The mark's own digits have no case in hexadecimal. The `3a` between the groups of an address has.
    found["address hex upper"] = groups.encode().hex().upper().encode()
    return found


def search(root: Path, mark: str) -> list[Hit]:
    """Return every file under `root` that holds the mark, sorted, with the encodings of the mark in it."""
    wanted = {spelt: name for name, spelt in spellings(mark).items()}
    hits = {
        Hit(str(path.relative_to(root)), name)
        for path, content in contents(root.rglob("*"))
        for spelt, name in wanted.items()
        if spelt in content
    }
    return sorted(hits)


def contents(paths: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """Yield the content of the files among `paths`, without unallocated extents. Skip files that vanish."""
    for path in paths:
        if path.is_file():
            with suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
                yield from ((path, extent) for extent in _extents(file.fileno()))


def _extents(descriptor: int) -> Iterator[bytes]:
    """Yield the extents of a file that hold data (lseek(2), SEEK_DATA)."""
    end = 0
    while True:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no further data
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield os.pread(descriptor, end - start, start)


def _base64(encoded: bytes, offset: int, length: int) -> bytes:
    """Return the characters that depend only on the text, not on the bytes before or after it."""
    return encoded[-(-offset * 8 // 6) : (offset + length) * 8 // 6]
