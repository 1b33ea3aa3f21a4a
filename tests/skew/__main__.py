"""Two releases side by side, both ways round: `python -m tests.skew --referrals 2000`. Exit code 1: a promise broke."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.skew.scenario import Side, Skewed, origin_ahead, recipients_ahead, skewed_exchange


async def _both(skewed: Skewed, count: int) -> list[tuple[str, Side]]:
    found = [("origin ahead", await origin_ahead(skewed, count))]
    return [*found, ("recipients ahead", await recipients_ahead(skewed, count))]


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--referrals", type=int, default=2000)
    count, code = arguments.parse_args().referrals, 0
    # Servers are started before there is an event loop: what is done to their databases first has one of its own.
    with tempfile.TemporaryDirectory() as folder, skewed_exchange(Path(folder)) as skewed:
        sides = asyncio.run(_both(skewed, count))
    for name, side in sides:
        lost = sum(side.before[outcome] + side.after[outcome] for outcome in ("refused", "parked"))
        left = side.after["deferred"] + side.after["waiting"]
        print(f"{name}: {side.line()}; {lost} refused or parked, {left} left")
        if lost or left or not side.held_back:
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
