"""The last step of a transaction over a real database: gathered drafts become segments, tracks and traces at once."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from shared.core.contracts.registry import NOTICE_ISSUED, REFERRAL_DECIDED
from shared.core.protocol.message import Draft
from shared.delivery.sending import letter_of, send
from shared.messaging.streams import Lane
from tests.shared.delivery.sites import NotedTracks, send_from
from tests.shared.delivery.test_inbound import taken_back
from tests.support.builders import POLICE
from tests.support.consuming import Site
from tests.support.exchange_world import World
from tests.support.wire_records import Written

AGENCIES = "law_enforcement"


def ids_of(written: list[Written]) -> list[str]:
    return [dict(each.record.headers)["ce_id"].decode() for each in written if "ce_id" in dict(each.record.headers)]


async def test_what_is_gathered_is_sent_with_the_commit_in_order(hotline: Site, here: World) -> None:
    drafts = here.prepared().drafts
    await send_from(hotline, *drafts)
    for peer in {each.recipient_instance for each in drafts}:
        sent = ids_of(await hotline.relay(peer))
        own = [str(each.message_id) for each in drafts if each.recipient_instance == peer]
        assert [each for each in sent if each in own] == own


async def test_a_transaction_that_fails_sends_nothing(hotline: Site, here: World) -> None:
    async def fail() -> None:
        async with hotline.database.transaction() as session:
            send(session.driver, [here.offered(POLICE)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await hotline.relay(AGENCIES) == []


async def test_withdrawals_and_what_is_of_a_child_at_risk_go_in_the_urgent_lane(hotline: Site, here: World) -> None:
    urgent, plain = replace(here.offered(POLICE), is_p0=True), here.offered(POLICE)
    back = taken_back(plain)
    await send_from(hotline, plain, urgent, back)
    lanes = {message_id: place.lane for message_id, place in cast(NotedTracks, hotline.features).places.items()}
    assert lanes == {
        plain.message_id: Lane.ORDINARY,
        urgent.message_id: Lane.URGENT,
        back.message_id: Lane.URGENT,
    }


async def test_a_notice_is_grouped_by_its_referral_and_never_states_it(here: World) -> None:
    prepared = here.prepared()
    notice = next(each for each in prepared.drafts if each.message is NOTICE_ISSUED)
    letter = letter_of(notice, "hotline")
    assert letter.origin == prepared.referral_id
    stated = repr((letter.headers, letter.clear, letter.plaintext, letter.context, letter.traceparent))
    assert str(letter.origin) not in stated


async def test_notices_of_unknown_referrals_count_as_of_one_origin(here: World) -> None:
    """Otherwise many messages of one referral could share a proof."""
    notice = next(each for each in here.prepared().drafts if each.message is NOTICE_ISSUED)
    assert letter_of(replace(notice, origin=None), "hotline").origin.int == 0


async def test_a_fact_keeps_its_trace_and_a_message_gets_one_of_its_own(hotline: Site, here: World) -> None:
    trace = f"00-{'1' * 32}-{'2' * 16}-01"
    drafts = here.prepared().drafts
    fact = next(each for each in drafts if each.message is REFERRAL_DECIDED)
    async with hotline.database.transaction() as session:
        send(session.driver, [with_trace(fact, trace), with_trace(here.offered(POLICE), trace)])
        told, offer = session.driver.gathered
        assert told.traceparent == trace
        assert offer.traceparent is None or offer.traceparent[3:35] != trace[3:35]


def with_trace(each: Draft, trace: str) -> Draft:
    return replace(each, traceparent=trace)
