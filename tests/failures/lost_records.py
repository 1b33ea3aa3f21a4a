"""Topics that lose what nobody had read: their end, as after a power failure, or their beginning, as by retention.

    python -m tests.failures.lost_records [--referrals 500]    with the pauses of a real installation; prints figures

Three topics at once: what an agency is told, the receipts that it gives, and the facts that audit is told.
"""

from __future__ import annotations

import argparse
import asyncio
import struct
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from tests.failures.delivered import forget, to_an_agency
from tests.failures.load import Post, Sender
from tests.failures.split import BROKER, PROCESSES, SplitExchange, split_exchange
from tests.failures.verdict import Verdict, judge
from tests.support import driver
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import inbox_topic
from tests.support.running import until

OFFERS: Final = inbox_topic("law_enforcement", "hotline")
RECEIPTS: Final = inbox_topic("hotline", "law_enforcement")
FACTS: Final = inbox_topic("audit", "hotline")
#: The instance that reads each topic.
READ_BY: Final[Mapping[str, str]] = {OFFERS: "law_enforcement", RECEIPTS: "hotline", FACTS: "audit"}
#: So many of the records that the reader had taken are lost as well.
TAKEN_TOO: Final = 5
RECEIPTED_S_MAX: Final = 600.0
_RANGE, _BATCH = struct.Struct(">qi"), struct.Struct(">i")


class Way(StrEnum):
    """How records are lost: the end of a topic, before its readers look or after it has grown again; its beginning."""

    END = "the end"
    END_REFILLED = "the end, refilled"
    BEGINNING = "the beginning"


class Held(NamedTuple):
    """What a topic held before: its end, how far its reader and audit had come, and the message at each place."""

    end: int
    taken: int
    audited: int
    ids: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Lost:
    """What one topic lost, and what audit says of it. `to_name`: places at which it had read, or was still to read.

    Places of messages: where the same one lies again nothing is lost, and what instances say of delivery has no number.
    """

    way: Way
    topic: str
    lost: int
    to_name: Sequence[int]
    named: frozenset[int]
    #: By place, the message that audit had read there, and all that it has kept of that place.
    known: Mapping[int, str]
    kept: Mapping[int, frozenset[str]]
    reasons: frozenset[str]

    @property
    def unnamed(self) -> int:
        """What audit does not name by its place, or does not know by its id although it had read it."""
        by_place = sum(offset not in self.named for offset in self.to_name)
        by_id = sum(each not in self.kept.get(offset, ()) for offset, each in self.known.items())
        return by_place + by_id

    def line(self) -> str:
        return (
            f"{self.way}: {self.topic}: {self.lost} lost, {len(self.to_name)} for audit to name, "
            f"{len(self.known)} of them by id, unnamed {self.unnamed}; said {', '.join(sorted(self.reasons))}"
        )


@dataclass(slots=True)
class Losses:
    """Each loss, and what had become of everything in the end."""

    each: list[Lost] = field(default_factory=list)
    #: Edges that their origin has told once more, under another message.
    told_anew: int = 0
    verdict: Verdict | None = None

    def lines(self) -> Iterator[str]:
        yield from (lost.line() for lost in self.each)
        lost = sum(each.lost for each in self.each)
        yield f"lost to topics {lost}, unnamed {self.unnamed}, told anew {self.told_anew}"
        assert self.verdict is not None
        yield self.verdict.line()

    @property
    def unnamed(self) -> int:
        return sum(each.unnamed for each in self.each)


async def lose(exchange: SplitExchange, *, referrals: int) -> Losses:
    """Lose records in each way, one after the other; every time readers stand still while it happens."""
    found = Losses()
    async with Sender(exchange, withdrawn_share=0) as sender:
        for way in Way:
            posts = to_an_agency(4 * referrals, together=1)
            found.each += await _lose(exchange, sender, posts, way=way, referrals=referrals)
    found.told_anew = await driver.count_replaced_messages(exchange)
    found.verdict = await judge(exchange, sender.tally)
    return found


async def _lose(
    exchange: SplitExchange, sender: Sender, posts: Iterator[Post], *, way: Way, referrals: int
) -> list[Lost]:
    await _leave_unread(exchange, sender, posts, referrals=referrals)
    before, cuts = await held_now(exchange), dict[str, int]()
    if way is Way.BEGINNING:
        for topic, held in before.items():
            await forget(exchange, topic, held.end)
    else:
        cuts = await lose_ends(exchange, before)
    if way is Way.END_REFILLED:
        await until(lambda: _grown(exchange, before, OFFERS, FACTS), seconds_max=RECEIPTED_S_MAX)
    exchange.resume("law_enforcement")
    if way is Way.END_REFILLED:
        await until(lambda: _grown(exchange, before, RECEIPTS), seconds_max=RECEIPTED_S_MAX)
    for label in ("consumer", "audit"):
        exchange.resume(label)
    await exchange.until_receipted(RECEIPTED_S_MAX)
    await exchange.until_audited(RECEIPTED_S_MAX)
    if way is not Way.BEGINNING:
        return await ends_lost(exchange, way, before, cuts)
    return [
        await _lost(exchange, way, topic, held, range(held.taken, held.end), range(held.audited, held.end))
        for topic, held in before.items()
    ]


