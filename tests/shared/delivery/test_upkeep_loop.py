"""The upkeep of streams: each due step runs once, and a failed step stops no other."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.core.errors import Unavailable
from shared.delivery.sending import ScopeFactory
from shared.delivery.upkeep_loop import UpkeepLoop
from shared.messaging.exceptions import OutcomeKind
from shared.messaging.resync import ResyncRequest
from shared.messaging.streams import Outgoing
from tests.shared.delivery.memory_streams import MemoryScopes
from tests.shared.delivery.toy_instances import fact
from tests.shared.messaging.rooms import HERE, NOW, PEER, Room
from tests.shared.messaging.test_reception import named, receive, record
from tests.support.manual_clock import ManualClock

OTHER = "c.example"


class Statements:
    """A database that records statements and answers with no rows."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.failures: list[Exception] = []

    async def fetch(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        if self.failures:
            raise self.failures.pop(0)
        self.asked.append((statement, arguments))
        return []


class Upkeep:
    def __init__(self, *peers: str) -> None:
        self.room, self.database = Room(), Statements()
        self.scopes = MemoryScopes(self.room)
        self.clock = ManualClock(NOW)
        self.law: Hashable = 1
        self.broken: set[str] = set()
        self.loop = UpkeepLoop(
            cast(ScopeFactory, self.scopes),
            cast(Any, self.database),
            peers=lambda: peers or (PEER,),
            announcement=self.announce,
            law_state=lambda: self.law,
            clock=self.clock,
        )

    def announce(self, peer: str) -> Any:
        if peer in self.broken:
            raise ValueError(peer)
        return fact(HERE, peer)

    def outgoing(self, peer: str = PEER) -> Outgoing | None:
        found: Outgoing | None = self.room.db.tables["outgoing"].get(peer)
        return found

    def told(self, peer: str = PEER) -> list[str]:
        """Return the kinds of all messages to a peer, in both lanes."""
        kinds = []
        for (to, _, _), segments in self.room.db.tables["segments"].items():
            kinds += [message.kind for each in segments for message in each.messages if to == peer]
        return kinds


async def test_at_a_start_each_peer_is_told_what_is_read_and_probed_once() -> None:
    upkeep = Upkeep(PEER, OTHER)
    for _ in range(2):
        await upkeep.loop.turn()
    for peer in (PEER, OTHER):
        outgoing = upkeep.outgoing(peer)
        assert outgoing is not None
        assert outgoing.awaited_since == NOW
        assert upkeep.told(peer).count("reads_announced") == 1
    again = Upkeep(PEER)
    again.room, again.scopes.room = upkeep.room, upkeep.room
    await again.loop.turn()
    assert upkeep.told().count("reads_announced") == 2


async def test_a_step_that_fails_stops_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    upkeep = Upkeep(OTHER, PEER)
    upkeep.broken, upkeep.database.failures = {OTHER}, [Unavailable("database_unavailable")]
    await upkeep.loop.turn()
    assert upkeep.outgoing(OTHER) is None
    assert upkeep.told().count("reads_announced") == 1
    out, err = capfd.readouterr()
    assert (out + err).count("upkeep_waits") == 2
    upkeep.broken = set()
    await upkeep.loop.turn()
    assert upkeep.told(OTHER).count("reads_announced") == 1
    assert upkeep.told().count("reads_announced") == 1


async def test_partitions_are_made_once_a_day_and_again_after_a_failure() -> None:
    upkeep = Upkeep()
    upkeep.database.failures = [Unavailable("database_unavailable")]

    def made() -> list[Any]:
        return [arguments for statement, arguments in upkeep.database.asked if "make_segment_days" in statement]

    await upkeep.loop.turn()
    assert made() == []
    for _ in range(2):
        await upkeep.loop.turn()
    assert made() == [(NOW.date(), 8)]
    upkeep.clock.advance(24 * 3600)
    await upkeep.loop.turn()
    assert made() == [(NOW.date(), 8), (NOW.date() + timedelta(days=1), 8)]


async def test_each_pair_is_checked_once_a_night_and_not_at_the_start() -> None:
    upkeep = Upkeep()

    def requests() -> int:
        return sum(isinstance(body, ResyncRequest) for body in upkeep.room.composed.values())

    await upkeep.loop.turn()
    at_start = requests()
    await upkeep.loop.turn()
    assert requests() == at_start
    upkeep.clock.advance(24 * 3600)
    upkeep.room.later(24 * 3600)
    for _ in range(2):
        await upkeep.loop.turn()
    assert requests() == at_start + 1


async def test_exceptions_are_tried_again_at_midnight() -> None:
    upkeep = Upkeep()
    upkeep.clock.advance((24 - NOW.hour) * 3600 - NOW.minute * 60 - NOW.second - 1)
    upkeep.room.outcome_of = lambda _: OutcomeKind.DEFERRED
    receive(upkeep.room, record(1, named(1)))
    tried = []
    for seconds in (0, 0, 1, 1):
        upkeep.clock.advance(seconds)
        await upkeep.loop.turn()
        tried.append(len(upkeep.room.taken) - 1)
    assert tried == [1, 1, 2, 2]


async def test_exceptions_are_tried_again_at_the_start_and_when_the_law_changes() -> None:
    upkeep = Upkeep()
    room = upkeep.room
    room.outcome_of = lambda _: OutcomeKind.WAITING
    receive(room, record(1, named(1)))
    tried = len(room.taken)
    for _ in range(2):
        await upkeep.loop.turn()
    assert len(room.taken) == tried + 1
    upkeep.law = 2
    room.outcome_of = lambda _: OutcomeKind.APPLIED
    for _ in range(2):
        await upkeep.loop.turn()
    assert len(room.taken) == tried + 2
    assert not room.db.tables["exceptions"]
