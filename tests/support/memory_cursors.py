"""Cursors in memory, and the leases that say which process reads which topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from shared.runtime.post.arrivals import Cursor


class MemoryCursors:
    """Cursors and leases in memory, by the given clock."""

    def __init__(
        self,
        cursors: Callable[[], dict[tuple[str, int], Cursor]],
        now: Callable[[], datetime],
        *,
        lease_s: float = 4,
    ) -> None:
        """`cursors` gives those that are committed by now."""
        self._cursors = cursors
        self._now = now
        self._lease = timedelta(seconds=lease_s)
        self._readers: dict[UUID, datetime] = {}
        self._leases: dict[str, UUID] = {}

    async def lease(self, topics: Sequence[str], *, holder: UUID) -> frozenset[str]:
        self._readers[holder] = self._now() + self._lease
        self._readers = {each: until for each, until in self._readers.items() if until >= self._now()}
        self._leases = {topic: each for topic, each in self._leases.items() if each in self._readers}
        share = -(-len(topics) // len(self._readers))
        held = sorted(topic for topic, each in self._leases.items() if each == holder)
        kept = [topic for topic in held if topic in topics][:share]
        free = sorted(set(topics) - self._leases.keys())
        kept += free[: share - len(kept)]
        self._leases = {topic: each for topic, each in self._leases.items() if each != holder}
        self._leases |= dict.fromkeys(kept, holder)
        return frozenset(kept)

    async def leave(self, holder: UUID) -> None:
        self._readers.pop(holder, None)
        self._leases = {topic: each for topic, each in self._leases.items() if each != holder}

    async def cursors(self, topics: Sequence[str]) -> list[Cursor]:
        return [each for each in self._cursors().values() if each.topic in topics]

    async def set_back(self, before: Cursor | None, after: Cursor) -> bool:
        held = self._cursors().get((after.topic, after.partition))
        stands = None if held is None else (held.topic_id, held.following)
        if stands != (None if before is None else (before.topic_id, before.following)):
            return False
        self._cursors()[after.topic, after.partition] = after
        return True
