"""Long verbs: each runs one program of `tests` to its end and returns its figure.

A verb raises `AssertionError` if the program fails or takes more than an hour, and `Missed` if its figures miss their
goal.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from deploy.site.settings import inherited_environment
from tests.benchmarks.counters.bounds import BOUNDS, judge
from tests.failures.restores import RESTORED
from tests.failures.unwritable import How
from tests.simulation.streams.controls import CONTROLS

ROOT: Final = Path(__file__).parents[2]
HOUR_S: Final = 3600.0
#: Minimum of single posts per second.
SINGLE_PER_S_MIN: Final = 450
#: The last measured rates of a queue without cryptography (IntelMQ 3.5) on the same machine. A command in the
#: environment variable `PEERS` measures them again. A batch must be faster by `FASTER_MIN` at most `CPU_SHARE_MAX` of
#: its CPU.
PEER: Final = {"referrals_per_s": 272.0, "cpu_ms_per_referral": 3.93}
FASTER_MIN, CPU_SHARE_MAX = 1.4, 0.85
#: From acceptance to the recipient's commit, 99th percentile in milliseconds, by posts per second.
DELIVERY_AIMS: Final = {"100": 60.0, "200": 100.0}
#: Line beginnings that each outage of a topic prints: for other topics and for the topic itself.
UNWRITABLE: Final = [f"{how}: {what}" for how in How for what in ("others' delivery", "delivered")]
SERVICES: Final = "hotline", "law_enforcement", "industry", "audit"


class Missed(AssertionError):
    """A line's figures that miss their goal."""


class Program(NamedTuple):
    """The output of a program, and its exit code."""

    text: str
    code: int


def the_guard_report(folder: Path) -> str:
    file = folder / "guard.json"
    _ended_well(printed(folder, "tests.guard_report", "--json", str(file)))
    figures: list[dict[str, Any]] = json.loads(file.read_text())
    barred = [each for each in figures if each["bar"] is not None]
    assert barred
    return "; ".join(_of_the_guard(each) for each in barred if "bars missed" not in each["name"])


def the_bench(folder: Path) -> str:
    file = folder / "bench.json"
    peers = inherited_environment().get("PEERS")
    _ended_well(printed(folder, "tests.benchmarks", "--json", str(file), *(("--peers", peers) if peers else ())))
    report: dict[str, Any] = json.loads(file.read_text())
    loops = [
        f"{name} {found['referrals_per_s']} referrals a second, {found['cpu_ms_per_referral']} CPU ms each, "
        f"{found['of_raw_limit']} of the raw limit"
        for name, found in report.items()
        if name in ("single", "batch")
    ]
    faster, cpu_share = _beside_peer(report)
    loops.append(f"batches {faster:.2f} times the peer's rate at {cpu_share:.2f} of its CPU")
    loops.append(f"raw limit {report['raw']['messages_per_s']} messages a second")
    loops += [f"{rate} posts a second: {_latencies(found)}" for rate, found in report["open_loop"].items()]
    if not _as_aimed(report):
        raise Missed("; ".join(loops))
    return "; ".join(loops)


def the_counters(folder: Path) -> str:
    file = folder / "counters.json"
    program = printed(folder, "tests.benchmarks.counters", "--json", str(file))
    assert file.exists(), f"exit code {program.code}; it ends:\n{program.text[-2000:]}"
    aimed = [each for each in judge(json.loads(file.read_text())["figures"], BOUNDS, short=False) if each.bound.target]
    figures = "; ".join(
        f"{each.bound.load}: {each.bound.figure} {each.value or 0:.2f} of {each.bound.target}" for each in aimed
    )
    if program.code or any(each.misses_target for each in aimed):
        raise Missed(figures)
    return figures


def _beside_peer(report: Mapping[str, Any]) -> tuple[float, float]:
    """Return the batch rate as a multiple of the peer's, and as a share of its CPU."""
    batch, peer = report["batch"], report.get("peers", PEER)
    rate, cpu = ("referrals_per_s", "cpu_ms_per_referral")
    return batch[rate] / peer[rate], batch[cpu] / peer[cpu]


def _as_aimed(report: Mapping[str, Any]) -> bool:
    faster, cpu_share = _beside_peer(report)
    fast = report["single"]["referrals_per_s"] >= SINGLE_PER_S_MIN and faster >= FASTER_MIN
    soon = all(report["open_loop"][rate]["to_recipient_ms"]["p99"] <= ms for rate, ms in DELIVERY_AIMS.items())
    return fast and cpu_share <= CPU_SHARE_MAX and soon


def shown_by(command: str, *beginnings: str) -> Callable[[Path], str]:
    """Return a verb that runs this command of `tests` and returns its last line with each beginning."""
    return lambda folder: said(printed(folder, *command.split()), *beginnings)


def printed(folder: Path, module: str, *arguments: str) -> Program:
    """Run a program of `tests` to its end and return its output, which can be read in `folder` meanwhile."""
    # The program is killed when this process ends for any reason.
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-u", "-m", module, *arguments]
    log = folder / f"{module}.log"
    with log.open("w", encoding="utf-8") as out:
        # It has its own session, so its child processes end with it.
        program = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = program.wait(HOUR_S)
        except BaseException:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            raise
    return Program(log.read_text(encoding="utf-8"), code)


