"""Audit acknowledges accepted messages to each writer, and shows messages that readers acknowledged as applied."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.audit import intake
from services.audit.bus import AckWriter
from services.audit.domain.partitions import PartitionStatus
from shared.core.errors import Unavailable
from shared.core.ids import uuid7
from shared.messaging.acks import Ack, AckEffects, AckTurn, apply_ack, build_ack, build_ack_record, parse_ack_record
from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, OutcomeList
from shared.messaging.ports import AppendPosition
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import Incoming, Lane, LaneEnd, OutgoingLane, Pair, Reader, WireRole
from tests.services.audit.broker import Broker
from tests.services.audit.log import Log
from tests.services.audit.test_intake import ORDINARY, TO_AUDIT, TO_POLICE, facts, opening
from tests.support.exchange_world import FROM_HOTLINE
from tests.support.manual_clock import ManualClock
from tests.support.wire_records import Written

FROM_POLICE = Pair("law_enforcement", "hotline")


class Topics:
    """The topics that audit writes. Those in `down` are always unavailable."""

    def __init__(self, *down: str) -> None:
        self.appended: list[tuple[Pair, RecordBytes]] = []
        self.down = set(down)
        self.is_closed = False

    async def append_bytes(self, topic: Pair, lane: Lane, records: Sequence[RecordBytes]) -> AppendPosition:
        assert lane is Lane.URGENT
        if topic.addressee in self.down:
            raise Unavailable("broker_refuses")
        self.appended += [(topic, record) for record in records]
        return AppendPosition(uuid7(), 0, len(records))

    async def close(self) -> None:
        self.is_closed = True

    def acks(self, log: Log) -> list[Ack]:
        return [parse_ack_record(each.value, log.world.place_key, log.world.at) for _, each in self.appended]


def writer(log: Log, topics: Topics) -> tuple[AckWriter, ManualClock]:
    clock = ManualClock(log.world.at)
    return AckWriter(log.entries, topics, key=log.world.keys["audit"].signing, clock=clock), clock


def applied(log: Log, ack: Ack, pair: Pair = TO_AUDIT) -> AckEffects:
    """Apply an acknowledgement to the writer's own streams."""
    own = log.world.streams.outgoing[pair]
    for lane in own.lanes:
        lane.sent = lane.last
    reader = Reader.RECIPIENT if pair.addressee == "audit" else Reader.AUDIT
    chains = {lane: own.lanes[lane].chain for lane in Lane}
    return apply_ack(own, ack, reader, known=frozenset(), chains=chains, now=log.world.at)


async def test_a_writer_learns_how_far_audit_has_both_of_its_lanes(log: Log) -> None:
    broker, topics = Broker(), Topics()
    broker.append(*opening(log, TO_AUDIT), *facts(log, 3))
    await log.take(broker)
    acks, _ = writer(log, topics)
    await acks.give_due()
    assert [topic for topic, _ in topics.appended] == [Pair("audit", "hotline")]
    [ack] = topics.acks(log)
    assert (ack.reader, ack.pair, [lane.through for lane in ack.lanes]) == ("audit", TO_AUDIT, [1, 3])
    assert applied(log, ack) == AckEffects()
    assert [lane.acked for lane in log.world.streams.outgoing[TO_AUDIT].lanes] == [1, 3]


async def test_what_goes_to_others_is_acknowledged_to_its_writer_too(log: Log) -> None:
    broker, topics = Broker(), Topics()
    broker.append(*opening(log, TO_AUDIT, TO_POLICE))
    await log.take(broker)
    await writer(log, topics)[0].give_due()
    acks = {ack.pair: ack for ack in topics.acks(log)}
    assert acks.keys() == {TO_AUDIT, TO_POLICE}
    assert {topic for topic, _ in topics.appended} == {Pair("audit", "hotline")}
    applied(log, acks[TO_POLICE], TO_POLICE)
    assert log.world.streams.outgoing[TO_POLICE].lanes[Lane.URGENT].audit_acked == 1


async def test_news_are_told_once_and_more_of_them_ten_seconds_later(log: Log) -> None:
    broker, topics = Broker(), Topics()
    acks, clock = writer(log, topics)
    for through in (1, 2):
        broker.append(*(opening(log, TO_AUDIT) if through == 1 else ()), *facts(log, 1))
        await log.take(broker)
        await acks.give_due()
        await acks.give_due()
    assert [ack.lanes[ORDINARY].through for ack in topics.acks(log)] == [1]
    clock.advance(11)
    await acks.give_due()
    await acks.give_due()
    assert [ack.lanes[ORDINARY].through for ack in topics.acks(log)] == [1, 2]


