"""Every fact × every instance that may state it × every party that it may name × two subjects.

All facts are authentic. They are about one referral of a hotline that audit really received. A statement that the table
does not allow is marked. It changes neither the flow nor the accounts of the party that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any, Final
from uuid import UUID

from deploy.accounting import views
from deploy.accounting.book import Difference
from deploy.accounting.edges import EDGE, Carrier, EdgeCheck, IntakeCheck
from deploy.accounting.streams import Sides
from shared.catalog import CATALOG
from shared.core.contracts.registry import (
    RECORD_REVEALED,
    REFERRAL_DECIDED,
    REFERRAL_REFUSED,
    REFERRAL_REVIEWED,
    MessageType,
)
from shared.core.ids import uuid7
from shared.core.protocol.authority import cells_of
from shared.core.protocol.message import Draft
from shared.core.protocol.prepare import Prepared
from shared.core.vocabulary.routing import PartyKind
from shared.platform.database.transactions import Database
from tests.services.audit.log import Log, identity
from tests.services.audit.test_agencies_judged import outsiders
from tests.services.audit.test_entitled import decided, fact, revealed
from tests.support.builders import HOTLINE, POLICE, PROVIDER
from tests.support.forging import forged

INSTANCES: Final = {
    "hotline": PartyKind.HOTLINE,
    "law_enforcement": PartyKind.LAW_ENFORCEMENT,
    "industry": PartyKind.INDUSTRY,
    "audit": PartyKind.AUDITOR,
}
#: For each instance: a party that has the referral, as its origin or recipient, and one that does not.
SERVED: Final = {
    "hotline": (HOTLINE, "hotline-de.example"),
    "law_enforcement": (POLICE, "police-jp.example"),
    "industry": (PROVIDER, "provider-002.example"),
}
KINDS: Final = {
    REFERRAL_DECIDED: "decision",
    REFERRAL_REFUSED: "refusal",
    REFERRAL_REVIEWED: "reviewed",
    RECORD_REVEALED: "revealed",
}


@dataclass(frozen=True)
class Statement:
    """A fact that `by` states about the party `of`. `own`: the table lets `by` speak of that party."""

    message: MessageType
    by: str
    of: str
    own: bool
    draft: Draft

    @property
    def allowed(self) -> bool:
        return self.own and INSTANCES[self.by] in {cell.sender for cell in cells_of(self.message, CATALOG)}


def statements(log: Log, filed: Prepared, notice: UUID) -> Iterator[Statement]:
    for by, (serving, parties) in product(INSTANCES, SERVED.items()):
        for of in parties:
            serves = by == serving
            stated = decided(log, filed, origin=of, by=by, clear={"disposition": "unroutable"})
            yield Statement(REFERRAL_DECIDED, by, of, of == HOTLINE and serves, stated)
            kind = INSTANCES[serving].value
            refusal = {"origin": of, "origin_kind": kind, "code": "guard_refused"}
            yield Statement(
                REFERRAL_REFUSED, by, of, serves, fact(log, REFERRAL_REFUSED, refusal, subject=uuid7(), by=by)
            )
            reviewed = {"origin": of, "outcome": "expired", "filed_by": "6e" * 16}
            stated = fact(log, REFERRAL_REVIEWED, reviewed, subject=filed.referral_id, by=by)
            yield Statement(REFERRAL_REVIEWED, by, of, of == HOTLINE and serves, stated)
            for subject, have_it in ((filed.referral_id, (HOTLINE, POLICE)), (notice, (HOTLINE, PROVIDER))):
                stated = fact(log, RECORD_REVEALED, revealed(of), subject=subject, by=by)
                yield Statement(RECORD_REVEALED, by, of, serves and of in have_it, stated)


async def test_only_what_is_allowed_counts(database: Database, record_property: Callable[[str, object], None]) -> None:
    log = Log(database)
    filed = log.world.prepared()
    await log.file(filed)
    notice = next(each.notice_id for each in filed.emitted if each.notice_id is not None)
    before, accounts = await log.flow(filed.referral_id), await facts_of(database)
    log.world.at += timedelta(seconds=1)  # a repeated statement arrives later
    tried = list(statements(log, filed, notice))
    shown = await shown_after(log, tried, filed)
    for statement in tried:
        line = shown[str(statement.draft.message_id)]
        expected = KINDS[statement.message] if statement.allowed else "not_entitled"
        assert line["kind"] == expected, statement
        assert line["verified"]
        assert (line["problem"] == "statement_not_yours") == (not statement.allowed)
    record_property("facts_tried", len(tried))
    assert len(tried) == 4 * 3 * 2 * 5
    flow = await log.flow(filed.referral_id)
    mine = {each["message_id"] for each in before}
    assert [each | {"position": 0} for each in flow if each["message_id"] in mine] == [
        each | {"position": 0} for each in before
    ]
    await only_their_own_accounts_changed(accounts, await facts_of(database), tried)


async def test_in_the_accounts_what_was_nobodys_to_say_is_a_note_and_no_line(database: Database) -> None:
    """A foreign statement about an edge does not hide that the edge's own origin has not reported it to audit."""
    log = Log(database)
    filed, untold = log.world.prepared(), uuid7()
    edge_id = filed.emitted[0].edge_id
    foreign = decided(log, filed, origin=PROVIDER)
    refusal = {"origin": HOTLINE, "origin_kind": "hotline", "code": "guard_refused"}
    false = fact(log, REFERRAL_REFUSED, refusal, subject=uuid7())
    records = forged(log.world, [foreign, false], instance="industry")
    await log.keep(*records)
    assert await database.fetch(views.LINKS, [edge_id], [HOTLINE]) == []
    at = f"{records[1].topic}/{records[1].partition}/{records[1].offset}"
    noted = [row["note"] for row in await database.fetch(views.NOTES_OF_ENTRIES)]
    assert f"{at}: industry was not entitled to state {REFERRAL_REFUSED.type}" in noted
    account = EdgeCheck(Sides())
    nowhere = (None, None, None, None)
    assert list(account.add([Carrier(untold, None, "emitted", edge_id, HOTLINE, *nowhere, "hotline", EDGE)])) == [
        Difference("III", "an edge without a message", str(untold))
    ]
    links = await database.fetch(views.LINKS, [edge_id], [PROVIDER])
    assert [row["origin"] for row in links] == [PROVIDER]
    told = list(account.compare_statements({edge_id: {row["origin"] for row in links}}))
    assert told == [Difference("III", "an edge that was not stated to audit", str(untold))]


