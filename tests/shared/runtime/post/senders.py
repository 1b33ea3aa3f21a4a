"""A relay to be looked at: one instance's outbox, log and relay in memory, which never polls unless it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from shared.contracts.registry import REFERRAL_OFFERED
from shared.exchange.message import Draft
from shared.kernel.clock import ManualClock
from shared.runtime.post.gate import Gate
from shared.runtime.post.ports import LaneWork, Outgoing
from shared.runtime.post.relay import Relay, RelaySettings
from tests.shared.runtime.builders import KEY
from tests.support.builders import AT, draft
from tests.support.memory_outbox import MemoryLanes
from tests.support.memory_stores import Fault, MemoryDatabase, MemoryLog, MemoryLogWriter

LANE, OTHER = "law_enforcement", "industry"
#: A guard against a test that would wait for ever.
PATIENCE_S = 60.0


async def until(holds: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - there is nothing here that could tell
            await asyncio.sleep(0.001)


class CountedLanes(MemoryLanes):
    """Lanes that count how often they are looked into, some of which cannot be read."""

    looks = 0
    raising: frozenset[str] = frozenset()

    async def lanes(self) -> list[str]:
        self.looks += 1
        return await super().lanes()

    async def work(self, lane: str, limit: int) -> LaneWork:
        if lane in self.raising:
            raise ValueError("absurd")
        found = await super().work(lane, limit)
        broken = [replace(row, record=None) if row.message_id in self.unreadable else row for row in found.rows]
        return found._replace(rows=broken)

    unreadable: frozenset[Any] = frozenset()


class Sender:
    """One instance's outbox, log and relay, which never polls unless it is told to."""

    def __init__(
        self,
        *,
        poll_s: float = 3600,
        poll_s_max: float = 1.0,
        gather_s: float = 0.05,
        back_off_s: tuple[float, float] = (0.001, 5.0),
        refused_s: tuple[float, float] = (0.001, 0.01),
        gate: Gate | None = None,
    ) -> None:
        self.clock = ManualClock(AT)
        self.broker_clock = ManualClock(AT)
        self.faults: list[Fault] = []
        self.database = MemoryDatabase(key=KEY)
        self.log = MemoryLog(self.broker_clock)
        self.writer: MemoryLogWriter[MemoryLog] = MemoryLogWriter(self.log, instance="hotline", step=self._step)
        self.store = CountedLanes(self.database)
        settings = RelaySettings(
            batch_rows_max=2,
            poll_s=poll_s,
            poll_s_max=poll_s_max,
            gather_s=gather_s,
            back_off_s=back_off_s[0],
            back_off_s_max=back_off_s[1],
            refused_s=refused_s[0],
            refused_s_max=refused_s[1],
        )
        self._wiring: dict[str, Any] = {"clock": self.clock, "sign": _spoken, "gate": gate, "settings": settings}
        self.start_again()

    def start_again(self) -> None:
        """Another process is the relay now."""
        self.relay = Relay(self.store, self.writer, **self._wiring)

    async def enqueue(self, *drafts: Draft) -> list[str]:
        async with self.database.transaction("enqueue") as state:
            self.database.enqueue(state, drafts)
        return [str(each.message_id) for each in drafts]

    async def _step(self, name: str) -> Fault:
        return self.faults.pop(0) if self.faults else Fault.NONE

    def held(self, lane: str) -> list[str]:
        records = self.log.records(f"causeway.inbox.{lane}.hotline.v1")
        return [(dict(each.headers).get("ce_id") or b"").decode() for each in records]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        working = asyncio.create_task(self.relay.run())
        await until(lambda: self.store.looks > 0)
        try:
            yield
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working


def _spoken(said: Draft) -> Outgoing:
    return Outgoing(said.subject.encode(), (("ce_id", str(said.message_id).encode()),), said.body)


def other() -> Draft:
    return draft(recipient="provider-001.example", recipient_instance=OTHER)


def edge(**changes: Any) -> Draft:
    return draft(message=REFERRAL_OFFERED, **changes)
