"""The relay appends each stream independently, waits when it must, and states the reason."""

from __future__ import annotations

import asyncio
import copy
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.core.errors import Unavailable
from shared.delivery.gate import CLOCK_TOLERANCE
from shared.delivery.loops import MENDED_BY_HAND, RelayOptions
from shared.messaging.incarnations import CARRIED_MAX, open_incarnation
from shared.messaging.ports import AppendPosition, MessageDraft
from shared.messaging.segments import Segment
from shared.messaging.sending import finish
from shared.messaging.streams import Lane, WireRole
from shared.platform.observability.health import Check
from tests.shared.delivery.memory_streams import Streams, until
from tests.shared.messaging.rooms import PEER
from tests.support.messaging_memory import MemoryTx

OTHER = "c.example"


async def test_one_wake_is_enough_for_every_stream() -> None:
    streams = Streams(RelayOptions(poll_s=600))
    async with streams.at_work():
        here = await streams.send(WireRole.STATE, count=5)
        there = await streams.send(WireRole.STATE, peer=OTHER, count=3)
        urgent = await streams.send(WireRole.STATE, is_p0=True)
        await until(lambda: streams.held() == here)
        await until(lambda: streams.held(peer=OTHER) == there)
        await until(lambda: streams.held(Lane.URGENT) == urgent)


@pytest.mark.timing
async def test_messages_of_another_process_are_found_by_the_poll() -> None:
    streams = Streams()
    async with streams.at_work():
        await asyncio.sleep(0.03)
        streams.relay.wake = lambda: None  # type: ignore[method-assign]
        sent = await streams.send(WireRole.STATE)
        await until(lambda: streams.held() == sent)


async def test_a_relay_names_the_outage_it_waits_for_and_stays_ready() -> None:
    streams = Streams()
    assert streams.relay.check() == Check("relay", True)
    streams.log.shut[PEER] = Unavailable("broker_unavailable")
    async with streams.at_work():
        sent = await streams.send(WireRole.STATE)
        await until(lambda: streams.relay.check() == Check("relay", True, "broker_unavailable"))
        streams.log.shut.clear()
        await until(lambda: streams.held() == sent)
        await until(lambda: streams.relay.check() == Check("relay", True))


@pytest.mark.parametrize("failure", [*map(Unavailable, sorted(MENDED_BY_HAND)), ValueError("absurd")])
async def test_a_defect_in_one_stream_stops_no_other(failure: Exception) -> None:
    streams = Streams()
    streams.log.shut[OTHER] = failure
    async with streams.at_work():
        there = await streams.send(WireRole.STATE, peer=OTHER, count=3)
        here = await streams.send(WireRole.STATE, count=3)
        await until(lambda: streams.held() == here)
        code = failure.code if isinstance(failure, Unavailable) else "relay_defect"
        await until(lambda: streams.relay.check().reason == code)
        assert streams.held(peer=OTHER) == []
        here += await streams.send(WireRole.STATE)
        await until(lambda: streams.held() == here)
        streams.log.shut.clear()
        await until(lambda: streams.held(peer=OTHER) == there)
        await until(lambda: streams.relay.check().reason == "")


