"""Audit reads streams by their real bytes: each number once, in order, with its place, chain and proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.core.envelope.content_proof import SharedProof
from shared.core.envelope.keys import SigningKey, VerifyKey
from shared.core.envelope.record_value import split_value
from shared.core.ids import uuid7
from shared.messaging.placement import covered_bytes
from shared.messaging.resync import ClosedIncarnation, Holdings
from shared.messaging.streams import Incoming, Lane, LaneEnd, Pair
from tests.services.audit.broker import Broker, Topic
from tests.services.audit.log import Log
from tests.support.exchange_world import FROM_HOTLINE, public_key
from tests.support.wire_records import Written, compose_altered, write_segment

MINE = FROM_HOTLINE["audit"]
TO_AUDIT, TO_POLICE = Pair("hotline", "audit"), Pair("hotline", "law_enforcement")
ORDINARY = 1


def facts(log: Log, count: int) -> list[Written]:
    """Return facts of the hotline in one segment: the proof first, then each fact."""
    return log.world.written([log.world.prepared().drafts[-1] for _ in range(count)])


async def taken(log: Log, pair: Pair = TO_AUDIT) -> Incoming:
    [found] = [each for each in await log.entries.incoming() if each.pair == pair]
    return found


async def kept(log: Log, pair: Pair = TO_AUDIT, incarnation: UUID | None = None) -> list[Any]:
    """Return the entries of one pair's ordinary stream in its present incarnation, ordered by number."""
    of = incarnation or log.world.streams.outgoing[pair].incarnation
    query = "SELECT * FROM entry WHERE (writer, addressee, incarnation) = ($1, $2, $3) ORDER BY lane, number"
    return list(await log.database.fetch(query, *pair, of))


async def reasons(log: Log, topic: Topic) -> list[tuple[int, str, int]]:
    rows = await log.database.fetch(
        "SELECT partition, reason, count FROM folded_record WHERE topic_id = $1 ORDER BY partition, reason",
        topic.topic_id,
    )
    return [(row["partition"], row["reason"], row["count"]) for row in rows]


def opening(log: Log, *pairs: Pair) -> list[Written]:
    return [each for pair in pairs for each in log.opening(pair)]


async def test_a_message_is_kept_at_its_place_with_its_chain_and_its_proof_and_nothing_sealed(log: Log) -> None:
    broker, written = Broker(), facts(log, 3)
    broker.append(*opening(log, TO_AUDIT), *written)
    await log.take(broker)
    rows = [row for row in await kept(log) if row["lane"] == ORDINARY]
    streams = log.world.streams.outgoing[TO_AUDIT]
    assert [(row["number"], row["incarnation"], row["kind"]) for row in rows] == [
        (number, streams.incarnation, "decision") for number in (1, 2, 3)
    ]
    assert rows[-1]["chain"] == streams.lanes[ORDINARY].chain == (await taken(log)).lanes[ORDINARY].chain
    for row, record in zip(rows, (each.record for each in written[1:]), strict=True):
        covered = covered_bytes(record.headers, record.value)
        [shared] = await log.database.fetch("SELECT * FROM content_proof WHERE proof_id = $1", row["proof_id"])
        proof = SharedProof(*shared).prove(row["digest"], row["salt"])
        assert proof is not None
        key = log.world.documents.directory.signing_key(proof.key_id)
        assert key is not None
        proof.check(covered, VerifyKey(key.public))
        sealed = split_value(record.value)[1]
        assert sealed
        values = *row.values(), *shared.values()
        assert not [value for value in values if isinstance(value, bytes) and sealed[:32] in value]


async def test_what_is_appended_again_leaves_no_row_and_what_skips_a_number_waits_for_it(log: Log) -> None:
    broker = Broker()
    one, two, three = (facts(log, 2) for _ in range(3))
    broker.append(*opening(log, TO_AUDIT), *one, *one, *three)
    await log.take(broker)
    state = await taken(log)
    assert [row["number"] for row in await kept(log) if row["lane"]] == [1, 2]
    assert (state.lanes[ORDINARY].through, state.lanes[ORDINARY].has_gap) == (2, True)
    broker.append(*two, *three)
    await log.take(broker)
    state = await taken(log)
    assert [row["number"] for row in await kept(log) if row["lane"]] == [1, 2, 3, 4, 5, 6]
    assert (state.lanes[ORDINARY].through, state.lanes[ORDINARY].has_gap) == (6, False)
    assert state.lanes[ORDINARY].next_offset == broker.topics[MINE].partitions[ORDINARY].end