async def lose_ends(exchange: SplitExchange, before: Mapping[str, Held]) -> dict[str, int]:
    """Have the broker die, and each topic end a little before where its reader is; where each ends then."""
    await exchange.kill(BROKER)
    data = exchange.stack.state.path / "kafka" / "data"
    cuts = {topic: cut(data, topic, max(0, held.taken - TAKEN_TOO)) for topic, held in before.items()}
    await exchange.start(BROKER)
    return cuts


async def ends_lost(
    exchange: SplitExchange, way: Way, before: Mapping[str, Held], cuts: Mapping[str, int]
) -> list[Lost]:
    """What each topic lost at its end, and what audit says of it, once everything has been audited."""
    return [
        await _lost(exchange, way, topic, held, range(cuts[topic], held.end), range(cuts[topic], held.audited))
        for topic, held in before.items()
    ]


async def _leave_unread(exchange: SplitExchange, sender: Sender, posts: Iterator[Post], *, referrals: int) -> None:
    """Fill the topics; their readers, and audit last, stand still before all is read."""
    await sender.send(islice(posts, referrals))
    await exchange.until_receipted(RECEIPTED_S_MAX)
    exchange.pause("consumer")
    await sender.send(islice(posts, referrals))
    await until(lambda: _all_applied(exchange))
    exchange.pause("law_enforcement")
    await sender.send(islice(posts, referrals))
    await until(lambda: _all_sent(exchange))
    await exchange.until_audited()
    exchange.pause("audit")
    await sender.send(islice(posts, referrals))
    await until(lambda: _all_sent(exchange))


async def held_now(exchange: SplitExchange) -> dict[str, Held]:
    """What each of the topics holds; their readers stand still, or have come further by the time it is said."""
    return {topic: await _held(exchange, topic) for topic in READ_BY}


async def _held(exchange: SplitExchange, topic: str) -> Held:
    return Held(
        end=(await delivery.find_bounds(exchange, topic)).end,
        taken=await delivery.find_read_position(exchange, READ_BY[topic], topic),
        audited=await delivery.find_read_position(exchange, "audit", topic),
        ids={record.offset: delivery.message_id_of(record) for record in await delivery.list_records(exchange, topic)},
    )


async def _lost(exchange: SplitExchange, way: Way, topic: str, held: Held, lost: range, to_name: Sequence[int]) -> Lost:
    named, reasons, kept = set[int](), set[str](), dict[int, set[str]]()
    for row in await delivery.list_audited_losses(exchange, topic):
        if row["kind"] == "conflict":
            named.add(row["offset"])
        else:
            named |= set(range(row["first"], row["last"] + 1))
            reasons.add(row["reason"])
    for row in await delivery.list_audited_ids(exchange, topic):
        kept.setdefault(row["offset"], set()).add(row["id"])
    again = {record.offset: delivery.message_id_of(record) for record in await delivery.list_records(exchange, topic)}
    if way is Way.BEGINNING:
        # The broker may have answered audit's last question while that stood still: what lay there was not lost to it.
        to_name = [each for each in to_name if held.ids.get(each) not in kept.get(each, ())]
    elif held.audited - 1 in held.ids and again.get(held.audited - 1) == held.ids[held.audited - 1]:
        # The last record that audit had read lies at its place again: of those before it nothing tells that they moved.
        to_name = ()
    return Lost(
        way=way,
        topic=topic,
        lost=len(lost),
        to_name=[each for each in to_name if each in held.ids and again.get(each) != held.ids[each]],
        named=frozenset(named),
        known={offset: each for offset, each in held.ids.items() if offset in to_name and offset < held.audited},
        kept={offset: frozenset(ids) for offset, ids in kept.items()},
        reasons=frozenset(reasons),
    )


def cut(data: Path, topic: str, offset: int) -> int:
    """Let the log of a topic end before a record, while no broker runs; where it ends, since batches are whole.

    What the broker knows besides of this log goes too: it finds out again, as after a power failure.
    """
    folder = data / f"{topic}-0"
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


async def _all_applied(exchange: SplitExchange) -> bool:
    """Whether the agency's service has applied all offers, and has sent its receipts."""
    unsent = await delivery.count_unsent_messages(exchange, "law_enforcement", "hotline")
    applied = await delivery.count_received_from(exchange, "law_enforcement", "hotline")
    return unsent == 0 and applied == await driver.count_edges_to_instance(exchange, "law_enforcement")


async def _grown(exchange: SplitExchange, before: Mapping[str, Held], *topics: str) -> bool:
    return all([(await delivery.find_bounds(exchange, topic)).end > before[topic].end for topic in topics])


def main() -> int:
    """Exit code 1 if anything was lost, done twice, does not add up, is told anew, or is not named."""
    arguments = argparse.ArgumentParser(description="Topics that lose what nobody had read.")
    arguments.add_argument("--referrals", type=int, default=500)
    given = arguments.parse_args()

    async def run(exchange: SplitExchange) -> Losses:
        await exchange.start(*PROCESSES)
        return await lose(exchange, referrals=given.referrals)

    with tempfile.TemporaryDirectory() as state, split_exchange(Path(state)) as exchange:
        losses = asyncio.run(run(exchange))
    print(*losses.lines(), sep="\n")
    assert losses.verdict is not None
    return int(bool(losses.verdict.faults() or losses.unnamed or losses.told_anew))


if __name__ == "__main__":
    sys.exit(main())
