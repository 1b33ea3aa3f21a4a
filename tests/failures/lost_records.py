"""Topics lose unread records: their end, as after a power failure, or their beginning, as by retention.

    python -m tests.failures.lost_records [--referrals 500]    with the pauses of a real installation; prints figures

Three partitions at once: messages to an agency, its acknowledgements, and facts for audit.
"""

from __future__ import annotations

import argparse
import asyncio
import struct
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from tests.failures.delivered import P0_S_MAX, forget, tell_of_p0, to_an_agency
from tests.failures.load import Post, Sender
from tests.failures.split import BROKER, PROCESSES, SplitExchange, split_exchange
from tests.failures.verdict import Verdict, judge
from tests.support import driver, driver_audit
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import Lane, Pair, inbox_topic
from tests.support.running import until


class Place(NamedTuple):
    """One partition of a topic."""

    topic: str
    lane: Lane


OFFERS: Final = Place(inbox_topic("law_enforcement", "hotline"), Lane.ORDINARY)
ACKS: Final = Place(inbox_topic("hotline", "law_enforcement"), Lane.URGENT)
FACTS: Final = Place(inbox_topic("audit", "hotline"), Lane.ORDINARY)
#: The instance that reads each of them.
READ_BY: Final[Mapping[Place, str]] = {OFFERS: "law_enforcement", ACKS: "hotline", FACTS: "audit"}
#: The instances that write them.
WRITERS: Final = ("hotline", "law_enforcement")
#: Number of records that the reader had already taken and that are lost as well.
TAKEN_TOO: Final = 5
ACKNOWLEDGED_S_MAX: Final = 600.0
_RANGE, _BATCH = struct.Struct(">qi"), struct.Struct(">i")


class Way(StrEnum):
    """Losses of records: a topic's end, before its readers check or after it has grown again; or its beginning."""

    END = "the end"
    END_REFILLED = "the end, refilled"
    BEGINNING = "the beginning"


class Held(NamedTuple):
    """The content of a partition before a loss: its end, and the offset that its reader would read next."""

    end: int
    taken: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The loss of one partition: its records, and those among them that its reader had not read."""

    way: Way
    place: Place
    lost: int
    unread: int

    def line(self) -> str:
        return f"{self.way}: {self.place.topic} {self.place.lane.name}: {self.lost} lost, {self.unread} of them unread"


@dataclass(slots=True)
class Losses:
    """Each loss, and the final state."""

    each: list[Lost] = field(default_factory=list)
    #: Numbers that audit has neither read nor named lost.
    unnamed: int = 0
    #: Edges that their origin has sent again in another message.
    told_anew: int = 0
    #: For each kind of loss, the delay of a referral with a child at risk that was submitted after it.
    p0_s: list[float] = field(default_factory=list)
    verdict: Verdict | None = None

    def lines(self) -> Iterator[str]:
        yield from (lost.line() for lost in self.each)
        lost = sum(each.lost for each in self.each)
        yield (
            f"lost to topics {lost}, unnamed {self.unnamed}, sent again {self.told_anew}; a child at risk after each "
            f"loss within {max(self.p0_s):.1f} s"
        )
        yield self.verdict.line()


async def lose(exchange: SplitExchange, *, referrals: int) -> Losses:
    """Lose records in each way, one after the other, each time with paused readers."""
    found = Losses()
    async with Sender(exchange, withdrawn_share=0) as sender:
        for way in Way:
            posts = to_an_agency(5 * referrals, together=1)
            found.each += await _lose(exchange, sender, posts, way=way, referrals=referrals)
            found.p0_s.append(await tell_of_p0(exchange, sender))
            await sender.send(posts)
            await exchange.until_acknowledged(ACKNOWLEDGED_S_MAX)
            await exchange.until_audited(ACKNOWLEDGED_S_MAX)
            found.unnamed += await count_unnamed(exchange)
    found.told_anew = await driver.count_replaced_messages(exchange)
    found.verdict = await judge(exchange, sender.tally)
    return found


async def _lose(
    exchange: SplitExchange, sender: Sender, posts: Iterator[Post], *, way: Way, referrals: int
) -> list[Lost]:
    await _leave_unread(exchange, sender, posts, referrals=referrals)
    before = await held_now(exchange)
    cuts = {place: held.end for place, held in before.items()}
    if way is Way.BEGINNING:
        for place, held in before.items():
            await forget(exchange, place.topic, place.lane, below=held.end)
    else:
        cuts = await lose_ends(exchange, before)
    if way is Way.END_REFILLED:
        await sender.send(posts)
        await until(lambda: _grown(exchange, before, OFFERS, FACTS), seconds_max=ACKNOWLEDGED_S_MAX)
    for label in ("law_enforcement", "consumer", "audit"):
        exchange.resume(label)
    if way is Way.BEGINNING:
        return [Lost(way, place, held.end, held.end - held.taken) for place, held in before.items()]
    return ends_lost(way, before, cuts)


async def lose_ends(exchange: SplitExchange, before: Mapping[Place, Held]) -> dict[Place, int]:
    """Stop the broker, and cut each partition a little before its reader's offset; return each new end."""
    await exchange.kill(BROKER)
    data = exchange.stack.state.path / "kafka" / "data"
    cuts = {place: cut(data, place, max(0, held.taken - TAKEN_TOO)) for place, held in before.items()}
    await exchange.start(BROKER)
    return cuts


