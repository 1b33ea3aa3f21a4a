"""Notices of windowed rules between two running services: held in time, too late, and sent automatically at the end.

An hour of a window lasts a second here, and an issue slot a sixth of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from client.api import CausewayClient
from client.views import EdgeView, PageView, View
from deploy.policy import sample_policy
from deploy.site import installation
from deploy.site.installation import publish_document
from shared.core.authority import Role
from shared.core.clock import SystemClock, rfc3339
from shared.core.contracts.holds import HoldOverride, HoldRequest, OverrideApproval
from shared.core.vocabulary.preservation import HoldBasis, HoldScope, OverrideBasis
from tests.journeys.parties import Party
from tests.support.driver import count_policies
from tests.support.running import AGENCY, HOTLINE, PROVIDER, SERVICES, Exchange, referral, running_exchange, until
from tests.support.windowed import windowed

WINDOW_H = 40


def policy_hour(seconds: int) -> AbstractContextManager[object]:
    """Install the sample policy with an hour of this length."""
    law = sample_policy().model_copy(update={"hour_s": seconds}).model_dump_json(exclude_none=True).encode()
    return patch.object(installation, "POLICY", SimpleNamespace(read_bytes=lambda: law))


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with policy_hour(1), running_exchange(tmp_path_factory.mktemp("holds")) as running:
        policy = windowed(sample_policy().model_copy(update={"hour_s": 1}), WINDOW_H, version=90)
        publish_document(running.state, running.endpoints, policy, active_from=SystemClock().now())

        async def everywhere() -> bool:
            return min([await count_policies(running, name) for name in SERVICES]) > 1

        asyncio.run(until(everywhere))
        yield running


async def notice_of(hotline: CausewayClient, referral_id: UUID) -> EdgeView:
    shown = await hotline.show(referral_id)
    return next(edge for edge in shown.edges if edge.recipient == PROVIDER)


async def has_case(agency: CausewayClient, referral_id: UUID) -> bool:
    return referral_id in {item.referral_id async for page in agency.inbox() for item in page.items}


async def holds_of(agency: CausewayClient, referral_id: UUID) -> list[str]:
    pages = agency.pages("/v1/holds", PageView[View], None, limit=200)
    found = [hold.model_dump(mode="json") async for page in pages for hold in page.items]
    return [hold["state"] for hold in found if hold["referral_id"] == str(referral_id)]


async def filed_with_case(windows: Exchange, hotline: CausewayClient, agency: CausewayClient) -> UUID:
    referral_id = (await hotline.submit(referral())).referral_id
    await until(lambda: has_case(agency, referral_id))
    return referral_id


def wanted(seconds: float) -> HoldRequest:
    until_then = SystemClock().now() + timedelta(seconds=seconds)
    return HoldRequest(scope=HoldScope.REMOVAL, basis=HoldBasis.INVESTIGATION_OPEN, not_after=until_then)


async def types_of(client: CausewayClient, referral_id: UUID) -> list[tuple[str, str | None]]:
    page = await client.events()
    return [(event.type, event.state) for event in page.items if event.subject == referral_id]


async def test_nobody_answers_and_the_notice_goes_when_its_window_ends(windows: Exchange) -> None:
    async with windows.client(HOTLINE) as hotline:
        referral_id = (await hotline.submit(referral())).referral_id
        assert (await notice_of(hotline, referral_id)).delivery == "planned"

        async def arrived() -> bool:
            return (await notice_of(hotline, referral_id)).delivery == "applied"

        await until(arrived)


async def test_who_looks_in_time_can_hold_and_both_learn_how_it_ended(windows: Exchange) -> None:
    async with windows.client(HOTLINE) as hotline, windows.client(AGENCY) as agency:
        referral_id = await filed_with_case(windows, hotline, agency)
        assert (await notice_of(hotline, referral_id)).delivery == "planned"
        await agency.act_on_case("place_hold", referral_id, wanted(WINDOW_H + 10))

        async def answered() -> bool:
            return await holds_of(agency, referral_id) == ["active"]

        await until(answered)
        shown: Any = (await hotline.show(referral_id)).holds
        assert [(hold["agency"], hold["state"]) for hold in shown] == [(AGENCY, "active")]

        async def expired() -> bool:
            return await holds_of(agency, referral_id) == ["expired"]

        await until(expired)
        assert (await notice_of(hotline, referral_id)).delivery in ("queued", "sent", "applied")
        assert ("case.hold_ended", "expired") in await types_of(hotline, referral_id)
        assert "case.hold_activated" in [name for name, _ in await types_of(agency, referral_id)]
        assert "case.hold_ended" in [name for name, _ in await types_of(agency, referral_id)]
        await agency.act_on_case("place_hold", referral_id, wanted(60))

        async def late() -> bool:
            return await holds_of(agency, referral_id) == ["too_late", "expired"]

        await until(late)


async def test_two_persons_override_what_is_held(windows: Exchange) -> None:
    async with windows.client(HOTLINE) as hotline, windows.client(AGENCY) as agency:
        referral_id = await filed_with_case(windows, hotline, agency)
        await agency.act_on_case("place_hold", referral_id, wanted(3600))

        async def active() -> bool:
            return await holds_of(agency, referral_id) == ["active"]

        await until(active)
        held: Any = (await hotline.show(referral_id)).holds[0]
    hold = UUID(held["hold"])
    url = windows.endpoints.http["hotline"]
    one, two = [await windows.issued("hotline", HOTLINE, Role.ANALYST) for _ in range(2)]
    async with CausewayClient(url, one) as first, CausewayClient(url, two) as second:
        await first.override(referral_id, HoldOverride(hold=hold, basis=OverrideBasis.CHILD_AT_RISK))
        assert (await second.override(referral_id, OverrideApproval(hold=hold))).state == "overridden"
    async with windows.client(HOTLINE) as hotline, windows.client(AGENCY) as agency:

        async def overridden() -> bool:
            return await holds_of(agency, referral_id) == ["overridden"]

        await until(overridden)

        async def issued() -> bool:
            return (await notice_of(hotline, referral_id)).delivery == "applied"

        await until(issued)


async def test_what_lies_at_one_place_is_held_in_one_act_and_asking_to_keep_it_warns(windows: Exchange) -> None:
    filing, officer = referral(), Party(windows, AGENCY)
    async with windows.client(HOTLINE) as hotline, windows.client(AGENCY) as agency:
        ids = [
            (await hotline.submit(filing | {"external_ref": f"{filing['external_ref']}-{n}"})).referral_id
            for n in range(2)
        ]
        for each in ids:
            await until(lambda each=each: has_case(agency, each))
        said = "--scope", "removal", "--basis", "investigation_open", "--until", rfc3339(wanted(600).not_after)
        placed = officer.told("hold", "place", str(ids[0]), *said, "--alike")
        assert {each["referral_id"]: each["state"] for each in placed} == {str(each): "offered" for each in ids}

        async def held() -> bool:
            return [await holds_of(agency, each) for each in ids] == [["active"], ["active"]]

        await until(held)
        place = filing["items"][0]["locator"]["value"]
        asked = officer.causeway(
            *("preservation", "ask", PROVIDER, f"url={place}", "--instrument", "eu_2023_1543", "--term", "eu_60d")
        )
        assert asked.returncode == 0, asked.stderr
        assert "warning: hold_stands" in asked.stdout
        for each in ids:
            await agency.act_on_case("release_hold", each)
