"""Planned notices beside each other: holds of several agencies, after a restore, unseen by providers, and amended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.clock import coarse
from shared.core.envelope.record_value import split_value
from shared.core.ids import uuid7
from shared.core.protocol.message import Draft
from tests.services.doors import until_idle
from tests.services.hotline.origin import Origin, applied
from tests.services.hotline.test_amending import amended, filed, read, sent
from tests.services.hotline.test_holds import (
    SLOT,
    WINDOW,
    agencies_of,
    extend,
    hold_of,
    no_objection,
    pass_time,
    place,
    release,
    timers,
    told,
)
from tests.support.builders import AT, PROVIDER
from tests.support.exchange_world import opened

pytestmark = pytest.mark.usefixtures("planned")


async def test_each_hold_ends_in_its_own_slot_whoever_else_holds(origin: Origin) -> None:
    """If a hold ended later than requested, its agency could tell that another agency holds, too."""
    referral_id = await origin.file()
    one, other, *_ = await agencies_of(origin, referral_id)
    short = place(origin, referral_id, one, WINDOW + timedelta(hours=8))
    long = place(origin, referral_id, other, WINDOW + timedelta(hours=80))
    assert await applied(origin, short, long) == [None, None]
    await pass_time(origin, WINDOW + timedelta(hours=8) + SLOT)
    assert [(each["hold"], each["end"]) for each in await told(origin, "hold_ended")] == [
        (str(hold_of(short)), "expired")
    ]
    assert (await origin.edge(referral_id))["delivery"] == "planned"
    await pass_time(origin, timedelta(hours=80))
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["expired", "expired"]
    assert (await origin.edge(referral_id))["delivery"] == "queued"


async def test_a_hold_is_bounded_by_the_origin_s_clock_whatever_its_agency_says_of_the_time(origin: Origin) -> None:
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    ahead = timedelta(days=3650)
    dated = replace(place(origin, referral_id, agency, ahead), sent_at=origin.clock.now() + ahead - timedelta(hours=1))
    assert await applied(origin, dated) == ["hold_beyond_bound"]
    placed = place(origin, referral_id, agency, timedelta(hours=80), number=2)
    assert await applied(origin, placed) == [None]
    longer = replace(extend(origin, placed, ahead, number=3), sent_at=dated.sent_at)
    assert await applied(origin, longer) == ["hold_beyond_bound"]


async def test_a_short_hold_does_not_cut_the_window_of_the_others(origin: Origin) -> None:
    referral_id = await origin.file()
    one, other, *_ = await agencies_of(origin, referral_id)
    before = (await origin.edge(referral_id))["issue_at"]
    assert await applied(origin, place(origin, referral_id, one, timedelta(minutes=20))) == [None]
    assert (await origin.edge(referral_id))["issue_at"] == before
    await pass_time(origin, timedelta(hours=1))
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["expired"]
    assert await applied(origin, place(origin, referral_id, other, WINDOW)) == [None]
    assert len(await told(origin, "hold_activated")) == 2
    assert await told(origin, "hold_too_late") == []


# -- A restored origin issues no notice that may be held until it has read the forgotten messages again.


HOUR = timedelta(hours=1)
_CLOSED = """
INSERT INTO incarnation (writer, addressee, incarnation, closed_at) SELECT 'hotline', min(peer), $1, $2 FROM stream_pair
"""


@pytest.fixture
async def lived(origin: Origin) -> AsyncIterator[None]:
    """Undo the restore, so that other tests of the database find it as before."""
    yield
    await origin.sql("DELETE FROM incarnation")


async def restored(origin: Origin) -> None:
    """Continue the streams to one peer in another incarnation, as after a restore."""
    await origin.sql(_CLOSED, uuid7(), origin.clock.now())


@pytest.mark.usefixtures("lived")
async def test_what_is_due_waits_for_an_hour_and_then_goes(origin: Origin) -> None:
    referral_id = await origin.file()
    origin.clock.advance((WINDOW + SLOT).total_seconds())
    await restored(origin)
    await pass_time(origin, HOUR - SLOT)
    assert (await origin.edge(referral_id))["delivery"] == "planned"
    await pass_time(origin, 3 * SLOT)
    assert (await origin.edge(referral_id))["delivery"] == "queued"


@pytest.mark.usefixtures("lived")
async def test_a_hold_that_was_forgotten_is_read_again_and_kept(origin: Origin) -> None:
    """The agency's message is read again. It is answered again, and the notice waits."""
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    held = place(origin, referral_id, agency, WINDOW + 8 * HOUR)
    origin.clock.advance((WINDOW + SLOT).total_seconds())
    await restored(origin)
    assert await applied(origin, held) == [None]
    assert [each["hold"] for each in await told(origin, "hold_activated")] == [str(hold_of(held))]
    await pass_time(origin, 2 * HOUR)
    assert (await origin.edge(referral_id))["delivery"] == "planned"
    assert await applied(origin, release(origin, held)) == [None]
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["released"]


