"""The faults work: a shifted clock affects the whole process, and an older release reads less."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from shared.core.clock import SystemClock, parse_rfc3339
from shared.core.contracts.registry import NOTICE_ISSUED, REFERRAL_OFFERED
from shared.core.protocol.accept import RejectedRecord, accept, accept_batch
from tests.support import faults
from tests.support.builders import POLICE, PROVIDER
from tests.support.exchange_world import World, world
from tests.support.faults import Behind, clock_off, release_behind, set_clock
from tests.support.running import Exchange, until

AGENCIES = "law_enforcement"
HOUR_S = 3600.0


_RIGHT = SystemClock.now


def ahead_s() -> float:
    """Return how far the product's clock is ahead of the machine's."""
    return (SystemClock().now() - _RIGHT(SystemClock())).total_seconds()


def test_a_clock_is_off_by_what_its_file_says_until_the_end(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    with clock_off(file):
        seen = [ahead_s()]
        for seconds in (HOUR_S, -HOUR_S, 0.0):
            set_clock(file, seconds)
            seen.append(ahead_s())
    set_clock(file, HOUR_S)
    seen.append(ahead_s())
    assert [round(each / HOUR_S, 1) for each in seen] == [0, 1, -1, 0, 0]


@pytest.mark.parametrize(
    ("behind", "code"),
    [(Behind.NAME, "type_unknown"), (Behind.VERSION, "version_unknown"), (Behind.BODY, "body_invalid")],
)
def test_an_older_release_turns_away_what_it_cannot_read(behind: Behind, code: str) -> None:
    here = world()
    offer, notice = here.records([here.offered(POLICE), here.offered(PROVIDER)])
    with release_behind({REFERRAL_OFFERED.type: behind}):
        with pytest.raises(RejectedRecord) as turned:
            accept(offer, here.reader(AGENCIES))
        assert accept(notice, here.reader("industry")).message is NOTICE_ISSUED
    assert turned.value.code == code
    assert accept(offer, here.reader(AGENCIES)).message is REFERRAL_OFFERED


@pytest.mark.parametrize("faulty", [True, False], ids=["faulty", "sound"])
def test_the_program_serves_with_its_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faulty: bool) -> None:
    here: World = world()
    [offer] = here.records([here.offered(POLICE)])
    served: list[object] = []

    def serving(kind: str, name: str, only: list[str]) -> int:
        [read] = accept_batch([offer], here.reader(AGENCIES))
        served.extend([kind, name, only, round(ahead_s() / HOUR_S, 1), getattr(read, "code", None)])
        return 7

    monkeypatch.setattr(faults, "serve", serving)
    set_clock(tmp_path / "clock", HOUR_S)
    told = ["--clock", str(tmp_path / "clock"), "--behind", f"name:{REFERRAL_OFFERED.type}"] if faulty else []
    assert faults.main([*told, AGENCIES, "--instance", "agencies", "--only", "api"]) == 7
    assert served == [AGENCIES, "agencies", ["api"], *([1, "type_unknown"] if faulty else [0, None])]


async def test_an_instance_can_be_run_beside_the_others_with_its_clock_off(exchange: Exchange, tmp_path: Path) -> None:
    """It is on standby for the running relay. Its log shows times an hour ahead of the machine."""
    file, label = tmp_path / "clock", "law_enforcement-ahead"
    set_clock(file, HOUR_S)
    process = exchange.serve(
        AGENCIES, only=("relay",), label=label, program=("-m", "tests.support.faults", "--clock", str(file))
    )
    try:

        async def started() -> bool:
            return "service_started" in process.log_tail()

        await until(started)
        [line] = [json.loads(line) for line in process.log_tail().splitlines() if "service_started" in line]
        ahead = parse_rfc3339(line["at"]) - SystemClock().now()
    finally:
        exchange.stop(label)
    # The line was written within the last half hour, by a clock that is an hour ahead.
    assert timedelta(minutes=30) < ahead <= timedelta(hours=1)
