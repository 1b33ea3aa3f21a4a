"""The relay, lane by lane: nothing that is stored and nothing that a topic does holds up another lane."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.exchange.topics import AUDIT
from shared.kernel.errors import Unavailable
from shared.runtime.post.gate import AHEAD_WAITS, CLOCK_TOLERANCE, Gate
from shared.runtime.watch.health import Check
from tests.shared.runtime.post.senders import LANE, OTHER, Sender, edge, other, until
from tests.support.builders import AT, draft
from tests.support.memory_stores import Fault

pytestmark = pytest.mark.timing

#: What a broker says of a topic that an operator must mend.
REFUSALS = ("broker_refuses", "broker_record_bound")


@pytest.fixture
def sender() -> Sender:
    return Sender()


async def test_one_wake_is_enough_for_more_than_a_batch_in_every_lane(sender: Sender) -> None:
    async with sender.at_work():
        here = await sender.enqueue(*[draft() for _ in range(5)])
        there = await sender.enqueue(*[other() for _ in range(5)])
        sender.relay.wake()
        await until(lambda: (sender.held(LANE), sender.held(OTHER)) == (here, there))
    assert sender.relay.last_progress == AT


async def test_what_gathers_is_sent_without_a_poll_and_looked_for_once(sender: Sender) -> None:
    async with sender.at_work():
        before = sender.store.looks
        ids = await sender.enqueue(draft())
        sender.relay.wake_soon()
        sender.relay.wake_soon()
        await until(lambda: sender.held(LANE) == ids)
        assert sender.store.looks == before + 1
        ids += await sender.enqueue(draft())
        sender.relay.wake_soon()
        await until(lambda: sender.held(LANE) == ids)


@pytest.mark.parametrize(("to", "appended"), [(AUDIT, [2]), (OTHER, [1, 1])])
async def test_what_goes_to_audit_gathers_and_holds_up_nothing_else(to: str, appended: list[int]) -> None:
    sender, counts = Sender(gather_s=3.0), list[int]()
    append = sender.writer.append

    async def counted(lane: str, records: Any, **named: Any) -> Any:
        counts.extend([len(records)] * (lane == to))
        return await append(lane, records, **named)

    sender.writer.append = counted  # type: ignore[method-assign]
    async with sender.at_work():
        first, here = await sender.enqueue(draft(recipient_instance=to), draft())
        sender.relay.wake()
        await until(lambda: sender.held(LANE) == [here] and (to == AUDIT or sender.held(to) == [first]))
        second = await sender.enqueue(draft(recipient_instance=to))
        sender.relay.wake()
        await until(lambda: sender.held(to) == [first, *second])
    assert counts == appended


async def test_a_relay_names_the_outage_it_waits_for_and_stays_ready(sender: Sender) -> None:
    assert sender.relay.check() == Check("relay", True)
    sender.faults = [Fault.FAILS] * 1000
    async with sender.at_work():
        ids = await sender.enqueue(draft())
        sender.relay.wake()
        await until(lambda: sender.relay.check() == Check("relay", True, "broker_unavailable"))
        sender.faults = []
        await until(lambda: sender.held(LANE) == ids)
        await until(lambda: sender.relay.check() == Check("relay", True))


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_topic_that_is_refused_holds_up_its_own_lane_and_keeps_its_order(sender: Sender, code: str) -> None:
    sender.writer.shut[OTHER] = code
    async with sender.at_work():
        there = await sender.enqueue(*[other() for _ in range(3)])
        here = await sender.enqueue(*[draft() for _ in range(3)])
        sender.relay.wake()
        await until(lambda: sender.held(LANE) == here)
        await until(lambda: sender.relay.check().reason == code)
        assert sender.held(OTHER) == []
        here += await sender.enqueue(draft())
        sender.relay.wake()
        await until(lambda: sender.held(LANE) == here)
        assert not any(row.aside for row in sender.database.state.outbox.values())
        sender.writer.shut.clear()
        await until(lambda: sender.held(OTHER) == there)
        await until(lambda: sender.relay.check().reason == "")


@pytest.mark.parametrize(("code", "pauses"), [*((code, [3, 6, 10, 10]) for code in REFUSALS), ("absurd", [1, 2, 2, 2])])
async def test_what_an_operator_must_mend_is_tried_ever_more_rarely(
    code: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its own lane: pauses of tests of the others are not seconds."""
    sender, slept, sleep = Sender(back_off_s=(1, 2), refused_s=(3, 10)), list[float](), asyncio.sleep
    sender.writer.shut[OTHER] = code

    async def counted(pause_s: float) -> None:
        slept.extend([pause_s] * (pause_s >= 1))
        await sleep(min(pause_s, 0.001))

    monkeypatch.setattr(asyncio, "sleep", counted)
    async with sender.at_work():
        there = await sender.enqueue(other())
        sender.relay.wake()
        await until(lambda: len(slept) >= len(pauses))
        assert slept[: len(pauses)] == pauses
        sender.writer.shut.clear()
        await until(lambda: sender.held(OTHER) == there)