# -- Two hundred pairs of notices, one held for eighty hours and one not held. A provider sees no difference.


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
    looked, held = await origin.file_all([{}] * PAIRS), await origin.file_all([{}] * PAIRS)
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
    await until_idle(timers(origin))
    found = [row for row in await origin.waiting() if row.recipient == PROVIDER]
    await origin.forget()
    return found


# -- A referral is amended while its notice is planned. The notice stays planned, goes once, and can still be held.


OTHER_PROVIDER = "provider-003.example"


async def notices(origin: Origin, referral_id: UUID, provider: str = PROVIDER) -> list[dict[str, Any]]:
    edges = (await origin.show(referral_id))["edges"]
    return [edge for edge in edges if edge["recipient"] == provider]


async def test_what_is_planned_stays_so_and_goes_once_amended(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    await origin.forget()
    answer = await amended(client, referral_id, body | {"media_kind": "video"})
    assert (PROVIDER in answer["added"], PROVIDER in answer["replaced"]) == (False, True)
    assert PROVIDER not in await sent(origin), "an agency may still hold it"
    (planned,) = await notices(origin, referral_id)
    assert planned["delivery"] == "planned"
    await pass_time(origin, WINDOW + SLOT)
    (issued,) = await notices(origin, referral_id)
    assert issued["delivery"] == "queued"
    origin.world.at = origin.clock.now()
    message = read(origin, (await sent(origin))[PROVIDER])
    assert message.sealed.media_kind.value == "video"  # type: ignore[union-attr]
    answer = await amended(client, referral_id, body | {"media_kind": "text"}, revision=2)
    assert PROVIDER in answer["replaced"]
    again = read(origin, (await sent(origin))[PROVIDER])
    assert again.subject == message.subject, "there is one notice"


async def test_what_an_amendment_adds_has_a_window_of_its_own(origin: Origin, client: httpx.AsyncClient) -> None:
    """Agencies that the amendment does not concern may hold it, too."""
    referral_id, body = await filed(client)
    await pass_time(origin, WINDOW + SLOT)
    await origin.forget()
    item, other = body["items"]
    hosting = [*item["hosting"], {"provider": OTHER_PROVIDER, "method": "stated"}]
    answer = await amended(client, referral_id, body | {"items": [item | {"hosting": hosting}, other]})
    assert OTHER_PROVIDER in answer["added"]
    assert OTHER_PROVIDER not in await sent(origin)
    (added,) = await notices(origin, referral_id, OTHER_PROVIDER)
    assert added["delivery"] == "planned"
    await pass_time(origin, WINDOW - SLOT)
    assert OTHER_PROVIDER not in await sent(origin)
    await pass_time(origin, 2 * SLOT)
    assert OTHER_PROVIDER in await sent(origin)


async def test_a_planned_notice_without_its_provider_is_dropped(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    agency, *_ = await agencies_of(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, agency, WINDOW + timedelta(hours=8))) == [None]
    item, other = body["items"]
    unknown = [{name: value for name, value in each.items() if name != "provider"} for each in item["hosting"]]
    await amended(client, referral_id, body | {"items": [item | {"hosting": unknown}, other]})
    assert await notices(origin, referral_id) == []
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["lapsed"]
    await pass_time(origin, 2 * WINDOW)
    assert PROVIDER not in await sent(origin)


async def issued(origin: Origin) -> int:
    """Return how many messages would go to the provider."""
    return sum(row.recipient == PROVIDER for row in await origin.waiting())


async def test_an_amendment_does_not_issue_what_is_held(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    agency, *_ = await agencies_of(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, agency, WINDOW + timedelta(hours=8))) == [None]
    before = await origin.edge(referral_id)
    said = await amended(client, referral_id, body | {"media_kind": "video"})
    assert PROVIDER in said["replaced"]
    assert await issued(origin) == 0
    (stands,) = await notices(origin, referral_id)
    assert (stands["delivery"], stands["issue_at"]) == ("planned", before["issue_at"])
    await pass_time(origin, WINDOW + SLOT)
    assert await issued(origin) == 0
    await pass_time(origin, timedelta(hours=8))
    assert (await issued(origin), len(await notices(origin, referral_id))) == (1, 1)
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["expired"]


async def test_an_amendment_leaves_the_window_where_it_was(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, body = await filed(client)
    await pass_time(origin, WINDOW - SLOT)
    await amended(client, referral_id, body | {"media_kind": "video"})
    assert await issued(origin) == 0
    await pass_time(origin, 2 * SLOT)
    assert await issued(origin) == 1


@pytest.mark.parametrize("shown", [{"media_kind": "video"}, {"viewed_by": "automated_only"}], ids=["all", "agencies"])
async def test_without_objection_it_goes_soon(origin: Origin, client: httpx.AsyncClient, shown: dict[str, str]) -> None:
    referral_id, body = await filed(client)
    looked = [no_objection(origin, referral_id, each) for each in await agencies_of(origin, referral_id)]
    assert await applied(origin, *looked) == [None] * len(looked)
    await amended(client, referral_id, body | shown)
    assert await issued(origin) == 0
    await pass_time(origin, SLOT)
    assert await issued(origin) == 1
