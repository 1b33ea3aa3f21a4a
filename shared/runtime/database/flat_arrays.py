"""Arrays of one column. asyncpg checks for each element, by abstract classes, whether it is an array itself.

For a text, this check is half of the cost of binding it (250 ns, 130 without), and an origin binds about five hundred
elements for a referral. Nested arrays here are always lists or similar types, so `ask_by_kind` checks only for those.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from asyncpg.protocol import protocol

#: The types of arrays and nested arrays. The driver refuses any other type as an array (`DataError`).
KINDS: Final[tuple[type[Any], ...]] = (list, tuple, set, frozenset, deque, type({}.keys()), type({}.values()))


def ask_by_kind() -> None:
    """Make asyncpg recognise arrays by their type, in this process. A second call changes nothing."""
    protocol.IterableABC = protocol.SizedABC = KINDS
