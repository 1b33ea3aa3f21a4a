"""Reported outcomes of messages stay stored, and are compared with Kafka while Kafka has the reports."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from deploy.accounting import views
from deploy.accounting.book import Snapshot
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.ids import uuid7
from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, OutcomeList
from shared.messaging.placement import digest_record
from shared.messaging.resync import ClosedIncarnation, Holdings
from shared.messaging.streams import LaneEnd, Pair, WireRole
from tests.services.audit.broker import Broker
from tests.services.audit.log import Log
from tests.services.audit.test_acknowledgements import stated
from tests.services.audit.test_intake import MINE, TO_AUDIT, TO_POLICE, as_copies, kept, left, losses, offers, opening
from tests.services.audit.test_junk_folded import reconciled
from tests.support.exchange_world import FROM_HOTLINE
from tests.support.running import rows_of
from tests.support.wire_records import Streams, Written

FROM_POLICE = Pair("law_enforcement", "hotline")


async def change(endpoint: DatabaseEndpoint, statement: str, *arguments: object) -> None:
    await rows_of(endpoint.owner_url, statement, *arguments)


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
    assert [tuple(row) for row in rows] == [(said, "hotline", "law_enforcement") for said in ("deferred", "applied")]


async def test_a_report_that_is_read_again_is_kept_once(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    said = outcome(OutcomeKind.REFUSED, "offer_unknown")
    broker = await reported(log, said)
    await log.database.fetch("DELETE FROM receive_state")
    await log.take(broker)
    rows = await log.database.fetch("SELECT FROM outcome WHERE message_id = $1", said.named.message_id)
    assert len(rows) == 1
    assert (await reconciled(audit_endpoint, log, broker))[0] == []


async def test_a_report_carried_into_an_incarnation_is_kept_once(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
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
async def test_a_changed_outcome_is_named(log: Log, audit_endpoint: DatabaseEndpoint, column: str) -> None:
    said = outcome(OutcomeKind.DEAD, "handler_defect")
    broker = await reported(log, said)
    assert (await reconciled(audit_endpoint, log, broker))[0] == []
    await change(audit_endpoint, f"UPDATE outcome SET {column} WHERE message_id = $1", said.named.message_id)
    found, _ = await reconciled(audit_endpoint, log, broker)
    unknown = "an outcome that no recipient reported and audit shows"
    assert sorted(found) == ["an outcome that audit does not show", unknown]


# -- Two messages of one writer under one number: audit stores the first that it reads, and names the other.


def alternatives(log: Log) -> tuple[list[Written], list[Written]]:
    """Return two different messages with the same number, both signed by their writer."""
    before = deepcopy(log.world.streams.outgoing[TO_POLICE])
    first = offers(log, 1)
    log.world.streams.outgoing[TO_POLICE] = before
    return first, offers(log, 1)


async def conflicts(log: Log, broker: Broker) -> list[Any]:
    lives = [topic.topic_id for topic in broker.topics.values()]
    query = "SELECT * FROM entry WHERE kind = 'conflict' AND topic_id = ANY ($1)"
    return list(await log.database.fetch(query, lives))


@pytest.mark.parametrize("order", ["copy second", "copy first", "in one batch"])
async def test_another_message_under_a_number_that_audit_has_is_named_a_conflict_once(log: Log, order: str) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_AUDIT, TO_POLICE))
    await log.take(broker)
    first, second = alternatives(log)
    appended = {
        "copy second": [first, as_copies(second)],
        "copy first": [as_copies(first), second],
        "in one batch": [first + second],
    }
    for records in appended[order]:
        broker.append(*records)
        await log.take(broker)
    broker.append(*appended[order][-1])
    await log.take(broker)
    [entry] = [row for row in await kept(log, TO_POLICE) if row["lane"]]
    [conflict] = await conflicts(log, broker)
    assert conflict["problem"] == "number_taken"
    assert (conflict["topic"], conflict["offset"]) == (entry["topic"], entry["offset"])
    digest = digest_record(second[1].record.headers, second[1].record.value)
    assert digest is not None
    assert (conflict["detail"]["kept"], conflict["detail"]["found"]) == (entry["digest"].hex(), digest.hex())
    assert conflict["detail"]["topic"] == (MINE if order == "copy second" else FROM_HOTLINE["law_enforcement"])


async def test_a_message_that_is_appended_again_is_no_conflict(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_AUDIT, TO_POLICE))
    records = offers(log, 1)
    broker.append(*records, *records, *as_copies(records))
    await log.take(broker)
    assert await conflicts(log, broker) == []


async def test_a_conflict_excuses_no_change_of_the_kept_entry(log: Log, audit_endpoint: DatabaseEndpoint) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_AUDIT, TO_POLICE))
    first, second = alternatives(log)
    broker.append(*first, *second)
    await log.take(broker)
    assert (await reconciled(audit_endpoint, log, broker))[0] == []
    [entry] = [row for row in await kept(log, TO_POLICE) if row["lane"]]
    await rows_of(audit_endpoint.owner_url, "UPDATE entry SET subject = 'another' WHERE digest = $1", entry["digest"])
    assert (await reconciled(audit_endpoint, log, broker))[0] == ["audit's entry says another subject than its record"]


# -- An addressee that invents incarnations leaves few rows at audit, blames nobody else, and hides no loss.


#: The pairs whose addressee lies. Their rows stay from test to test.
TO_INDUSTRY, TO_HOTLINE = Pair("hotline", "industry"), Pair("industry", "hotline")
BY_POLICE = {"by": "law_enforcement", "to": "hotline"}
INVENTED, ROOM = 120, 48
ENDS = LaneEnd(2, bytes(32)), LaneEnd(9, bytes(32))


async def rows(log: Log, table: str, pair: Pair) -> list[Any]:
    return list(await log.database.fetch(f"SELECT * FROM {table} WHERE (writer, addressee) = ($1, $2)", *pair))


async def accounts(log: Log, query: str) -> Sequence[Any]:
    async with log.database.transaction() as session:
        return await Snapshot(session.driver, kind="audit").fetch(query)


async def test_invented_closed_incarnations_are_few_rows_and_one_line_that_names_their_inventor(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_INDUSTRY))
    await log.take(broker)
    known = log.world.streams.outgoing.pop(TO_INDUSTRY).incarnation
    broker.append(*opening(log, TO_INDUSTRY))
    invented = tuple(ClosedIncarnation(uuid7(), ENDS) for _ in range(INVENTED))
    real = ClosedIncarnation(known, (LaneEnd(0, bytes(32)), ENDS[1]))
    for closed in (invented, invented[::-1], (real,)):
        stated_ = Holdings(uuid7(), is_last=True, closed=closed)
        broker.append(*log.control(stated_, by="industry", to="hotline"))
        await log.take(broker)
    found = await rows(log, "closed_end", TO_INDUSTRY)
    assert len([row for row in found if row["incarnation"] != known]) == ROOM
    lost = [tuple(row) for row in await accounts(log, views.LOSSES) if row["addressee"] == "industry"]
    assert lost == [(*TO_INDUSTRY, known, 1, 1, 9)], "invented ones leave room for one that its writer has stated"
    assert [tuple(row) for row in await accounts(log, views.UNKNOWN_ENDS)].count(TO_INDUSTRY) == 1


async def test_invented_ends_of_a_known_incarnation_are_few_rows_and_one_line_a_lane(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_HOTLINE))
    await log.take(broker)
    known = log.world.streams.outgoing.pop(TO_HOTLINE).incarnation
    closed = tuple(
        ClosedIncarnation(known, (LaneEnd(0, bytes(32)), LaneEnd(number, bytes(32))))
        for number in range(1, INVENTED + 1)
    )
    said = Holdings(uuid7(), is_last=True, closed=closed)
    broker.append(*log.control(said, by="hotline", to="industry"), *opening(log, TO_HOTLINE))
    await log.take(broker)
    assert len(await rows(log, "closed_end", TO_HOTLINE)) == ROOM
    lost = [tuple(row) for row in await accounts(log, views.LOSSES) if row["incarnation"] == known]
    assert lost == [(*TO_HOTLINE, known, 1, 1, ROOM)]


async def test_a_loss_is_listed_whatever_others_have_invented(log: Log) -> None:
    """Other pairs can have more invented rows together than one list could show."""
    broker = Broker()
    broker.append(*opening(log, TO_AUDIT, TO_POLICE), *offers(log, 1))
    await log.take(broker)
    old = log.world.streams.outgoing.pop(TO_POLICE)
    beyond = LaneEnd(5, bytes(32))
    broker.append(*log.control(left(log, old.incarnation, ENDS[0]._replace(number=0), beyond), **BY_POLICE))
    broker.append(*opening(log, TO_POLICE))
    await log.take(broker)
    async with log.database.transaction() as session:
        await session.driver.execute(
            """
