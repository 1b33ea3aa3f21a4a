"""Where an epoch ended and which copy was judged stay known when Kafka has let go of who said so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from deploy.accounting import views
from deploy.accounting.book import Book
from deploy.site.endpoints import DatabaseEndpoint
from shared.contracts.registry import EPOCH_OPENED
from shared.envelope.headers import Previous, decode_headers
from shared.exchange.compose import Verdict, compose_receipts
from shared.exchange.message import Copy, Record
from shared.kernel.ids import uuid7
from shared.runtime.database.transactions import Database
from shared.vocabulary.answers import ReceiptOutcome
from tests.services.audit.log import Log, identity, of_message
from tests.services.audit.test_entitled import fact
from tests.services.audit.test_flows import to_police
from tests.services.audit.test_junk_folded import reconciled
from tests.support.builders import HOTLINE, POLICE, PROVIDER
from tests.support.exchange_world import FROM_HOTLINE

APPLIED, PARKED = ReceiptOutcome.APPLIED, ReceiptOutcome.PARKED


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


async def ends(log: Log, *of: Any) -> set[tuple[Any, ...]]:
    """What the accounts know of these epochs' ends."""
    async with log.database.transaction() as session:
        rows = await Book(session.driver, kind="audit").fetch(views.ENDS)
    return {tuple(row) for row in rows if row["epoch"] in of}


async def change(endpoint: DatabaseEndpoint, statement: str, *arguments: object) -> None:
    owner = await asyncpg.connect(endpoint.owner_url)
    await owner.execute(statement, *arguments)
    await owner.close()


@pytest.mark.parametrize("last", [41, 0, None], ids=["a last number", "none was given", "not known"])
async def test_what_the_first_message_of_an_epoch_says_of_the_one_before_is_kept_and_shown(
    log: Log, last: int | None
) -> None:
    filed, before = log.world.prepared(), uuid7()
    offer = to_police(log.world.records(filed.drafts))
    offer = log.world.resigned(offer, previous=Previous(before, last))
    await log.keep(offer)
    [line] = of_message(await log.flow(filed.referral_id), offer)
    assert (line["previous_epoch"], line["previous_last"], line["verified"]) == (str(before), last, True)
    assert await ends(log, before) == (set() if last is None else {(HOTLINE, line["recipient"], before, last)})


async def test_what_nobody_has_proven_of_an_end_is_kept_and_counts_for_nothing(log: Log) -> None:
    filed, before = log.world.prepared(), uuid7()
    offer = log.world.resigned(to_police(log.world.records(filed.drafts)), previous=Previous(before, 41))
    forged = tuple((name, b"2" if name == "ce_prevlast" else value) for name, value in offer.headers)
    await log.keep(replace(offer, headers=forged))
    [line] = await log.flow(filed.referral_id)
    assert (line["kind"], line["previous_last"]) == ("unproven", 2)
    assert await ends(log, before) == set()


@pytest.mark.parametrize("last", [41, "unknown"])
async def test_a_fact_that_an_epoch_was_opened_is_kept_whole(log: Log, last: object) -> None:
    """Its own numbers are others: of whose it speaks stands with what it says of them."""
    epoch, before = uuid7(), uuid7()
    said = {"sender": HOTLINE, "recipient": POLICE, "epoch": str(epoch), "previous": str(before), "previous_last": last}
    [record] = log.world.records([fact(log, EPOCH_OPENED, said, subject=uuid7(), by="hotline")])
    await log.keep(record)
    [line] = (await log.page(record))["items"]
    assert (line["kind"], line["problem"], line["detail"]) == ("epoch", None, said)
    assert line["previous_epoch"] is None
    assert await ends(log, before) == ({(HOTLINE, POLICE, before, last)} if last == 41 else set())


async def test_a_fact_of_an_epoch_of_somebody_elses_counts_for_nothing(log: Log) -> None:
    before = uuid7()
    said = {"sender": PROVIDER, "recipient": POLICE, "epoch": str(uuid7()), "previous": str(before), "previous_last": 1}
    [record] = log.world.records([fact(log, EPOCH_OPENED, said, subject=uuid7(), by="hotline")])
    await log.keep(record)
    [line] = (await log.page(record))["items"]
    assert (line["kind"], line["detail"]) == ("not_entitled", {"spoken_of": PROVIDER})
    assert await ends(log, before) == set()


