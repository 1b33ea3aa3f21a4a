"""Repeated openings of a record by one person are one report to audit for each hour, with their number."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from shared.core.authority import Role
from shared.core.vocabulary.reveal import RevealReason
from shared.features.cases.rules import AGENCY as RULES
from shared.features.received.service.items import ItemActor, show_item
from tests.services.deliveries import AGENCY, AT
from tests.services.doors import ACTOR
from tests.services.law_enforcement.agency import Agencies


async def test_600_openings_in_six_hours_are_six_reports(agencies: Agencies) -> None:
    referral_id = await agencies.offer()

    async def look(minute: int, reason: RevealReason | None = None, actor: str = ACTOR) -> None:
        async with agencies.opened("read") as items:
            at = AT + timedelta(minutes=minute)
            acting = ItemActor(AGENCY, Role.ANALYST, actor, items, agencies.directory, at)
            await show_item(RULES, referral_id, acting, reason=reason)

    for hour in range(6):
        await asyncio.gather(*(look(hour * 60 + number % 60) for number in range(100)))
    told = {"party": AGENCY, "role": "analyst", "actor": ACTOR}
    stated = [told, *[told | {"further": 99}] * 5]
    assert [clear for *_, clear, _ in await agencies.sent(referral_id)] == stated
    async with agencies.opened("read") as items:
        assert [each.times for each in await items.looks_at(AGENCY, referral_id)] == [100] * 6
    await look(301, RevealReason.SUPERVISE)
    await look(301, actor="0f" * 16)
    stated += [told | {"reason": "supervise"}, told | {"actor": "0f" * 16}]
    assert [clear for *_, clear, _ in await agencies.sent(referral_id)] == stated
