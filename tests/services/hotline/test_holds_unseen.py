"""Two hundred pairs of notices, one held for eighty hours and one not held. A provider sees no difference.

Times are compared relative to the issue, because only the issue time may differ.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from shared.envelope.record_value import split_value
from shared.exchange.message import Draft
from shared.kernel.clock import coarse
from tests.services.hotline.origin import Origin
from tests.services.hotline.test_holds import agencies_of, applied, no_objection, place, planned, timers
from tests.support.builders import AT, PROVIDER
from tests.support.exchange_world import opened

__all__ = ["planned"]  # the fixture

PAIRS = 200


def seen(origin: Origin, draft: Draft) -> tuple[Any, ...]:
    """Return the provider's and its instance's view of a notice, without random values and with relative times."""
    (record,) = origin.world.records([draft])
    value = record.value or b""
    _, sealed_bytes = split_value(value)
    issued = coarse(draft.created_at)
    sealed = opened(origin.world, draft)
    clear = {name: since(value, issued) for name, value in draft.clear.items()}
    ids = [timed(UUID(clear.pop("notice_id")), issued), timed(draft.message_id, issued)]
    clear.pop("edge_id"), clear.pop("commitment")
    told = sealed["decision"] | {"decided_at": since(sealed["decision"]["decided_at"], issued)}
    edge = {name: value for name, value in sealed["edge"].items() if name != "digest"}
    lengths = len(value), len(sealed_bytes or b"")
    headers = draft.message, draft.sender, draft.recipient, draft.exercise, draft.guard, draft.traceparent is None
    decided = None if draft.decided_at is None else draft.decided_at - draft.created_at
    return clear, ids, told, edge, sealed["record"], sealed.keys(), lengths, headers, decided


def since(value: Any, issued: datetime) -> Any:
    """Return a time as the duration since the issue, and any other value unchanged."""
    try:
        return datetime.fromisoformat(value) - issued
    except (TypeError, ValueError):
        return value


def timed(id_: UUID, issued: datetime) -> timedelta:
    """Return the time of a UUIDv7 since the issue."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, issued.tzinfo) - issued


async def test_nothing_of_a_notice_says_that_it_has_waited(origin: Origin) -> None:
    looked = [await origin.file() for _ in range(PAIRS)]
    held = [await origin.file() for _ in range(PAIRS)]
    agencies = await agencies_of(origin, looked[0])
    for referral_id in looked:
        said = [no_objection(origin, referral_id, agency) for agency in agencies]
        assert await applied(origin, *said) == [None] * len(said)
    for referral_id in held:
        assert await applied(origin, place(origin, referral_id, agencies[0], timedelta(hours=80))) == [None]
    await origin.forget()
    at_once = await _after(origin, timedelta(minutes=10))
    late = await _after(origin, timedelta(hours=80))
    assert (len(at_once), len(late)) == (PAIRS, PAIRS)
    assert all(draft.created_at - AT > timedelta(hours=80) for draft in late)
    assert {repr(seen(origin, draft)) for draft in at_once} == {repr(seen(origin, draft)) for draft in late}
    # The issue is in its own slot, whatever its window and its hold were.
    assert {draft.created_at.minute % 10 for draft in (*at_once, *late)} == {0}


async def _after(origin: Origin, time: timedelta) -> list[Draft]:
    """Return the messages that are issued to the provider after this time, in the next slot."""
    origin.clock.advance(time.total_seconds())
    origin.world.at = origin.clock.now()
    while await timers(origin).look():
        pass
    found = [row for row in await origin.waiting() if row.recipient == PROVIDER]
    await origin.forget()
    return found