async def shown_after(log: Log, tried: list[Statement], filed: Prepared) -> dict[str, Any]:
    """Return audit's line for each statement: in the flow, or in its partition if it belongs to no referral."""
    # Audit has no topic to itself. Its statements are judged as if it had one.
    records = [forged(log.world, [each.draft], instance=each.by)[0] for each in tried]
    await log.keep(*records)
    lines: dict[str, Any] = {}
    for record in records:
        lines |= {each["message_id"]: each for each in (await log.page(record))["items"]}
    assert {str(identity(each)[0]) for each in records} <= lines.keys()
    shown = {each["message_id"]: each for each in await log.flow(filed.referral_id)}
    outside = [each for each in tried if each.message is not REFERRAL_REFUSED]
    outside = [each for each in outside if str(each.draft.message_id) not in shown]
    assert sum((await outsiders(log, filed.referral_id)).values()) == len(outside)
    false = {"kind": "not_entitled", "verified": True, "problem": "statement_not_yours"}
    return lines | shown | {str(each.draft.message_id): false for each in outside}


async def facts_of(database: Database) -> IntakeCheck:
    account = IntakeCheck()
    for row in await database.fetch(views.DECIDED):
        account.decided[row["origin"], row["disposition"]] = row["n"]
    for row in await database.fetch(views.REFUSED):
        account.refused[row["origin"]] = row["n"]
    return account


async def only_their_own_accounts_changed(before: IntakeCheck, after: IntakeCheck, tried: list[Statement]) -> None:
    """Check that a refusal counts for parties of the stating instance, and a repeated decision only once."""
    refused = [each.of for each in tried if each.message is REFERRAL_REFUSED and each.allowed]
    for party in {each.of for each in tried if each.message is REFERRAL_REFUSED}:
        stated = after.refused[party] - before.refused[party]
        assert stated == refused.count(party)
    for (party, disposition), count in after.decided.items():
        more = count - before.decided[party, disposition]
        # An origin that states another's referral as its own changes only its own accounts.
        assert more == (1 if (party, disposition) in OWN_BOOKS else 0), party


OWN_BOOKS = {("hotline-de.example", "unroutable"), (PROVIDER, "unroutable"), ("provider-002.example", "unroutable")}
