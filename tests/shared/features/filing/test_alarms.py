"""An alarm is raised once per party, kind and day, for acts that an honest party does not do."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from shared.core.guard import RecordCost
from shared.core.guard.charge import BYTE
from shared.core.guard.tripwire import PART_BYTES, trips, trips_by_part
from shared.features.filing.service import alarms as module
from shared.features.filing.service.alarms import AlarmKind, Alarms
from shared.platform.observability.logs import configure_logs
from shared.platform.observability.metrics import ALARMS
from tests.guard_report.legitimate import submissions
from tests.guard_report.payloads import payloads
from tests.support.manual_clock import ManualClock

PARTY, OTHER = "hotline-a.example", "hotline-b.example"


class Kept:
    """The table, which two processes share."""

    def __init__(self) -> None:
        self.rows: set[tuple[str, AlarmKind, str]] = set()
        self.failures = 0

    async def keep(self, raised: module.RaisedAlarm) -> bool:
        if self.failures:
            self.failures -= 1
            raise OSError("no database")
        key = (raised.party, raised.kind, str(raised.day))
        new = key not in self.rows
        self.rows.add(key)
        return new


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logs(instance="hotline", stream=stream, clock=ManualClock(datetime(2026, 5, 4, tzinfo=UTC)))
    yield stream
    configure_logs(instance="hotline")


class Process:
    """One process with its alarms."""

    def __init__(self, kept: Kept) -> None:
        self.clock = ManualClock(datetime(2026, 5, 4, 12, tzinfo=UTC))
        self.alarms = Alarms(kept.keep, clock=self.clock, name_of=lambda party: f"name-of-{len(party)}")

    async def tell(self) -> None:
        """Store and raise all due alarms."""
        async with self.alarms.running():
            pass


def cheap(record: int = 60, field: int = 50) -> RecordCost:
    return RecordCost(record * BYTE, 0, field * BYTE, None)


async def told(process: Process, lines: io.StringIO) -> list[str]:
    """Return the codes of raised alarms. Each log line contains the party's opaque name and nothing else about it."""
    await process.tell()
    # What earlier tests left behind may write lines meanwhile.
    found = [json.loads(line) for line in lines.getvalue().splitlines() if '"party_alarm"' in line]
    assert PARTY not in lines.getvalue()
    assert all({*line} == {"at", "code", "event", "instance", "level", "party"} for line in found)
    return [line["code"] for line in found]


async def test_the_next_day_it_is_raised_again(lines: io.StringIO) -> None:
    process = Process(Kept())
    process.alarms.judged(PARTY, 200, 200)
    process.clock.advance(86_400)
    process.alarms.judged(PARTY, 99, 99)
    assert await told(process, lines) == ["refused"]
    process.alarms.judged(PARTY, 1, 1)
    assert await told(process, lines) == ["refused", "refused"]


async def test_what_is_mostly_accepted_raises_none_and_anothers_does_not_count(lines: io.StringIO) -> None:
    process = Process(Kept())
    for _ in range(300):
        process.alarms.judged(PARTY, 2, 1)
        process.alarms.judged(OTHER, 1, 0)
    assert await told(process, lines) == []


async def test_records_that_cost_twice_what_the_partys_own_did_are_told(lines: io.StringIO) -> None:
    process = Process(Kept())
    for n in range(400):
        process.alarms.filed(PARTY, cheap(40 + n % 80), 1)
        process.alarms.filed(PARTY, cheap(600), 10)
    assert await told(process, lines) == []
    for _ in range(40):
        process.alarms.filed(PARTY, cheap(320, 190), 1)
    assert await told(process, lines) == ["dearer"]


async def test_what_a_party_usually_costs_is_not_forgotten_overnight(lines: io.StringIO) -> None:
    process = Process(Kept())
    for _ in range(400):
        process.alarms.filed(PARTY, cheap(), 1)
    process.clock.advance(86_400)
    for _ in range(60):
        process.alarms.filed(PARTY, cheap(250, 180), 1)
    assert await told(process, lines) == ["dearer"]