async def test_a_gap_is_told_within_a_second_or_two_and_what_was_lost_is_asked_for(log: Log) -> None:
    broker, topics = Broker(), Topics()
    acks, clock = writer(log, topics)
    broker.append(*opening(log, TO_AUDIT), *facts(log, 1))
    await log.take(broker)
    await acks.give_due()
    facts(log, 1)
    broker.append(*facts(log, 1))
    await log.take(broker)
    clock.advance(2)
    await acks.give_due()
    last = topics.acks(log)[-1]
    assert (last.lanes[ORDINARY].through, last.lanes[ORDINARY].has_gap) == (1, True)


def stated(
    log: Log,
    by: str,
    to: str,
    *,
    taken: Sequence[OutgoingLane] = (),
    of: UUID | None = None,
    nonce: UUID | None = None,
    heads: tuple[UUID, int, int] | None = None,
) -> Written:
    """Return an acknowledgement by `by` of the streams of `to`, with the ends of its own streams."""
    incoming = Incoming(Pair(to, by), of)
    for lane, end in zip(incoming.lanes, taken, strict=False):
        lane.through, lane.chain = end.last, end.chain
    ack = build_ack(by, incoming, None, turn=AckTurn(False), nonce=uuid7(), now=log.world.at)
    ends = None if heads is None else tuple(LaneEnd(number, bytes(32)) for number in heads[1:])
    ack = replace(ack, nonce=nonce, own_incarnation=None if heads is None else heads[0], heads=ends)  # type: ignore[arg-type]
    return Written(Pair(by, to), Lane.URGENT, build_ack_record(ack, log.world.keys[by].signing))


async def test_a_probe_is_answered_with_its_nonce(log: Log) -> None:
    broker, topics, nonce = Broker(), Topics(), uuid7()
    acks, clock = writer(log, topics)
    broker.append(*opening(log, TO_AUDIT))
    await log.take(broker)
    await acks.give_due()
    broker.append(stated(log, "hotline", "audit", nonce=nonce))
    await log.take(broker)
    clock.advance(11)
    await acks.give_due()
    assert [ack.echo for ack in topics.acks(log)] == [None, nonce]


async def test_a_writer_that_cannot_be_told_keeps_no_other_waiting(log: Log) -> None:
    broker, topics = Broker(), Topics("hotline")
    acks, clock = writer(log, topics)
    broker.append(*opening(log, TO_AUDIT, FROM_POLICE))
    await log.take(broker)
    await acks.give_due()
    assert [topic.addressee for topic, _ in topics.appended] == ["law_enforcement"]
    assert await acks.check() == ("acks", True, "acks_untold", None)
    topics.down.clear()
    # the writer asks because it received no acknowledgement
    broker.append(stated(log, "hotline", "audit", nonce=uuid7()))
    await log.take(broker)
    clock.advance(61)
    await acks.give_due()
    assert await acks.check() == ("acks", True, "", None)


