"""`python -m tests.benchmarks [--json FILE] [--quick] [--peers COMMAND]`: measure and print.

The output about the machine shows how reliable the figures are: its load before and after, and the build of its Python.
The counters of a referral follow (`tests.benchmarks.counters`), on an exchange of their own. `--peers` runs another
program's own measurement in each round, so that a slow moment affects both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any

import asyncpg

from shared.core.envelope.keys import OpeningKey, SigningKey
from tests.benchmarks import input as filing
from tests.benchmarks import load
from tests.benchmarks.counters.__main__ import on_new_exchange
from tests.benchmarks.counters.bounds import BOUNDS, judge
from tests.benchmarks.counters.table import table
from tests.benchmarks.measure import Carried, delivered, latencies, open_some
from tests.benchmarks.quiet import QUIET_BUSY_MAX, busy_share, load_average, python_build
from tests.benchmarks.stage import Stage, stage

PARTY = "hotline-nl.example"
RATES = (50, 100, 200)
SECONDS_PER_RATE = 15
ROUNDS = 3
#: In each round: referrals in single posts, referrals in batches of 100, messages of the raw limit.
CLOSED_SINGLE, CLOSED_BATCH, RAW_MESSAGES = 3_000, 6_000, 12_000
CONNECTIONS_SINGLE, CONNECTIONS_BATCH = 32, 4
#: Referrals submitted in each of two ways before the measurement.
WARMING = 1_000


def main(argv: Sequence[str]) -> int:
    """Run all parts against one stage; print the figures, and write JSON if requested."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    options.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options.add_argument("--quick", action="store_true", help="a sixth of everything: to try the bench itself")
    help_ = "run it in each round; its last line is JSON: referrals_per_s, cpu_ms_per_referral"
    options.add_argument("--peers", metavar="COMMAND", default="", help=help_)
    given = options.parse_args(argv)
    quick = 6 if given.quick else 1
    busy = busy_share()
    machine = {"python": python_build(), "busy_before": round(busy, 3), "load_before": load_average()}
    if busy > QUIET_BUSY_MAX:
        print("warning: the machine is not quiet: other processes use part of it", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="causeway-bench-") as folder, stage(Path(folder)) as running:
        measured = _measured(running, quick, shlex.split(given.peers))
        machine |= {"quiet": busy <= QUIET_BUSY_MAX, "load_after": load_average()}
    counters = on_new_exchange(short=given.quick)
    text = json.dumps({"machine": machine} | measured | {"counters": counters.figures}, indent=2)
    print(text)
    print(table(counters, judge(counters.figures, BOUNDS, short=given.quick), places=False))
    if given.json is not None:
        given.json.write_text(text)
    return 0


