"""Own topics are compared with the database before anything is accepted, once per database session."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import cast

import pytest

from shared.core.errors import Unavailable
from shared.core.ids import uuid7
from shared.delivery.sending import ScopeFactory
from shared.delivery.session_check import SessionCheck
from shared.messaging.incarnations import Head
from shared.messaging.sending import finish
from shared.messaging.streams import Lane, LaneEnd, Pair
from tests.shared.delivery.memory_streams import MemoryScopes, at_work, until
from tests.shared.messaging.rooms import HERE, PEER, Room, state


class Checked:
    """A session check over a room, whose topics show `heads`."""

    def __init__(self) -> None:
        self.room = Room()
        self.scopes = MemoryScopes(self.room)
        self.session = 1
        self.heads: dict[str, list[Head]] = {}
        self.failures: list[Exception] = []
        self.looks = 0
        self.silent = False
        self.check = SessionCheck(session_number=lambda: self.session, read_heads=self.read, peers=lambda: [PEER])

    async def read(self, peers: Sequence[str]) -> Mapping[str, Sequence[Head]]:
        self.looks += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.failures:
            raise self.failures.pop(0)
        return self.heads

    async def send(self) -> None:
        async with self.scopes.open() as scope:
            scope.send(state(scope.new_id()))
            await finish(scope)

    def at_work(self) -> AbstractAsyncContextManager[None]:
        return at_work(self.check.run(cast(ScopeFactory, self.scopes)))

    def is_open(self) -> bool:
        try:
            self.check.check()
        except Unavailable:
            return False
        return True


async def test_nothing_is_sent_before_the_comparison_and_again_in_each_new_session() -> None:
    checked = Checked()
    assert checked.is_open(), "a verb of the operator runs no part"
    checked.check.require()
    assert not checked.is_open()
    async with checked.at_work():
        await checked.check.wait()
        assert (checked.is_open(), checked.looks) == (True, 1)
        checked.session = 2
        assert not checked.is_open()
        await checked.check.wait()
        assert (checked.is_open(), checked.looks) == (True, 2)


async def test_a_log_that_shows_nothing_else_opens_no_incarnation() -> None:
    checked = Checked()
    await checked.send()
    before = checked.room.outgoing()
    lane = before.lanes[Lane.ORDINARY]
    checked.heads = {PEER: [Head(before.incarnation, Lane.ORDINARY, lane.last, chain=lane.chain)]}
    await checked.check.compare(cast(ScopeFactory, checked.scopes))
    assert (checked.room.outgoing().incarnation, checked.room.restores) == (before.incarnation, 0)


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_log_that_shows_more_opens_an_incarnation_and_ends_sign_ins(is_known: bool) -> None:
    checked = Checked()
    await checked.send()
    before = checked.room.outgoing()
    incarnation = before.incarnation if is_known else uuid7()
    checked.heads = {PEER: [Head(incarnation, Lane.ORDINARY, 7, digest=bytes(32))]}
    await checked.check.compare(cast(ScopeFactory, checked.scopes))
    assert checked.room.outgoing().incarnation != before.incarnation
    assert checked.room.restores == 1
    # The second comparison knows the results of the first one.
    after = checked.room.outgoing().incarnation
    await checked.check.compare(cast(ScopeFactory, checked.scopes))
    assert (checked.room.outgoing().incarnation, checked.room.restores) == (after, 1)


@pytest.mark.timing
async def test_a_silent_broker_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.delivery.session_check.READ_S_MAX", 0.05)
    checked = Checked()
    checked.silent = True
    checked.check.require()
    async with checked.at_work():
        await checked.check.wait()
        assert checked.is_open()
    assert checked.room.restores == 0, "an outage of the broker resets no feed"


@pytest.mark.timing
async def test_a_look_that_fails_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.delivery.session_check._RETRY_S", 0.01)
    checked = Checked()
    checked.check.require()
    checked.scopes.failures = [Unavailable("database_unavailable")] * 3
    async with checked.at_work():
        await until(checked.is_open)
    assert checked.looks == 1


async def test_a_broker_that_refuses_holds_up_nothing() -> None:
    checked = Checked()
    checked.failures = [Unavailable("broker_unavailable")]
    await checked.check.compare(cast(ScopeFactory, checked.scopes))
    assert checked.looks == 1
    assert checked.room.restores == 0, "an outage of the broker resets no feed"


@pytest.mark.parametrize(("stated", "restores"), [(4, 0), (5, 1)])
async def test_an_own_acknowledgement_of_more_than_was_taken_shows_a_restore(stated: int, restores: int) -> None:
    """Arrivals and deadlines assign numbers and send nothing, so only the acknowledgement shows them."""
    checked = Checked()
    await checked.send()
    incarnation, closed = uuid7(), uuid7()
    async with checked.scopes.open() as scope:
        incoming = await scope.tx.load_incoming(Pair(PEER, HERE), lock=True)
        incoming.incarnation, incoming.lanes[Lane.URGENT].through = incarnation, 4
        incoming.closed[closed] = (LaneEnd(9, b""), LaneEnd(9, b""))
        await scope.tx.save_incoming(incoming)
    before = checked.room.outgoing().incarnation
    checked.heads = {PEER: [Head(incarnation, Lane.URGENT, stated, is_taken=True)]}
    await checked.check.compare(cast(ScopeFactory, checked.scopes))
    assert (checked.room.outgoing().incarnation, checked.room.restores) == (before, restores)
    for other, more in ((closed, 0), (uuid7(), 1)):
        checked.heads = {PEER: [Head(other, Lane.URGENT, 1, is_taken=True)]}
        await checked.check.compare(cast(ScopeFactory, checked.scopes))
        assert checked.room.restores == restores + more