def ends_lost(way: Way, before: Mapping[Place, Held], cuts: Mapping[Place, int]) -> list[Lost]:
    """Return the loss of each partition at its end."""
    return [Lost(way, place, held.end - cuts[place], held.end - held.taken) for place, held in before.items()]


async def count_unnamed(exchange: SplitExchange) -> int:
    """Count the numbers of both instances that audit has neither read nor named lost."""
    lacking = [await driver_audit.list_unaudited_numbers(exchange, writer) for writer in WRITERS]
    return sum(last - first + 1 for each in lacking for spans in each.values() for first, last in spans)


async def _leave_unread(exchange: SplitExchange, sender: Sender, posts: Iterator[Post], *, referrals: int) -> None:
    """Fill the topics, and pause their readers, audit last, before all is read."""
    await sender.send(islice(posts, referrals))
    await exchange.until_acknowledged(ACKNOWLEDGED_S_MAX)
    exchange.pause("consumer")
    given = (await delivery.find_bounds(exchange, *ACKS)).end
    await sender.send(islice(posts, referrals))
    await until(lambda: _all_applied(exchange, given))
    exchange.pause("law_enforcement")
    await sender.send(islice(posts, referrals))
    await until(lambda: _all_sent(exchange))
    await exchange.until_audited()
    exchange.pause("audit")
    await sender.send(islice(posts, referrals))
    await until(lambda: _all_sent(exchange))


async def held_now(exchange: SplitExchange) -> dict[Place, Held]:
    """Return the content of each partition. Its reader is paused, or may have moved on since."""
    return {
        place: Held(
            end=(await delivery.find_bounds(exchange, *place)).end,
            taken=await delivery.find_read_offset(exchange, reader, *place),
        )
        for place, reader in READ_BY.items()
    }


def cut(data: Path, place: Place, offset: int) -> int:
    """Cut a partition's log before a record, while no broker runs. Return its new end, since batches are whole.

    The broker's other files about this log are deleted as well, so that it rebuilds them, as after a power failure.
    """
    folder = data / f"{place.topic}-{int(place.lane)}"
    [log] = folder.glob("*.log")
    held, at, end = log.read_bytes(), 0, 0
    while at < len(held):
        first, length_bytes = _RANGE.unpack_from(held, at)
        following = first + _BATCH.unpack_from(held, at + 23)[0] + 1
        if following > offset:
            break
        at, end = at + 12 + length_bytes, following
    log.write_bytes(held[:at])
    for known in (*folder.glob("*.snapshot"), *folder.glob("*.index"), *folder.glob("*.timeindex")):
        known.unlink()
    for known in (".kafka_cleanshutdown", "recovery-point-offset-checkpoint", "replication-offset-checkpoint"):
        (data / known).unlink(missing_ok=True)
    return end


async def _all_sent(exchange: SplitExchange) -> bool:
    unsent = [await delivery.count_unsent_messages(exchange, "hotline", to) for to in ("law_enforcement", "audit")]
    return sum(unsent) == 0


async def _all_applied(exchange: SplitExchange, given: int) -> bool:
    """Return whether the agency's service has taken all offers, and has acknowledged them since the offset `given`."""
    pair = Pair("hotline", "law_enforcement")
    _, (_, offers) = await delivery.find_stream_ends(exchange, *pair)
    taken = await delivery.find_number_read(exchange, "law_enforcement", pair, Lane.ORDINARY)
    return taken == offers.number and (await delivery.find_bounds(exchange, *ACKS)).end > given


async def _grown(exchange: SplitExchange, before: Mapping[Place, Held], *places: Place) -> bool:
    return all([(await delivery.find_bounds(exchange, *place)).end > before[place].end for place in places])


def main() -> int:
    """Return exit code 1 if anything was lost, done twice, sent again, does not add up, or is not named."""
    arguments = argparse.ArgumentParser(description="Topics lose unread records.")
    arguments.add_argument("--referrals", type=int, default=500)
    given = arguments.parse_args()

    async def run(exchange: SplitExchange) -> Losses:
        await exchange.start(*PROCESSES)
        return await lose(exchange, referrals=given.referrals)

    with tempfile.TemporaryDirectory() as state, split_exchange(Path(state)) as exchange:
        losses = asyncio.run(run(exchange))
    print(*losses.lines(), sep="\n")
    late = max(losses.p0_s) > P0_S_MAX
    return int(bool(losses.verdict.faults() or losses.unnamed or losses.told_anew or late))


if __name__ == "__main__":
    sys.exit(main())
