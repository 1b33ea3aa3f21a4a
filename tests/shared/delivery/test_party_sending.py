"""The last step of a transaction over a real database: gathered drafts become segments, tracks and traces at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast
from uuid import UUID

import pytest

from shared.core.contracts.registry import NOTICE_ISSUED, REFERRAL_DECIDED
from shared.core.errors import Defect
from shared.core.ids import uuid7
from shared.core.protocol.message import Draft, Received
from shared.delivery.inbound import PartyInbound
from shared.delivery.sending import Unit, draft_of, letter_of, send
from shared.delivery.tracks import list_sent
from shared.messaging.exceptions import Outcome, TakenMessage
from shared.messaging.scope import Scope
from shared.messaging.streams import WireRole
from shared.platform.database.transactions import gather
from tests.shared.delivery.sites import NotedTracks, send_from
from tests.support.builders import HOTLINE, POLICE, draft
from tests.support.consuming import Applied, Site
from tests.support.exchange_world import World
from tests.support.wire_records import Written

AGENCIES = "law_enforcement"


class Answering(Applied):
    """A handler that answers each batch with this message."""

    def __init__(self, answer: Draft) -> None:
        super().__init__()
        self.answer = answer

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> Mapping[UUID, str]:
        send(unit.connection.driver, [self.answer])
        return await super().apply(unit, messages)


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


async def test_a_child_at_risk_goes_in_the_urgent_lane(hotline: Site, here: World) -> None:
    urgent, plain = replace(here.offered(POLICE), is_p0=True), here.offered(POLICE)
    await send_from(hotline, plain, urgent)
    places = cast(NotedTracks, hotline.features).places
    assert (places[urgent.message_id].lane, places[plain.message_id].lane) == (0, 1)


async def test_the_outcomes_and_messages_of_one_batch_are_placed_together(
    hotline: Site, agencies: Site, here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch itself places the messages of a handler, so the last step of its transaction has nothing to do."""
    answer = draft(uuid7(), sender=POLICE, recipient=HOTLINE, recipient_instance="hotline")
    agencies.handler = Answering(answer)
    left: list[object] = []
    apply = PartyInbound.apply

    async def noted(self: PartyInbound, scope: Scope, taken: Sequence[TakenMessage]) -> list[Outcome]:
        outcomes = await apply(self, scope, taken)
        left.extend(self._driver.gathered)
        return outcomes

    monkeypatch.setattr(PartyInbound, "apply", noted)
    await send_from(hotline, here.offered(POLICE))
    await agencies.take(await hotline.relay(AGENCIES))
    assert left == []
    assert str(answer.message_id) in ids_of(await agencies.relay("hotline"))


async def test_anything_else_that_is_gathered_is_a_defect(hotline: Site) -> None:
    with pytest.raises(Defect, match="gathered_unknown"):
        async with hotline.database.transaction() as session:
            gather(session.driver, ["something"])


async def test_a_letter_has_the_headers_and_the_parts_of_its_draft(here: World) -> None:
    offer = here.offered(POLICE)
    letter = letter_of(offer, "hotline")
    headers = dict(letter.headers)
    assert (headers["ce_id"], headers["ce_source"]) == (str(offer.message_id), "/instances/hotline")
    assert (letter.clear, letter.plaintext, letter.context) == (offer.clear, offer.plaintext, offer.context)
    assert str(letter.origin) == offer.subject


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


async def test_facts_have_no_track(here: World) -> None:
    drafts = here.prepared().drafts
    facts = [each for each in drafts if each.message is REFERRAL_DECIDED]
    assert list_sent(facts) == []
    assert draft_of(facts[0], "hotline").role is WireRole.FACT
    assert {each.key.peer for each in list_sent(drafts)} == {
        each.recipient_instance for each in drafts if each.recipient_instance != "audit"
    }