async def test_a_stream_is_entered_with_the_first_number_of_its_urgent_lane(log: Log) -> None:
    broker, records = Broker(), facts(log, 1)
    broker.append(*records)
    await log.take(broker)
    assert (await taken(log)).incarnation is None
    broker.append(*opening(log, TO_AUDIT), *records)
    await log.take(broker)
    assert [row["number"] for row in await kept(log)] == [1, 1]


async def test_of_a_segment_that_is_cut_by_a_restart_each_message_is_kept_once(log: Log) -> None:
    """The proof lies before the stored position. Without it, the rest of the segment could not be verified."""
    broker, records = Broker(), facts(log, 4)
    broker.append(*opening(log, TO_AUDIT), *records[:3])
    await log.take(broker)
    assert [row["number"] for row in await kept(log) if row["lane"]] == [1, 2]
    broker.append(*records[3:])
    await log.take(broker)
    assert [row["number"] for row in await kept(log) if row["lane"]] == [1, 2, 3, 4]
    assert await reasons(log, broker.topics[MINE]) == []


async def test_a_key_counts_by_the_directory_of_the_brokers_time(log: Log) -> None:
    before, after, early = (facts(log, 1) for _ in range(3))
    new_keys = (public_key(SigningKey.generate().verify_key, "sign"),)
    instances = [
        each.model_copy(update={"keys": new_keys}) if each.id == "hotline" else each
        for each in log.world.document.instances
    ]
    changed = log.world.document.model_copy(update={"version": 2, "instances": tuple(instances)})
    log.world.place(changed, log.world.at + timedelta(hours=1))
    broker, at = Broker(), log.world.at
    broker.append(*early, at=at - timedelta(days=365))
    broker.append(*opening(log, TO_AUDIT), *before, at=at)
    broker.append(*after, at=at + timedelta(hours=2))
    await log.take(broker)
    assert [row["number"] for row in await kept(log) if row["lane"]] == [1]
    # A proof, and a message that it would prove; each before the first directory and after the change.
    unknown, missing = (1, "key_unknown", 1), (1, "proof_missing", 1)
    assert await reasons(log, broker.topics[MINE]) == [unknown, unknown, missing, missing]


async def test_a_time_that_a_producer_stated_takes_no_number(log: Log) -> None:
    broker, records = Broker(), facts(log, 1)
    broker.append(*opening(log, TO_AUDIT), *records)
    partition = broker.topics[MINE].partitions[ORDINARY]
    partition.records = [replace(each, time_stated=True) for each in partition.records]
    await log.take(broker)
    assert (await taken(log)).lanes[ORDINARY].through == 0
    assert await reasons(log, broker.topics[MINE]) == [(1, "broker_time_stated", 2)]


async def test_a_message_at_another_place_takes_no_number(log: Log) -> None:
    """One message is moved to the topic of another pair; one has another number."""
    broker, (proof, message) = Broker(), facts(log, 1)
    elsewhere = [each._replace(pair=TO_POLICE) for each in (proof, message)]
    headers = tuple(
        (name, value[:32] + (2).to_bytes(8).hex().encode() if name == "place" else value)
        for name, value in message.record.headers
    )
    renumbered = message._replace(record=message.record._replace(headers=headers))
    broker.append(*opening(log, TO_AUDIT, TO_POLICE), *elsewhere, proof, renumbered)
    await log.take(broker)
    assert (await taken(log)).lanes[ORDINARY].through == (await taken(log, TO_POLICE)).lanes[ORDINARY].through == 0
    assert await reasons(log, broker.topics[MINE]) == [(1, "proof_missing", 1)]
    assert await reasons(log, broker.topics[FROM_HOTLINE["law_enforcement"]]) == [
        (1, "proof_missing", 1), (1, "topic_wrong", 1),
    ]  # fmt: skip


def offers(log: Log, count: int) -> list[Written]:
    """Return segments from the hotline to the police, in the ordinary lane."""
    written = [each for _ in range(count) for each in log.world.written([log.world.offered("police-nl.example")])]
    return [each for each in written if each.lane == Lane.ORDINARY]


async def test_copies_in_audits_own_topic_are_taken_as_if_they_stood_in_the_topic_of_their_pair(log: Log) -> None:
    broker, records = Broker(), offers(log, 3)
    copies = [each.record for each in records]
    broker.append(*opening(log, TO_AUDIT, TO_POLICE), *records[:2], *records[4:])
    await log.take(broker)
    assert [row["number"] for row in await kept(log, TO_POLICE) if row["lane"]] == [1]
    copied = [Written(TO_AUDIT, Lane.ORDINARY, each) for each in copies]
    between = facts(log, 1)
    broker.append(*between, *copied)
    await log.take(broker)
    rows = [row for row in await kept(log, TO_POLICE) if row["lane"]]
    assert [(row["number"], row["topic"] == MINE, row["verified"]) for row in rows] == [
        (1, False, True), (2, True, True), (3, True, True),
    ]  # fmt: skip
    assert [row["number"] for row in await kept(log) if row["lane"]] == [1]
    assert await reasons(log, broker.topics[MINE]) == []


