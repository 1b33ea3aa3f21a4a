"""Messages of a later release, as this release's audit stores them: the problem is named, the proof is complete."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, cast
from uuid import UUID

import pytest

from deploy.accounting import views
from deploy.accounting.book import Snapshot
from deploy.accounting.books import Comparison
from deploy.accounting.edges import SealedDays
from deploy.accounting.streams import Sides
from shared.core.canonical import canonical_json
from shared.core.contracts import registry
from shared.core.contracts.registry import RECORD_REVEALED, REFERRAL_DECIDED, REFERRAL_REFUSED
from shared.core.envelope.record_value import join_value, split_value
from shared.core.ids import uuid7
from shared.core.protocol.decision_fact import join_decided
from shared.core.protocol.message import Record
from shared.platform.database.transactions import Database
from tests.services.audit.log import Log, identity
from tests.services.audit.test_agencies_judged import outsiders
from tests.services.audit.test_entitled import fact, revealed, stated
from tests.services.audit.test_flows import to_police
from tests.support.builders import HOTLINE
from tests.support.exchange_world import decisions
from tests.support.forging import forged

NOT_INVENTED: Final = "not_invented_yet"


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
def test_an_unread_version_is_marked_and_its_proof_is_whole(log: Log, make: Callable[[Log], Record]) -> None:
    record = later(log, make(log))
    [entry] = log.entries_of(record)
    assert (entry.kind, entry.verified, entry.problem) == ("record", True, "version_unknown")
    assert (entry.message_id, entry.digest) == identity(record)
    assert None not in (entry.number, entry.incarnation, entry.chain, entry.salt, entry.proof_id, entry.proof)


def test_so_is_a_message_that_audit_has_never_heard_of(log: Log) -> None:
    [entry] = log.entries_of(log.world.resigned(offer(log), type="causeway.thing_of_later.v1"))
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


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda log: with_code(log, look, "reason"), "record"),
        (lambda log: with_code(log, decision, "decisions", 0, "disposition"), "record"),
        (decided_later, "decision"),
    ],
    ids=["a fact", "a decision", "under a decision's seal"],
)
def test_an_unknown_code_breaks_no_body(log: Log, make: Callable[[Log], Record], kind: str) -> None:
    [entry] = log.entries_of(make(log))
    assert (entry.kind, entry.verified, entry.problem) == (kind, True, "code_unknown")


def test_a_body_with_anything_else_wrong_is_broken(log: Log) -> None:
    record = look(log)
    [entry] = log.entries_of(log.world.resigned(record, clear={"reason": NOT_INVENTED, "remark": 1}))
    assert entry.problem == "body_invalid"


async def test_whoever_was_sent_what_audit_cannot_read_answers_as_anybody_does(log: Log) -> None:
    filed = log.world.prepared()
    for record in log.world.records(filed.drafts):
        await log.keep(later(log, record) if b"referral_offered" in type_of(record) else record)
    await log.outcome(filed.referral_id, 1, outcome="conviction", known="yes")
    flow = await log.flow(filed.referral_id)
    assert {each["problem"] for each in flow if "referral_offered" in each["type"]} == {"version_unknown"}
    assert [(one["kind"], one["problem"]) for one in flow if "outcome_reported" in one["type"]] == [("record", None)]


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
    [entry] = log.entries_of(record)
    assert (entry.verified, entry.problem, entry.decisions) == (True, "version_unknown", ())


async def test_a_later_decision_of_a_second_instance_accuses_nobody(log: Log) -> None:
    """The origin may have moved to that instance, and no reader of this release can tell which party it names."""
    read = decision(log)
    referral = (read.key or b"").decode()
    record = later_decision(log, "industry", "host.example", referral)
    await log.keep(read, record)
    assert (await log.flow(UUID(referral)))[0]["kind"] == "decision"
    assert await outsiders(log, UUID(referral)) == {"industry": 1}


# -- Submissions that an origin stated and audit could not read count as reported: equations (I) and (III) hold.


ORIGIN: Final = "hotline"
REFERRAL, EDGE, MESSAGE = uuid7(), uuid7(), uuid7()
#: No instance and no stream.
_NOWHERE: Final = (None, None, None, None)


class Said:
    """A ledger that returns the given answers, and nothing for any other query."""

    def __init__(self, kind: str, name: str, answers: Mapping[str, Sequence[Any]]) -> None:
        self.kind, self.name, self.answers = kind, name, answers

    async def fetch(self, query: str, *_: object) -> Sequence[Any]:
        return self.answers.get(query, ())

    async def rows(self, query: str, *_: object) -> AsyncIterator[Any]:
        for each in self.answers.get(query, ()):
            yield each


def books(*unread: Mapping[str, Any]) -> Comparison:
    """Return the ledgers of an origin with one referral, one edge and one refusal, and audit's unread statements."""
    origin = {
        views.INTAKE: [{"party": HOTLINE, "submitted": 2, "accepted": 1, "refused": 1}],
        views.REFERRALS: (of := [{"party": HOTLINE, "disposition": "routed", "n": 1}]),
        views.REFERRALS_OF: of,
        views.EDGES: [(MESSAGE, None, "emitted", EDGE, HOTLINE, *_NOWHERE)],
        views.EDGES_OF: [{"edge_id": EDGE, "party": HOTLINE}],
    }
    carried = [(MESSAGE, "causeway.referral_offered.v1", None, EDGE, None, *_NOWHERE)]
    audit = {views.UNREAD_FILINGS: unread, views.AUDITED_CARRIERS: carried}
    services, audits = [Said(ORIGIN, ORIGIN, origin)], [Said("audit", "audit", audit)]
    days = SealedDays(), SealedDays(), date(2026, 1, 1)
    return Comparison(cast(list[Snapshot], services), cast(list[Snapshot], audits), *days)


