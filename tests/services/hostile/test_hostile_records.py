"""Every row of the record table, written to Kafka between good records, against a real instance.

An instance that signs any input writes them in its stream, with junk between them. Each record has its outcome, the
good ones are applied once, and no other instance is informed.
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

from shared.core.clock import SystemClock
from shared.core.ids import uuid7
from shared.core.protocol.accept import ReadingInstance
from shared.core.protocol.accept import _authenticate as authenticate
from shared.core.protocol.authority import inbox_topic
from shared.core.protocol.record_table import RECORD_TABLE, Fate, row_for
from shared.delivery.arriving import ENCRYPTED, unpack
from shared.delivery.judgement import kind_of
from shared.messaging.acks import ACK
from shared.messaging.exceptions import OutcomeKind
from shared.messaging.placement import KIND, PROOF
from shared.platform.observability.logs import configure_logs
from tests.services.hostile import records
from tests.services.hostile.records import of
from tests.services.hostile.target import (
    INSTANCE,
    POLICY_VERSION,
    Target,
    as_they_are,
    prepared_target,
    running,
    under,
    until,
)
from tests.services.hostile.test_header_names import RawName, batch_of
from tests.support.builders import POLICE
from tests.support.exchange_world import LOCATION

Property = Callable[[str, object], None]

#: A topic for replies that the instance must not use.
REPLY = inbox_topic("industry", INSTANCE)


@dataclass(frozen=True)
class Aftermath:
    """The written records by the offset of each message, and their outcomes."""

    target: Target
    written: dict[int, records.Hostile]
    exceptions: dict[int, asyncpg.Record]
    told: dict[UUID, tuple[str, str | None]]
    told_times: Counter[UUID]

    def of(self, code: str | None) -> list[tuple[int, records.Hostile]]:
        return [(offset, each) for offset, each in self.written.items() if each.code == code]


@pytest.fixture(scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    configure_logs(instance="hostile")
    async with prepared_target(tmp_path_factory.mktemp("hostile")) as prepared:
        yield prepared


@pytest.fixture(scope="module")
async def aftermath(target: Target) -> AsyncIterator[Aftermath]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        await target.publish(target.world.policy.model_copy(update={"version": 78}), records.hours_ago(target.world, 1))
        await target.publish(target.world.policy.model_copy(update={"version": 77}), records.hours_ago(target.world, 2))
        # The reader enters the hotlines' incarnation with the first urgent message.
        await target.write(target.good([records.taken_back(uuid7())]))
        async with running(target, monkeypatch):
            await until(lambda: has_entered(target))
        # The records are made in the order of writing, because each takes the next number of the stream.
        together = [one for make in records.hostile(target) for one in (make(), records.fresh(target))]
        offsets = await target.write([each for one in together for each in one.written])
        lasts: dict[int, records.Hostile] = {}
        for one in together:
            count = len(one.written)
            lasts[offsets[count - 1]], offsets = one, offsets[count:]
        target.batches.clear()
        monkeypatch.setattr("shared.core.protocol.accept._authenticate", breaking_stage)
        async with running(target, monkeypatch):
            await until(lambda: has_read(target, max(lasts)))
            await until(lambda: has_sent_everything(target))
            told = await target.told()
            yield Aftermath(
                target,
                lasts,
                await target.exceptions(),
                {each.message_id: (each.outcome, each.code) for each in told},
                Counter(each.message_id for each in told),
            )


def breaking_stage(reading: Any, reader: ReadingInstance) -> None:
    if reading.record.key == records.BROKEN_KEY:
        raise ZeroDivisionError
    authenticate(reading, reader)


async def has_entered(target: Target) -> bool:
    return bool(await target.rows("SELECT FROM receive_state WHERE writer = 'hotline' AND incarnation IS NOT NULL"))


async def has_read(target: Target, offset: int) -> bool:
    """Return whether all records up to this offset were read and committed."""
    return await target.position() > offset


async def has_sent_everything(target: Target) -> bool:
    """Return whether every committed message has been appended."""
    return not await target.rows("SELECT FROM stream WHERE last > sent")


def test_the_records_lay_in_one_consumed_batch(aftermath: Aftermath, record_property: Property) -> None:
    read = {record.offset for record in aftermath.target.batches[0]}
    assert read.issuperset(aftermath.written)
    hostile_ones = sum(each.code is not None for each in aftermath.written.values())
    record_property("figure", f"{hostile_ones} hostile ones among {len(aftermath.written)} messages of one batch")


def test_every_row_of_the_table_was_tried(aftermath: Aftermath) -> None:
    tried = {each.code for each in aftermath.written.values() if each.code}
    assert (
        set(RECORD_TABLE) - tried
        == {"topic_wrong", "document_unknown"} | records.OF_THE_BROKER | records.OF_A_HISTORY | records.OF_A_MOVE
    )


async def test_every_good_record_was_applied_once(aftermath: Aftermath) -> None:
    good = [each for _, each in aftermath.of(None)]
    assert len(good) > 50
    assert not {each.message_id for each in good} & aftermath.told.keys()
    taken = sum(each.is_taken for each in aftermath.written.values())
    assert await aftermath.target.taken() == taken


async def test_the_effects_are_those_of_the_applied_records_and_no_others(aftermath: Aftermath) -> None:
    good = {each.referral_id for _, each in aftermath.of(None)}
    assert await aftermath.target.referrals() == good


def test_what_cannot_be_applied_is_an_exception_with_its_code_and_nothing_else_is(aftermath: Aftermath) -> None:
    for offset, each in aftermath.written.items():
        kept = aftermath.exceptions.get(offset)
        kind = kind_of(each.code) if each.is_taken and each.code else None
        is_kept = kind in (OutcomeKind.DEAD, OutcomeKind.DEFERRED)
        assert (kept is not None) is is_kept, each.code
        if kept is not None and each.code is not None:
            assert (kept["outcome"], kept["code"]) in records.expected(each.code)


def test_what_is_kept_of_a_message_is_sealed(aftermath: Aftermath) -> None:
    """A message is encrypted if it passed signature and guard, or if it waits. For any other, no value is stored."""
    kept = {offset: _is_whole(row) for offset, row in aftermath.exceptions.items()}
    assert set(kept.values()) == {True, False}
    for offset, row in aftermath.exceptions.items():
        value = aftermath.written[offset].written[-1].record.value
        assert row["record"].startswith(ENCRYPTED) is kept[offset], row["code"]
        if kept[offset]:
            assert value not in row["record"]
        else:
            assert unpack(row["record"]).value is None
        assert LOCATION.encode() not in row["record"]


def _is_whole(row: asyncpg.Record) -> bool:
    return row["outcome"] != OutcomeKind.DEAD or row_for(row["code"]).keeps_body


def test_what_is_refused_is_told_with_its_code(aftermath: Aftermath) -> None:
    for each in aftermath.written.values():
        if each.code is not None and each.is_taken and row_for(each.code).fate is Fate.REFUSE:
            assert each.message_id is not None
            assert aftermath.told[each.message_id] == ("refused", each.code)


def test_nobody_is_told_of_what_proves_nothing(aftermath: Aftermath) -> None:
    unproven = {each.message_id for each in aftermath.written.values() if not each.is_taken}
    assert unproven
    assert not unproven & aftermath.told.keys()


def test_each_message_that_is_not_applied_is_told_once(aftermath: Aftermath) -> None:
    taken = [each for each in aftermath.written.values() if each.is_taken and each.code is not None]
    assert len(aftermath.told_times) == len(taken)
    assert set(aftermath.told_times.values()) == {1}


async def test_a_reply_to_header_makes_nothing_be_published(aftermath: Aftermath) -> None:
    target = aftermath.target
    before = len(await target.held(REPLY))
    one = records.fresh(target)
    proof, message = one.written
    headers = (*message.record.headers, ("reply_to", REPLY.encode()), ("correlation_id", b"1"))
    await target.write([proof, message._replace(record=message.record._replace(headers=headers))])
    await until(lambda: holds(target, one))
    await until(lambda: has_sent_everything(target))
    fresh_ones = (await target.held(REPLY))[before:]
    assert all(dict(raw.headers).get(KIND) in (ACK, PROOF) for _, raw in fresh_ones)


async def test_a_header_name_that_is_not_utf_8_stops_nothing(aftermath: Aftermath) -> None:
    target = aftermath.target
    before = set(await target.exceptions())
    one, after = records.fresh(target), records.fresh(target)
    proof, message = one.written
    await target.write([proof])
    await target.write_raw(batch_of([*message.record.headers, (RawName("x"), b"1")]))
    # The unreadable record took no number, so the writer appends it again.
    await target.write([*one.written, *after.written])
    await until(lambda: holds(target, after))
    assert await holds(target, one)
    assert set(await target.exceptions()) == before


async def holds(target: Target, one: records.Hostile) -> bool:
    return one.referral_id in await target.referrals()


@pytest.mark.timing
async def test_a_record_whose_document_is_not_there_yet_waits_and_holds_back_nothing(aftermath: Aftermath) -> None:
    target = aftermath.target
    coming = target.world.policy.model_copy(update={"version": POLICY_VERSION + 1})
    later = under(target.world, coming)
    waiting, beside = of(target, later.offered(POLICE), world=later), records.fresh(target)
    await target.write([*waiting.written, *beside.written])
    await until(lambda: holds(target, beside))
    assert waiting.message_id is not None
    assert await target.exception(waiting.message_id) == ("waiting", "document_unknown")
    await target.publish(coming, SystemClock().now() - timedelta(seconds=1))
    await until(lambda: holds(target, waiting))
    await until(lambda: told_as(target, waiting, ("applied", None)))


async def told_as(target: Target, one: records.Hostile, outcome: tuple[str, str | None]) -> bool:
    return one.message_id is not None and (await target.told_last()).get(one.message_id) == outcome


async def test_a_dead_letter_is_applied_once_its_cause_is_mended(aftermath: Aftermath) -> None:
    target = aftermath.target
    ((offset, one),) = aftermath.of("handler_defect")
    assert one.message_id is not None
    target.cursed.discard(one.message_id)
    desk = target.app.machinery.exceptions(target.door)
    (row,) = await desk.list(outcome="dead", code="handler_defect")
    assert row.taken.where.offset == offset
    await desk.retry([row])
    assert await holds(target, one)
    assert offset not in await target.exceptions()
    await until(lambda: told_as(target, one, ("applied", None)))


async def test_what_was_taken_back_while_it_was_dead_is_refused_and_stays_taken_back(aftermath: Aftermath) -> None:
    target = aftermath.target
    one = records.fresh(target)
    assert one.message_id is not None
    target.cursed.add(one.message_id)
    await target.write(one.written)
    await until(lambda: told_as(target, one, ("dead", "handler_defect")))
    await target.write(target.good([records.taken_back(UUID(one.referral_id))]))
    await until(lambda: told_as(target, one, ("refused", "withdrawn")))
    target.cursed.discard(one.message_id)
    assert await target.exception(one.message_id) is None
    assert not await holds(target, one)


async def test_a_record_that_is_still_wrong_stays_dead_and_nothing_more_happens(aftermath: Aftermath) -> None:
    target = aftermath.target
    await until(lambda: has_sent_everything(target))
    told = await target.told()
    desk = target.app.machinery.exceptions(target.door)
    for code in ("signature_invalid", "edge_not_reproducible", "accept_defect"):
        rows = await desk.list(outcome="dead", code=code)
        assert rows
        await desk.retry(rows)
        after = await target.exceptions()
        assert all(after[row.taken.where.offset]["code"] == code for row in rows)
    await until(lambda: has_sent_everything(target))
    assert await target.told() == told


@pytest.mark.timing
async def test_a_flood_of_hostile_records_grows_no_memory(aftermath: Aftermath) -> None:
    target = aftermath.target
    (good,) = target.aside().records([target.aside().offered(POLICE)])

    async def flood() -> int:
        offsets = await target.write([as_they_are(replace(good, value=b"%d" % number)) for number in range(1000)])
        await until(lambda: has_read(target, offsets[-1]))
        target.batches.clear()
        gc.collect()
        return len(gc.get_objects())

    await flood()
    before = await flood()
    # Concurrent work allocates and frees objects. One object per record would be at least 3,000 after the third flood.
    assert min([await flood() for _ in range(5)][2:]) - before < 2000
