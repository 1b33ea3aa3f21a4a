"""Rows, records and documents for the tests of the runtime's edges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from shared.contracts.registry import NOTICE_ACKNOWLEDGED
from shared.envelope.keys import SigningKey
from shared.exchange.message import Draft
from shared.kernel.ids import coarse_uuid7, uuid7
from shared.runtime.post.ports import Signed
from shared.runtime.post.stamping import Counter, counts_by_pair, sign

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
EPOCH = coarse_uuid7(NOW)
KEY = SigningKey(bytes(range(32)))
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def draft(topic: str, *, subject: str, body: bytes = b'{"clear":{}}', traceparent: str | None = None) -> Draft:
    return Draft(
        message_id=uuid7(),
        message=NOTICE_ACKNOWLEDGED,
        subject=subject,
        sender="provider.example",
        recipient="hotline.example",
        recipient_instance="hotline",
        topic=topic,
        exercise=True,
        body=body,
        created_at=NOW,
        traceparent=traceparent,
    )


def signed(drafts: Sequence[Draft]) -> list[Signed]:
    """The drafts, numbered and signed."""
    counters = {pair: Counter(EPOCH, count) for pair, count in counts_by_pair(drafts).items()}
    return sign(drafts, counters, instance="industry", key=KEY)
