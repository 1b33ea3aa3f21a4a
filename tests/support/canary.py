"""Canaries: marked values, and a search for the mark in every spelling that bytes may have been given on the way."""

from __future__ import annotations

import errno
import os
import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Hexadecimal digits that are letters of base32 as well, so that one mark fits every alphabet there is.
_ALPHABET = "abcdef234567"
MARK_CHARACTERS = 16


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """Where a mark was found, and how it was spelt. Never the value around it."""

    place: str
    spelling: str


def new_mark() -> str:
    """16 random characters that are hexadecimal digits and base32 letters: no chance hit in any store."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(MARK_CHARACTERS))


def spellings(mark: str) -> dict[str, bytes]:
    """The mark as text, as the bytes that it spells, as an address, and each text again as encoders write it."""
    groups = ":".join(mark[at : at + 4] for at in range(0, MARK_CHARACTERS, 4))
    plain = {"plain": mark.encode(), "address": groups.encode()}
    found = dict(plain) | {"bytes": bytes.fromhex(mark), "upper": mark.upper().encode()}
    for name, text in plain.items():
        for offset in range(3):
            # base64url spells these characters the same: only `>`, `?` and `~` give rise to the letters that differ.
            found[f"{name} base64 at {offset}"] = _base64(b64encode(b"\0" * offset + text), offset, len(text))
        found[f"{name} hex"] = text.hex().encode()
        found[f"{name} utf-16-le"] = text.decode().encode("utf-16-le")
        found[f"{name} utf-16-be"] = text.decode().encode("utf-16-be")
    # The mark's own digits are the same in both cases: `3a`, between the groups of an address, is not.
    found["address hex upper"] = groups.encode().hex().upper().encode()
    return found


def search(root: Path, mark: str) -> list[Hit]:
    """Every file under `root` that holds the mark, with each spelling that it is held in; sorted."""
    wanted = {spelt: name for name, spelt in spellings(mark).items()}
    hits = {
        Hit(str(path.relative_to(root)), name)
        for path, content in contents(root.rglob("*"))
        for spelt, name in wanted.items()
        if spelt in content
    }
    return sorted(hits)


def contents(paths: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """What the files among `paths` hold, without the holes that some servers reserve; one that goes is passed over."""
    for path in paths:
        if path.is_file():
            with suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
                yield from ((path, extent) for extent in _extents(file.fileno()))


def _extents(descriptor: int) -> Iterator[bytes]:
    """The stretches of a file that are not holes (lseek(2), SEEK_DATA)."""
    end = 0
    while True:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield os.pread(descriptor, end - start, start)


def _base64(encoded: bytes, offset: int, length: int) -> bytes:
    """The characters that depend on the text alone, not on what stands before or after it."""
    return encoded[-(-offset * 8 // 6) : (offset + length) * 8 // 6]
