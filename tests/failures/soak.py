"""The long run: many referrals, many kills, PostgreSQL's crashes and freezes included.

    python -m tests.failures.soak [--referrals 100000] [--kills 50] [--freezes 10] [--seed 1]

Prints each blow (time, process id, messages unreceipted at that moment) and the account of everything at the end.
Exit code 1 if anything was lost, done twice, or does not add up.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.failures.kills import Blow, kill_through, rounds
from tests.failures.load import Sender, posts, quantile
from tests.failures.split import BROKER, DATABASE, PROCESSES, SplitExchange, split_exchange
from tests.failures.verdict import Verdict, judge

KILLED: Final = (*PROCESSES, BROKER, DATABASE)
FROZEN: Final = (*PROCESSES, BROKER)
#: A frozen process is away for longer than a session with the broker lasts, or shorter.
FROZEN_S: Final = (2.0, 14.0)
RECEIPTED_S_MAX: Final = 600.0


def blows(kills: int, freezes: int, seed: int) -> list[Blow]:
    """All blows in a seeded order: each target is killed as often as the others, give or take one."""
    drawn = random.Random(seed)
    frozen = [Blow(blow.target, drawn.uniform(*FROZEN_S)) for blow in rounds(FROZEN, freezes, seed)]
    mixed = rounds(KILLED, kills, seed) + frozen
    drawn.shuffle(mixed)
    return mixed


async def soak(exchange: SplitExchange, given: argparse.Namespace) -> Verdict:
    """Everything between start and account."""
    wanted = blows(given.kills, given.freezes, given.seed)
    async with Sender(exchange, seed=given.seed) as sender:
        await exchange.start(*PROCESSES)
        done = await kill_through(
            exchange,
            sender,
            posts(given.referrals, given.seed),
            blows=wanted,
            referrals_per_blow=given.referrals // (len(wanted) + 1),
            seed=given.seed,
            say=lambda line: print(line, flush=True),
        )
        await exchange.until_receipted(RECEIPTED_S_MAX)
    verdict = await judge(exchange, sender.tally)
    killed = sum(blow.how == "kill" for blow in done)
    answered_s = sender.tally.answered_s
    print(f"{killed} kills, {len(done) - killed} freezes, least in flight {min(blow.in_flight for blow in done)}")
    print(f"requests {sender.tally.attempts}, {sender.tally.attempts_failed} of them without an answer and repeated")
    print(f"answered after p50 {quantile(answered_s, 0.5):.2f} s, p99 {quantile(answered_s, 0.99):.2f} s")
    print(f"statuses {sender.tally.statuses}, withdrawn {len(sender.tally.withdrawn)}")
    print(verdict.line())
    return verdict


def main() -> int:
    arguments = argparse.ArgumentParser(description="Kills and freezes for long.")
    arguments.add_argument("--referrals", type=int, default=100_000)
    arguments.add_argument("--kills", type=int, default=50)
    arguments.add_argument("--freezes", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as state, split_exchange(Path(state)) as exchange:
        verdict = asyncio.run(soak(exchange, given))
    if faults := verdict.faults():
        print(faults)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