INSERT INTO closed_end (writer, addressee, incarnation, lane, number, chain, stated_at)
SELECT $1, $2, overlay($3::text placing lpad(i::text, 12, '0') from 25)::uuid, 1, 7, '\\x00', now()
FROM generate_series(1, 1100) AS i
""",
            *TO_AUDIT,
            str(UUID(int=0)),
        )
    listed = [tuple(row) for row in await accounts(log, views.LOSSES)]
    assert (*TO_POLICE, old.incarnation, 1, 2, 5) in listed
    assert not [row for row in listed if row[2].int < 2**64]


async def test_invented_acknowledgements_are_few_rows_and_a_known_incarnation_has_its_own(log: Log) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_INDUSTRY))
    await log.take(broker)
    outgoing = log.world.streams.outgoing[TO_INDUSTRY]
    for _ in range(2):
        broker.append(*(stated(log, "industry", "hotline", of=uuid7()) for _ in range(INVENTED)))
        await log.take(broker)
    broker.append(stated(log, "industry", "hotline", taken=outgoing.lanes, of=outgoing.incarnation))
    await log.take(broker)
    found = await rows(log, "acknowledgement", TO_INDUSTRY)
    assert len([row for row in found if row["incarnation"] != outgoing.incarnation]) == ROOM
    assert [row["through"] for row in found if row["incarnation"] == outgoing.incarnation] == [1, 0]


async def test_what_reaches_audit_before_the_first_message_of_its_incarnation_counts_later(log: Log) -> None:
    """An acknowledgement, and the end of an incarnation."""
    broker, ahead = Broker(), Broker()
    broker.append(*opening(log, TO_POLICE), *offers(log, 1))
    old = log.world.streams.outgoing.pop(TO_POLICE)
    beyond = replace(old.lanes[1], last=5, chain=bytes(32))
    ends = LaneEnd(old.lanes[0].last, old.lanes[0].chain), LaneEnd(beyond.last, beyond.chain)
    ahead.append(stated(log, **BY_POLICE, taken=old.lanes, of=old.incarnation))
    ahead.append(*log.control(left(log, old.incarnation, *ends), **BY_POLICE))
    await log.take(ahead)
    await log.take(broker)
    broker.append(*opening(log, TO_POLICE))
    await log.take(broker)
    assert await losses(log, old.incarnation) == [(*TO_POLICE, 1, 2, 5)]
    assert (*TO_POLICE, old.incarnation, 1, 2, 5) in [tuple(row) for row in await accounts(log, views.LOSSES)]
    acked = [row for row in await rows(log, "acknowledgement", TO_POLICE) if row["incarnation"] == old.incarnation]
    assert [row["through"] for row in acked] == [old.lanes[0].last, old.lanes[1].last]
