"""Submissions that an origin stated and audit could not read count as reported: equations (I) and (III) hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, cast

import pytest

from deploy.accounting import views
from deploy.accounting.book import Ledger
from deploy.accounting.books import Ledgers
from deploy.accounting.edges import SealedDays
from deploy.accounting.streams import Sides
from shared.exchange.decision_fact import join_decided
from shared.kernel.ids import uuid7
from shared.runtime.database.transactions import Database
from tests.services.audit.log import Log
from tests.services.audit.test_later_release import NOT_INVENTED, decision, later, refusal
from tests.support.builders import HOTLINE
from tests.support.exchange_world import decisions

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


def books(*unread: Mapping[str, Any]) -> Ledgers:
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
    return Ledgers(
        cast(list[Ledger], services), cast(list[Ledger], audits), SealedDays(), SealedDays(), date(2026, 1, 1)
    )


def filing(*, refused: bool, sender: str = ORIGIN, told: bool = False) -> dict[str, Any]:
    return {"sender": sender, "refused": refused, "subject": str(REFERRAL), "told": told, "n": 1}


async def differing(found: Ledgers) -> list[tuple[str, str]]:
    await found.edges(Sides())
    await found.referrals()
    return [(each.equation, each.what) for each in found.differences.sorted()]


async def test_it_is_no_difference() -> None:
    assert await differing(books(filing(refused=False), filing(refused=True))) == []


REFUSALS = ("I", "refusals counted by the origin are not those stated to audit")
DECISIONS = ("I", "routed: 1 kept by the origin, 0 stated to audit"), ("III", "an edge that was not stated to audit")


@pytest.mark.parametrize(
    ("unread", "differs"),
    [
        ((), {REFUSALS, *DECISIONS}),
        ((filing(refused=False),), {REFUSALS}),
        ((filing(refused=True),), {*DECISIONS}),
        ((filing(refused=True), filing(refused=True)), {REFUSALS, *DECISIONS}),
        ((filing(refused=False, sender="industry"), filing(refused=True, sender="industry")), {REFUSALS, *DECISIONS}),
    ],
    ids=["nothing", "a decision", "a refusal", "one refusal too many", "another's word"],
)
async def test_what_was_not_stated_is(unread: Sequence[Mapping[str, Any]], differs: set[tuple[str, str]]) -> None:
    assert set(await differing(books(*unread))) == differs


class Agency(Said):
    """The ledger of an instance that submits nothing."""

    async def fetch(self, query: str, *_: object) -> Sequence[Any]:
        assert query not in (views.REFERRALS_OF, views.EDGES_OF), "it has no such tables"
        return ()


async def test_of_an_instance_that_files_nothing_no_filing_is_looked_for() -> None:
    agency = "law_enforcement"
    found = books(filing(refused=False), filing(refused=True), filing(refused=False, sender=agency))
    found.services = [*found.services, cast(Ledger, Agency(agency, agency, {}))]
    assert await differing(found) == []


async def filings(database: Database, subject: str) -> list[tuple[Any, ...]]:
    async with database.transaction() as session:
        rows = await Ledger(session.driver, kind="audit").fetch(views.UNREAD_FILINGS)
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
