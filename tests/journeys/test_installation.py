"""The operator's guide, command by command: external servers, two operators, two approvers, one referral."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.journeys.commands import ROOT, blocks, shell
from tests.support.external_servers import Outside, outside_servers, private

GUIDE = ROOT / "docs" / "guides" / "operator.md"
pytestmark = pytest.mark.long

INSTANCES = ("north/hotline", "north/audit", "south/agency")
STOP_S_MAX = 120.0
#: The guide takes a minute of one core.
GUIDE_S_MAX = 1_800.0


@contextmanager
def followed(folder: Path, outside: Outside) -> Iterator[None]:
    """Run the guide from its first command to its last, in one shell. Stop its processes at the end."""
    here = folder / "place"
    here.mkdir()
    (here / "database-ca.pem").write_bytes(outside.database_ca.read_bytes())
    (here / "kafka-ca.pem").write_bytes(outside.kafka_ca.read_bytes())
    private(here / "database-admin.url", outside.database_admin_url)
    private(here / "kafka-admin.password", outside.kafka_admin_password)
    sample = {"db.example:5432": outside.database, "kafka.example:9093": outside.kafka}
    sample |= {str(8101 + number): str(port) for number, port in enumerate(outside.free_ports)}
    try:
        commands = [replaced(line, sample) for block in blocks(GUIDE) for line in block]
        shell(here, *commands, seconds_max=GUIDE_S_MAX)
        yield
    finally:
        end(here)


def replaced(line: str, sample: dict[str, str]) -> str:
    for shown, ours in sample.items():
        line = line.replace(shown, ours)
    return line


def end(here: Path) -> None:
    """Stop the processes that the guide started, by the process ids in its files."""
    started = [int(file.read_text()) for file in here.glob("*/*/pid")]
    for pid in started:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S_MAX
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        if time.monotonic() > deadline:
            raise TimeoutError("what the guide started does not end")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder in which the whole guide was run. Its processes are running."""
    folder = tmp_path_factory.mktemp("installation")
    with outside_servers(folder / "outside", ports=len(INSTANCES)) as outside, followed(folder, outside):
        yield folder / "place"


def test_a_referral_goes_there_and_back_between_two_operators(place: Path) -> None:
    assert "ongoing" in (place / "answered.txt").read_text()
    assert "causeway.outcome_reported.v1" in (place / "flow.txt").read_text()


def test_nobody_but_the_owner_reads_a_folder_of_an_instance(place: Path) -> None:
    for at in (*INSTANCES, "north/exchange"):
        assert stat.S_IMODE((place / at).stat().st_mode) == 0o700
        secret = [path for path in (place / at).rglob("*") if path.is_file() and path.name not in ("log", "pid")]
        assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_an_approver_has_no_key_but_their_own_and_no_operator_has_one(place: Path) -> None:
    keys = [path.name for path in place.rglob("approver-*.key")]
    assert keys == ["approver-one.example.key", "approver-two.example.key"]
    assert not [*place.glob("north/**/approver-*.key"), *place.glob("south/**/approver-*.key")]