async def test_a_defect_in_one_writers_streams_stops_no_other(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, topics = Broker(), Topics()
    acks, _ = writer(log, topics)
    broker.append(*opening(log, TO_AUDIT, FROM_POLICE))
    await log.take(broker)
    gives = intake.acknowledge

    async def fails(pair: Pair, **given: Any) -> Any:
        if pair.writer == "hotline":
            raise ZeroDivisionError
        return await gives(pair, **given)

    with monkeypatch.context() as defect:
        defect.setattr(intake, "acknowledge", fails)
        await acks.give_due()
    assert [topic.addressee for topic, _ in topics.appended] == ["law_enforcement"]
    assert await acks.check() == ("acks", True, "acks_untold", None)
    await acks.give_due()
    assert [topic.addressee for topic, _ in topics.appended] == ["law_enforcement", "hotline"]


async def test_acknowledgements_that_stand_still_are_no_readiness(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    acks, clock = writer(log, Topics())
    assert (await acks.check()).ok, "a process that gives none has none that stand still"
    stop = asyncio.Event()

    async def hangs() -> None:
        await stop.wait()

    monkeypatch.setattr(acks, "give_due", hangs)
    monkeypatch.setattr("services.audit.bus.POLL_S", 0.0)
    giving = asyncio.create_task(acks.run())
    await asyncio.sleep(0)
    assert (await acks.check()).ok
    clock.advance(61)
    assert not (await acks.check()).ok
    giving.cancel()
    with suppress(asyncio.CancelledError):
        await giving
    assert (await acks.check()).ok


async def test_what_a_recipient_has_acknowledged_in_its_own_topic_is_applied(log: Log) -> None:
    broker, filed = Broker(), log.world.prepared()
    written = log.world.written(filed.drafts)
    broker.append(*opening(log, TO_AUDIT, TO_POLICE), *written)
    await log.take(broker)

    async def outcomes() -> set[str | None]:
        flow = await log.flow(filed.referral_id)
        mine = [each for each in flow if each["topic"] == FROM_HOTLINE["law_enforcement"]]
        assert mine
        return {each["outcome"] for each in mine}

    assert await outcomes() == {None}
    log.world.at += timedelta(seconds=5)
    streams = log.world.streams.outgoing[TO_POLICE]
    others = stated(log, "industry", "hotline", taken=streams.lanes, of=streams.incarnation)
    broker.append(others, at=log.world.at)
    await log.take(broker)
    assert await outcomes() == {None}, "another instance has not taken it"
    other_chains = [replace(lane, chain=bytes(32)) for lane in streams.lanes]
    broker.append(stated(log, *FROM_POLICE, taken=other_chains, of=streams.incarnation), at=log.world.at)
    await log.take(broker)
    assert await outcomes() == {None}, "it has taken other messages than audit"
    broker.append(stated(log, *FROM_POLICE, taken=streams.lanes, of=streams.incarnation), at=log.world.at)
    await log.take(broker)
    assert await outcomes() == {"applied"}
    facts_of_it = [each for each in await log.flow(filed.referral_id) if each["kind"] == "decision"]
    assert {each["outcome"] for each in facts_of_it} == {None}, "audit acknowledges to no auditor"


async def test_an_acknowledgement_of_before_replaces_none_of_later(log: Log) -> None:
    """A restored instance may have accepted less than before. Only its latest acknowledgement counts."""
    broker, filed = Broker(), log.world.prepared()
    broker.append(*opening(log, TO_POLICE), *log.world.written(filed.drafts))
    await log.take(broker)
    streams = log.world.streams.outgoing[TO_POLICE]
    for seconds, taken in ((5, streams.lanes), (9, ())):
        said = stated(log, "law_enforcement", "hotline", taken=taken, of=streams.incarnation)
        broker.append(said, at=log.world.at + timedelta(seconds=seconds))
        await log.take(broker)
    rows = await log.database.fetch(
        "SELECT through, matched_through FROM acknowledgement WHERE incarnation = $1", streams.incarnation
    )
    assert [tuple(row) for row in rows] == [(0, 0), (0, 0)]


async def test_a_message_stays_applied_while_audit_is_behind_its_recipient(log: Log) -> None:
    broker, filed = Broker(), log.world.prepared()
    broker.append(*opening(log, TO_POLICE), *log.world.written(filed.drafts))
    await log.take(broker)
    streams = log.world.streams.outgoing[TO_POLICE]
    for seconds in (5, 9):
        said = stated(log, "law_enforcement", "hotline", taken=streams.lanes, of=streams.incarnation)
        broker.append(said, at=log.world.at + timedelta(seconds=seconds))
        await log.take(broker)
        flow = await log.flow(filed.referral_id)
        mine = [each for each in flow if each["topic"] == FROM_HOTLINE["law_enforcement"]]
        assert {each["outcome"] for each in mine} == {"applied"}
        # The recipient already has the next messages; audit has not read them yet.
        log.world.written(log.world.prepared().drafts)


async def test_numbers_that_a_writer_has_stated_and_audit_has_not_seen_are_missing(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_POLICE))
    await log.take(broker)
    own = log.world.streams.outgoing[TO_POLICE].incarnation
    broker.append(stated(log, "hotline", "law_enforcement", heads=(own, 1, 4)))
    await log.take(broker)
    topic = FROM_HOTLINE["law_enforcement"]
    await log.partitions.note({(topic, lane): PartitionStatus.READING for lane in (0, 1)})
    states = {each.partition: each for each in await log.partitions.states() if each.topic == topic}
    assert {lane: each.missing_count for lane, each in states.items()} == {0: 0, 1: 4}
    assert states[0].topic_id == broker.topics[topic].topic_id
    assert states[0].next_offset == broker.topics[topic].partitions[0].end
    assert await log.partitions.list_incomplete() == {(topic, 1)}


async def test_all_numbers_of_an_incarnation_that_audit_has_not_entered_are_missing(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_POLICE), stated(log, "hotline", "law_enforcement", heads=(uuid7(), 2, 3)))
    await log.take(broker)
    assert await log.partitions.list_incomplete() == {(FROM_HOTLINE["law_enforcement"], lane) for lane in (0, 1)}


async def test_a_message_is_found_in_a_flow_by_what_was_reported_of_it(log: Log) -> None:
    """The report is read by its real bytes."""
    broker, filed = Broker(), log.world.prepared()
    offered = next(each for each in filed.drafts if each.recipient_instance == "law_enforcement")
    broker.append(*opening(log, TO_POLICE, FROM_POLICE), *log.world.written(filed.drafts))
    said = Outcome(
        NamedMessage(offered.message_id, WireRole.STATE, "referral_offered"), OutcomeKind.DEFERRED, "version_unknown"
    )
    broker.append(*log.control(OutcomeList((said,)), by="law_enforcement", to="hotline"))
    await log.take(broker)
    [line] = [each for each in await log.flow(filed.referral_id) if each["message_id"] == str(offered.message_id)]
    assert (line["outcome"], line["code"]) == ("deferred", "version_unknown")
