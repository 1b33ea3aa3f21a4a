"""What a later release says, as audit of this one keeps it: with what is wrong named, and its proof whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import pytest

from services.audit.domain.entries import Entry, Read, folded_as
from services.audit.domain.reading import Reading, read_records
from shared.contracts import registry
from shared.contracts.registry import (
    EPOCH_OPENED,
    MARKS,
    MESSAGES_RECEIPTED,
    RECORD_REVEALED,
    REFERRAL_DECIDED,
    REFERRAL_OFFERED,
    REFERRAL_REFUSED,
)
from shared.envelope.sealing import Opener
from shared.exchange.compose import compose_receipts
from shared.exchange.message import Record
from shared.kernel.clock import ManualClock
from shared.kernel.ids import uuid7
from shared.runtime.database.transactions import Database
from shared.vocabulary.answers import ReceiptOutcome
from tests.services.audit.log import Log, identity
from tests.services.audit.test_entitled import fact, revealed, stated
from tests.services.audit.test_flows import to_police
from tests.services.audit.test_marks import marks, said
from tests.services.audit.test_marks_folded import folded
from tests.support.builders import HOTLINE, verdict
from tests.support.exchange_world import LONG_AFTER

#: What a later release may say: a member more of each of these.
GROWN: Final = (REFERRAL_DECIDED, REFERRAL_REFUSED, MESSAGES_RECEIPTED, REFERRAL_OFFERED, RECORD_REVEALED, EPOCH_OPENED)
NOT_INVENTED: Final = "not_invented_yet"


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


def entries_of(log: Log, records: Sequence[Record]) -> list[Entry]:
    opener, read = Opener([log.world.keys["audit"].opening]), Read()
    by = Reading(log.world.shelf, opener, ManualClock(log.world.at + LONG_AFTER))
    read_records(records, read, topic_ids={record.topic: log.topic_id for record in records}, reading=by)
    return read.entries


def decision(log: Log) -> Record:
    return next(each for each in log.world.records(log.world.prepared().drafts) if b"referral_decided" in type_of(each))


def offer(log: Log) -> Record:
    return to_police(log.world.records(log.world.prepared().drafts))


def refusal(log: Log) -> Record:
    clear = {"origin": HOTLINE, "origin_kind": "hotline", "code": "body_invalid"}
    return log.world.records([fact(log, REFERRAL_REFUSED, clear, subject=uuid7(), by="hotline")])[0]


def look(log: Log) -> Record:
    clear = revealed(HOTLINE) | {"reason": "check"}
    return log.world.records([fact(log, RECORD_REVEALED, clear, subject=uuid7(), by="hotline")])[0]


def receipt(log: Log) -> Record:
    of = offer(log)
    entry = verdict(ReceiptOutcome.APPLIED, message_id=identity(of)[0], message_digest=identity(of)[1], of=of)
    directory = log.world.documents.directory
    [draft] = compose_receipts("law_enforcement", "hotline", [entry], directory=directory, at=log.world.at)
    return log.world.records([draft], "law_enforcement")[0]


def type_of(record: Record) -> bytes:
    return next(value or b"" for name, value in record.headers if name == "ce_type")


def later(log: Log, record: Record) -> Record:
    """The same in its message's next version."""
    name = type_of(record).decode().removeprefix("causeway.").removesuffix(".v1")
    by = "law_enforcement" if name == "messages_receipted" else "hotline"
    schema = registry.schema_uri(f"{name}.v2")
    return log.world.resigned(record, instance=by, type=f"causeway.{name}.v2", dataschema=schema)


EACH: Final[tuple[Callable[[Log], Record], ...]] = (decision, refusal, receipt, offer, look)


@pytest.mark.parametrize("make", EACH, ids=lambda make: make.__name__)
def test_a_version_that_audit_does_not_read_is_marked_and_its_proof_is_whole(
    log: Log, make: Callable[[Log], Record]
) -> None:
    record = later(log, make(log))
    [entry] = entries_of(log, [record])
    assert (entry.kind, entry.verified, entry.problem) == ("record", True, "version_unknown")
    assert (entry.message_id, entry.digest) == identity(record)
    assert None not in (entry.sequence, entry.epoch, entry.key_id)
    assert None not in (entry.batch_root, entry.batch_signature, entry.batch_index, entry.batch_size, entry.batch_path)


