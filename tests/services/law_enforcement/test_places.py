"""An agency sees its cases at one location, holds them in one act, and is warned if a request would reveal a hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.acts.act import Track
from shared.core.authority import Role
from shared.core.contracts.answers import Declination, WithdrawalAnswer
from shared.core.contracts.holds import HoldEndedClear, HoldRequest
from shared.core.contracts.referral import ReferralRecord
from shared.core.contracts.registry import HOLD_ENDED
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.core.protocol.prepare import Documents
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.answers import CaseDeclineReason, WithdrawalFate
from shared.core.vocabulary.jurisdiction import TREE
from shared.core.vocabulary.preservation import HoldBasis, HoldEnd, HoldScope
from shared.features.cases.api import cases_router
from shared.features.preservation.api import PreservationRoutes, preservations_router
from shared.features.preservation.store import PostgresPreservations
from shared.features.received.store.arriving import HeldLocations
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import (
    AGENCY,
    AT,
    HOTLINE,
    OTHER_AGENCY,
    OTHER_HOTLINE,
    PROVIDER,
    offered,
    received,
    withdrawn,
)
from tests.services.doors import asking, door, serving
from tests.services.law_enforcement.agency import KEK, POLICY, Agencies
from tests.services.law_enforcement.test_holds import HOUR
from tests.support.location_forms import knowing

#: The only instrument of this policy, usable by agencies of the Netherlands.
ASKED_BY = {"id": "eu_2023_1543", "jurisdiction": "BLOC-EU", "valid_from": "2026-01-01", "confirmation": "confirmed"}
HOLD = {"act": "place_hold", "scope": "removal", "basis": "investigation_open"}


def lying_at(location: str, message: Received) -> Received:
    """Return the same referral about another location."""
    assert isinstance(message.sealed, ReferralRecord)
    (item,) = message.sealed.items
    at = item.model_copy(update={"locator": item.locator.model_copy(update={"value": location})})
    return replace(message, sealed=message.sealed.model_copy(update={"items": (at,)}))


async def case(
    agencies: Agencies, location: str, *, to: str = AGENCY, origin: str = HOTLINE, known: tuple[int, ...] = (1,)
) -> UUID:
    """Receive a case at this location through a release with these forms of locations."""
    message = lying_at(location, offered(uuid7(), to=to, origin=origin))
    with knowing(*known):
        assert await agencies.receive(message) == [None]
    return UUID(message.subject)


async def alike(agencies: Agencies, referral_id: UUID, *, party: str = AGENCY) -> dict[UUID, tuple[str, bool]]:
    """Return the other cases at its location: the origin of each, and whether it is held."""
    shown = (await agencies.show(referral_id, party=party))["alike"]
    return {UUID(each["referral_id"]): (each["origin"], each["held"]) for each in shown}


def hold(hours: int = 8) -> HoldRequest:
    return HoldRequest(scope=HoldScope.REMOVAL, basis=HoldBasis.INVESTIGATION_OPEN, not_after=AT + hours * HOUR)


@pytest.fixture
async def client(agencies: Agencies) -> AsyncIterator[httpx.AsyncClient]:
    """Open the routes of cases and preservations, under a policy with one instrument."""
    of = serving(agencies.database, "law_enforcement", kek=KEK, directory=agencies.directory)
    policy = PolicyIndex(POLICY | {"instruments": [ASKED_BY]}, "f" * 64, TREE)
    routes = PreservationRoutes(
        serving=of,
        track=Track.OFFER,
        documents=lambda: Documents(agencies.directory, policy),
        preservations=PostgresPreservations,
        holds=HeldLocations,
    )
    cases = cases_router(of, lambda: Documents(agencies.directory, policy))
    async with door(cases, preservations_router(routes)) as opened:
        yield opened


async def warned(client: httpx.AsyncClient, *locations: str) -> list[str]:
    """Request preservation of these locations; return the warnings that the officer gets."""
    ask = {"provider": PROVIDER, "kind": "preserve", "instrument": ASKED_BY["id"], "term": "eu_60d"}
    body = ask | {"locations": [{"kind": "url", "value": each} for each in locations]}
    answer = await client.post("/v1/preservations", json=body, headers=asking(AGENCY, key=str(uuid7())))
    assert answer.status_code == 202, answer.text
    warnings: list[str] = answer.json().get("warnings", [])
    return warnings


async def test_the_changed_spelling_of_a_location_is_named_and_an_unreadable_one_is_refused(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    ask = {"provider": PROVIDER, "kind": "preserve", "instrument": ASKED_BY["id"], "term": "eu_60d"}
    values = ["https://images.example/1", "images[.]example/2", "qx7vw"]
    bodies = [ask | {"locations": [{"kind": "url", "value": each} for each in some]} for some in (values[:2], values)]
    asked, refused = [
        await client.post("/v1/preservations", json=body, headers=asking(AGENCY, key=str(uuid7()))) for body in bodies
    ]
    assert (asked.status_code, asked.json()["respelled"]) == (202, [2])
    assert (refused.status_code, refused.json()["code"]) == (422, "guard_rules_no_host")
    assert [each["field"] for each in refused.json()["errors"]] == ["/locations/2/value"]
    assert "qx7vw" not in refused.text


async def test_open_cases_at_one_place_are_shown_whoever_offered_them_and_others_are_not(agencies: Agencies) -> None:
    first = await case(agencies, "https://images.example/alike/1")
    again = await case(agencies, "http://IMAGES.example:80/alike/1/", origin=OTHER_HOTLINE)
    closed = await case(agencies, "https://images.example/alike/1")
    await case(agencies, "https://images.example/alike/2")
    theirs = await case(agencies, "https://images.example/alike/1", to=OTHER_AGENCY)
    await agencies.act("decline", Declination(reason=CaseDeclineReason.NO_CAPACITY), closed)
    assert await alike(agencies, first) == {again: (OTHER_HOTLINE, False)}
    assert await alike(agencies, again) == {first: (HOTLINE, False)}
    assert await alike(agencies, theirs, party=OTHER_AGENCY) == {}


async def test_several_are_held_in_one_act_each_with_its_origin(agencies: Agencies, client: httpx.AsyncClient) -> None:
    place = "https://images.example/several"
    first, again = await case(agencies, place), await case(agencies, place, origin=OTHER_HOTLINE)
    ids = [first, *await alike(agencies, first)]
    until = (AT + 8 * HOUR).isoformat()
    lines = [HOLD | {"referral_id": str(each), "not_after": until} for each in ids]
    answer = await client.post("/v1/cases:batch", json={"answers": lines}, headers=asking(AGENCY, key=str(uuid7())))
    assert [each["status"] for each in answer.json()["results"]] == [202, 202], answer.text
    sent = [await agencies.sent(each) for each in (first, again)]
    assert [(one[0], one[2]) for each in sent for one in each] == [
        ("causeway.hold_placed.v1", HOTLINE),
        ("causeway.hold_placed.v1", OTHER_HOTLINE),
    ]
    assert await alike(agencies, first) == {again: (OTHER_HOTLINE, True)}


async def test_a_request_for_what_is_held_warns(agencies: Agencies, client: httpx.AsyncClient) -> None:
    place, elsewhere = "https://images.example/held", "https://images.example/not-held"
    held, other = await case(agencies, place), await case(agencies, elsewhere)
    assert await warned(client, place) == []
    await agencies.act("place_hold", hold(), held)
    assert await warned(client, elsewhere, "https://images.example/held/") == ["hold_stands"]
    assert await warned(client, elsewhere) == []
    assert await agencies.act("place_hold", hold(), other) == "offered"
    (asked,) = [each async for each in holds_of(agencies, held)]
    ended = HoldEndedClear(referral_id=held, revision=1, hold=asked, end=HoldEnd.RELEASED)
    named: dict[str, Any] = {"subject": held, "sender": HOTLINE, "recipient": AGENCY}
    assert await agencies.receive(received(HOLD_ENDED, ended, **named)) == [None]
    assert await warned(client, place) == []


async def holds_of(agencies: Agencies, referral_id: UUID) -> AsyncIterator[UUID]:
    async with agencies.cases("read") as cases:
        page = await cases.holds.page(AGENCY, state=None, cursor=None, limit=200)
    for each in page.items:
        if each.referral_id == referral_id:
            yield UUID(str(each.hold))


async def test_each_form_of_a_location_finds_its_own(agencies: Agencies, client: httpx.AsyncClient) -> None:
    """Two releases share one store. Two places of the first form are one place in the later form."""
    place = f"https://images.example/{uuid7()}"
    before = await case(agencies, f"{place}/A")
    both = await case(agencies, f"{place}/A", known=(1, 2))
    small = await case(agencies, f"{place}/a", known=(1, 2))
    assert (await alike(agencies, before)).keys() == {both}
    assert (await alike(agencies, both)).keys() == {before, small}
    assert (await alike(agencies, small)).keys() == {both}
    await agencies.act("place_hold", hold(), before)
    assert await warned(client, f"{place}/A") == ["hold_stands"]
    with knowing(1, 2):
        assert await warned(client, f"{place}/A") == ["hold_stands"]
        assert await warned(client, f"{place}/a") == []
    await agencies.act("place_hold", hold(), both)
    assert await warned(client, f"{place}/a") == []
    with knowing(1, 2):
        assert await warned(client, f"{place}/a") == ["hold_stands"]


async def test_tokens_of_two_forms_are_not_compared_not_even_where_they_are_the_same_bytes(
    agencies: Agencies, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = KeyEncryptionKey.location_token
    monkeypatch.setattr(KeyEncryptionKey, "location_token", lambda kek, party, _, form: token(kek, party, 1, form))
    place = f"https://images.example/{uuid7()}"
    before, after = await case(agencies, place), await case(agencies, place, known=(2,))
    assert await alike(agencies, before) == await alike(agencies, after) == {}
    await agencies.act("place_hold", hold(), after)
    assert await warned(client, place) == []
    with knowing(2):
        assert await warned(client, place) == ["hold_stands"]


async def test_another_agencys_hold_warns_nobody(agencies: Agencies, client: httpx.AsyncClient) -> None:
    place = "https://images.example/theirs"
    await agencies.act("place_hold", hold(), await case(agencies, place, to=OTHER_AGENCY), party=OTHER_AGENCY)
    assert await warned(client, place) == []


async def test_what_is_erased_lies_nowhere_any_more(agencies: Agencies) -> None:
    place = "https://images.example/erased"
    kept, erased = await case(agencies, place), await case(agencies, place)
    await agencies.receive(withdrawn(erased))
    await agencies.act("acknowledge_withdrawal", WithdrawalAnswer(fate=WithdrawalFate.ERASED), erased)
    async with agencies.database.transaction(RowScope([AGENCY], Role.ANALYST, "read")) as session:
        rows = await session.driver.fetch("SELECT referral_id FROM case_location")
    assert {kept} <= {row["referral_id"] for row in rows}
    assert erased not in {row["referral_id"] for row in rows}


async def test_a_request_to_keep_is_listed_at_once_by_whoever_made_it(client: httpx.AsyncClient) -> None:
    """The requesting officer may not change a request. The service assigns its number."""
    listed = [await list_asked(client)]
    await warned(client, "https://images.example/listed/1")
    listed.append(await list_asked(client))
    assert len(listed[1]) == len(listed[0]) + 1
    assert listed[1][1:] == listed[0]


async def list_asked(client: httpx.AsyncClient) -> list[str]:
    """Return the newest requests of the agency, by id."""
    answer = await client.get("/v1/preservations", params={"limit": 200}, headers=asking(AGENCY))
    return [each["preservation_id"] for each in answer.json()["items"]]
