"""The daily quota of a party is bounded in the database, for all processes together."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, nullcontext, suppress
from datetime import date, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic_core import to_json

from shared.catalog import CATALOG
from shared.core.acts.act import Cause, Track
from shared.core.authority import Role
from shared.core.contracts.directory import Daily
from shared.core.contracts.registry import Family, Meter
from shared.core.envelope.base64url import to_base64url
from shared.core.guard import cost
from shared.core.guard.budget import QuotaExceeded
from shared.core.guard.charge import BYTE
from shared.core.ids import uuid7
from shared.core.protocol.message import Addressing, compose
from shared.core.routing.directory_index import SMALLEST, DirectoryIndex
from shared.delivery.gate import debit_own
from shared.platform.database.transactions import RowScope
from shared.platform.observability.metrics import UNRELEASED
from tests.contracts.golden import record_file
from tests.services.doors import asking
from tests.services.hotline.origin import Origin, body_of
from tests.services.hotline.test_second_person import over_budget, review
from tests.support.builders import AT, HOTLINE, POLICE
from tests.support.exchange_world import SUBMISSION, submission

P0 = {"priority": {"level": "p0_child_at_risk", "basis": ["imminent_harm"]}}
_days = (AT.replace(hour=12) + timedelta(days=n) for n in range(30, 300))


def smallest(origin: Origin, at: datetime) -> Origin:
    """Return the sample hotline in the smallest quota class, on the day of `at`."""
    declared(origin, None, at=AT - timedelta(minutes=1))
    origin.clock.advance((at - origin.clock.now()).total_seconds())
    return origin


@pytest.fixture
async def origin(origin: Origin) -> Origin:
    return smallest(origin, next(_days))


def declared(origin: Origin, daily: Daily | None, *, at: datetime = AT) -> None:
    document = origin.world.document
    parties = tuple(one.model_copy(update={"daily": daily}) if one.id == HOTLINE else one for one in document.parties)
    origin.world.place(document.model_copy(update={"version": 2 if daily is None else 3, "parties": parties}), at)


async def filed(client: httpx.AsyncClient, *bodies: dict[str, Any], key: str | None = None) -> httpx.Response:
    path, content = ("", bodies[0]) if len(bodies) == 1 else (":batch", {"referrals": list(bodies)})
    return await client.post(f"/v1/referrals{path}", json=content, headers=asking(HOTLINE, key=key or uuid7().hex))


async def fill(client: httpx.AsyncClient, *, at_once: int = 1) -> list[int]:
    """Submit until the daily quota has no room for one more; return the answers."""
    statuses: list[int] = []
    while 429 not in statuses:
        answers = await asyncio.gather(*(filed(client, body_of()) for _ in range(at_once)))
        statuses += [answer.status_code for answer in answers]
        assert len(statuses) < 200, "the day never ends"
    return statuses


async def fill_reserve(client: httpx.AsyncClient) -> None:
    """Fill the day, and what is kept beyond it for children at risk."""
    await fill(client)
    while (await filed(client, body_of(**P0))).json()["state"] == "routed":
        pass


async def spent(origin: Origin) -> float:
    """Return the bytes that the day has cost so far."""
    on: date = origin.clock.now().date()
    rows = await origin.sql(
        "SELECT bits FROM daily_quota_usage WHERE party = $1 AND day = $2 AND NOT is_received", HOTLINE, on
    )
    return next((row["bits"] / BYTE for row in rows), 0)


async def test_what_exceeds_the_day_is_refused_until_the_next(origin: Origin, client: httpx.AsyncClient) -> None:
    taken = body_of()
    assert (await filed(client, taken)).status_code == 202
    before = await spent(origin)
    assert (await filed(client, taken)).status_code == 409
    assert await spent(origin) == before, "a reference that is taken costs nothing"
    await fill(client)
    before = await spent(origin)
    assert before <= SMALLEST
    one, several = body_of(), [body_of(), body_of()]
    answer = await filed(client, one, key="one")
    assert (answer.status_code, answer.json()["code"]) == (429, "day_spent")
    assert answer.headers["retry-after"] == str(12 * 3600)
    answers = (await filed(client, *several, key="several")).json()["results"]
    assert [each["status"] for each in answers] == [429, 429]
    assert await spent(origin) == before, "what is refused is not debited"
    origin.clock.advance(12 * 3600)
    # What was refused for its day may reuse its key.
    assert (await filed(client, one, key="one")).status_code == 202
    answers = (await filed(client, *several, key="several")).json()["results"]
    assert [each["status"] for each in answers] == [202, 202]


async def test_of_a_list_what_fits_is_taken_and_its_answer_kept(origin: Origin, client: httpx.AsyncClient) -> None:
    several = [body_of() for _ in range(100)]
    first = await filed(client, *several, key="list")
    statuses = [each["status"] for each in first.json()["results"]]
    assert {202, 429} == set(statuses)
    # They are stored in order. When room is short, one with a cheaper reference may still fit.
    assert set(statuses[: statuses.count(202) * 4 // 5]) == {202}
    assert (await filed(client, *several, key="list")).content == first.content
    assert await spent(origin) <= SMALLEST


async def filed_at_two(origin: Origin, rounds: int) -> None:
    """Submit through two processes of one database at a time, until neither accepts more, or for this many rounds."""
    other = Origin(origin.database, origin.world)
    other.clock = origin.clock
    async with AsyncExitStack() as stack:
        doors = []
        for each in (origin, other):
            await stack.enter_async_context(each.intake.running())
            doors.append(await stack.enter_async_context(each.door()))
        for _ in range(rounds):
            answers = await asyncio.gather(*(filed(each, body_of()) for each in doors for _ in range(4)))
            if all(answer.status_code == 429 for answer in answers):
                return


async def test_two_processes_of_one_database_share_the_day(origin: Origin) -> None:
    await filed_at_two(origin, 60)
    total = await spent(origin)
    # References are random, so their costs differ. The margin is the highest of 50 costs plus a tenth.
    dearest = max(cost(submission(external_ref=body_of()["external_ref"])).whole for _ in range(50)) / BYTE
    assert SMALLEST - dearest * 1.1 < total <= SMALLEST


async def test_without_its_bound_a_day_has_no_end(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the test above."""
    monkeypatch.setattr(DirectoryIndex, "quota", lambda *_: 2**40)
    await filed_at_two(origin, 20)
    assert await spent(origin) > 1.01 * SMALLEST


