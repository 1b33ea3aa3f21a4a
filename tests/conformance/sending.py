"""What the suites of the sender's stores share: rows as they wait, noted as appended, answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared.contracts.delivery import GoneNumbers, TakenMark
from shared.envelope.batch import message_digest
from shared.envelope.headers import Attributes, decode_headers
from shared.exchange.message import Draft
from shared.runtime.post.ports import HOLES_LOOKED_AT, Progress, Settled, Settlement, Waiting
from tests.conformance.conftest import Stores
from tests.support.builders import AT, settlement

LANE = "law_enforcement"


async def waiting(stores: Stores, lane: str = LANE, limit: int = 100) -> list[Waiting]:
    """What waits in a lane."""
    return (await stores.lanes.work(lane, limit)).rows


async def sent(stores: Stores, *drafts: Draft, at: datetime = AT) -> list[Waiting]:
    """Commit the drafts and note all that waits in their lane as appended at this time."""
    await stores.enqueue(drafts)
    rows = await waiting(stores, drafts[0].recipient_instance)
    await stores.lanes.note(drafts[0].recipient_instance, Progress(rows[-1].position, at))
    return rows


def attributes_of(row: Waiting) -> Attributes:
    assert row.record is not None
    return decode_headers(row.record.headers, row.record.value).attributes


def digest_of(row: Waiting) -> str:
    """What a recipient computes over the row's covered bytes."""
    assert row.record is not None
    return message_digest(attributes_of(row), row.record.value)


def of(row: Waiting) -> tuple[str, str, UUID]:
    stated = attributes_of(row)
    return stated.sender, stated.recipient, stated.epoch


def ids(rows: Sequence[Waiting]) -> list[UUID]:
    return [row.message_id for row in rows]


async def settle(stores: Stores, *entries: Settlement) -> Settled:
    async with stores.inbox.unit() as unit:
        return await unit.settle(entries)


async def applied(stores: Stores, *rows: Waiting) -> None:
    """The recipient says of each that it was applied."""
    await settle(stores, *(settlement(row.message_id, digest_of(row)) for row in rows))


async def mark(
    stores: Stores, by: str, *marks: TakenMark, at: datetime = AT, most: int = HOLES_LOOKED_AT
) -> list[GoneNumbers]:
    async with stores.inbox.unit() as unit:
        return await unit.sent_book.take_marks(by, marks, at, holes=most)
