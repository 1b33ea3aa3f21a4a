"""What the accountant's roles may read, and how it stands in the books."""

from __future__ import annotations

from deploy.accounting.books import read_books
from shared.contracts.registry import NOTICE_ISSUED, REFERRAL_OFFERED
from tests.support.running import HOTLINE, Exchange, referral


async def test_what_is_held_and_what_was_answered_stand_in_the_books(exchange: Exchange) -> None:
    async with exchange.client(HOTLINE) as client:
        referral_id = (await client.submit(referral())).referral_id
    await exchange.until_quiet()
    rows = await exchange.count_as_accountant("hotline", _OFFERS, referral_id)
    books = await read_books(exchange.endpoints)
    for row in rows:
        held_or_answered = books.in_outbox | books.receipted
        assert held_or_answered[row["message_id"]].type in (REFERRAL_OFFERED.type, NOTICE_ISSUED.type)
        assert books.receipted[row["message_id"]].outcome == "applied"
    assert len(rows) == 3


_OFFERS = "SELECT message_id FROM edge WHERE referral_id = $1"