async def test_a_copy_that_another_instance_appends_is_none(log: Log) -> None:
    broker, records = Broker(), offers(log, 1)
    broker.append(*opening(log, TO_POLICE))
    broker.append(*(Written(Pair("industry", "audit"), Lane.ORDINARY, each.record) for each in records))
    await log.take(broker)
    assert not [row for row in await kept(log, TO_POLICE) if row["lane"]]


def as_copies(records: list[Written]) -> list[Written]:
    """Return the records as their writer appends copies of them to audit's own topic."""
    return [each._replace(pair=TO_AUDIT) for each in records]


async def test_a_copy_of_an_unknown_incarnation_changes_nothing(log: Log) -> None:
    """Otherwise a writer could make audit close the incarnation that the recipient reads."""
    broker = Broker()
    broker.append(*opening(log, TO_AUDIT, TO_POLICE), *offers(log, 1))
    await log.take(broker)
    before = await taken(log, TO_POLICE)
    own = log.world.streams.outgoing.pop(TO_POLICE)
    broker.append(*as_copies(opening(log, TO_POLICE)))
    await log.take(broker)
    assert await taken(log, TO_POLICE) == before
    log.world.streams.outgoing[TO_POLICE] = own
    broker.append(*offers(log, 1))
    await log.take(broker)
    assert [row["number"] for row in await kept(log, TO_POLICE) if row["lane"]] == [1, 2]


@pytest.mark.parametrize("addressee", ["nobody", "x\0y", "a.b"])
async def test_copies_of_pairs_that_a_writer_makes_up_fill_no_table(log: Log, addressee: str) -> None:
    """The signature is valid, but no such topic exists."""
    broker, [record] = Broker(), log.world.records([log.world.offered("police-nl.example")])
    key, made_up = log.world.keys["hotline"].signing, Pair("hotline", addressee)
    headers = [(name, value or b"") for name, value in record.headers if name not in ("salt", "place")]
    unplaced = compose_altered(replace(record, partition=0), headers, record.value or b"", pair=made_up, key=key)
    segment = log.world.streams.place(unplaced, log.world.at)
    copies = [each._replace(pair=TO_AUDIT, lane=Lane.ORDINARY) for each in write_segment(segment, key)]
    broker.append(*opening(log, TO_AUDIT), *copies, *facts(log, 1))
    await log.take(broker)
    assert {each.pair for each in await log.entries.incoming()} == {TO_AUDIT}
    assert [row["number"] for row in await kept(log) if row["lane"]] == [1]


def left(log: Log, incarnation: UUID, *ends: LaneEnd) -> Holdings:
    """Return an instance's statement that it left an incarnation at these ends of its lanes."""
    urgent, ordinary = ends
    return Holdings(uuid7(), is_last=True, closed=(ClosedIncarnation(incarnation, (urgent, ordinary)),))


async def losses(log: Log, incarnation: UUID) -> list[tuple[Any, ...]]:
    rows = await log.database.fetch(
        "SELECT writer, addressee, lane, first, last FROM loss WHERE incarnation = $1 ORDER BY lane, last", incarnation
    )
    return [tuple(row) for row in rows]


async def test_what_a_reader_has_taken_of_a_closed_incarnation_and_audit_never_had_is_a_loss(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_POLICE), *offers(log, 2))
    await log.take(broker)
    old = log.world.streams.outgoing.pop(TO_POLICE)
    urgent, ordinary = (LaneEnd(lane.last, lane.chain) for lane in old.lanes)
    other = LaneEnd(ordinary.number, bytes(32))
    beyond = LaneEnd(ordinary.number + 3, bytes(32))
    for stated in ((urgent, ordinary), (urgent, other), (urgent, beyond)):
        broker.append(*log.control(left(log, old.incarnation, *stated), by="law_enforcement", to="hotline"))
    # The reports are numbered from 1, in a pair that has no other messages.
    await log.take(broker)
    assert await losses(log, old.incarnation) == [], "audit still reads that incarnation"
    broker.append(*opening(log, TO_POLICE))
    await log.take(broker)
    assert await losses(log, old.incarnation) == [
        (*TO_POLICE, ORDINARY, 1, ordinary.number),
        (*TO_POLICE, ORDINARY, ordinary.number + 1, beyond.number),
    ]
