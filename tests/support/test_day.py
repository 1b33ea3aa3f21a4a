"""Tests that depend on the day run again on awkward days of the year, by the clock of the test."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import pytest

from deploy.site.settings import inherited_environment
from shared.core.clock import SystemClock, parse_rfc3339
from shared.core.ids import uuid7
from tests.services.databases import running_postgres
from tests.support.run_date import DAY, ahead_of
from tests.support.stack import PREPARED

ROOT: Final = Path(__file__).parents[2]
#: Around midnight the UTC day and the day of the machine's zone differ.
DAYS: Final = {
    "first of a month": "2027-06-01T00:30:00Z",
    "28th": "2027-02-28T12:00:00Z",
    "last of a month": "2027-08-31T23:30:00Z",
    "29 February": "2028-02-29T12:00:00Z",
    "31 December": "2027-12-31T23:30:00Z",
    "1 January": "2028-01-01T00:30:00Z",
    "clocks forward": "2027-03-28T00:59:00Z",
    "clocks back": "2027-10-31T00:59:00Z",
}
ZONE: Final = "Europe/Brussels"
#: Run by default: a month's end and the leap day affect retention periods.
QUICK: Final = ("tests/services/retention",)
QUICK_DAYS: Final = ("last of a month", "29 February")
#: Modules that read the clock, calculate with days or months, or let PostgreSQL set times.
DATED: Final = (
    *QUICK,
    "tests/client/test_client_webhook.py",
    "tests/deploy/directory/test_move.py",
    "tests/deploy/operator/test_desk.py",
    "tests/deploy/statistics",
    "tests/services/audit/test_finding.py",
    "tests/services/audit/test_flows.py",
    "tests/services/audit/test_one_reader.py",
    "tests/services/audit/test_pages.py",
    "tests/services/hotline/test_finding.py",
    "tests/services/hotline/test_holds.py",
    "tests/services/hotline/test_party_alarms.py",
    "tests/services/hotline/test_party_day.py",
    "tests/services/hotline/test_statistics.py",
    "tests/services/hotline/test_wide_referrals.py",
    "tests/services/industry/test_due.py",
    "tests/services/industry/test_erasures.py",
    "tests/services/industry/test_preservation_days.py",
    "tests/services/industry/test_withdrawals.py",
    "tests/services/law_enforcement/test_endings.py",
    "tests/services/law_enforcement/test_finding.py",
    "tests/services/law_enforcement/test_webhook_clocks.py",
    "tests/services/law_enforcement/test_withdrawals.py",
    "tests/shared/core/protocol/test_keeping.py",
    "tests/shared/core/routing/test_calendars.py",
    "tests/shared/core/routing/test_clocks.py",
    "tests/shared/core/routing/test_routing_shelf.py",
)
#: Modules that depend on the machine's time: in other libraries, in Kafka's broker, or in processes of an exchange.
OF_THE_MACHINE: Final = frozenset(
    {
        "tests/services/hostile/test_hostile_records.py",
        "tests/services/isolation/test_absent_and_foreign.py",
        "tests/services/isolation/test_exercises.py",
        "tests/services/law_enforcement/test_webhooks.py",
    }
)
#: A test that fails on the 29th only.
PLANTED: Final = """
from shared.core.clock import SystemClock

def test_of_a_day():
    assert SystemClock().now().day != 29
"""
_TIMES = "SELECT now() AS began, clock_timestamp() AS at, uuidv7() AS id, transaction_timestamp() AS machine"


def run_on(day: str, *modules: str) -> subprocess.CompletedProcess[str]:
    """Run modules by a clock that starts on that day, in a zone with daylight saving time."""
    environment = inherited_environment() | {DAY: DAYS[day], "TZ": ZONE}
    environment.pop(PREPARED, None)
    # The run is killed if this process ends for any reason.
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "pytest", "-q"]
    # For modules in `tests`, pytest loads the clock of the test itself, and refuses to load it twice.
    plugin = () if all(module.startswith("tests/") for module in modules) else ("-p", "tests.conftest")
    arguments = [*command, *plugin, *modules]
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("day", QUICK_DAYS)
def test_what_depends_most_on_the_day_passes_on_awkward_ones(day: str) -> None:
    ran = run_on(day, *QUICK)
    assert ran.returncode == 0, ran.stdout[-3000:]


@pytest.mark.long
@pytest.mark.parametrize("day", DAYS)
def test_all_that_depends_on_the_day_passes_on_awkward_ones(day: str) -> None:
    ran = run_on(day, "tests/support/test_day.py::test_product_and_databases_read_one_clock", *DATED)
    assert ran.returncode == 0, ran.stdout[-3000:]


def test_every_module_of_services_that_reads_the_clock_is_listed() -> None:
    reading = {
        str(module.relative_to(ROOT))
        for module in (ROOT / "tests/services").rglob("test_*.py")
        if "SystemClock" in module.read_text(encoding="utf-8")
    }
    assert len(reading) > 5
    assert {each for each in reading - OF_THE_MACHINE if not each.startswith(DATED)} == set()


@pytest.mark.parametrize(("day", "code"), [("28th", 0), ("29 February", 1)])
def test_a_test_that_depends_on_its_day_fails_on_that_day_alone(day: str, code: int, tmp_path: Path) -> None:
    """Negative control of both tests above."""
    planted = tmp_path / "test_planted.py"
    planted.write_text(PLANTED)
    assert run_on(day, str(planted)).returncode == code


async def test_product_and_databases_read_one_clock(tmp_path: Path) -> None:
    with running_postgres(tmp_path, "hotline") as endpoint:
        owner = await asyncpg.connect(endpoint.owner_url)
        [row] = await owner.fetch(_TIMES)
        default = "CREATE TEMP TABLE kept (n integer, at timestamptz NOT NULL DEFAULT now())"
        await owner.execute(default)
        kept = await owner.fetchval("INSERT INTO kept VALUES (1) RETURNING at")
        await owner.close()
    now = SystemClock().now()
    read = [row["began"], row["at"], kept, made_at(row["id"]), made_at(uuid7())]
    assert all(abs(now - each) < timedelta(minutes=5) for each in read), (now, read)
    ahead = ahead_of(inherited_environment().get(DAY))
    assert abs(row["machine"] + ahead - now) < timedelta(minutes=60)


def made_at(made: UUID) -> datetime:
    """Return the time of a UUIDv7."""
    return parse_rfc3339("1970-01-01T00:00:00Z") + timedelta(milliseconds=made.int >> 80)
