"""Audit knows which numbers it has seen of everybody, and tells those that gave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from uuid import UUID

import pytest

from services.audit.ports import Telling
from services.audit.store.marks import PostgresMarks
from services.audit.timers import MarkTimer
from shared.contracts.base import Contract
from shared.contracts.delivery import GoneClear, GoneNumbers, MarksClear, SentMark, TakenMark
from shared.contracts.registry import GONE, MARKS, MessageType
from shared.envelope.headers import Attributes, decode_headers
from shared.exchange.accept import accept
from shared.exchange.compose import Addressing, compose
from shared.exchange.message import Draft, Record
from shared.kernel.clock import ManualClock
from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.database.transactions import Database
from shared.runtime.post.stamping import sign_unnumbered
from tests.services.audit.log import Log, identity
from tests.support.exchange_world import LONG_AFTER


@pytest.fixture
async def log(database: Database) -> Log:
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM pair_taken; DELETE FROM telling")
    return Log(database)


def facts(log: Log, count: int) -> list[Record]:
    return log.world.records([log.world.prepared().drafts[-1] for _ in range(count)])


def numbering(record: Record) -> Attributes:
    return decode_headers(record.headers, record.value or b"").attributes


#: Of what is said of delivery.
SAID = uuid7()
_numbers = count(2)


def said(log: Log, message: MessageType, clear: Contract, *, by: str = "hotline") -> Record:
    """A statement of an instance to audit: marks without a number, any other under one that no test looks at."""
    draft = compose(
        message,
        clear,
        Addressing(
            subject=uuid7(),
            sender=by,
            recipient="audit",
            directory=log.world.documents.directory,
            exercise=False,
            at=log.world.at,
        ),
    )
    (record,) = log.world.records([draft], by)
    epoch, number = (uuid7(), 0) if message == MARKS else (SAID, next(_numbers))
    return log.world.resigned(record, instance=by, epoch=epoch, sequence=number, previous=None)


def marks(*sent: SentMark, asking: bool = False) -> MarksClear:
    return MarksClear(sent=sent, taken=(), asking=asking, nonce=uuid7())


async def seen(log: Log, instance: str = "hotline") -> dict[tuple[str, str, UUID], tuple[int, tuple[object, ...]]]:
    return {
        (mark.sender, mark.recipient, mark.epoch): (mark.through, mark.holes)
        for mark in await PostgresMarks(log.database).marks_for(instance)
        if mark.epoch != SAID
    }


async def test_epochs_that_an_instance_makes_up_fill_no_table(log: Log) -> None:
    for _ in range(3):
        made_up = [SentMark(sender="hotline", recipient="audit", epoch=uuid7(), last=9, held=1) for _ in range(200)]
        await log.keep(said(log, MARKS, marks(*made_up)))
    assert len(await seen(log)) == 200, "one batch is let in whole, and no other"
    (record,) = facts(log, 1)
    await log.keep(record)
    assert numbering(record).epoch in {epoch for _, _, epoch in await seen(log)}, "a number that comes is counted"
    for _ in range(3):
        await log.keep(
            *(log.world.resigned(record, epoch=uuid7(), id=uuid7(), sequence=2, previous=None) for _ in range(60))
        )
    assert len(await seen(log)) == 201 + 60, "until there are 256: one batch more is let in whole"


async def test_recipients_that_an_instance_makes_up_fill_no_table(log: Log) -> None:
    to = [f"nobody-{number}.example" for number in range(200)]
    made_up = [SentMark(sender="hotline", recipient=each, epoch=uuid7(), last=9, held=1) for each in (*to, "audit")]
    await log.keep(said(log, MARKS, marks(*made_up)))
    gone = [GoneNumbers(sender="hotline", recipient=each, epoch=uuid7(), spans=((2, 3),)) for each in to]
    await log.keep(said(log, GONE, GoneClear(numbers=tuple(gone), ids=())))
    assert [recipient for _, recipient, _ in await seen(log)] == ["audit"]


async def test_audit_marks_what_it_has_seen_without_a_hole_and_names_the_holes(log: Log) -> None:
    records = facts(log, 6)
    await log.keep(*records[:2], *records[3:4], *records[5:])
    epoch = numbering(records[0]).epoch
    assert await seen(log) == {("hotline", "audit", epoch): (2, ((3, 3), (5, 5)))}
    await log.keep(*records[2:3])
    assert await seen(log) == {("hotline", "audit", epoch): (4, ((5, 5),))}
    await log.keep(*records)
    assert await seen(log) == {("hotline", "audit", epoch): (6, ())}


async def test_marks_are_of_everything_that_an_instance_numbers_and_of_nobody_elses(log: Log) -> None:
    filed = log.world.prepared()
    records = await log.file(filed)
    found = await seen(log)
    pairs = {(numbering(each).sender, numbering(each).recipient) for each in records}
    assert {(sender, recipient) for sender, recipient, _ in found} == pairs
    assert set(found.values()) == {(1, ())}
    assert await seen(log, "law_enforcement") == {}


async def test_a_number_that_was_given_and_never_came_is_a_hole_though_nothing_came_after(log: Log) -> None:
    (record,) = facts(log, 1)
    await log.keep(record)
    of = numbering(record)
    last = SentMark(sender=of.sender, recipient=of.recipient, epoch=of.epoch, last=4, held=1)
    await log.keep(said(log, MARKS, marks(last)))
    assert await seen(log) == {(of.sender, of.recipient, of.epoch): (1, ((2, 4),))}


async def test_numbers_that_nobody_holds_any_more_are_waited_for_no_longer(log: Log) -> None:
    records = facts(log, 4)
    await log.keep(records[0], records[3])
    of = numbering(records[0])
    gone = GoneNumbers(sender=of.sender, recipient=of.recipient, epoch=of.epoch, spans=((2, 3),))
    await log.keep(said(log, GONE, GoneClear(numbers=(gone,), ids=())))
    assert await seen(log) == {(of.sender, of.recipient, of.epoch): (4, ())}


async def test_another_instance_changes_nothing_of_numbers_that_are_not_its_own(log: Log) -> None:
    (record,) = facts(log, 1)
    await log.keep(record)
    of, unknown = numbering(record), uuid7()
    of_others = [
        SentMark(sender=of.sender, recipient=of.recipient, epoch=epoch, last=9, held=1) for epoch in (of.epoch, unknown)
    ]
    await log.keep(said(log, MARKS, marks(*of_others), by="industry"))
    gone = GoneNumbers(sender=of.sender, recipient=of.recipient, epoch=of.epoch, spans=((2, 3),))
    await log.keep(said(log, GONE, GoneClear(numbers=(gone,), ids=()), by="industry"))
    assert await seen(log) == {(of.sender, of.recipient, of.epoch): (1, ())}
    assert await seen(log, "industry") == {}


async def test_what_is_not_proven_is_not_seen(log: Log) -> None:
    records = facts(log, 2)
    await log.keep(records[0], replace(records[1], value=b"{}"))
    assert {through for through, _ in (await seen(log)).values()} == {1}


async def test_an_entry_keeps_the_proof_that_a_leaf_of_the_log_needs(log: Log) -> None:
    records = facts(log, 3)
    await log.keep(*records)
    rows = await log.database.fetch(
        "SELECT * FROM entry WHERE message_id = ANY($1) ORDER BY sequence", [identity(each)[0] for each in records]
    )
    for row, record in zip(rows, records, strict=True):
        proof = decode_headers(record.headers, record.value or b"").proof
        assert proof is not None
        kept = tuple(row[f"batch_{name}"] for name in ("root", "signature", "index", "size", "path"))
        assert kept == (proof.root, proof.signature, proof.index, proof.size, b"".join(proof.path))


class Listener:
    """Hears what audit says, unless it is away."""

    def __init__(self) -> None:
        self.heard: list[Draft] = []
        self.away = False

    async def say(self, drafts: Sequence[Draft]) -> None:
        if self.away:
            raise Unavailable("broker_unavailable")
        self.heard += drafts


def timer(log: Log, listener: Listener) -> MarkTimer:
    return MarkTimer(
        PostgresMarks(log.database),
        listener,
        instance="audit",
        directory=lambda: log.world.documents.directory,
        clock=ManualClock(log.world.at),
    )


def told(drafts: Sequence[Draft]) -> list[TakenMark]:
    clears = [MarksClear.model_validate_json(_clear(each)) for each in drafts]
    return [mark for clear in clears for mark in clear.taken]


def _clear(draft: Draft) -> str:
    return draft.body.decode().removeprefix('{"clear":').removesuffix("}")


async def test_news_are_told_once_and_again_when_there_are_more(log: Log) -> None:
    records, listener = facts(log, 3), Listener()
    clock = timer(log, listener)
    await log.keep(*records[:2])
    await clock.tell_due()
    await clock.tell_due()
    assert [(each.recipient, each.topic) for each in listener.heard] == [("hotline", "causeway.inbox.hotline.audit.v1")]
    assert [mark.through for mark in told(listener.heard)] == [2]
    await log.keep(records[2])
    await clock.tell_due()
    assert len(listener.heard) == 1  # not before ten seconds have passed
    await _pass(log, "11 s")
    await clock.tell_due()
    assert [mark.through for mark in told(listener.heard)] == [2, 3]


async def test_holes_are_told_again_every_minute(log: Log) -> None:
    records, listener = facts(log, 3), Listener()
    clock = timer(log, listener)
    await log.keep(records[0], records[2])
    await clock.tell_due()
    await _pass(log, "30 s")
    await clock.tell_due()
    assert len(listener.heard) == 1
    await _pass(log, "31 s")
    await clock.tell_due()
    assert [(mark.holes, mark.known) for mark in told(listener.heard)] == [(((2, 2),), 3)] * 2


async def test_whoever_asks_is_told_everything_and_that_it_is_the_answer(log: Log) -> None:
    records, listener = facts(log, 2), Listener()
    clock = timer(log, listener)
    await log.keep(*records)
    await clock.tell_due()
    question = marks(asking=True)
    await log.keep(said(log, MARKS, question))
    await clock.tell_due()
    await clock.tell_due()
    answers = [MarksClear.model_validate_json(_clear(each)).answers for each in listener.heard]
    assert answers == [None, question.nonce]
    assert [mark.through for mark in told(listener.heard)] == [2, 2]


async def test_what_could_not_be_told_is_told_later(log: Log) -> None:
    records, listener = facts(log, 1), Listener()
    clock, listener.away = timer(log, listener), True
    await log.keep(*records)
    await clock.tell_due()
    assert await clock.check() == ("marks", True, "marks_untold", None)
    listener.away = False
    await clock.tell_due()
    assert [mark.through for mark in told(listener.heard)] == [1]
    assert await clock.check() == ("marks", True, "", None)


async def test_what_cannot_be_told_one_keeps_nobody_else_waiting(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    clock, drafts = timer(log, listener), MarkTimer.drafts
    await log.keep(*facts(log, 1))
    await log.keep(said(log, GONE, GoneClear(numbers=(), ids=(uuid7(),)), by="industry"))

    def fails(self: MarkTimer, telling: Telling) -> list[Draft]:
        if telling.to == "hotline":
            raise ZeroDivisionError
        return drafts(self, telling)

    with monkeypatch.context() as defect:
        defect.setattr(MarkTimer, "drafts", fails)
        await clock.tell_due()
    assert [each.recipient for each in listener.heard] == ["industry"]
    assert await clock.check() == ("marks", True, "marks_untold", None)
    await clock.tell_due()
    assert [each.recipient for each in listener.heard] == ["industry", "hotline"]


async def test_many_numberings_are_told_in_parts(log: Log) -> None:
    rows = [TakenMark(sender="a.example", recipient="b.example", epoch=uuid7(), through=1) for _ in range(301)]
    drafts = timer(log, Listener()).drafts(Telling("hotline", tuple(rows)))
    assert [len(told([each])) for each in drafts] == [300, 1]


async def test_what_audit_says_is_read_by_whom_it_tells(log: Log) -> None:
    await log.keep(*facts(log, 1))
    listener = Listener()
    await timer(log, listener).tell_due()
    (draft,) = listener.heard
    said = sign_unnumbered(draft, uuid7(), instance="audit", key=log.world.keys["audit"].signing)
    record = Record(draft.topic, 0, 0, log.world.at, said.key, said.headers, said.value)
    reader = log.world.reader("hotline", clock=ManualClock(log.world.at + LONG_AFTER))
    received = accept(record, reader)
    assert (received.sender_instance, received.sequence, received.message) == ("audit", 0, MARKS)


async def _pass(log: Log, time: str) -> None:
    """Let this much time go by since everybody was told."""
    await log.database.fetch(f"UPDATE telling SET told_at = told_at - interval '{time}'")


async def test_marks_that_are_told_to_nobody_for_a_minute_are_no_readiness(log: Log) -> None:
    """As when each saying fails of a defect: the part is started again and again."""

    class Broken(Listener):
        async def say(self, drafts: Sequence[Draft]) -> None:
            raise TypeError

    await log.keep(*facts(log, 1))
    clock = timer(log, Broken())
    now = clock._clock
    assert isinstance(now, ManualClock)
    assert (await clock.check()).ok, "a process that does not tell marks has none that stand still"
    for ok in (True, False):
        with pytest.raises(TypeError):
            await clock.run()
        assert (await clock.check()).ok is ok
        now.advance(61)