@pytest.mark.parametrize(
    ("failure", "pauses"),
    [*((Unavailable(code), [3, 6, 10, 10]) for code in MENDED_BY_HAND), (ValueError("absurd"), [1, 2, 2, 2])],
)
@pytest.mark.timing
async def test_an_operators_fault_is_tried_ever_more_rarely(
    failure: Exception, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = Streams(
        RelayOptions(poll_s=0.01, look_s=0.1, back_off_s=1, back_off_s_max=2, refused_s=3, refused_s_max=10)
    )
    slept, sleep = list[float](), asyncio.sleep

    async def counted(pause_s: float) -> None:
        slept.extend([pause_s] * (pause_s >= 1))
        await sleep(min(pause_s, 0.001))

    monkeypatch.setattr(asyncio, "sleep", counted)
    # No acknowledgement is due there, so one task alone fails.
    streams.room.now += timedelta(days=1)
    streams.log.shut[OTHER] = failure
    async with streams.at_work():
        there = await streams.send(WireRole.STATE, peer=OTHER)
        await until(lambda: len(slept) >= 2 * len(pauses))
        for pause in set(pauses):
            assert slept.count(pause) >= pauses.count(pause)
        assert set(slept) == set(pauses)
        streams.log.shut.clear()
        await until(lambda: streams.held(peer=OTHER) == there)


@pytest.mark.timing
async def test_states_wait_while_the_clock_is_off_and_all_else_goes() -> None:
    streams = Streams()
    async with streams.at_work():
        (first,) = await streams.send(WireRole.STATE)
        await until(lambda: streams.held() == [first])
        streams.broker_clock.advance(360)
        (answer,) = await streams.send(WireRole.ANSWER)
        await until(lambda: streams.held() == [first, answer])
        assert streams.relay.check() == Check("relay", True, "clock_off")
        states = await streams.send(WireRole.STATE)
        urgent = await streams.send(WireRole.STATE, is_p0=True)
        withdrawal = await streams.send(WireRole.WITHDRAWAL, peer=OTHER)
        await until(lambda: streams.held() == [first, answer])
        await until(lambda: streams.held(Lane.URGENT, peer=OTHER) == withdrawal)
        await asyncio.sleep(0.05)
        assert streams.held() == [first, answer]
        assert streams.held(Lane.URGENT) == []
        # The clock is corrected: an acknowledgement shows it, and no person has to act.
        streams.clock.advance(360)
        await until(lambda: streams.held() == [first, answer, *states])
        await until(lambda: streams.held(Lane.URGENT) == urgent)
        await until(lambda: streams.relay.check() == Check("relay", True))


async def test_a_state_would_go_if_nobody_looked_at_the_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the test above."""
    monkeypatch.setattr("shared.delivery.gate.CLOCK_TOLERANCE", CLOCK_TOLERANCE * 60)
    streams = Streams()
    streams.broker_clock.advance(360)
    async with streams.at_work():
        sent = await streams.send(WireRole.STATE, count=2)
        await until(lambda: streams.held() == sent)
        assert streams.relay.check() == Check("relay", True)


async def test_states_wait_while_the_documents_are_not_fresh() -> None:
    why = ["beat_late"]
    streams = Streams(documents=lambda: why[0])
    async with streams.at_work():
        (answer,) = await streams.send(WireRole.ANSWER)
        states = await streams.send(WireRole.STATE)
        await until(lambda: streams.held() == [answer])
        await until(lambda: streams.relay.check() == Check("relay", True, "beat_late"))
        why[0] = ""
        await until(lambda: streams.held() == [answer, *states])


class Loads:
    """Counts the reads of segments of the ordinary stream to a peer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        read = MemoryTx.list_segments

        async def counted(tx: MemoryTx, peer: str, incarnation: UUID, lane: Lane, **bounds: Any) -> list[Segment]:
            self.count += lane is Lane.ORDINARY
            return await read(tx, peer, incarnation, lane, **bounds)

        monkeypatch.setattr(MemoryTx, "list_segments", counted)


async def commit(streams: Streams, *, count: int = 1, is_p0: bool = False) -> list[UUID]:
    """Send states and hand their segments over."""
    sent = await streams.send(WireRole.STATE, count=count, is_p0=is_p0)
    streams.hand_over()
    return sent


async def hand_over_first(streams: Streams) -> UUID:
    """Hand over the first message of a relay that has begun its work, and wait until it is appended."""
    await asyncio.sleep(0.01)
    (first,) = await commit(streams)
    await until(lambda: streams.held() == [first])
    return first


@pytest.mark.timing
@pytest.mark.parametrize(("bytes_max", "reads"), [(None, 1), (40, 2)], ids=["as many as fit", "more than the bound"])
async def test_segments_that_are_handed_over_are_not_read_again_and_more_than_the_bound_are_read_from_the_tables(
    monkeypatch: pytest.MonkeyPatch, bytes_max: int | None, reads: int
) -> None:
    if bytes_max is not None:
        monkeypatch.setattr("shared.messaging.relay.HANDED_BYTES_MAX", bytes_max)
    streams, loads = Streams(RelayOptions(poll_s=600, look_s=600)), Loads(monkeypatch)
    async with streams.at_work():
        first = await hand_over_first(streams)
        # The place of the last append is unknown before the first one. The tables contain it, and show that nothing
        # follows.
        await until(lambda: loads.count == 1)
        sent = await commit(streams, count=3)
        await until(lambda: streams.held() == [first, *sent])
        assert loads.count == reads
        append = streams.log.append

        async def append_late(*given: Any) -> AppendPosition:
            await asyncio.sleep(0.1)
            return await append(*given)

        monkeypatch.setattr(streams.log, "append", append_late)
        sent += await commit(streams)
        await asyncio.sleep(0.05)
    assert (streams.held(), await find_sent(streams)) == ([first, *sent], 5), "the end finishes and notes the appends"


@pytest.mark.timing
@pytest.mark.parametrize("told", [[[2], [1], [0]], [[0, 2], [1]]], ids=["backwards", "one too early"])
async def test_commits_that_are_told_in_another_order_are_appended_in_theirs(told: list[list[int]]) -> None:
    streams = Streams(RelayOptions(poll_s=600, look_s=600))
    async with streams.at_work():
        first = await hand_over_first(streams)
        sent = await streams.send(WireRole.STATE, count=3)
        segments = [*streams.scopes.finished]
        for each in told:
            streams.relay.hand_over([segments[at] for at in each])
            await asyncio.sleep(0.05)
        await until(lambda: streams.held() == [first, *sent], seconds=5)


@pytest.mark.timing
async def test_a_message_behind_a_former_incarnation_is_not_handed_over() -> None:
    streams = Streams(RelayOptions(poll_s=600, look_s=600))
    async with streams.at_work():
        await asyncio.sleep(0.01)
        async with streams.scopes.open() as scope:
            for number in range(CARRIED_MAX + 1):
                scope.send(MessageDraft(PEER, WireRole.STATE, "state", scope.new_id(), ("body", number)))
            await finish(scope)
        streams.hand_over()
        await until(lambda: len(streams.held()) > CARRIED_MAX)
        async with streams.scopes.open() as scope:
            new = await open_incarnation(scope, PEER, (await scope.tx.load_outgoing([PEER], lock=True))[PEER])
            await scope.save([new])
        assert new.sources
        (late,) = await commit(streams)
        await asyncio.sleep(0.05)
        assert late not in streams.held()


@pytest.mark.timing
async def test_a_stream_that_went_back_is_read_from_the_tables() -> None:
    streams = Streams(RelayOptions(poll_s=600, look_s=600))
    async with streams.at_work():
        await asyncio.sleep(0.01)
        for _ in range(2):
            sent = await commit(streams)
            await until(lambda: sent[0] in streams.held())  # noqa: B023 - awaited here
        async with streams.scopes.read() as tx:
            outgoing = (await tx.load_outgoing([PEER], lock=True))[PEER]
            outgoing.lanes[Lane.ORDINARY].sent = 0
            await tx.save_outgoing([outgoing])
        before = streams.held()
        (third,) = await commit(streams)
        await until(lambda: streams.held() == [*before, third])
        streams.relay._wake_turn("stream", PEER, Lane.ORDINARY)
        await until(lambda: streams.held() == [*before, third, *before, third])


async def find_sent(streams: Streams) -> int:
    async with streams.scopes.read() as tx:
        return (await tx.load_outgoing([PEER], lock=False))[PEER].lanes[Lane.ORDINARY].sent


async def append_one(streams: Streams) -> int:
    """Hand over one more message, append it, and return the pointer."""
    streams.relay._is_running = True
    await commit(streams)
    await streams.relay.append_next(PEER, Lane.ORDINARY)
    return await find_sent(streams)


async def test_appends_of_handed_segments_are_noted_together() -> None:
    late, prompt = Streams(RelayOptions(look_s=600)), Streams(RelayOptions(look_s=0))
    assert [await append_one(late) for _ in range(3)] == [1, 1, 1]
    assert [await append_one(prompt) for _ in range(3)] == [1, 2, 3]
    assert not await late.relay.append_next(PEER, Lane.ORDINARY), "nothing more waits"
    assert await find_sent(late) == 3


async def test_a_return_before_a_late_note_is_not_undone() -> None:
    streams = Streams(RelayOptions(look_s=600))
    assert [await append_one(streams) for _ in range(3)] == [1, 1, 1]
    held = streams.held()
    streams.clock.advance(1)
    async with streams.scopes.read() as tx:
        outgoing = (await tx.load_outgoing([PEER], lock=True))[PEER]
        outgoing.lanes[Lane.ORDINARY].returned_at = streams.clock.now()
        await tx.save_outgoing([outgoing])
    assert await streams.relay.append_next(PEER, Lane.ORDINARY), "the tables name the next number"
    assert await find_sent(streams) == 1
    await streams.relay.append_next(PEER, Lane.ORDINARY)
    assert (streams.held(), await find_sent(streams)) == ([*held, *held[1:]], 3)


async def test_a_late_note_does_not_pass_over_a_tail_that_an_acknowledgement_finds_lost() -> None:
    streams = Streams(RelayOptions(look_s=600))
    streams.relay._is_running = True
    sent = []
    for _ in range(3):
        sent += await commit(streams, is_p0=True)
        await streams.relay.append_next(PEER, Lane.URGENT)
    async with streams.scopes.read() as tx:
        outgoing = (await tx.load_outgoing([PEER], lock=True))[PEER]
        urgent = outgoing.lanes[Lane.URGENT]
        urgent.acked = urgent.sent
        await tx.save_outgoing([outgoing])
    streams.log.held[PEER, Lane.URGENT].clear()
    streams.relay._clock_checks[PEER] = True
    await streams.relay.append_ack(PEER)
    while await streams.relay.append_next(PEER, Lane.URGENT):
        pass
    assert streams.held(Lane.URGENT) == sent[1:]


@pytest.mark.timing
async def test_what_was_appended_before_a_failed_append_is_not_appended_again() -> None:
    streams = Streams(RelayOptions(poll_s=600, look_s=600, back_off_s=0.01))
    async with streams.at_work():
        await asyncio.sleep(0.01)
        sent = []
        for _ in range(2):
            sent += await commit(streams)
            await until(lambda: streams.held() == sent)  # noqa: B023 - awaited here
        streams.log.shut[PEER] = Unavailable("broker_unavailable")
        sent += await commit(streams)
        await until(lambda: streams.relay.check().reason == "broker_unavailable")
        streams.log.shut.clear()
        await until(lambda: len(streams.held()) >= len(sent))
        assert streams.held() == sent


@pytest.mark.timing
async def test_a_commit_that_a_restored_database_lacks_is_not_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(RelayOptions(poll_s=600, look_s=600, back_off_s=0.1))
    async with streams.at_work():
        first = await hand_over_first(streams)
        # The database fails once. A commit is reported before the next attempt, and is then missing from the database.
        with monkeypatch.context() as away:
            away.setattr(MemoryTx, "load_outgoing", fail_unavailable)
            streams.relay._wake_turn("stream", PEER, Lane.ORDINARY)
            await until(lambda: streams.relay.check().reason == "database_unavailable")
        before = copy.deepcopy(streams.room.db.tables)
        await commit(streams)
        streams.room.db.tables = before
        await asyncio.sleep(0.2)
        assert streams.held() == [first]


async def fail_unavailable(*_: Any, **__: Any) -> None:
    raise Unavailable("database_unavailable")


@pytest.mark.timing
async def test_nothing_is_appended_before_the_relay_runs() -> None:
    streams = Streams()
    await commit(streams)
    await asyncio.sleep(0.01)
    assert streams.held() == []


async def test_an_append_that_cannot_be_noted_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(RelayOptions(look_s=600))
    await append_one(streams)
    for _ in range(2):
        await commit(streams, count=100)
        await streams.relay.append_next(PEER, Lane.ORDINARY)
    with monkeypatch.context() as away:
        away.setattr(MemoryTx, "move_sent", fail_unavailable)
        with pytest.raises(Unavailable):
            await streams.relay.append_next(PEER, Lane.ORDINARY)
    while await streams.relay.append_next(PEER, Lane.ORDINARY):
        pass
    held = streams.held()
    assert len(held) == len(set(held)) > 200
