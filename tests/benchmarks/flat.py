"""`python -m tests.benchmarks.flat`: every query of every service on stores filled to two million, warm and cold.

Cold is the first query after a restart of PostgreSQL: its own cache is empty, that of the system need not be. The plans
of the default run are checked here at full size as well. A query is too slow if it takes longer than its bound plus the
time of `SELECT 1`, which depends on the machine. Prints one line per service; `--json` has every query.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg

from deploy.devstack.servers import PostgresServer
from deploy.devstack.state import StateDirectory
from deploy.operator.retention import apply, show
from deploy.site.access import prepare_databases
from deploy.site.endpoints import DatabaseEndpoint, OwnedDatabase
from shared.platform.database.migrate import upgrade
from shared.platform.database.transactions import Database, RowScope
from tests.benchmarks.filled import CONTENT_BYTES, END, FILLED, Question, fill, look, questions, timed, unforced

TIMES: Final = 100
WARM_MS_MAX: Final = 20.0
COLD_MS_MAX: Final = 50.0
NOTHING: Final = "nothing"


class Times(NamedTuple):
    """The median and the 99th percentile of many queries."""

    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, taken: Sequence[float]) -> Times:
        ordered = sorted(taken)
        return cls(ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100 - 1])


def main(arguments: Sequence[str]) -> int:
    """Return exit code 0 if every query is within its bounds, else 1."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.flat", description=__doc__)
    options.add_argument("--rows", type=int, default=2_000_000)
    options.add_argument("--service", action="append", choices=FILLED)
    options.add_argument("--content", type=int, default=CONTENT_BYTES)
    options.add_argument("--json", type=Path)
    given = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="causeway-flat-") as folder:
        state = StateDirectory(Path(folder))
        state.acquire()
        try:
            report = {name: _one(state, name, given.rows, given.content) for name in given.service or FILLED}
        finally:
            state.release()
    if given.json:
        given.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 1 if any(found["broken"] for found in report.values()) else 0


def _one(state: StateDirectory, service: str, rows: int, content_bytes: int) -> dict[str, Any]:
    """Fill a store, run the queries cold and warm, apply retention; return the results."""
    server = PostgresServer(state, port=state.port("postgres", set()))
    try:
        server.start()
        made = prepare_databases(server.admin_url, [service], state.password)[service]
        upgrade(service, made.owner_url)
        filled_s = asyncio.run(_filled(made, service, rows, content_bytes))
        server.stop()
        server.start()
        cold = asyncio.run(_cold(made, service, rows))
        warm, pages, wrong = asyncio.run(_warm(made, service, rows))
        kept = asyncio.run(_kept(made, service, rows))
    finally:
        server.stop()
    waited = {each.name for each in questions(service, rows) if not each.batch}
    machine = warm[NOTHING].p99_ms
    slow = [name for name in waited if warm[name].p99_ms > WARM_MS_MAX + machine or cold[name] > COLD_MS_MAX + machine]
    worst, median = max(warm[name].p99_ms for name in waited), max(warm[name].p50_ms for name in waited)
    print(
        f"{service}: {rows} rows in {filled_s:.0f} s; {len(waited)} looks, worst median {median:.1f} ms,"
        f" worst 99th percentile {worst:.1f} ms warm, {max(cold[name] for name in waited):.1f} ms cold"
        f" (nothing at all: {warm[NOTHING].p50_ms:.1f} and {warm[NOTHING].p99_ms:.1f} ms);"
        f" at most {max(pages[name] for name in waited)} pages;"
        f" {kept['before_each']} bytes for each, {kept['after_each']} after retention,"
        f" {kept['for_ever_each']} for ever; retention took {kept['apply_s']:.1f} s,"
        f" and {kept['month_s']:.1f} s for one month more;"
        f" too slow or not flat: {len(slow) + len(wrong)}",
        flush=True,
    )
    for name in dict.fromkeys([*wrong, *slow]):
        print(f"  {name}: {warm[name].p99_ms:.1f} ms warm, {cold[name]:.1f} ms cold, {pages[name]} pages", flush=True)
    figures = {name: each._asdict() for name, each in warm.items()}
    return {
        "warm": figures,
        "cold_ms": cold,
        "pages": pages,
        "filled_s": filled_s,
        "kept": kept,
        "broken": [*wrong, *slow],
    }


async def _filled(made: DatabaseEndpoint, service: str, rows: int, content_bytes: int) -> float:
    owner, began = await asyncpg.connect(made.owner_url), time.perf_counter()
    async with unforced(owner):
        await fill(owner, service, rows, content_bytes=content_bytes)
    await owner.close()
    return time.perf_counter() - began


async def _cold(made: DatabaseEndpoint, service: str, rows: int) -> dict[str, float]:
    database = Database(made.service_url, pool_size=1)
    await database.fetch("SELECT 1")
    found = {each.name: (await timed(database, each, times=1))[0] for each in questions(service, rows)}
    await database.close()
    return found


async def _warm(made: DatabaseEndpoint, service: str, rows: int) -> tuple[dict[str, Times], dict[str, int], list[str]]:
    """Return the times and pages of each query, and those that read more than they show.

    The time of an empty query is included for comparison.
    """
    database = Database(made.service_url, pool_size=1)
    nothing = Question(NOTHING, "SELECT 1", (), RowScope((), "machine", "read"), 0)
    found, pages, wrong = {NOTHING: Times.of(await timed(database, nothing, times=TIMES))}, {}, []
    for each in questions(service, rows):
        seen = await look(database, each)
        if seen.scanned or max(seen.rows, seen.sorted) > each.rows_max:
            wrong.append(each.name)
        pages[each.name] = seen.pages
        found[each.name] = Times.of(await timed(database, each, times=TIMES))
    await database.close()
    return found, pages, wrong


async def _kept(made: DatabaseEndpoint, service: str, rows: int) -> dict[str, Any]:
    """Return the bytes by table, before and after retention with its space reclaimed."""
    owned = OwnedDatabase(service, made.owner_url)
    before = {each.kept.table: each.bytes for each in await show(owned)}
    apply_s, ended = await _applied(owned, END)
    month_s, of_month = await _applied(owned, END + timedelta(days=31))
    after = await _sizes(owned)
    # After this time only permanent rows remain.
    await _applied(owned, END + timedelta(days=1100))
    for_ever = await _sizes(owned)
    sizes = {"before": before, "after": after, "for_ever": for_ever}
    each = {f"{name}_each": sum(tables.values()) // rows for name, tables in sizes.items()}
    return each | sizes | {"apply_s": apply_s, "ended": ended, "month_s": month_s, "of_month": of_month}


async def _sizes(owned: OwnedDatabase) -> dict[str, int]:
    """Return the bytes by table, after the space of deleted rows was reclaimed."""
    owner = await asyncpg.connect(owned.owner_url)
    try:
        await owner.execute("VACUUM FULL ANALYZE")
    finally:
        await owner.close()
    return {each.kept.table: each.bytes for each in await show(owned)}


async def _applied(owned: OwnedDatabase, now: datetime) -> tuple[float, list[dict[str, object]]]:
    """Return the duration of retention, and the rows that it deleted."""
    began = time.perf_counter()
    ended = [{"table": each.table, "ended": each.count} for each in await apply(owned, now)]
    return time.perf_counter() - began, ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
