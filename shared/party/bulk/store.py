"""Keys of single lines, kept as those of requests are: what was done under one is not done again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg

from shared.kernel.errors import Refused
from shared.runtime.database.idempotency import Claim, ClaimKind, claim_many, forget_many, store_many

_DONE = 202


class KeyedLine(NamedTuple):
    """A line at its place in the batch, the hash of its key, and what says that two lines are the same."""

    place: int
    key: bytes
    same: bytes


class LineKeys:
    """The keys of one batch, within its transaction."""

    def __init__(self, driver: asyncpg.Connection, party: str, lines: Sequence[KeyedLine]) -> None:
        self._driver = driver
        self._party = party
        self._lines = lines
        #: The place of each line that says what an earlier one says under the same key, and the place of that one.
        self.twins: dict[int, int] = {}
        self._claimed: dict[int, bytes] = {}

    async def claim(self) -> dict[int, bytes | Refused]:
        """Claim all keys; of lines that are not to be done, what was answered before, or why they are refused."""
        if not self._lines:
            return {}
        claims = await claim_many(self._driver, [(self._party, each.key, each.same) for each in self._lines])
        settled: dict[int, bytes | Refused] = {}
        for line, claimed in zip(self._lines, claims, strict=True):
            if claimed.kind is ClaimKind.NEW:
                self._claimed[line.place] = line.key
            elif claimed.twin_of is not None:
                self.twins[line.place] = self._lines[claimed.twin_of].place
            else:
                settled[line.place] = _settled(claimed)
        return settled

    async def keep(self, done: Mapping[int, bytes]) -> None:
        """Keep the answer of each line that was done; the keys of all others are free again: they may come again."""
        kept = [(self._party, key, _DONE, done[place]) for place, key in self._claimed.items() if place in done]
        await store_many(self._driver, kept)
        refused = [(self._party, key) for place, key in self._claimed.items() if place not in done]
        if refused:
            await forget_many(self._driver, refused)


def _settled(claimed: Claim) -> bytes | Refused:
    if claimed.kind is ClaimKind.STORED and claimed.answer is not None:
        return claimed.answer
    return Refused("idempotency_key_reused", "the key was used for another act", field="/key")