@pytest.mark.parametrize("column", ["previous_epoch = NULL", "previous_last = 7"])
async def test_an_end_that_was_changed_in_the_table_is_named(
    log: Log, audit_endpoint: DatabaseEndpoint, column: str
) -> None:
    offer = to_police(log.world.records(log.world.prepared().drafts))
    offer = log.world.resigned(offer, previous=Previous(uuid7(), 41))
    await log.keep(offer)
    assert (await reconciled(log, [offer]))[0] == []
    await change(audit_endpoint, f"UPDATE entry SET {column} WHERE message_id = $1", identity(offer)[0])
    assert (await reconciled(log, [offer]))[0] == [
        f"audit's entry says another {column.partition(' ')[0]} than its record"
    ]


def receipt(log: Log, *verdicts: Verdict) -> Record:
    """What the police's instance says of messages, in one receipt."""
    log.world.at += timedelta(seconds=1)
    drafts = compose_receipts(
        "law_enforcement", "hotline", verdicts, directory=log.world.documents.directory, at=log.world.at
    )
    [record] = log.world.records(drafts, "law_enforcement")
    return record


async def test_a_receipt_tells_which_copy_was_judged_and_what_of(log: Log) -> None:
    filed = log.world.prepared()
    offer = to_police(await log.file(filed))
    name, digest = identity(offer)
    edge, given = uuid7(), []
    copies = [Copy(offer.offset + 5, offer.broker_time + timedelta(milliseconds=3), life) for life in (None, uuid7())]
    for copy in copies:
        told = receipt(log, Verdict(name, digest, APPLIED, None, judged=copy, revision=3, edge=edge))
        given.append(told)
        await log.keep(told)
        [line] = of_message(await log.flow(filed.referral_id), offer)
        judged = {part: value for part, value in line["judged"].items() if value is not None}
        assert judged == copy.as_json()
        [row] = await log.database.fetch(
            "SELECT edge_id, revision, topic_id FROM receipted WHERE receipt_id = $1", identity(told)[0]
        )
        assert tuple(row) == (edge, 3, copy.topic_id)
    assert (await reconciled(log, given))[0] == []


async def test_two_words_of_one_receipt_about_one_message_both_stay(log: Log) -> None:
    """Under one id came other bytes: of these it says something else."""
    filed = log.world.prepared()
    offer = to_police(await log.file(filed))
    name, digest = identity(offer)
    judged = Copy(offer.offset, offer.broker_time)
    words = [
        Verdict(name, digest, APPLIED, None, judged=judged),
        Verdict(name, "ab" * 32, PARKED, "message_id_reused", judged=judged._replace(offset=9)),
    ]
    told = receipt(log, *words)
    await log.keep(told)
    await log.keep(told)
    rows = await log.database.fetch(
        'SELECT digest, "offset" FROM receipted WHERE receipt_id = $1 ORDER BY position', identity(told)[0]
    )
    assert [tuple(row) for row in rows] == [(digest, offer.offset), ("ab" * 32, 9)]
    assert (await reconciled(log, [told]))[0] == []


@pytest.mark.parametrize(
    "column", ['"offset" = "offset" + 1', "topic_id = gen_random_uuid()", "broker_time = now()", "revision = 2"]
)
async def test_a_receipts_word_that_was_changed_in_the_table_is_named(
    log: Log, audit_endpoint: DatabaseEndpoint, column: str
) -> None:
    offer = to_police(await log.file(log.world.prepared()))
    judged = Copy(offer.offset, offer.broker_time, log.topic_id)
    told = receipt(log, Verdict(*identity(offer), APPLIED, None, judged=judged, revision=1))
    await log.keep(told)
    await change(audit_endpoint, f"UPDATE receipted SET {column} WHERE receipt_id = $1", identity(told)[0])
    found, _ = await reconciled(log, [told])
    assert sorted(found) == [
        "a receipt's word that audit does not show",
        "a receipt's word that was never given and audit shows",
    ]


async def test_the_first_number_of_all_has_no_epoch_before_it(log: Log) -> None:
    offer = to_police(await log.file(log.world.prepared()))
    assert offer.topic == FROM_HOTLINE["law_enforcement"]
    attributes = decode_headers(offer.headers, offer.value or b"").attributes
    assert attributes.previous == Previous()
    [line] = (await log.page(offer))["items"][:1]
    assert (line["previous_epoch"], line["previous_last"]) == (None, None)
