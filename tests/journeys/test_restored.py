"""A database that forgot its last numbers: no later referral is lost, and the accounts close."""

from __future__ import annotations

from deploy.accounting.run import reconciled
from tests.support.driver_delivery import (
    copy_streams,
    list_closed_incarnations,
    list_deliveries,
    pass_restored_hour,
    put_streams_back,
)
from tests.support.running import AGENCY, HOTLINE, Exchange, referral

FILED_AT, TOLD = "hotline", "law_enforcement"


async def test_a_counter_that_went_back_costs_nobody_a_referral(exchange: Exchange) -> None:
    async with exchange.client(HOTLINE) as client:
        await client.submit(referral())
        await exchange.until_quiet()
        before = await copy_streams(exchange, FILED_AT, TOLD)
        for _ in range(2):
            await client.submit(referral())
        await exchange.until_quiet()
        # Restore an older copy of the streams. No process starts, and nothing is compared with the log.
        forgotten = await put_streams_back(exchange, FILED_AT, before)
        filed = [(await client.submit(referral())).referral_id for _ in range(4)]
        await exchange.until_quiet()
        delivered = await list_deliveries(exchange, filed, AGENCY)
    assert [row["outcome"] for row in delivered] == ["applied"] * 4
    assert forgotten not in {row["incarnation"] for row in delivered}
    await exchange.until_audited()
    assert forgotten in await list_closed_incarnations(exchange, FILED_AT, TOLD)
    found = await reconciled(exchange.endpoints)
    assert [each for each in found.differences if AGENCY in each.where] == []
    # The other journeys share the exchange.
    await pass_restored_hour(exchange, FILED_AT)
