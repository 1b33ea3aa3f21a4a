"""Reported outcomes of messages stay stored, and are compared with Kafka while Kafka has the reports."""

from __future__ import annotations

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.kernel.ids import uuid7
from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, OutcomeList
from shared.messaging.streams import Pair, WireRole
from tests.services.audit.broker import Broker
from tests.services.audit.log import Log
from tests.services.audit.test_intake import opening
from tests.services.audit.test_junk_folded import reconciled
from tests.support.wire_records import Streams

FROM_POLICE = Pair("law_enforcement", "hotline")


async def change(endpoint: DatabaseEndpoint, statement: str, *arguments: object) -> None:
    owner = await asyncpg.connect(endpoint.owner_url)
    await owner.execute(statement, *arguments)
    await owner.close()


def outcome(kind: OutcomeKind, code: str | None = None, *, of: NamedMessage | None = None) -> Outcome:
    return Outcome(of or NamedMessage(uuid7(), WireRole.STATE, "referral_offered"), kind, code)


async def reported(log: Log, *outcomes: Outcome) -> Broker:
    """Let the police's instance report these outcomes in one message, which audit reads; return the broker."""
    broker = Broker()
    broker.append(*opening(log, FROM_POLICE), *log.control(OutcomeList(outcomes), by="law_enforcement", to="hotline"))
    await log.take(broker)
    return broker


async def test_two_words_of_one_report_about_one_message_both_stay_and_the_last_counts(log: Log) -> None:
    """The message was deferred, and then applied before the transaction ended."""
    first = outcome(OutcomeKind.DEFERRED, "version_unknown")
    await reported(log, first, outcome(OutcomeKind.APPLIED, of=first.named))
    rows = await log.database.fetch(
        "SELECT outcome, writer, reported_by FROM outcome WHERE message_id = $1 ORDER BY position",
        first.named.message_id,
    )
    assert [tuple(row) for row in rows] == [
        ("deferred", "hotline", "law_enforcement"),
        ("applied", "hotline", "law_enforcement"),
    ]


async def test_a_report_that_is_read_again_is_kept_once(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    said = outcome(OutcomeKind.REFUSED, "offer_unknown")
    broker = await reported(log, said)
    await log.database.fetch("DELETE FROM receive_state")
    await log.take(broker)
    rows = await log.database.fetch("SELECT FROM outcome WHERE message_id = $1", said.named.message_id)
    assert len(rows) == 1
    assert (await reconciled(audit_endpoint, log, broker))[0] == []


async def test_a_report_that_is_carried_into_another_incarnation_is_kept_once(
    log: Log, audit_endpoint: DatabaseEndpoint
) -> None:
    broker = await reported(log, outcome(OutcomeKind.APPLIED))
    said = outcome(OutcomeKind.REFUSED, "offer_unknown")
    report = log.composed(OutcomeList((said,)), by="law_enforcement", to="hotline")
    broker.append(*log.placed(report, by="law_enforcement"))
    await log.take(broker)
    log.world.streams = Streams()
    broker.append(*opening(log, FROM_POLICE), *log.placed(report, by="law_enforcement"))
    await log.take(broker)
    rows = await log.database.fetch("SELECT number FROM outcome WHERE message_id = $1", said.named.message_id)
    assert [row["number"] for row in rows] == [3]
    assert (await reconciled(audit_endpoint, log, broker))[0] == []


@pytest.mark.parametrize(
    "column", ["outcome = 'applied'", "code = 'other'", "number = number + 1", "reported_at = now()", "position = 7"]
)
async def test_an_outcome_that_was_changed_in_the_table_is_named(
    log: Log, audit_endpoint: DatabaseEndpoint, column: str
) -> None:
    said = outcome(OutcomeKind.DEAD, "handler_defect")
    broker = await reported(log, said)
    assert (await reconciled(audit_endpoint, log, broker))[0] == []
    await change(audit_endpoint, f"UPDATE outcome SET {column} WHERE message_id = $1", said.named.message_id)
    found, _ = await reconciled(audit_endpoint, log, broker)
    assert sorted(found) == [
        "an outcome that audit does not show",
        "an outcome that no recipient reported and audit shows",
    ]
