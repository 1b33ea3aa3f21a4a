"""Every row of the record table, written straight into Kafka beside good records, against a real instance.

All records lie in one consumed batch. Each has its outcome, the good ones are applied once, and nobody else is told.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from shared.contracts.registry import BY_TYPE, MESSAGE_PARKED, REFERRAL_WITHDRAWN, Family
from shared.envelope.headers import decode_headers
from shared.exchange.accept import ReadingInstance
from shared.exchange.accept import _authenticate as authenticate
from shared.exchange.compose import compose_receipts
from shared.exchange.message import Record
from shared.exchange.record_table import RECORD_TABLE, Fate, row_for
from shared.exchange.topics import inbox_topic
from shared.kernel.clock import SystemClock
from shared.kernel.ids import uuid7
from shared.runtime.post.quarantine import Replayed
from shared.runtime.watch.logs import configure_logs
from tests.services.hostile.target import (
    INSTANCE,
    POLICY_VERSION,
    Target,
    prepared_target,
    running,
    under,
    until,
    where,
)
from tests.services.hostile.test_header_names import RawName, batch_of
from tests.shared.exchange.wrong_records import WRONG
from tests.support.builders import POLICE, draft, verdict, withdrawal
from tests.support.exchange_world import World

Property = Callable[[str, object], None]

#: Where the instance answers, where it tells audit, and where a record asks in vain to be answered.
ANSWERS, FACTS, REPLY = (inbox_topic(to, INSTANCE) for to in ("hotline", "audit", "industry"))
#: What the broker itself would have to do, with its clock or the topic's settings.
OF_THE_BROKER = {"broker_time_stated", "broker_time_off"}
#: Rows that a record in this topic cannot show: it is in the right topic, it is not yet late, it would wait for long.
ELSEWHERE = {"topic_wrong", "decision_time_off", "document_unknown"} | OF_THE_BROKER
#: What only a subject's earlier messages can bring about.
OF_A_HISTORY = {"act_awaited", "revision_not_above", "subject_withdrawn"}
#: What only a directory that has moved a party, or is to move it, can bring about.
OF_A_MOVE = {"recipient_moved", "recipient_awaited"}
TOLD = {Fate.REFUSE: "refused", Fate.PARK: "parked", Fate.DEFER: "deferred"}
BROKEN_KEY = b"breaks our own check"


@dataclass(frozen=True)
class Aftermath:
    """What was written, by offset (the code it must have, None for a good one), and what came of it."""

    target: Target
    written: dict[int, tuple[str | None, Record]]
    inbox: dict[UUID, tuple[str, str | None]]
    quarantine: dict[int, asyncpg.Record]
    receipts: dict[UUID, tuple[str, str | None]]
    facts: list[str]

    def of(self, code: str | None) -> list[tuple[int, Record]]:
        return [(offset, record) for offset, (stated, record) in self.written.items() if stated == code]


@pytest.fixture(scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    configure_logs(instance="hostile")
    async with prepared_target(tmp_path_factory.mktemp("hostile")) as prepared:
        yield prepared


@pytest.fixture(scope="module")
async def aftermath(target: Target) -> AsyncIterator[Aftermath]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        await target.publish(target.world.policy.model_copy(update={"version": 78}), hours_ago(target.world, 1))
        await target.publish(target.world.policy.model_copy(update={"version": 77}), hours_ago(target.world, 2))
        records = hostile(target)
        good = [fresh(target.world) for _ in records]
        together = [each for pair in zip(records, ((None, one) for one in good), strict=True) for each in pair]
        offsets = await target.write([record for _, record in together])
        monkeypatch.setattr("shared.exchange.accept._authenticate", breaking_stage)
        async with running(target, monkeypatch):
            told = sum(code is None or row_for(code).receipt for code, _ in together)

            async def answered() -> bool:
                return len(await target.receipts()) >= told - repeated(records)

            await until(lambda: sum(map(len, target.batches)) >= len(together))
            await until(answered)
            await until(lambda: has_read(target, offsets[-1]))
            await until(lambda: has_sent_everything(target))
            stated = [(dict(record.headers)["ce_type"] or b"").decode() for record in await target.held(FACTS)]
            yield Aftermath(
                target,
                dict(zip(offsets, together, strict=True)),
                await target.inbox(),
                await target.quarantine(),
                await target.receipts(),
                [each for each in stated if BY_TYPE[each].family is Family.FACT],
            )


async def has_read(target: Target, offset: int) -> bool:
    """Whether all up to this offset was applied, refused or parked, and committed."""
    read = "SELECT FROM topic_cursor WHERE topic = $1 AND partition = 0 AND following > $2"
    return bool(await target.rows(read, where().topic, offset))


async def has_sent_everything(target: Target) -> bool:
    """Whether nothing that was committed waits to be published."""
    return not await target.rows("SELECT FROM lane JOIN lane_end USING (lane) WHERE last > appended")


def hours_ago(world: World, hours: float) -> Any:
    return world.at - timedelta(hours=hours)


def fresh(world: World) -> Record:
    """A good record of a referral of its own."""
    return world.records([world.offered(POLICE)])[0]


def withdrawn(world: World, referral_id: UUID) -> Record:
    """The record by which the origin takes a referral back."""
    return world.records([draft(referral_id, message=REFERRAL_WITHDRAWN, body=withdrawal(referral_id))])[0]


def id_of(record: Record) -> UUID:
    return decode_headers(record.headers, record.value or b"").attributes.id


def breaking_stage(reading: Any, reader: ReadingInstance) -> None:
    if reading.record.key == BROKEN_KEY:
        raise ZeroDivisionError
    authenticate(reading, reader)


def hostile(target: Target) -> list[tuple[str, Record]]:
    """One record or more for each row of the table."""
    here = target.world
    records = [(code, change(here, fresh(here))) for code, change in WRONG if code not in ELSEWHERE]
    early = fresh(replace(here, at=here.at + timedelta(minutes=9), shelf=type(here.shelf)()))
    lapsed = fresh(under(here, here.policy.model_copy(update={"version": 77})))
    taken, reused, repeated_one, cursed = (fresh(here) for _ in range(4))
    target.cursed.add(id_of(cursed))
    sequence = decode_headers(taken.headers, b"").attributes.sequence
    receipt = compose_receipts(
        "hotline",
        "law_enforcement",
        [verdict()],
        directory=here.documents.directory,
        at=here.at,
    )[0]
    stolen = here.resigned(withdrawn(here, uuid7()), id=id_of(taken))
    gap = fresh(here)
    gap = here.resigned(gap, sequence=decode_headers(gap.headers, b"").attributes.sequence + 10_000)
    return [
        *records,
        ("decision_time_off", early),
        ("document_lapsed", lapsed),
        ("sequence_gap", taken),
        ("sequence_reused", here.resigned(reused, sequence=sequence)),
        ("message_replayed", repeated_one),
        ("message_replayed", repeated_one),
        ("sequence_gap", gap),
        ("receipt_unmatched", here.records([receipt])[0]),
        ("handler_defect", cursed),
        ("accept_defect", replace(fresh(here), key=BROKEN_KEY)),
        ("message_id_reused", stolen),
    ]


def repeated(records: list[tuple[str, Record]]) -> int:
    """Messages that were written twice are receipted once."""
    return sum(code in ("message_replayed", "message_id_reused") for code, _ in records) - 1


def test_the_records_lay_in_one_consumed_batch(aftermath: Aftermath, record_property: Property) -> None:
    assert len(aftermath.target.batches[0]) == len(aftermath.written)
    assert [record.offset for record in aftermath.target.batches[0]] == list(aftermath.written)
    hostile_ones = sum(code is not None for code, _ in aftermath.written.values())
    record_property("figure", f"{hostile_ones} hostile ones among {len(aftermath.written)} records of one batch")


def test_every_row_of_the_table_was_tried(aftermath: Aftermath) -> None:
    tried = {code for code, _ in aftermath.written.values() if code}
    assert set(RECORD_TABLE) - tried == {"topic_wrong", "document_unknown"} | OF_THE_BROKER | OF_A_HISTORY | OF_A_MOVE


def test_every_good_record_was_applied_once(aftermath: Aftermath) -> None:
    good = [id_of(record) for _, record in aftermath.of(None)]
    assert len(good) > 50
    assert {aftermath.inbox[id_] for id_ in good} == {("applied", None)}
    assert {aftermath.receipts[id_] for id_ in good} == {("applied", None)}


async def test_the_effects_are_those_of_the_applied_records_and_no_others(aftermath: Aftermath) -> None:
    applied = [code for code in aftermath.written.values() if code[0] in (None, "sequence_gap", "message_replayed")]
    referrals = {(record.key or b"").decode() for _, record in applied}
    rows = await aftermath.target.rows("SELECT referral_id FROM case_file", role="accountant")
    assert sorted(str(row["referral_id"]) for row in rows) == sorted(referrals)
    assert Counter(outcome for outcome, _ in aftermath.inbox.values())["applied"] == len(referrals)


def test_what_is_parked_is_in_quarantine_with_its_reason_and_nothing_else_is(aftermath: Aftermath) -> None:
    codes = [code for code, _ in aftermath.written.values() if code is not None and row_for(code).fate is Fate.PARK]
    rows = aftermath.quarantine.values()
    assert Counter(
        {reason: sum(row["count"] for row in rows if row["reason"] == reason) for reason in codes}
    ) == Counter(codes)
    assert {row["reason"] for row in rows} == set(codes)
    # Each row names the first record of its kind.
    assert all(aftermath.written[offset][0] == row["reason"] for offset, row in aftermath.quarantine.items())


def test_a_record_is_kept_only_where_signature_and_guard_both_passed(aftermath: Aftermath) -> None:
    for offset, row in aftermath.quarantine.items():
        assert (row["body"] is not None) == RECORD_TABLE[row["reason"]].keeps_body, row["reason"]
        value = aftermath.written[offset][1].value or b""
        assert row["length_bytes"] == len(value)
        assert not row["body"] or (value not in row["body"])


def test_what_is_refused_is_receipted_with_its_code(aftermath: Aftermath) -> None:
    for offset, (code, record) in aftermath.written.items():
        if code is None or not row_for(code).receipt or row_for(code).fate not in TOLD:
            continue
        if code == "message_id_reused":
            continue  # the id is that of another message, which was applied: both are told, under one id
        outcome = TOLD[row_for(code).fate]
        assert aftermath.receipts[id_of(record)] == (outcome, code), (offset, code)


def test_nobody_is_told_of_what_nobody_signed(aftermath: Aftermath) -> None:
    known = {id_of(record) for code, record in aftermath.written.values() if code is None or row_for(code).receipt}
    assert aftermath.receipts.keys() <= known


def test_audit_is_told_once_of_each_parked_record(aftermath: Aftermath) -> None:
    assert Counter(aftermath.facts) == {MESSAGE_PARKED.type: len(aftermath.quarantine)}


async def test_a_reply_to_header_makes_nothing_be_published(aftermath: Aftermath) -> None:
    target = aftermath.target
    reply = (("reply_to", REPLY.encode()), ("correlation_id", b"1"))
    record = fresh(target.world)
    await target.write([replace(record, headers=(*record.headers, *reply))])
    await until(lambda: any(id_of(record) == id_of(each) for batch in target.batches[1:] for each in batch))
    await until(lambda: told(target, id_of(record)))
    assert await target.held(REPLY) == []
    # It would have been seen: what does lie in such a topic is found.
    assert await target.held(ANSWERS)


async def test_a_header_name_that_is_not_utf_8_stops_nothing(aftermath: Aftermath) -> None:
    target = aftermath.target
    record, after = fresh(target.world), fresh(target.world)
    before = await counted(target, "header_unknown")
    await target.write_raw(batch_of([*record.headers, (RawName("x"), b"1")]))
    await target.write([after])
    await until(lambda: told(target, id_of(after)))
    assert await counted(target, "header_unknown") == before + 1


async def counted(target: Target, reason: str) -> int:
    """How many records were parked for a reason."""
    return sum(row["count"] for row in (await target.quarantine()).values() if row["reason"] == reason)


async def told(target: Target, message_id: UUID) -> bool:
    return message_id in await target.receipts()


@pytest.mark.timing
async def test_a_record_whose_document_is_not_there_yet_waits_and_holds_back_nothing(
    aftermath: Aftermath,
) -> None:
    target = aftermath.target
    coming = target.world.policy.model_copy(update={"version": POLICY_VERSION + 1})
    waiting, beside = fresh(under(target.world, coming)), fresh(target.world)
    await target.write([waiting, beside])
    await until(lambda: told(target, id_of(beside)))
    await until(lambda: told_as(target, id_of(waiting), ("waiting", "document_unknown")))
    assert (await target.receipts())[id_of(beside)] == ("applied", None)
    await target.publish(coming, SystemClock().now() - timedelta(seconds=1))
    await until(lambda: told_as(target, id_of(waiting), ("applied", None)))


async def test_a_parked_record_is_replayed_once_its_cause_is_mended(aftermath: Aftermath) -> None:
    target = aftermath.target
    ((offset, record),) = aftermath.of("handler_defect")
    quarantine = target.app.machinery.quarantine(target.app.handler)
    assert [each.offset for each in await quarantine.page(reason="handler_defect")] == [offset]
    assert await quarantine.replay(where(), offset) is Replayed.DONE
    assert (await target.inbox())[id_of(record)] == ("applied", None)
    assert offset not in await target.quarantine()
    await until(lambda: told_as(target, id_of(record), ("applied", None)))


async def test_what_was_taken_back_while_it_was_parked_stays_taken_back_when_it_is_replayed(
    aftermath: Aftermath,
) -> None:
    target = aftermath.target
    offer = fresh(target.world)
    withdrawal = withdrawn(target.world, UUID((offer.key or b"").decode()))
    target.cursed.add(id_of(offer))
    (offset, _) = await target.write([offer, withdrawal])
    await until(lambda: told_as(target, id_of(withdrawal), ("applied", None)))
    target.cursed.discard(id_of(offer))
    quarantine = target.app.machinery.quarantine(target.app.handler)
    assert await quarantine.replay(where(), offset) is Replayed.DONE
    assert (await target.inbox())[id_of(offer)] == ("refused", "subject_withdrawn")
    files = await target.rows("SELECT referral_id::text FROM case_file", role="accountant")
    assert (offer.key or b"").decode() not in {row["referral_id"] for row in files}
    await until(lambda: told_as(target, id_of(offer), ("refused", "subject_withdrawn")))


async def told_as(target: Target, message_id: UUID, outcome: tuple[str, str | None]) -> bool:
    return (await target.receipts()).get(message_id) == outcome


async def test_a_record_that_nobody_kept_is_read_from_kafka_again(aftermath: Aftermath) -> None:
    target = aftermath.target
    ((offset, _),) = aftermath.of("accept_defect")
    assert aftermath.quarantine[offset]["body"] is None
    quarantine = target.app.machinery.quarantine(target.app.handler)
    assert await quarantine.replay(where(), offset) is Replayed.PARKED_AGAIN
    assert (await target.quarantine())[offset]["reason"] == "accept_defect"


async def test_a_record_that_is_still_wrong_is_parked_again_and_nothing_more_happens(aftermath: Aftermath) -> None:
    target = aftermath.target
    await until(lambda: has_sent_everything(target))
    facts = len(await target.held(FACTS))
    quarantine = target.app.machinery.quarantine(target.app.handler)
    for code in ("signature_invalid", "edge_not_reproducible", "message_id_reused", "receipt_unmatched"):
        for offset in [offset for offset, row in aftermath.quarantine.items() if row["reason"] == code]:
            assert await quarantine.replay(where(), offset) is Replayed.PARKED_AGAIN
            assert (await target.quarantine())[offset]["reason"] == code
    await until(lambda: has_sent_everything(target))
    assert len(await target.held(FACTS)) == facts


async def test_what_is_gone_from_kafka_cannot_be_replayed(aftermath: Aftermath) -> None:
    target = aftermath.target
    ((offset, _), *_) = aftermath.of("key_mismatch")
    await target.rows('UPDATE quarantine SET digest = $1 WHERE "offset" = $2', "0" * 64, offset)
    quarantine = target.app.machinery.quarantine(target.app.handler)
    assert await quarantine.replay(where(), offset) is Replayed.GONE


AT_REST = (
    "SELECT (SELECT coalesce(sum(count), 0) FROM quarantine),"
    " (SELECT coalesce(sum(last - appended), 0) FROM lane JOIN lane_end USING (lane))"
)


async def at_rest(target: Target, parked: int) -> bool:
    """Whether so many records are parked and everything about them was sent: nothing is in hand any more."""
    return [tuple(row) for row in await target.rows(AT_REST)] == [(parked, 0)]


@pytest.mark.timing
async def test_a_flood_of_hostile_records_grows_no_memory(aftermath: Aftermath) -> None:
    target = aftermath.target

    async def flood() -> int:
        record = fresh(target.world)
        junk = [replace(record, value=b"%d" % number) for number in range(1000)]
        ((parked, _),) = await target.rows(AT_REST)
        await target.write(junk)
        await until(lambda: at_rest(target, parked + len(junk)))
        target.batches.clear()
        gc.collect()
        return len(gc.get_objects())

    await flood()
    before = await flood()
    # What goes on beside it takes some and gives it back: one object a record would be 3,000 at least after the third.
    assert min([await flood() for _ in range(5)][2:]) - before < 2000
