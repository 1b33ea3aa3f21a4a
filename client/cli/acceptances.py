"""Signed acceptances, kept beside the file of referrals that they are about: one JSON line each, and no content.

Whoever can modify the file can lose acceptances or add lines that do not verify; nobody can make one that does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import JsonValue

from shared.kernel.canonical import canonical_json

#: An acceptance as the service gave it: it is checked when it is needed, with a directory (`causeway verify`).
Given = dict[str, JsonValue]


class AcceptanceFile:
    """The acceptances of one file of referrals. The same one is kept once, however often the service repeats it."""

    def __init__(self, path: Path) -> None:
        """Whatever is in the file stays, but for a last line that a crash cut off: its service is asked again."""
        self.path = path
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(path, len(whole))
        self._kept = set(whole.splitlines())

    @classmethod
    def beside(cls, file: Path, chosen: Path | None = None) -> AcceptanceFile:
        """`FILE.acceptances.jsonl`, or the one that was chosen instead."""
        return cls(chosen or file.with_name(f"{file.name}.acceptances.jsonl"))

    def keep(self, acceptances: Iterable[Given]) -> None:
        """Add those that are not there. When this returns they are on the disk."""
        lines = [line for line in map(canonical_json, acceptances) if line not in self._kept]
        if not lines:
            return
        with open(self.path, "ab", opener=_private) as file:
            file.write(b"".join(line + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        self._kept.update(lines)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