async def test_no_mix_of_records_and_hashes_carries_ten_kilobytes(origin: Origin, client: httpx.AsyncClient) -> None:
    """Earlier hashes had a quota of their own, and so did other fields: a mix carried both."""
    hashed = body_of(items=[SUBMISSION["items"][0] | {"hashes": {"photodna": to_base64url(bytes(144))}}] * 9)
    for content, times in ((hashed, 6), (body_of(), 20), (body_of(**P0), 30)):
        for _ in range(times):
            await filed(client, content | {"external_ref": uuid7().hex})
    assert 1.4 * SMALLEST < await spent(origin) <= 1.5 * SMALLEST < 10_000


async def test_a_child_at_risk_goes_to_a_second_person_at_once(origin: Origin, client: httpx.AsyncClient) -> None:
    await fill(client)
    results = (await filed(client, body_of(), body_of(**P0), body_of())).json()["results"]
    assert [each["status"] for each in results] == [429, 202, 429], "the rest of the day is kept for it"
    await fill_reserve(client)
    await origin.forget()
    before = await spent(origin)
    assert SMALLEST < before <= 1.5 * SMALLEST
    marked = UNRELEASED.labels("over_day")._value.get()
    answer = await filed(client, body_of(**P0))
    assert (answer.status_code, answer.json()["state"], answer.json()["work_reason"]) == (202, "unreleased", "over_day")
    assert UNRELEASED.labels("over_day")._value.get() == marked + 1
    assert not await origin.waiting_edges()
    assert await spent(origin) == before
    released = await review(client, answer.json()["referral_id"], "release")
    assert released.json()["state"] == "routed"
    assert len(await origin.waiting_edges()) == 5
    assert await spent(origin) > 1.5 * SMALLEST, "it counts all the same"
    one_more = (await filed(client, body_of(**P0))).json()["referral_id"]
    await origin.sql("UPDATE daily_quota_usage SET bits = $1 WHERE party = $2", 10 * SMALLEST * BYTE, HOTLINE)
    answer = await review(client, one_more, "release")
    assert (answer.status_code, answer.json()["code"]) == (429, "day_spent")


