"""What a process says of its relay and its bus: at work, waiting, failed, or not its own to run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

import pytest

from shared.kernel.clock import ManualClock
from shared.kernel.errors import Unavailable
from shared.routing.shelf import DocumentShelf
from shared.runtime.instance.machinery import Machinery
from shared.runtime.post.ports import OutboxRow
from shared.runtime.post.relay import Relay, RelaySettings
from shared.runtime.watch.health import Check
from tests.shared.runtime.builders import NOW, draft

ROW = OutboxRow(1, draft("t", subject="s"), None)


class OneRow:
    """An outbox with one message that waits until it is noted as sent."""

    def __init__(self) -> None:
        self.rows = [ROW]

    async def unsent(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        return []

    async def unstamped(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        return self.rows

    async def stamp(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        return list(rows)

    async def unreceipted(self, sent_before: datetime, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        return []

    async def mark_sent(self, rows: Sequence[OutboxRow], at: datetime) -> None:
        self.rows = []


class Broker:
    """A log that is there or is not."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.asked = asyncio.Event()

    async def append(self, rows: Sequence[OutboxRow]) -> frozenset[str]:
        self.asked.set()
        if not self.there.is_set():
            raise Unavailable("broker_unavailable")
        return frozenset()


def machinery(clock: ManualClock) -> Machinery:
    """As much of it as is asked about its parts: no database, no broker, no documents."""
    nothing = cast(Any, None)
    return Machinery("hotline", nothing, clock, nothing, nothing, DocumentShelf(), nothing, nothing, nothing, nothing)


@pytest.mark.timing
async def test_a_relay_names_the_outage_it_waits_for_and_stays_ready() -> None:
    broker = Broker()
    settings = RelaySettings(back_off_s=0.001, back_off_s_max=0.001)
    relay = Relay(OneRow(), cast(Any, broker), clock=ManualClock(NOW), decide_again=cast(Any, None), settings=settings)
    assert relay.check() == Check("relay", True)
    publishing = asyncio.create_task(relay.publish_once())
    await broker.asked.wait()
    await asyncio.sleep(0)
    assert relay.check() == Check("relay", True, "broker_unavailable")
    broker.there.set()
    await publishing
    assert relay.check() == Check("relay", True)
    assert relay.last_progress == NOW


@pytest.mark.parametrize("part", ["bus", "relay"])
async def test_a_part_that_this_process_was_not_told_to_run_is_elsewhere(part: str) -> None:
    here = machinery(ManualClock(NOW))
    assert await getattr(here.readiness, f"probe_{part}")() == Check(part, True, "elsewhere")


async def test_a_bus_that_waits_for_documents_is_not_ready_and_one_that_ended_has_failed() -> None:
    here = machinery(ManualClock(NOW))
    running = asyncio.create_task(here.run_bus(cast(Any, None)))
    await asyncio.sleep(0)
    assert await here.readiness.probe_bus() == Check("bus", False, "documents_awaited")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert await here.readiness.probe_bus() == Check("bus", False, "part_failed")


def test_an_age_is_in_the_answer_only_where_there_is_one() -> None:
    assert Check("bus", True).as_json() == {"name": "bus", "ok": True, "reason": ""}
    assert Check("outbox", True, "", 0.0).as_json() == {"name": "outbox", "ok": True, "reason": "", "age_s": 0.0}
