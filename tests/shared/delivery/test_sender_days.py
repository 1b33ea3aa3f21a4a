"""The days of senders at a recipient: what is beyond them is deferred, and nothing of an honest sender is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest

from shared.catalog import CATALOG
from shared.core.contracts.registry import REFERRAL_WITHDRAWN, Family, Meter
from shared.core.guard.charge import BYTE
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Draft, Received
from shared.core.protocol.origin import EdgeAnswer
from shared.core.routing.directory_index import SMALLEST
from shared.core.vocabulary.answers import AnswerState
from shared.delivery import gate
from shared.delivery.exception_desk import ExceptionDesk
from shared.delivery.gate import DAYS_AT_ONCE, RELEASED_QUOTAS_MAX, SenderDays, debit
from shared.instance.streams import begin_anew
from shared.messaging.exceptions import OutcomeKind
from shared.messaging.reception import receive_batch
from shared.messaging.streams import Lane, Pair
from tests.contracts.golden import record_file
from tests.shared.delivery.test_inbound import again, handler_of, told
from tests.support.builders import AT, HOTLINE, POLICE, draft, withdrawal
from tests.support.consuming import Site
from tests.support.exchange_world import World, world

DAY_S = 24 * 3600
#: The unit of what is used: a day.
ROOM = 1 << 32
OVER = ("deferred", "sender_day_spent")


def smallest(here: World, version: int = 2) -> World:
    """Return the world with the hotline in the smallest class."""
    parties = tuple(
        each.model_copy(update={"daily": None}) if each.id == HOTLINE else each for each in here.document.parties
    )
    here.place(here.document.model_copy(update={"version": version, "parties": parties}), AT - timedelta(minutes=1))
    assert here.documents.directory.quota(HOTLINE) == SMALLEST
    return here


@pytest.fixture
def here(here: World) -> World:
    return smallest(here)


async def used(site: Site, name: str = "") -> int:
    """Return what the hotline has used of its days: to its recipients, or under this name."""
    rows = await site.database.fetch("SELECT used FROM daily_quota_usage WHERE party = $1 AND is_received", HOTLINE)
    today = (site.clock.now().date() - date(1970, 1, 1)).days * ROOM
    found = rows[0]["used"] if rows else {}
    return sum(until - today for each, until in found.items() if (each == name if name else "/" in each))


async def fill(site: Site, left: int = 0) -> None:
    """Use up what the hotline may send to the recipients that it has sent to, but for `left`."""
    today = (site.clock.now().date() - date(1970, 1, 1)).days
    async with site.database.transaction() as session:
        await session.driver.execute(
            "UPDATE daily_quota_usage SET used = (SELECT jsonb_object_agg(key,"
            " CASE WHEN key LIKE '%/%' THEN $1 ELSE value::bigint END) FROM jsonb_each(used)) WHERE is_received",
            (today + DAYS_AT_ONCE) * ROOM - left,
        )


async def offer_and_fill(site: Site, here: World) -> Draft:
    offer = here.offered(POLICE)
    assert told(await site.take(here.written([offer]))) == [("applied", None)]
    await fill(site)
    return offer


def flood(here: World, count: int) -> list[Draft]:
    return [here.offered(POLICE) for _ in range(count)]


async def test_a_hostile_origin_that_skips_its_meter_is_deferred_and_tried_at_midnight(
    agencies: Site, here: World
) -> None:
    (first,) = flood(here, 1)
    await agencies.take(here.written([first]))
    each = await used(agencies)
    await fill(agencies, left=3 * each + 5)
    assert told(await agencies.take(here.written(flood(here, 2)))) == [("applied", None)] * 2
    fitting = ROOM // each
    assert told(await agencies.take(here.written(flood(here, 2 * fitting)))) == [
        ("applied", None),
        *[OVER] * (2 * fitting - 1),
    ]
    assert ROOM * DAYS_AT_ONCE - each < await used(agencies) <= ROOM * DAYS_AT_ONCE
    assert told(await agencies.try_again(OutcomeKind.DEFERRED)) == [OVER] * (2 * fitting - 1)
    agencies.clock.advance(DAY_S)
    retried = told(await agencies.try_again(OutcomeKind.DEFERRED))
    assert retried == [("applied", None)] * fitting + [OVER] * (fitting - 1)
    assert len(await agencies.exceptions()) == fitting - 1


async def test_three_days_of_backlog_come_at_once_and_nothing_is_deferred(agencies: Site, here: World) -> None:
    """Each day is used to the last bit, for children at risk, too."""
    await agencies.take(here.written(flood(here, 1)))
    each = await used(agencies)
    backlog = flood(here, 3 * (ROOM // each))
    agencies.clock.advance(3 * DAY_S)
    outcomes = await agencies.take(here.written(backlog))
    assert told(outcomes) == [("applied", None)] * len(backlog)
    assert await used(agencies) > 2.9 * ROOM


async def test_of_a_day_that_follows_another_the_rest_is_carried_over(agencies: Site, here: World) -> None:
    await offer_and_fill(agencies, here)
    each = await used(agencies) - ROOM * DAYS_AT_ONCE
    assert each == 0
    agencies.clock.advance(2 * DAY_S)
    await agencies.take(here.written(flood(here, 1)))
    assert ROOM * (DAYS_AT_ONCE - 2) < await used(agencies) < ROOM * (DAYS_AT_ONCE - 1)


async def test_times_and_ids_that_a_sender_states_give_it_no_other_day(agencies: Site, here: World) -> None:
    await offer_and_fill(agencies, here)
    here.at = AT - timedelta(hours=2)
    offer = replace(here.offered(POLICE), created_at=AT - timedelta(hours=2))
    assert told(await agencies.take(here.written([offer]))) == [OVER]


async def test_a_message_counts_when_it_is_first_applied_and_then_no_more(agencies: Site, here: World) -> None:
    offer = here.offered(POLICE)
    await agencies.take(here.written([offer, again(offer)]))
    once = await used(agencies)
    await agencies.take(here.written([again(offer)]))
    handler_of(agencies).codes = {offer.message.type: "state_forbids"}
    assert told(await agencies.take(here.written(flood(here, 1)))) == [("refused", "state_forbids")]
    assert await used(agencies) == once > 0
    await fill(agencies)
    assert told(await agencies.take(here.written([again(offer)]))) == [("applied", None)]


async def test_a_message_that_breaks_the_features_does_not_count(agencies: Site, here: World) -> None:
    good, bad = flood(here, 2)
    await agencies.take(here.written([good]))
    once = await used(agencies)
    handler_of(agencies).cursed = {bad.message_id}
    assert told(await agencies.take(here.written([bad]))) == [("dead", "handler_defect")]
    assert await used(agencies) == once


async def test_a_person_lets_a_deferred_message_pass(agencies: Site, here: World) -> None:
    await offer_and_fill(agencies, here)
    (offer,) = flood(here, 1)
    assert told(await agencies.take(here.written([offer]))) == [OVER]
    desk = ExceptionDesk(agencies.scopes)
    await desk.retry(await desk.list(code="sender_day_spent"))
    assert await agencies.exceptions() == []
    assert handler_of(agencies).messages[-1].message_id == offer.message_id
    assert await used(agencies) > ROOM * DAYS_AT_ONCE


async def test_a_smaller_quota_and_a_retry_use_up_one_day_at_most(agencies: Site, here: World) -> None:
    here.place(here.document.model_copy(update={"version": 3}), AT - timedelta(minutes=1))
    await agencies.take(here.written(flood(here, 1)))
    await fill(agencies, left=6 * ROOM)
    smallest(here, version=4)
    assert told(await agencies.take(here.written(flood(here, 1)))) == [OVER]
    desk = ExceptionDesk(agencies.scopes)
    await desk.retry(await desk.list(code="sender_day_spent"))
    agencies.clock.advance(DAY_S)
    assert told(await agencies.take(here.written(flood(here, 1)))) == [("applied", None)]


async def test_a_larger_budget_of_the_directory_lets_it_pass(agencies: Site, here: World) -> None:
    await offer_and_fill(agencies, here)
    assert told(await agencies.take(here.written(flood(here, 1)))) == [OVER]
    here.place(here.document.model_copy(update={"version": 3}), AT)
    assert told(await agencies.try_again(OutcomeKind.DEFERRED)) == [("applied", None)]


async def test_an_act_waits_behind_its_deferred_edge_and_a_withdrawal_does_not(agencies: Site, here: World) -> None:
    await offer_and_fill(agencies, here)
    offer = here.offered(POLICE)
    referral_id = UUID(offer.subject)
    taken_back = draft(referral_id, message=REFERRAL_WITHDRAWN, clear=withdrawal(referral_id))
    assert told(await agencies.take(here.written([offer, taken_back]))) == [OVER, ("applied", None)]
    assert await agencies.exceptions() == [], "the withdrawal ends it"


async def test_deferred_messages_stop_no_stream(agencies: Site, here: World) -> None:
    await offer_and_fill(agencies, here)
    assert told(await agencies.take(here.written(flood(here, 3)))) == [OVER] * 3
    async with agencies.scopes.read() as tx:
        incoming = await tx.load_incoming(Pair("hotline", agencies.instance), lock=False)
    assert (incoming.exception_counts, incoming.exception_bytes) == ((0, 0), (0, 0))


async def test_the_bytes_that_wait_for_one_sender_are_bounded(
    agencies: Site, here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await offer_and_fill(agencies, here)
    offers = flood(here, 3)
    assert told(await agencies.take(here.written(flood(here, 1)))) == [OVER]
    size = await used(agencies, "over") * gate.OVER_BYTES_MAX // ROOM
    monkeypatch.setattr(gate, "OVER_BYTES_MAX", size * 5 // 2)
    agencies.clock.advance(DAY_S)
    await fill(agencies)
    outcomes = [one for each in offers for one in await agencies.take(here.written([each]))]
    assert told(outcomes) == [OVER, OVER, ("refused", "sender_day_full")]
    assert told(await agencies.try_again(OutcomeKind.DEFERRED)) == [OVER] * 3
    agencies.clock.advance(DAY_S)
    await fill(agencies)
    assert told(await agencies.take(here.written(flood(here, 1)))) == [OVER], "the next day keeps as much"


async def test_after_35_days_a_deferred_message_is_refused(agencies: Site, here: World) -> None:
    await offer_and_fill(agencies, here)
    assert told(await agencies.take(here.written(flood(here, 1)))) == [OVER]
    for days, outcome in ((35, OVER), (1, ("refused", "sender_day_full"))):
        agencies.clock.advance(days * DAY_S)
        await fill(agencies, left=-ROOM)
        assert told(await agencies.try_again(OutcomeKind.DEFERRED)) == [outcome]


@pytest.mark.parametrize("restored", [True, False])
async def test_what_a_restored_recipient_gets_again_is_free_and_only_there(
    agencies: Site, here: World, restored: bool
) -> None:
    await offer_and_fill(agencies, here)
    if restored:
        async with agencies.database.transaction() as session:
            await session.driver.execute(
                "INSERT INTO incarnation (writer, addressee, incarnation) VALUES ($1, 'hotline', $2)",
                *(agencies.instance, uuid4()),
            )
    issued = here.issued_anew(here.prepared(), POLICE, EdgeAnswer(AnswerState.NONE), restored=True)
    assert told(await agencies.take(here.written([issued]))) == [("applied", None) if restored else OVER]


async def test_a_restored_recipient_starts_the_days_from_zero_and_keeps_those_of_its_own_parties(
    agencies: Site, here: World
) -> None:
    await offer_and_fill(agencies, here)
    async with agencies.database.transaction() as session:
        await debit(session.driver, AT.date(), {POLICE: 7})
        await begin_anew(session.driver)
        assert await debit(session.driver, AT.date(), {POLICE: 1}) == {POLICE: 8}
    assert await used(agencies) == 0
    assert told(await agencies.take(here.written(flood(here, 1)))) == [("applied", None)]


async def test_a_batch_within_the_days_costs_no_statement_and_one_beyond_them_is_repeated_with_care(
    agencies: Site, here: World
) -> None:
    """A careless transaction is that of each batch from Kafka. It counts together with a later statement."""
    await agencies.take(here.written(flood(here, 1)))
    each = await used(agencies)
    await take_careless(agencies, here.written(flood(here, 5)))
    assert await used(agencies) == 6 * each
    await fill(agencies, left=each)
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await take_careless(agencies, here.written(flood(here, 2)))
    assert await used(agencies) == ROOM * DAYS_AT_ONCE - each, "nothing of it is stored"


async def take_careless(site: Site, written: Sequence[Any]) -> None:
    arrived = [site._arrive(each, site.clock.now()) for each in written]
    async with site.scopes.open(is_careful=False) as scope:
        lane = next(Lane(each.lane) for each in written)
        assert await receive_batch(scope, Pair("hotline", site.instance), lane, records=arrived) == len(arrived)


def received(message: Any, *, released: bool = False, spent: int = 100 * BYTE) -> Received:
    """Return the part of a received message that its cost depends on."""
    clear = message.clear.model_validate(json.loads(record_file(message).read_bytes())["reads"]["clear"])
    carried = SimpleNamespace(released_by=("a", "b") if released else None)
    made = SimpleNamespace(
        message_id=uuid7(), message=message, sender=HOTLINE, recipient=POLICE, clear=clear, spent=spent,
        carried=carried if message.meter is Meter.RECORD else None, edge=None, again=None,
    )  # fmt: skip
    return cast(Received, made)


def days_of_smallest() -> SenderDays:
    """Return days that are only asked for the use of one message."""
    scope = cast(Any, SimpleNamespace(now=AT, is_careful=True, is_forced=False))
    return SenderDays(cast(Any, None), smallest(world()).documents.directory, scope, stored=())


@pytest.mark.parametrize(
    "message", [each for each in CATALOG.messages if each.family is not Family.FACT], ids=lambda each: each.name
)
async def test_each_message_type_counts_as_at_its_sender(message: Any) -> None:
    """Answers in codes, withdrawals and repeated states are free: a provider answers 5,000 items a day."""
    days = days_of_smallest()
    use = await days._use_of(received(message))
    if message.meter in (Meter.FREE, Meter.COVERED):
        assert use is None
        return
    assert use is not None
    assert use.until == ((AT.date() - date(1970, 1, 1)).days + DAYS_AT_ONCE) * ROOM
    spent = use.parts * 9 * 1024 / ROOM
    assert spent == pytest.approx(84) if message.meter is Meter.RECORD else spent > 100


async def test_a_release_has_ten_quotas_of_its_own() -> None:
    days = days_of_smallest()
    (record, *_) = (each for each in CATALOG.messages if each.meter is Meter.RECORD)
    plain, released = [await days._use_of(received(record, released=each)) for each in (False, True)]
    assert plain is not None
    assert released is not None
    assert plain.parts / released.parts == pytest.approx(RELEASED_QUOTAS_MAX / 1.5)
    assert released.recipient == f"{plain.recipient}/released"


async def test_what_a_recipient_that_has_moved_gets_again_is_free() -> None:
    """`accept` has checked that it has moved: 10,000 open subjects count nothing."""
    days = days_of_smallest()
    (record, *_) = (each for each in CATALOG.messages if each.meter is Meter.RECORD)
    moved = received(record)
    moved.again = cast(Any, SimpleNamespace(restored=False))
    assert await days._use_of(moved) is None
