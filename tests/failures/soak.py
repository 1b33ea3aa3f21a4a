"""The long run: many referrals, many kills, PostgreSQL's crashes, freezes, lost ends of topics and a restore.

    python -m tests.failures.soak [--referrals 100000] [--kills 50] [--freezes 10] [--seed 1]

Prints each fault (time, process id, messages unacknowledged at that moment) and the final account. Exit code 1 if
anything was lost, done twice, or does not add up.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.acceptance.backups import Backup, back_up
from tests.failures.kills import Blow, Kill, burst_of, kill_through, rounds
from tests.failures.load import Post, Sender, Tally, posts, quantile
from tests.failures.lost_records import OFFERS, Held, Lost, Place, Way, count_unnamed, ends_lost, held_now, lose_ends
from tests.failures.restores import RECIPIENT, come_back
from tests.failures.split import BROKER, DATABASE, PROCESSES, SplitExchange, split_exchange
from tests.failures.verdict import Verdict, judge
from tests.support.altered_instance import HASTY
from tests.support.driver_delivery import find_bounds
from tests.support.running import until

KILLED: Final = (*PROCESSES, BROKER, DATABASE)
#: A frozen process is absent for longer than a session with the broker lasts, or shorter.
FROZEN_S: Final = (5.0, 60.0)
ACKNOWLEDGED_S_MAX: Final = 600.0
#: Maximum time until a restored database has recovered its lost data: ten times what 5,000 a minute need.
HEALED_S_MAX: Final = 4000.0
#: The topics that lose their ends. Audit is last, since it has read the messages of the others.
READERS: Final = ("law_enforcement", "consumer", "audit")
#: Number of unread offers when they are lost, or a quarter of the referrals in the burst.
UNREAD: Final = 200


def blows(kills: int, freezes: int, seed: int) -> list[Blow]:
    """Return all faults in a seeded order, with nearly the same number of kills for each target."""
    drawn = random.Random(seed)
    frozen = [Blow(blow.target, drawn.uniform(*FROZEN_S)) for blow in rounds(KILLED, freezes, seed)]
    mixed = rounds(KILLED, kills, seed) + frozen
    drawn.shuffle(mixed)
    return mixed


@dataclass(slots=True)
class Soaked:
    """The faults of the exchange, the losses of its topics, and the account of everything at the end."""

    done: list[Kill] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    #: Numbers that audit has neither read nor named lost.
    unnamed: int = 0
    #: Referrals accepted between the dump of the agency's database and its loss.
    since_dump: int = 0
    verdict: Verdict | None = None
    #: Processes and parts that do not run in the end.
    dead: list[str] = field(default_factory=list)

    def faults(self) -> dict[str, object]:
        """Return the promises that were broken."""
        found = {"unnamed": self.unnamed, "dead": self.dead}
        return self.verdict.faults() | {name: each for name, each in found.items() if each}

    def lines(self, tally: Tally) -> Iterator[str]:
        killed = sum(blow.how == "kill" for blow in self.done)
        least = min(blow.in_flight for blow in self.done)
        yield f"{killed} kills, {len(self.done) - killed} freezes, least in flight {least}"
        yield f"ends lost {sum(each.lost for each in self.lost)}, unnamed {self.unnamed}, dead {len(self.dead)}"
        yield f"restored {RECIPIENT} from a dump of {self.since_dump} referrals earlier"
        yield f"requests {tally.attempts}, {tally.attempts_failed} of them without an answer and repeated"
        answered_s = tally.answered_s
        yield f"answered after p50 {quantile(answered_s, 0.5):.2f} s, p99 {quantile(answered_s, 0.99):.2f} s"
        yield f"statuses {tally.statuses}, withdrawn {len(tally.withdrawn)}"
        yield self.verdict.line()


async def soak(exchange: SplitExchange, folder: Path, given: argparse.Namespace) -> Soaked:
    """Run everything between start and account: a third of the faults, lost ends, a third, a restore, a third."""
    wanted, drawn, found = blows(given.kills, given.freezes, given.seed), posts(given.referrals, given.seed), Soaked()
    # One burst for each fault, for the lost ends and for the restore. The rest follows at the end.
    burst, third = given.referrals // (len(wanted) + 3), len(wanted) // 3
    async with Sender(exchange, seed=given.seed) as sender:

        async def strike(some: Sequence[Blow]) -> None:
            found.done += await kill_through(
                exchange, sender, drawn, blows=some, referrals_per_blow=burst, seed=given.seed, say=_say
            )

        await exchange.start(*PROCESSES)
        await strike(wanted[:third])
        backup = await back_up(exchange, RECIPIENT, folder / "backup")
        dumped = len(sender.tally.accepted)
        before, cuts = await _lose_ends(exchange, sender, burst_of(drawn, burst))
        _say(f"cut to {cuts}")
        await strike(wanted[third : 2 * third])
        found.since_dump = len(sender.tally.accepted) - dumped
        await _restore(exchange, sender, burst_of(drawn, burst), backup)
        _say(f"restored {RECIPIENT}")
        await strike(wanted[2 * third :])
        await sender.send(drawn)
        await exchange.until_acknowledged(ACKNOWLEDGED_S_MAX)
    await come_back(exchange)
    await exchange.until_acknowledged(ACKNOWLEDGED_S_MAX)
    await exchange.until_audited(ACKNOWLEDGED_S_MAX)
    found.lost = ends_lost(Way.END_REFILLED, before, cuts)

    async def is_whole() -> bool:
        found.verdict, found.unnamed = await judge(exchange, sender.tally), await count_unnamed(exchange)
        return not found.verdict.faults() and not found.unnamed

    with suppress(AssertionError):  # missing data is counted then
        await until(is_whole, seconds_max=HEALED_S_MAX)
    found.dead = await exchange.list_dead()
    print(*(each.line() for each in found.lost), *found.lines(sender.tally), sep="\n")
    return found


async def _lose_ends(
    exchange: SplitExchange, sender: Sender, burst: Sequence[Post]
) -> tuple[dict[Place, Held], dict[Place, int]]:
    """Cut the ends of topics during a burst, with paused readers until the broker runs again."""
    for label in READERS:
        exchange.pause(label)
    wanted = min(UNREAD, sum(len(post.referrals) for post in burst) // 4)
    offered = (await find_bounds(exchange, *OFFERS)).end
    sending = asyncio.create_task(sender.send(burst))

    async def grown() -> bool:
        return (await find_bounds(exchange, *OFFERS)).end >= offered + wanted

    await until(grown)
    before = await held_now(exchange)
    cuts = await lose_ends(exchange, before)
    for label in READERS:
        exchange.resume(label)
    await sending
    return before, cuts


async def _restore(exchange: SplitExchange, sender: Sender, burst: Iterable[Post], backup: Backup) -> None:
    """Lose the agency's database during a burst, and continue with its dump."""
    sending = asyncio.create_task(sender.send(burst))
    await exchange.kill(RECIPIENT)
    await backup.put_back()
    await exchange.start(RECIPIENT)
    await sending


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description="Kills and freezes for long.")
    arguments.add_argument("--referrals", type=int, default=100_000)
    arguments.add_argument("--kills", type=int, default=50)
    arguments.add_argument("--freezes", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, split_exchange(Path(folder) / "state") as exchange:
        # A peer states its holdings once an hour. With pauses of a sixtieth a restore recovers within the run.
        exchange.programs |= dict.fromkeys(PROCESSES, HASTY)
        soaked = asyncio.run(soak(exchange, Path(folder), given))
    if faults := soaked.faults():
        print(faults)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
