"""What the accountant's roles may read, and how it stands in the books."""

from __future__ import annotations

from deploy.accounting.books import read_books
from shared.contracts.registry import REFERRAL_OFFERED
from shared.kernel.ids import uuid7
from tests.support.running import AGENCY, HOTLINE, Exchange

_ADD = """
INSERT INTO outbox (message_id, type, subject, sender, recipient, recipient_instance, topic, exercise, body,
                    created_at, guard, epoch, sequence, digest, sent_at)
VALUES ($1, $2, $3, $4, $5, 'law_enforcement', 'causeway.inbox.law_enforcement.hotline.v1', true, '', now(), '', $1,
        $6, $7, now())
"""


async def test_a_message_without_a_number_stands_in_the_books_as_waiting(exchange: Exchange) -> None:
    first, second, subject = uuid7(), uuid7(), str(uuid7())
    admin = await exchange.admin("hotline")
    try:
        # The first waits for a receipt that never comes, so the relay leaves the second alone.
        await admin.execute(_ADD, first, REFERRAL_OFFERED.type, subject, HOTLINE, AGENCY, 10**9, "0" * 64)
        await admin.execute(_ADD, second, REFERRAL_OFFERED.type, subject, HOTLINE, AGENCY, None, None)
        books = await read_books(exchange.endpoints)
    finally:
        await admin.execute("DELETE FROM outbox WHERE message_id = ANY($1)", [second, first])
        await admin.close()
    assert books.waiting == {second: REFERRAL_OFFERED.type}
    assert first in books.in_outbox
    assert second not in books.in_outbox
