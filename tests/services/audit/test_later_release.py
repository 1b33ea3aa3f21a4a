"""Messages of a later release, as this release's audit stores them: the problem is named, the proof is complete."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import pytest

from services.audit.domain.entries import AuditEntry
from shared.contracts import registry
from shared.contracts.registry import RECORD_REVEALED, REFERRAL_DECIDED, REFERRAL_REFUSED
from shared.envelope.record_value import join_value, split_value
from shared.exchange.message import Record
from shared.kernel.canonical import canonical_json
from shared.kernel.ids import uuid7
from shared.messaging.exceptions import OutcomeKind
from tests.services.audit.log import Log, identity, of_message
from tests.services.audit.test_entitled import fact, revealed, stated
from tests.services.audit.test_flows import to_police
from tests.support.builders import HOTLINE
from tests.support.forging import forged

NOT_INVENTED: Final = "not_invented_yet"


def entries_of(log: Log, records: Sequence[Record]) -> list[AuditEntry]:
    return log.entries_of(*records)


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


def report(log: Log) -> Record:
    """Return a protocol message."""
    return log.reported(offer(log), OutcomeKind.REFUSED, "offer_unknown")


def type_of(record: Record) -> bytes:
    return next(value or b"" for name, value in record.headers if name == "ce_type")


def later(log: Log, record: Record) -> Record:
    """Return the same record in the next version of its message."""
    name = type_of(record).decode().removeprefix("causeway.").removesuffix(".v1")
    by = "law_enforcement" if name == "outcomes" else "hotline"
    schema = registry.schema_uri(f"{name}.v2")
    return log.world.resigned(record, instance=by, type=f"causeway.{name}.v2", dataschema=schema)


EACH: Final[tuple[Callable[[Log], Record], ...]] = (decision, refusal, offer, look)


@pytest.mark.parametrize("make", EACH, ids=lambda make: make.__name__)
def test_a_version_that_audit_does_not_read_is_marked_and_its_proof_is_whole(
    log: Log, make: Callable[[Log], Record]
) -> None:
    record = later(log, make(log))
    [entry] = entries_of(log, [record])
    assert (entry.kind, entry.verified, entry.problem) == ("record", True, "version_unknown")
    assert (entry.message_id, entry.digest) == identity(record)
    assert None not in (entry.number, entry.incarnation, entry.chain, entry.key_id)
    assert None not in (entry.signature, entry.tree_size, entry.leaf_position, entry.path, entry.salt)


def test_so_is_a_message_that_audit_has_never_heard_of(log: Log) -> None:
    [entry] = entries_of(log, [log.world.resigned(offer(log), type="causeway.thing_of_later.v1")])
    assert (entry.kind, entry.verified, entry.problem) == ("record", True, "type_unknown")


def with_code(log: Log, make: Callable[[Log], Record], *path: str | int) -> Record:
    """Return the record with an unknown code at that path of its clear part."""
    record = make(log)
    clear, sealed = split_value(record.value or b"")
    stated = json.loads(clear)
    *before, last = path
    at = stated
    for each in before:
        at = at[each]
    at[last] = NOT_INVENTED
    return log.world.resigned(record, body=join_value(canonical_json(stated), sealed))


@pytest.mark.parametrize(
    ("make", "path"), [(look, ("reason",)), (decision, ("decisions", 0, "disposition"))], ids=["a fact", "a decision"]
)
def test_a_code_that_audit_does_not_know_is_no_broken_body(
    log: Log, make: Callable[[Log], Record], path: tuple[str | int, ...]
) -> None:
    [entry] = entries_of(log, [with_code(log, make, *path)])
    assert (entry.kind, entry.verified, entry.problem) == ("record", True, "code_unknown")


def decided_later(log: Log) -> Record:
    """Return a decision with an unknown code in its sealed part."""
    filed = log.world.prepared()
    sealed = stated(log, filed) | {"work_reason": NOT_INVENTED}
    clear = {"referral_id": str(filed.referral_id), "revision": 1, "disposition": filed.disposition}
    text = json.dumps({"decisions": [sealed]}).encode()
    [record] = log.world.records(
        [fact(log, REFERRAL_DECIDED, {"decisions": [clear]}, subject=filed.referral_id, by="hotline", sealed=text)]
    )
    return record


def test_nor_is_one_under_a_decisions_seal(log: Log) -> None:
    [entry] = entries_of(log, [decided_later(log)])
    assert (entry.kind, entry.problem) == ("decision", "code_unknown")


def test_a_body_with_anything_else_wrong_is_broken(log: Log) -> None:
    record = look(log)
    [entry] = entries_of(log, [log.world.resigned(record, clear={"reason": NOT_INVENTED, "remark": 1})])
    assert entry.problem == "body_invalid"


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


def later_decision(log: Log, by: str, party: str, referral: str) -> Record:
    """Return a decision on a referral in the next version, stated by this instance."""
    [made] = forged(log.world, [fact(log, RECORD_REVEALED, revealed(party), subject=uuid7(), by=by)], instance=by)
    spelt = {"type": "causeway.referral_decided.v2", "dataschema": registry.schema_uri("referral_decided.v2")}
    return log.world.resigned(made, instance=by, clear={"decisions": [{"referral_id": referral}]}, **spelt)


def test_a_later_decision_names_referrals_if_its_sender_may_state_decisions(log: Log) -> None:
    record = later_decision(log, "law_enforcement", "police-nl.example", str(uuid7()))
    [entry] = entries_of(log, [record])
    assert (entry.verified, entry.problem, entry.decisions) == (True, "version_unknown", ())


async def test_a_later_decision_of_a_second_instance_accuses_nobody(log: Log) -> None:
    """The origin may have moved to that instance, and no reader of this release can tell which party it names."""
    read = decision(log)
    referral = (read.key or b"").decode()
    record = later_decision(log, "industry", "host.example", referral)
    await log.keep(read, record)
    [line] = of_message(await log.flow(UUID(referral)), record)
    assert (line["kind"], line["problem"]) == ("decision", "version_unknown")