async def test_an_amendment_of_a_p0_referral_stays_in_the_day(origin: Origin, client: httpx.AsyncClient) -> None:
    """Earlier, one p0 referral could be amended without end on a spent day."""
    first = body_of(**P0)
    referral_id = (await filed(client, first)).json()["referral_id"]
    await fill_reserve(client)
    before, added = await spent(origin), {"locator": {"kind": "url", "value": "https://host.example/added"}}
    changed = first | {"items": [*first["items"], added]}  # it needs more room than the record that filled the day
    headers = asking(HOTLINE, key=uuid7().hex) | {"If-Match": '"1"'}
    answer = await client.post(f"/v1/referrals/{referral_id}:amend", json=changed, headers=headers)
    assert (answer.status_code, answer.json()["code"], await spent(origin)) == (429, "day_spent", before)


async def test_what_is_released_counts_against_that_day(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id = (await filed(client, over_budget())).json()["referral_id"]
    assert not await spent(origin), "nothing of it has left"
    assert (await review(client, referral_id, "release")).status_code == 202
    assert await spent(origin) > 350
    waiting = (await filed(client, over_budget())).json()["referral_id"]
    await fill(client)
    answer = await review(client, waiting, "release")
    assert (answer.status_code, answer.json()["code"]) == (429, "day_spent")
    origin.clock.advance(24 * 3600)
    assert (await review(client, waiting, "release")).status_code == 202


@pytest.mark.parametrize("meter", [*Meter], ids=str)
async def test_messages_of_ones_own_accord_end_with_the_day_and_no_others(origin: Origin, meter: Meter) -> None:
    """All other types show that the test finds a type of one's own accord that is not debited."""
    directory, sent = origin.world.documents.directory, 0
    of_parties = [each for each in CATALOG.messages if each.family is not Family.FACT and each.meter is meter]
    with nullcontext() if meter is not Meter.OWN else pytest.raises(QuotaExceeded):
        for message in of_parties * 100:
            clear = json.loads(record_file(message).read_bytes())["reads"]["clear"]
            draft = compose(message, clear, Addressing(uuid7(), HOTLINE, POLICE, directory, True, AT))
            async with origin.database.transaction(RowScope([HOTLINE], Role.ANALYST, "check")) as session:
                await debit_own(session.driver, [draft], directory.quota)
            sent += len(to_json(clear))
    assert (sent > 40_000) is (meter is not Meter.OWN)


async def test_one_key_and_every_message_type_carry_9_kib_in_a_day(origin: Origin, client: httpx.AsyncClient) -> None:
    """What is sent is counted by its own cost, apart from the debits: each type in turn, then all that still fits."""
    directory, at, sent = origin.world.documents.directory, origin.clock.now(), 0
    for message in [each for each in CATALOG.messages if each.meter is Meter.OWN] * 40:
        read = json.loads(record_file(message).read_bytes())["reads"]
        draft = compose(message, read["clear"], Addressing(uuid7(), HOTLINE, POLICE, directory, True, at))
        with suppress(QuotaExceeded):
            async with origin.database.transaction(RowScope([HOTLINE], Role.ANALYST, "check")) as session:
                await debit_own(session.driver, [draft], directory.quota)
            sent += cost(message.clear.model_validate(read["clear"])).whole
        if sent < SMALLEST * BYTE // 2 or message.family is Family.NOTICE:
            for body in (body_of(), body_of(**P0)):
                answer = await filed(client, body)
                if answer.status_code == 202 and answer.json()["state"] == "routed":
                    sent += cost(submission(**body)).whole
    await fill_reserve(client)
    assert 1.4 * SMALLEST < await spent(origin) <= 1.5 * SMALLEST == 9 * 1024
    assert sent <= await spent(origin) * BYTE


def test_a_person_begins_nothing_that_is_not_debited() -> None:
    begun = [each for each in CATALOG.acts if each.cause is Cause.PERSON and (each.track is Track.OFFER or each.stays)]
    undebited = {each.name for each in begun if each.message and each.message.meter not in (Meter.OWN, Meter.RECORD)}
    assert undebited == {"withdraw", "release_hold", "no_objection"}


async def test_a_declared_day_is_half_as_much_again(origin: Origin) -> None:
    declared(origin, Daily(records=1000, record_bytes=528))
    assert origin.world.documents.directory.quota(HOTLINE) == 1.5 * 1000 * 528
