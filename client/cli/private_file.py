"""Files that only their owner can read: written in one step, or added to for good."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, data: bytes) -> Path:
    """Write a file in one step; nobody else can read it at any time. Return its path."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with open(part, "xb", opener=_private) as file:
        file.write(data)
    return part.replace(path)


def keep_private(path: Path, data: bytes | None) -> Path | None:
    """Write a file in one step, or remove an earlier one when there is nothing to write (then None)."""
    if data is not None:
        return write_private(path, data)
    path.unlink(missing_ok=True)
    return None


def add_private(path: Path, data: bytes) -> None:
    """Add to a file. When this returns it is on the disk."""
    with open(path, "ab", opener=_private) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a file that is added to. A last line that a crash cut off is dropped from it."""
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return whole.splitlines()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
