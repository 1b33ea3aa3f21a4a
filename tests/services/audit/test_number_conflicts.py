"""Two messages of one writer under one number: audit stores the first that it reads, and names the other."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.messaging.placement import digest_record
from tests.services.audit.broker import Broker
from tests.services.audit.log import Log
from tests.services.audit.test_intake import MINE, TO_AUDIT, TO_POLICE, as_copies, kept, offers, opening
from tests.services.audit.test_junk_folded import reconciled
from tests.support.exchange_world import FROM_HOTLINE
from tests.support.wire_records import Written


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


async def test_a_conflict_excuses_no_change_of_the_entry_that_is_kept(
    log: Log, audit_endpoint: DatabaseEndpoint
) -> None:
    broker = Broker()
    broker.append(*opening(log, TO_AUDIT, TO_POLICE))
    first, second = alternatives(log)
    broker.append(*first, *second)
    await log.take(broker)
    assert (await reconciled(audit_endpoint, log, broker))[0] == []
    [entry] = [row for row in await kept(log, TO_POLICE) if row["lane"]]
    owner = await asyncpg.connect(audit_endpoint.owner_url)
    await owner.execute("UPDATE entry SET subject = 'another' WHERE digest = $1", entry["digest"])
    await owner.close()
    assert (await reconciled(audit_endpoint, log, broker))[0] == ["audit's entry says another subject than its record"]