def test_so_is_a_message_that_audit_has_never_heard_of(log: Log) -> None:
    [entry] = entries_of(log, [log.world.resigned(offer(log), type="causeway.thing_of_later.v1")])
    assert (entry.kind, entry.verified, entry.problem) == ("record", True, "type_unknown")


def with_code(log: Log, make: Callable[[Log], Record], *path: str | int) -> Record:
    """The record with a code at that place of its clear part that no list of ours has."""
    record = make(log)
    value = json.loads(record.value or b"")
    *before, last = path
    at = value["clear"]
    for each in before:
        at = at[each]
    at[last] = NOT_INVENTED
    by = "law_enforcement" if make is receipt else "hotline"
    return log.world.resigned(record, instance=by, body=json.dumps(value, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    ("make", "path"),
    [(look, ("reason",)), (receipt, ("entries", 0, "outcome")), (decision, ("disposition",))],
    ids=["a fact", "a receipt", "a decision"],
)
def test_a_code_that_audit_does_not_know_is_no_broken_body(
    log: Log, make: Callable[[Log], Record], path: tuple[str | int, ...]
) -> None:
    [entry] = entries_of(log, [with_code(log, make, *path)])
    assert (entry.kind, entry.verified, entry.problem) == ("record", True, "code_unknown")


def decided_later(log: Log) -> Record:
    """A decision whose sealed part has a code that no list of ours has."""
    filed = log.world.prepared()
    sealed = stated(log, filed) | {"work_reason": NOT_INVENTED}
    clear = {"referral_id": str(filed.referral_id), "revision": 1, "disposition": filed.disposition}
    text = json.dumps(sealed).encode()
    [record] = log.world.records(
        [fact(log, REFERRAL_DECIDED, clear, subject=filed.referral_id, by="hotline", sealed=text)]
    )
    return record


def test_nor_is_one_under_a_decisions_seal(log: Log) -> None:
    [entry] = entries_of(log, [decided_later(log)])
    assert (entry.kind, entry.problem) == ("decision", "code_unknown")


def test_a_body_with_anything_else_wrong_is_broken(log: Log) -> None:
    record = look(log)
    value = json.loads(record.value or b"")
    value["clear"] |= {"reason": NOT_INVENTED, "remark": 1}
    [entry] = entries_of(log, [log.world.resigned(record, body=json.dumps(value).encode())])
    assert entry.problem == "body_invalid"


async def test_marks_of_whatever_version_are_counted_by_the_day(log: Log) -> None:
    records = [replace(said(log, MARKS, marks()), offset=offset) for offset in range(2)]
    [*records[1:]] = [log.world.resigned(records[1], instance="hotline", type="causeway.marks.v2")]
    assert [folded_as(each) for each in entries_of(log, records)] == ["marks", "marks"]
    await log.keep(*records)
    assert [each[:3] for each in await folded(log)] == [(0, 1, 2)]
    assert (await log.page(records[0]))["items"] == []


async def test_whoever_was_sent_what_audit_cannot_read_answers_as_anybody_does(log: Log) -> None:
    filed = log.world.prepared()
    for record in log.world.records(filed.drafts):
        await log.keep(later(log, record) if b"referral_offered" in type_of(record) else record)
    await log.outcome(filed.referral_id, 1, outcome="conviction", known="yes")
    flow = await log.flow(filed.referral_id)
    assert {each["problem"] for each in flow if "referral_offered" in each["type"]} == {"version_unknown"}
    assert [(each["kind"], each["problem"]) for each in flow if "outcome_reported" in each["type"]] == [
        ("record", None)
    ]


@pytest.mark.parametrize("of_later", ["version", "code"])
async def test_of_whom_an_unread_fact_speaks_nobody_is_accused(log: Log, of_later: str) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    record = later(log, look(log)) if of_later == "version" else with_code(log, look, "reason")
    await log.keep(log.world.resigned(record, subject=str(filed.referral_id)))
    [found] = [each for each in await log.flow(filed.referral_id) if "record_revealed" in each["type"]]
    assert (found["kind"], found["problem"]) == ("record", f"{of_later}_unknown")
