"""`python -m tests.benchmarks.filled_cost`: the cost of a referral on full stores, compared with nearly empty ones.

SQL fills an exchange with referrals, cases, notices and audit entries as wide as real ones, then another exchange with
a different number. On each, referrals in batches are counted until all are delivered and audited. Exit code 1 if rows,
statements or WAL without page images differ by more than a twentieth.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from tests.benchmarks.counters.intervals import counted
from tests.benchmarks.counters.loads import BATCH, Loads
from tests.benchmarks.counters.run import WHOLE, Size, figures_of
from tests.benchmarks.filled import FILLED, fill_history
from tests.support.running import Exchange, running_exchange

APART_MAX: Final = 0.05
SIZES: Final = (10_000, 1_000_000)
COMPARED: Final = ("rows", "statements", "WAL KB without page images")
#: Printed and not compared: it depends on the time of a checkpoint.
STATED: Final = "page images KB"


def main(arguments: Sequence[str]) -> int:
    """Return exit code 0 if both cost the same, else 1."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.filled_cost", description=__doc__)
    options.add_argument("--rows", type=int, nargs=2, default=SIZES)
    given: Sequence[int] = options.parse_args(arguments).rows
    few, many = (measured(rows, WHOLE) for rows in given)
    ratios = {name: many[name] / few[name] for name in COMPARED}
    told = ", ".join(
        f"{name} {few[name]:.2f} and {many[name]:.2f}, {ratio:.3f} times" for name, ratio in ratios.items()
    )
    print(
        f"cost of a referral at {given[0]} and {given[1]}: {told}; {STATED} {few[STATED]:.1f} and {many[STATED]:.1f}",
        flush=True,
    )
    return int(any(abs(ratio - 1) > APART_MAX for ratio in ratios.values()))


def measured(rows: int, size: Size) -> Mapping[str, float]:
    """Return the figures of a referral on stores filled with `rows` of each."""
    with tempfile.TemporaryDirectory(prefix="causeway-cost-") as folder, running_exchange(Path(folder)) as exchange:
        return asyncio.run(_measured(exchange, rows, size))


async def _measured(exchange: Exchange, rows: int, size: Size) -> Mapping[str, float]:
    began, loads = monotonic(), Loads(exchange, size.warm + size.batches)
    await asyncio.gather(*(_fill(exchange, service, rows) for service in FILLED))
    print(f"{len(FILLED)} stores filled to {rows} in {monotonic() - began:.0f} s", flush=True)
    await loads.file(size.warm, batch=BATCH, run="warm")
    await exchange.until_all_have_answered()
    async with counted(exchange, idle_s=size.idle_s, still_s=size.still_s) as servers:
        return figures_of(
            await servers.interval(lambda: loads.file(size.batches, batch=BATCH, run="batches")), size.batches
        )


async def _fill(exchange: Exchange, service: str, rows: int) -> None:
    admin = await exchange.admin(service)
    try:
        await fill_history(admin, service, rows)
    finally:
        await admin.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