async def test_what_no_topic_takes_is_set_aside_and_the_lane_goes_on(sender: Sender) -> None:
    sender.writer.never_taken = frozenset({b"never"})
    async with sender.at_work():
        ids = await sender.enqueue(draft(), draft(body=b"never"), draft(), draft())
        sender.relay.wake()
        await until(lambda: sender.held(LANE) == [ids[0], *ids[2:]])
    aside = {str(id_): row.aside for id_, row in sender.database.state.outbox.items() if row.aside}
    assert aside == {ids[1]: "record_too_large"}


async def test_what_was_set_aside_is_tried_once_at_each_start(sender: Sender) -> None:
    sender.writer.never_taken = frozenset({b"never"})
    async with sender.at_work():
        ids = await sender.enqueue(draft(body=b"never"), draft())
        sender.relay.wake()
        await until(lambda: sender.held(LANE) == ids[1:])
    sender.writer.never_taken = frozenset()
    async with sender.at_work():
        late = await sender.enqueue(draft())
        sender.relay.wake()
        await until(lambda: sender.held(LANE) == [*ids[1:], *late])
    sender.start_again()
    async with sender.at_work():
        await until(lambda: sender.held(LANE) == [*ids[1:], *late, ids[0]])


async def test_what_cannot_be_read_is_set_aside_and_no_defect_reaches_another_lane(sender: Sender) -> None:
    sender.store.raising = frozenset({OTHER})
    async with sender.at_work():
        await sender.enqueue(other())
        unreadable = draft()
        sender.store.unreadable = frozenset({unreadable.message_id})
        ids = await sender.enqueue(draft(), unreadable, *[draft() for _ in range(50)])
        sender.relay.wake()
        await until(lambda: sender.held(LANE) == [ids[0], *ids[2:]])
        await until(lambda: sender.relay.check().reason == "relay_defect")
    assert sender.database.state.outbox[unreadable.message_id].aside == "unreadable"


async def test_what_was_appended_before_the_broker_went_away_is_not_appended_again(sender: Sender) -> None:
    sender.faults = [Fault.NONE, Fault.FAILS, Fault.FAILS]
    ids = await sender.enqueue(*[draft() for _ in range(4)])
    assert await sender.relay.publish_once(LANE)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await sender.relay.publish_once(LANE)
    assert await sender.relay.publish_once(LANE)
    assert sender.held(LANE) == ids


async def test_a_topic_that_has_lost_its_end_gets_all_that_is_held_once_more(sender: Sender) -> None:
    before = await sender.enqueue(draft(), draft())
    await sender.relay.publish_once(LANE)
    sender.log.lose_everything()
    after = await sender.enqueue(draft())
    async with sender.at_work():
        sender.relay.wake()
        await until(lambda: set(sender.held(LANE)) == {*before, *after})
    assert sender.held(LANE)[1:] == before + after


async def test_a_statement_without_a_number_is_appended_at_once_and_kept_nowhere(sender: Sender) -> None:
    said = draft()
    await sender.relay.say(said)
    assert sender.held(LANE) == [str(said.message_id)]
    assert sender.database.state.outbox == {}


async def test_a_statement_finds_that_the_topic_has_lost_its_end(sender: Sender) -> None:
    before = await sender.enqueue(draft(), draft())
    await sender.relay.publish_once(LANE)
    await sender.relay.say(draft())
    assert await sender.store.lanes() == []
    sender.log.lose_everything()
    await sender.relay.say(draft())
    await sender.relay.publish_once(LANE)
    assert sender.held(LANE)[1:] == before


