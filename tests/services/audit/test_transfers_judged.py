"""Audit judges transfers: a referral is granted once, to a hotline that was sent it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.contracts.registry import CLAIM_GONE, CLAIM_GRANTED, MessageType
from shared.exchange.message import Record, compose
from shared.exchange.prepare import Prepared
from shared.kernel.ids import uuid4
from tests.services.audit.log import Log, of_message
from tests.services.hotline.transferring import ASIA, EUROPE, items
from tests.support.builders import HOTLINE


async def filed(log: Log) -> Prepared:
    """Submit an orphaned referral that two hotlines receive."""
    prepared = log.world.prepared(items=items("NO", "SG"))
    await log.file(prepared)
    return prepared


async def told(log: Log, filed: Prepared, message: MessageType, to: str, **said: Any) -> Record:
    log.world.at += timedelta(seconds=1)
    clear = message.clear.model_validate({"referral_id": filed.referral_id, "revision": 1} | said)
    [record] = log.world.records([compose(message, clear, log.world.address(filed.referral_id, HOTLINE, to))])
    await log.keep(record)
    return record


async def granted(log: Log, filed: Prepared, to: str) -> Record:
    return await told(log, filed, CLAIM_GRANTED, to, claim=uuid4())


async def shown(log: Log, filed: Prepared, record: Record) -> Mapping[str, Any]:
    [line] = of_message(await log.flow(filed.referral_id), record)
    return line


async def test_a_claim_that_is_granted_once_stands(log: Log) -> None:
    referral = await filed(log)
    one, other = await granted(log, referral, ASIA), await told(log, referral, CLAIM_GONE, EUROPE)
    assert [(await shown(log, referral, each))["kind"] for each in (one, other)] == ["record", "record"]


async def test_a_claim_that_is_granted_to_two_is_marked_at_both(log: Log) -> None:
    referral = await filed(log)
    both = [await granted(log, referral, to) for to in (ASIA, EUROPE)]
    for record in both:
        line = await shown(log, referral, record)
        assert (line["kind"], line["problem"]) == ("not_entitled", "statement_not_yours")


async def test_a_claim_that_is_granted_to_whom_the_referral_was_not_sent_is_marked(log: Log) -> None:
    referral = await filed(log)
    line = await shown(log, referral, await granted(log, referral, "hotline-us.example"))
    assert (line["kind"], line["problem"]) == ("not_entitled", "statement_not_yours")
