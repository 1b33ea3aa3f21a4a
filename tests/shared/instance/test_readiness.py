"""The state that a process reports of its relay and its reader: at work, waiting, failed, or run by another process."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.core.errors import Refused, Unavailable
from shared.core.routing.documents import DocumentStore
from shared.delivery.gate import CLOCK_TOLERANCE, SendGate
from shared.delivery.loops import StreamRelay
from shared.instance.machinery import InstanceParts
from shared.instance.settings import RuntimeSettings
from shared.platform.observability.health import Check
from shared.platform.observability.metrics import EDGES_WAIT
from tests.shared.platform.builders import NOW
from tests.support.exchange_world import SINCE, world
from tests.support.manual_clock import ManualClock


def machinery(clock: ManualClock) -> InstanceParts:
    """Return a process with the parts that this test needs: no database, no broker, no documents."""
    nothing = cast(Any, None)
    settings = cast(Any, SimpleNamespace(issue_slot=lambda: None, kafka_access=None, kept_bytes_max=2**30))
    database = cast(Any, SimpleNamespace(session_number=0, changes=SimpleNamespace()))
    parts = [nothing] * 5
    return InstanceParts("hotline", settings, clock, database, nothing, DocumentStore(), *parts)


@pytest.mark.parametrize("part", ["bus", "relay", "timers"])
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


def test_why_states_wait_is_measured_where_one_publishes_and_nowhere_else() -> None:
    here, late, nothing = machinery(ManualClock(NOW)), ["beat_late"], cast(Any, None)
    gate = SendGate(lambda: late[0])

    def measured() -> dict[str, float]:
        here.readiness.measure_gate()
        return {each.labels["reason"]: each.value for family in EDGES_WAIT.collect() for each in family.samples}

    assert measured() == {"clock_off": 0, "beat_late": 0}
    here.readiness.at_work.relay = StreamRelay(
        nothing, nothing, key=nothing, peers=nothing, clock=here.clock, gate=gate
    )
    assert measured() == {"clock_off": 0, "beat_late": 1}
    gate.measure(NOW, NOW, NOW + 2 * CLOCK_TOLERANCE)
    assert measured() == {"clock_off": 1, "beat_late": 0}
    gate.measure(NOW, NOW, NOW)
    late[0] = ""
    assert measured() == {"clock_off": 0, "beat_late": 0}


def test_before_there_was_law_the_first_counts() -> None:
    here, shelf = machinery(ManualClock(NOW)), world().shelf
    here.shelf = shelf
    law = here.law_at(datetime(1970, 1, 1, tzinfo=UTC))
    assert (law.since, law.directory) == (SINCE, shelf.directories.active(SINCE))
    assert law.hour == timedelta(hours=1)
    here.shelf = DocumentStore()
    with pytest.raises(Unavailable):
        here.law_at(NOW)


def test_all_instances_take_the_length_of_an_hour_from_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of one instance could make it compute other deadlines than its peers, so none exists."""
    here, of = machinery(ManualClock(NOW)), world()
    here.shelf = here.law._shelf = of.shelf
    of.place(of.policy.model_copy(update={"version": 77, "hour_s": 60}), of.at)
    assert here.law_at(of.at).hour == here.law.documents_at(of.at).hours.hour == timedelta(minutes=1)
    assert here.law_at(of.at - timedelta(seconds=1)).hour == timedelta(hours=1)
    monkeypatch.setenv("CAUSEWAY_HOTLINE_POLICY_HOUR_S", "60")
    with pytest.raises(Refused, match="unknown_setting"):
        RuntimeSettings.of(
            "hotline",
            database_url="postgresql:///",
            kafka_bootstrap_servers="127.0.0.1:1",
            approver_keys_file=Path("approvers.json"),
            http_port=1,
        )