def filing(*, refused: bool, sender: str = ORIGIN, told: bool = False) -> dict[str, Any]:
    return {"sender": sender, "refused": refused, "subject": str(REFERRAL), "told": told, "n": 1}


async def differing(found: Comparison) -> list[tuple[str, str]]:
    await found.edges(Sides())
    await found.referrals()
    return [(each.equation, each.what) for each in found.differences.sorted()]


REFUSALS = ("I", "refusals counted by the origin are not those stated to audit")
DECISIONS = ("I", "routed: 1 kept by the origin, 0 stated to audit"), ("III", "an edge that was not stated to audit")


@pytest.mark.parametrize(
    ("unread", "differs"),
    [
        ((filing(refused=False), filing(refused=True)), set()),
        ((), {REFUSALS, *DECISIONS}),
        ((filing(refused=False),), {REFUSALS}),
        ((filing(refused=True),), {*DECISIONS}),
        ((filing(refused=True), filing(refused=True)), {REFUSALS, *DECISIONS}),
        ((filing(refused=False, sender="industry"), filing(refused=True, sender="industry")), {REFUSALS, *DECISIONS}),
    ],
    ids=["both", "nothing", "a decision", "a refusal", "one refusal too many", "another's word"],
)
async def test_what_was_stated_and_not_read_is_no_difference_and_what_was_not_stated_is(
    unread: Sequence[Mapping[str, Any]], differs: set[tuple[str, str]]
) -> None:
    assert set(await differing(books(*unread))) == differs


class Agency(Said):
    """The ledger of an instance that submits nothing."""

    async def fetch(self, query: str, *_: object) -> Sequence[Any]:
        assert query not in (views.REFERRALS_OF, views.EDGES_OF), "it has no such tables"
        return ()


async def test_of_an_instance_that_files_nothing_no_filing_is_looked_for() -> None:
    agency = "law_enforcement"
    found = books(filing(refused=False), filing(refused=True), filing(refused=False, sender=agency))
    found.services = [*found.services, cast(Snapshot, Agency(agency, agency, {}))]
    assert await differing(found) == []


async def filings(database: Database, subject: str) -> list[tuple[Any, ...]]:
    async with database.transaction() as session:
        rows = await Snapshot(session.driver, kind="audit").fetch(views.UNREAD_FILINGS)
    return [tuple(row) for row in rows if row["subject"] == subject]


async def test_audit_says_of_which_referral_it_could_not_read_a_decision(database: Database) -> None:
    log = Log(database)
    read = decision(log)
    subject = (read.key or b"").decode()
    await log.keep(log.world.resigned(later(log, read), id=uuid7()))
    assert await filings(database, subject) == [(ORIGIN, False, subject, False, 1)]
    await log.keep(read)
    assert await filings(database, subject) == [(ORIGIN, False, subject, True, 1)], "another of its decisions was read"
    refused = later(log, refusal(log))
    await log.keep(refused)
    subject = (refused.key or b"").decode()
    assert await filings(database, subject) == [(ORIGIN, True, subject, False, 1)]


@pytest.mark.parametrize("is_later", [True, False], ids=["version", "code"])
async def test_each_referral_of_decisions_that_audit_cannot_read_is_named(database: Database, is_later: bool) -> None:
    log = Log(database)
    drafts = [log.world.prepared().drafts[-1] for _ in range(2)]
    [record] = log.world.records(join_decided(drafts))
    told = [each for draft in drafts for each in decisions(draft.clear)]
    unknown = log.world.resigned(record, clear={"decisions": [each | {"disposition": NOT_INVENTED} for each in told]})
    await log.keep(later(log, record) if is_later else unknown)
    for draft in drafts:
        assert await filings(database, draft.subject) == [(ORIGIN, False, draft.subject, False, 1)]