def _measured(running: Stage, quick: int, peers: Sequence[str]) -> dict[str, Any]:
    """Return the whole report. Throughput and raw limit take turns, so that a slow moment affects all of them."""
    with asyncio.Runner() as runner:
        bench = runner.run(_ready(running, quick))
        report: dict[str, Any] = {"fan_out": filing.FAN_OUT, "rounds": ROUNDS}
        report["open_loop"] = {str(rate): runner.run(_open_loop(bench, rate, quick)) for rate in RATES}
        clear = filing.clear_bytes(filing.documents_of(running.state), PARTY, bench.pool.sample(200))
        sizes = {"sealed_plaintext": runner.run(_sealed_bytes(running)), "clear": clear}
        rounds: dict[str, list[dict[str, Any]]] = {"raw": [], "single": [], "batch": []}
        for number in range(ROUNDS):
            rounds["raw"].append(_raw_limit(running, sizes, RAW_MESSAGES // quick))
            rounds["single"].append(runner.run(_throughput(bench, CLOSED_SINGLE // quick, 1, run=f"single{number}")))
            rounds["batch"].append(runner.run(_throughput(bench, CLOSED_BATCH // quick, 100, run=f"batch{number}")))
            if peers:
                rounds.setdefault("peers", []).append(beside(peers))
        report |= {name: _median(each) for name, each in rounds.items()}
        report["message_bytes"] = sizes
        report["opened_and_equal"] = runner.run(open_some(running, bench.pool.original))
    for name in ("single", "batch"):
        report[name]["of_raw_limit"] = round(report[name]["messages_per_s"] / report["raw"]["messages_per_s"], 2)
    return report


def beside(peers: Sequence[str]) -> dict[str, Any]:
    """Run another program's measurement; its figures are its last line of output."""
    told = subprocess.run(peers, capture_output=True, text=True, check=True).stdout
    figures: dict[str, Any] = json.loads(told.splitlines()[-1])
    return {name: float(figures[name]) for name in ("referrals_per_s", "cpu_ms_per_referral")}


@dataclass(frozen=True, slots=True)
class Bench:
    """The running exchange, and the referrals submitted to it."""

    running: Stage
    url: str
    api_key: str
    pool: filing.Pool


async def _ready(running: Stage, quick: int) -> Bench:
    """Warm everything up first: caches, plans, connections, the JVM. No referral is submitted twice."""
    wanted = sum(rate * SECONDS_PER_RATE for rate in RATES) + ROUNDS * (CLOSED_SINGLE + CLOSED_BATCH)
    documents = filing.documents_of(running.state)
    pool = filing.Pool(filing.referrals_with_fan_out(documents, PARTY, 2 * WARMING + wanted // quick))
    key = next(each for each in json.loads((running.state / "parties.json").read_text()) if each["party"] == PARTY)
    bench = Bench(running, key["url"], key["key"], pool)
    warm = pool.posts(WARMING, batch=1, run="warm") + pool.posts(WARMING, batch=100, run="warmer")
    await _all_delivered(running, await load.closed_loop(bench.url, bench.api_key, warm, connections=CONNECTIONS_BATCH))
    return bench


async def _open_loop(bench: Bench, rate: int, quick: int) -> dict[str, Any]:
    wanted = bench.pool.posts(rate * SECONDS_PER_RATE // quick, batch=1, run=f"open{rate}")
    posted = await load.open_loop(bench.url, bench.api_key, wanted, per_second=rate)
    return await latencies(bench.running, posted, await _all_delivered(bench.running, posted))


def _median(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure."""
    return {
        name: _median([each[name] for each in rounds]) if isinstance(value, dict) else median(e[name] for e in rounds)
        for name, value in rounds[0].items()
    }


async def _throughput(bench: Bench, count: int, batch: int, *, run: str) -> dict[str, Any]:
    """Run a closed loop until everything is delivered and audited: rates, and CPU milliseconds by process."""
    posts = bench.pool.posts(count, batch=batch, run=run)
    running, connections = bench.running, CONNECTIONS_SINGLE if batch == 1 else CONNECTIONS_BATCH
    before, begun = running.cpu_s(), monotonic()
    posted = await load.closed_loop(bench.url, bench.api_key, posts, connections=connections)
    accepted_s = monotonic() - begun
    await _all_delivered(running, posted)
    delivered_s = monotonic() - begun
    used = {name: seconds - before[name] for name, seconds in running.cpu_s().items()}
    messages = count * filing.FAN_OUT
    return {
        "referrals": count,
        "accepted_per_s": round(count / accepted_s),
        "referrals_per_s": round(count / delivered_s),
        "messages_per_s": round(messages / delivered_s),
        "cpu_ms_per_referral": round(1000 * sum(used.values()) / count, 2),
        "cpu_ms_per_message": round(1000 * sum(used.values()) / messages, 2),
        "cpu_ms_by_process": {name: round(1000 * seconds / count, 2) for name, seconds in sorted(used.items())},
    }


async def _all_delivered(running: Stage, posted: Sequence[load.Posted]) -> dict[str, list[Carried]]:
    """Check that rows = sent. Otherwise the run does not count."""
    assert all(each.status in (200, 202) for each in posted), {each.status for each in posted}
    refs = [ref for each in posted for ref in each.post.refs]
    messages = await delivered(running, refs)
    assert sum(map(len, messages.values())) == len(refs) * filing.FAN_OUT
    return messages


async def _sealed_bytes(running: Stage) -> int:
    """Return the mean size of a sealed part, from the recipients' stored records."""
    admin = running.endpoints.database_admin_url
    connection = await asyncpg.connect(admin.rpartition("/")[0] + "/causeway_hotline")
    sealed = await connection.fetchval("SELECT avg(octet_length(record))::int FROM received")
    await connection.close()
    return int(sealed)


def _raw_limit(running: Stage, sizes: dict[str, int], count: int) -> dict[str, Any]:
    """Measure the raw limit in the same run, on the same servers, while the four instances are idle."""
    kafka, admin = running.endpoints.kafka, running.endpoints.database_admin_url
    signing, opening = SigningKey.generate(), OpeningKey.generate()
    given = "\n".join(
        [
            str(admin),
            kafka.bootstrap_servers,
            "admin",
            kafka.passwords["admin"],
            signing.secret_text(),
            opening.secret_text(),
        ]
    )
    # Otherwise audit would read the raw records and cost CPU that is not the raw limit's.
    words = [str(count), str(sizes["sealed_plaintext"]), str(sizes["clear"])]
    processes = [_raw([role, *words], given) for role in ("consume", "produce")]
    begun = monotonic()
    for process in processes:
        process.wait(timeout=300)
    seconds = monotonic() - begun
    return {"messages": count, "messages_per_s": round(count / seconds)}


def _raw(words: Sequence[str], given: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tests.benchmarks.raw", *words]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(given + "\n")
    process.stdin.close()
    assert process.stdout.readline().strip() == "ready"
    sleep(0.2)
    return process


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
