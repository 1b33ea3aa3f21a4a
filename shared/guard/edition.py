"""Which guard this is: one name for its rules, tables and code, by which an acceptance says what let a referral in."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from shared.kernel.canonical import digest


@cache
def edition() -> str:
    """SHA-256 over the guard's sources, 64 lower-case hexadecimal digits: name and digest of each, a line each, sorted.

    The contracts are not in it: their schemas carry versions of their own.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return digest("".join(f"{source.name} {digest(source.read_bytes())}\n" for source in sources).encode())
