"""A database that forgot its last numbers: nothing that is filed afterwards is lost, and the accounts close."""

from __future__ import annotations

from deploy.accounting.run import reconciled
from tests.support.driver_delivery import forget_last_numbers, list_closed_epochs, list_deliveries
from tests.support.running import AGENCY, HOTLINE, Exchange, referral


async def test_a_counter_that_went_back_costs_nobody_a_referral(exchange: Exchange) -> None:
    async with exchange.client(HOTLINE) as client:
        for _ in range(3):
            await client.submit(referral())
        await exchange.until_quiet()
        # As after a restored copy of its disk: PostgreSQL is the same and cannot notice it.
        forgotten = await forget_last_numbers(exchange, HOTLINE, AGENCY)
        filed = [(await client.submit(referral())).referral_id for _ in range(4)]
        await exchange.until_quiet()
        delivered = await list_deliveries(exchange, filed, AGENCY)
    assert [row["outcome"] for row in delivered] == ["applied"] * 4
    assert {row["epoch"] for row in delivered} - {forgotten}
    await exchange.until_audited()
    assert forgotten in await list_closed_epochs(exchange, AGENCY)
    found = await reconciled(exchange.endpoints)
    assert [each for each in found.differences if AGENCY in each.where] == []
