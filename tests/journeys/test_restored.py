"""A database that forgot its last numbers: nothing that is filed afterwards is lost, and the accounts close."""

from __future__ import annotations

from deploy.accounting.run import reconciled
from tests.support.running import AGENCY, HOTLINE, Exchange, referral

_DELIVERED = """
SELECT s.epoch, s.outcome FROM edge AS e JOIN (SELECT message_id, epoch, sequence, outcome FROM settled
                   UNION ALL SELECT message_id, epoch, sequence, outcome FROM outbox) AS s USING (message_id)
WHERE e.referral_id = ANY($1) AND e.state = 'emitted' AND e.recipient = $2 ORDER BY s.sequence
"""
_FORGET = "UPDATE pair_sequence SET last = last - 2 WHERE sender = $1 AND recipient = $2 AND last >= 2 RETURNING epoch"


async def test_a_counter_that_went_back_costs_nobody_a_referral(exchange: Exchange) -> None:
    async with exchange.client(HOTLINE) as client:
        for _ in range(3):
            await client.submit(referral())
        await exchange.until_quiet()
        hotline = await exchange.admin("hotline")
        try:
            # As after a copy of its disk was put back: PostgreSQL is the same, and cannot tell.
            forgotten = await hotline.fetchval(_FORGET, HOTLINE, AGENCY)
            filed = [(await client.submit(referral())).referral_id for _ in range(4)]
            await exchange.until_quiet()
            delivered = await hotline.fetch(_DELIVERED, filed, AGENCY)
        finally:
            await hotline.close()
    assert [row["outcome"] for row in delivered] == ["applied"] * 4
    assert {row["epoch"] for row in delivered} - {forgotten}
    await exchange.until_audited()
    closed = await exchange.count_as_accountant(
        "hotline", "SELECT epoch FROM closed_epoch WHERE recipient = $1", AGENCY
    )
    assert forgotten in {row["epoch"] for row in closed}
    found = await reconciled(exchange.endpoints)
    assert [each for each in found.differences if AGENCY in each.where] == []