async def test_long_fields_are_told_by_their_rate(lines: io.StringIO) -> None:
    process = Process(Kept())
    for n in range(2_000):
        process.alarms.filed(PARTY, cheap(field=193 if n % 100 == 0 else 50), 1)
    assert await told(process, lines) == []
    for _ in range(100):
        process.alarms.filed(PARTY, cheap(field=193), 1)
    assert await told(process, lines) == ["long_fields"]


@pytest.mark.timing
async def test_an_alarm_waits_for_the_database_and_is_not_lost(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.001)
    monkeypatch.setattr(module, "END_S", 60)
    kept = Kept()
    process, kept.failures = Process(kept), 3
    process.alarms.judged(PARTY, 100, 100)
    await process.tell()
    events = [json.loads(line)["event"] for line in lines.getvalue().splitlines()]
    assert events == [*["part_failed"] * 3, "party_alarm"]


@pytest.mark.timing
async def test_one_that_cannot_be_kept_stops_no_other(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.001)
    monkeypatch.setattr(module, "END_S", 0.1)
    kept = Kept()
    process, keep = Process(kept), kept.keep

    async def fails_of_one(raised: module.RaisedAlarm) -> bool:
        if raised.party == PARTY:
            raise ZeroDivisionError
        return await keep(raised)

    monkeypatch.setattr(process.alarms, "_keep", fails_of_one)
    for party in (PARTY, OTHER):
        process.alarms.judged(party, 100, 100)
    await process.tell()
    assert {party for party, *_ in kept.rows} == {OTHER}


def _escaped(data: bytes) -> bytes:
    return base64.b64encode(data).replace(b"/", b"%2F").replace(b"+", b"%2B")


@pytest.mark.parametrize("payload", ["jpeg_thumbnail", "png_solid"])
@pytest.mark.parametrize(
    "spelt", [base64.b64encode, base64.urlsafe_b64encode, lambda data: data.hex().encode(), _escaped]
)
@pytest.mark.parametrize("before", [b"https://site.example/", b"https://site.example/a/bc/d-"])
def test_the_tripwire_sees_a_files_first_bytes(payload: str, spelt: object, before: bytes) -> None:
    assert trips(b'{"value":"' + before + spelt(payloads()[payload]) + b'"}')  # type: ignore[operator]


def test_no_record_of_the_legitimate_corpus_trips_it_nor_do_random_hashes() -> None:
    assert not any(trips(json.dumps(body).encode()) for body in submissions(400, seed=5))
    assert not trips(" ".join(Random(3).randbytes(32).hex() for _ in range(20_000)).encode())


@pytest.mark.parametrize("spelt", [_escaped, lambda data: base64.b64encode(data), lambda data: data.hex().encode()])
@pytest.mark.parametrize("before", [*range(PART_BYTES - 80, PART_BYTES + 2), 3 * PART_BYTES])
def test_a_file_is_seen_wherever_parts_of_a_body_meet(spelt: Callable[[bytes], bytes], before: int) -> None:
    body = b"-" * before + spelt(payloads()["png_solid"])
    assert any(trips_by_part(body))
    assert not any(trips_by_part(b"-" * len(body)))


def test_every_kind_has_its_page_and_the_table_takes_no_other() -> None:
    root = Path(__file__).parents[4]
    described = re.findall(r"^## (\w+)$", (root / "docs/operations/guard_alarms.md").read_text(), re.MULTILINE)
    assert described == [kind.value for kind in AlarmKind]
    tables = (root / "shared/features/filing/schema.sql").read_text()
    allowed = re.search(r"alarm_kind CHECK \(\s*kind IN \(([^)]*)\)", tables)
    assert allowed is not None
    assert re.findall(r"'(\w+)'", allowed[1]) == described


async def test_five_hundred_refusals_raise_one_alarm_over_two_processes(lines: io.StringIO) -> None:
    kept = Kept()
    first, second = Process(kept), Process(kept)
    before = ALARMS.labels("refused")._value.get()
    for _ in range(250):
        first.alarms.judged(PARTY, 1, 1)
        second.alarms.judged(PARTY, 1, 1)
    await first.tell()
    assert await told(second, lines) == ["refused"]
    assert (ALARMS.labels("refused")._value.get() - before, len(kept.rows)) == (1, 1)