async def test_what_parties_say_waits_while_our_clock_is_ahead_and_until_its_time_has_come() -> None:
    sender = Sender(poll_s=0.001)
    sender.clock.advance(360)
    async with sender.at_work():
        (first,) = await sender.enqueue(edge())
        await until(lambda: sender.held(LANE) == [first])
        (said,) = await sender.enqueue(replace(draft(), created_at=AT))
        looks = sender.store.looks
        await until(lambda: sender.store.looks > looks + 5)
        assert sender.held(LANE) == [first]
        assert sender.relay.check() == Check("relay", True, "clock_off")
        sender.broker_clock.advance(360)  # now they agree, which whatever is appended next shows
        unnumbered = draft()
        await sender.relay.say(unnumbered)
        await until(lambda: sender.held(LANE) == [first, str(unnumbered.message_id), said])
        ahead, far = (
            replace(draft(), created_at=AT + timedelta(seconds=600)),
            replace(draft(), created_at=AT + AHEAD_WAITS * 2),
        )
        before = sender.store.looks
        ids = await sender.enqueue(ahead, far)
        await until(lambda: sender.store.looks > before + 5)
        assert sender.held(LANE)[3:] == []
        sender.clock.advance(600 - 360 - CLOCK_TOLERANCE.total_seconds())
        await until(lambda: sender.held(LANE)[3:] == ids)


async def test_edges_wait_while_our_clock_is_behind_and_all_else_leaves() -> None:
    sender, off_s = Sender(poll_s=0.001), 360
    sender.broker_clock.advance(off_s)
    async with sender.at_work():
        (first,) = await sender.enqueue(edge())
        await until(lambda: sender.held(LANE) == [first])
        assert sender.relay.check() == Check("relay", True, "clock_off")
        said = await sender.enqueue(draft(), edge(), draft())
        elsewhere = await sender.enqueue(other())
        await until(lambda: sender.held(OTHER) == elsewhere)
        await until(lambda: sender.held(LANE) == [first, said[0]])
        await asyncio.sleep(0.05)
        assert sender.held(LANE) == [first, said[0]]
        # The clock is set right: whatever is appended next shows it, and nobody has to do anything.
        sender.clock.advance(off_s)
        elsewhere += await sender.enqueue(other())
        await until(lambda: sender.held(LANE) == [first, *said])
        assert sender.relay.check() == Check("relay", True)


@pytest.mark.parametrize("off_s", [-360, 360])
async def test_an_edge_would_leave_if_nobody_looked_at_the_clocks(off_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the two tests above."""
    monkeypatch.setattr("shared.runtime.post.gate.CLOCK_TOLERANCE", timedelta(hours=1))
    sender = Sender(poll_s=0.001)
    (sender.clock if off_s > 0 else sender.broker_clock).advance(abs(off_s))
    async with sender.at_work():
        (first,) = await sender.enqueue(edge())
        await until(lambda: sender.held(LANE) == [first])
        ids = [first, *await sender.enqueue(replace(draft(), created_at=AT), edge())]
        await until(lambda: sender.held(LANE) == ids)
        assert sender.relay.check() == Check("relay", True)


async def test_edges_wait_while_the_documents_are_not_fresh() -> None:
    why = ["beat_late"]
    sender = Sender(poll_s=0.001, gate=Gate(lambda: why[0]))
    async with sender.at_work():
        ids = await sender.enqueue(draft(), edge())
        await until(lambda: sender.held(LANE) == ids[:1])
        assert sender.relay.check() == Check("relay", True, "beat_late")
        why[0] = ""
        await until(lambda: sender.held(LANE) == ids)


def test_how_long_an_append_took_is_not_taken_for_a_wrong_clock() -> None:
    gate = Gate()
    long = CLOCK_TOLERANCE * 5
    for began, ended, broker, off in [
        (AT, AT + long, AT, False),
        (AT, AT + long, AT + long, False),
        (AT, AT, AT + CLOCK_TOLERANCE, False),
        (AT, AT, AT + CLOCK_TOLERANCE + timedelta(seconds=1), True),
        (AT, AT, None, True),
        (AT, AT, AT - CLOCK_TOLERANCE - timedelta(seconds=1), True),
        (AT, AT, AT, False),
    ]:
        gate.measure(began, ended, broker)
        assert gate.reason() == ("clock_off" if off else "")


async def test_a_relay_that_finds_nothing_looks_more_and_more_rarely_until_something_waits() -> None:
    rare, steady = Sender(poll_s=0.01), Sender(poll_s=0.01, poll_s_max=0.01)
    async with rare.at_work(), steady.at_work():
        await until(lambda: steady.store.looks > 30)
        assert rare.store.looks * 2 < steady.store.looks
        # Another process has stored it: nobody wakes the relay.
        sent = await rare.enqueue(draft())
        await until(lambda: rare.held(LANE) == sent)
