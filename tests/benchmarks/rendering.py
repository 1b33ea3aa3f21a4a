"""`python -m tests.benchmarks.rendering`: the time of console pages with 100,000 subjects of their party.

It starts the same exchange twice: nearly empty, and filled by SQL. It renders each list many times, from the request to
the last byte of its answer, and takes the 95th percentile. Then it submits referrals one by one. It measures the time
from acceptance until the row is on the page that its event requested, with the pause of the page's script. Exit code 1
if a page takes 200 ms more than `/livez`, or a row more than a second.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from tests.benchmarks.filled import BIG, FILLED, fill_history
from tests.console.console_users import signed_in
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, referral, running_exchange

PAGE_MS_MAX: Final = 200.0
ROW_MS_MAX: Final = 1000.0
#: The pause of the page's script before it collects further events.
_PAUSE_S: Final = 0.3
_STREAMED_S_MAX: Final = 30.0
#: The parties, and the pages below /console that they read.
PAGES: Final[Mapping[str, Sequence[str]]] = {
    HOTLINE: (
        "referrals",
        "referrals?state=withdrawn",
        f"referrals?party={AGENCY}&since=2026-01-01",
        "referrals?reference=R-1",
        "attention",
        "due",
    ),
    PROVIDER: ("referrals", "attention"),
}
#: Pages show codes of the vocabulary only.
_WORDS: Final = """
UPDATE edge SET purpose = CASE purpose WHEN 'p1' THEN 'investigation' ELSE 'takedown' END,
                reason = 'hosting_jurisdiction'
WHERE purpose IN ('p1', 'p2')
"""
#: The tables whose rows belong to a party.
_OWNED: Final = ("referral", "edge", "act", "feed")


def main(arguments: Sequence[str]) -> int:
    """Return exit code 0 if every page and every row is there in time, else 1."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.rendering", description=__doc__)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--times", type=int, default=100)
    given = options.parse_args(arguments)
    few, many = (_measured(rows, given.times) for rows in (0, given.rows))
    slow = [
        name for name, taken in many.items() if taken > (ROW_MS_MAX if name == "row" else PAGE_MS_MAX) + many["livez"]
    ]
    worst = max(many.keys() - {"row", "livez"}, key=lambda name: many[name])
    print(
        f"pages: {len(many) - 2} with {given.rows} subjects, worst 95th percentile {many[worst]:.0f} ms ({worst}),"
        f" {many[worst] / few[worst]:.2f} times that of an empty store; nothing at all {many['livez']:.0f} ms"
    )
    print(f"rows: seen {many['row']:.0f} ms after their acceptance at the 95th percentile; {len(slow)} too slow")
    return 1 if slow else 0


def _measured(rows: int, times: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="causeway-rendering-") as folder, running_exchange(Path(folder)) as running:
        return asyncio.run(_looked(running, rows, times))


async def _looked(exchange: Exchange, rows: int, times: int) -> dict[str, float]:
    for service, party in (("hotline", HOTLINE), ("industry", PROVIDER)) if rows else ():
        await fill_for(exchange, service, party, rows)
    found = await rendered(exchange, times)
    return found | {"row": p95(await seen(exchange, max(5, times // 5)))}


async def fill_for(exchange: Exchange, service: str, party: str, rows: int) -> None:
    """Fill a service's store, with two thirds of it for this party."""
    assert service in FILLED
    admin = await exchange.admin(service)
    try:
        await fill_history(admin, service, rows)
        for table in _OWNED:
            await admin.execute(f"UPDATE {table} SET party = $1 WHERE party = $2", party, BIG)
        await admin.execute(_WORDS)
        await admin.execute("VACUUM ANALYZE")
    finally:
        await admin.close()


async def rendered(exchange: Exchange, times: int) -> dict[str, float]:
    """Return the 95th percentile of each page in milliseconds, and of `/livez`."""
    found: dict[str, float] = {}
    for party, paths in PAGES.items():
        async with signed_in(exchange, party) as client:
            found["livez"] = max(found.get("livez", 0), p95(await _asked(client, "/livez", times)))
            for path in paths:
                found[f"{path} of {party}"] = p95(await _asked(client, f"/console/{path}", times))
    return found


async def _asked(client: httpx.AsyncClient, path: str, times: int) -> list[float]:
    return [await rendered_once(client, path) for _ in range(times)]


async def rendered_once(client: httpx.AsyncClient, path: str) -> float:
    """Return the milliseconds until the last byte of a page."""
    began = time.perf_counter()
    answer = await client.get(path)
    taken = 1000 * (time.perf_counter() - began)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return taken


async def seen(exchange: Exchange, times: int) -> list[float]:
    """Return the milliseconds from the acceptance of each referral until its row is on the live list."""
    taken = []
    async with signed_in(exchange, HOTLINE) as looking, exchange.client(HOTLINE) as filing:
        for _ in range(times):
            page = (await looking.get("/console/referrals")).text
            after = page.partition('data-live="/console/live?after=')[2].partition('"')[0]
            assert after.isdecimal()
            news = asyncio.create_task(looking.get(f"/console/live?after={after}", timeout=_STREAMED_S_MAX))
            accepted = await filing.submit(referral())
            began = time.perf_counter()
            row = f'id="r-{accepted.referral_id}"'
            while row not in page:
                assert "event: news" in (await news).text
                await asyncio.sleep(_PAUSE_S)
                page = (await looking.get("/console/referrals")).text
                news = asyncio.create_task(looking.get(f"/console/live?after={after}", timeout=_STREAMED_S_MAX))
            taken.append(1000 * (time.perf_counter() - began))
            news.cancel()
    return taken


def p95(taken: Sequence[float]) -> float:
    """Return the 95th percentile."""
    ordered = sorted(taken)
    return ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
