"""Arrays of one column: asyncpg asks of each element whether it is an array itself, by abstract classes.

Of a text that is half of what binding it costs (250 ns, 130 without), and an origin binds some five hundred elements a
referral. No array of ours has another in it that is not a list or the like: with `ask_by_kind` it asks for those.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from asyncpg.protocol import protocol

#: What is an array, or one within one. Whatever else is given as an array is refused by the driver (`DataError`).
KINDS: Final[tuple[type[Any], ...]] = (list, tuple, set, frozenset, deque, type({}.keys()), type({}.values()))


def ask_by_kind() -> None:
    """From now on, in this process, asyncpg tells arrays by their type. Doing it again changes nothing."""
    protocol.IterableABC = protocol.SizedABC = KINDS