def said(program: Program, *beginnings: str) -> str:
    """Return the last line with each beginning, in order. Raise `Missed` with them if the program failed."""
    lines = program.text.splitlines()
    found = [next((line for line in reversed(lines) if line.startswith(each)), None) for each in beginnings]
    assert None not in found, f"exit code {program.code}, not said: {beginnings}; it ends:\n{program.text[-2000:]}"
    figure = "; ".join(str(line) for line in found)
    if program.code:
        raise Missed(figure)
    return figure


def _ended_well(program: Program) -> None:
    assert program.code == 0, f"exit code {program.code}; it ends:\n{program.text[-2000:]}"


def _of_the_guard(figure: Mapping[str, Any]) -> str:
    return f"{figure['name']} {figure['value']:,.2f} {figure['unit']}".strip()


def _latencies(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return p50 and p99 of each span of time."""
    return ", ".join(f"{name.removesuffix('_ms')} {each['p50']:g} / {each['p99']:g} ms" for name, each in found.items())


LONG_VERBS: Final[Mapping[str, Callable[[Path], str]]] = {
    "the_simulation": shown_by("tests.simulation.streams 10000", "{'"),
    "the_rules_taken_away": shown_by("tests.simulation.streams 400 --controls", f"{len(CONTROLS)} controls, "),
    "the_simulation_over_postgresql": shown_by("tests.simulation.streams 300 --sql", "300 of 300 seeds "),
    "the_mutants": shown_by("tests.simulation.mutants --count 60 --share 85", "killed "),
    "the_outage": shown_by("tests.failures.outage", "posted while", "answer: ", "unacknowledged when", "posted "),
    "the_stopped_servers": shown_by("tests.failures.stopped", "database away", "broker away"),
    "the_lost_records": shown_by("tests.failures.lost_records", "lost to topics", "posted "),
    "the_unwritable_topic": shown_by("tests.failures.unwritable", *UNWRITABLE),
    "the_recipient_down": shown_by(
        "tests.failures.recipient_down --rows 20000 --retention", "20000 unacknowledged", "copies while", "drained at"
    ),
    "the_backlog": shown_by("tests.failures.recipient_down", "200000 unacknowledged", "drained at"),
    "the_pollers": shown_by("tests.services.law_enforcement.pollers", "polled: "),
    "the_timers": shown_by("tests.shared.platform.timers.long_run", "timers "),
    "the_poison": shown_by("tests.failures.poison", "poison: ", "rows of poison"),
    "the_exhaustion": shown_by(
        "tests.failures.exhaustion", "dearest_bodies: ", "refused_bodies: ", "idle_sockets: ", "endless_trailers: "
    ),
    "the_budgets": shown_by("tests.failures.budgets", "greedy party", "others: ", "others' p99", "memory of"),
    "the_bench": the_bench,
    "the_counters": the_counters,
    "the_idle_exchange": shown_by("tests.benchmarks.idle", "idle: ", "audit over "),
    "the_flat_looks": shown_by("tests.benchmarks.flat", "hotline: ", "industry: ", "law_enforcement: ", "audit: "),
    "the_fuzzed_services": shown_by("tests.contracts.fuzzed", *(f"{service}: " for service in SERVICES)),
    "the_rendered_pages": shown_by("tests.benchmarks.rendering", "pages: ", "rows: "),
    "the_known_places": shown_by("tests.benchmarks.known_places", "known and new places: ", "with the lookup before"),
    "the_filled_accounts": shown_by(
        "tests.benchmarks.filled_accounts", "whole: ", "the last day: ", "retention: ", "whole after retention: "
    ),
    "the_cost_of_filled_stores": shown_by("tests.benchmarks.filled_cost", "cost of a referral at "),
    "the_cost_of_staying_up": shown_by("tests.benchmarks.pairs", "CPU of a referral compared with "),
    "the_guard_report": the_guard_report,
    "the_soak": shown_by(
        "tests.failures.soak",
        "50 kills, 10 freezes",
        "ends lost ",
        "restored ",
        "requests ",
        "answered after",
        "posted ",
    ),
    "the_life": shown_by(
        "tests.failures.life --seconds 1200", "lived: ", "events sent ", "faults of clocks", "posted "
    ),
    "the_moved_provider": shown_by("tests.failures.moves --count 500", "moved: "),
    **{
        name: shown_by(f"tests.failures.restores {given}", *(f"restored {each}" for each in RESTORED))
        for name, given in (
            ("the_restored_dumps", "--count 1000"),
            ("the_restored_points", "--count 300 --way point-in-time"),
            ("the_restored_disks", "--count 300 --way disk-copy"),
            ("the_twice_restored", "--count 300 --order 0 0"),
            ("the_newer_after_older", "--count 300 --order 0 1"),
        )
    },
    "the_steady_tests": shown_by("tests.acceptance.steady", "steady: "),
}
