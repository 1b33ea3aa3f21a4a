"""Overdue acts of counterparts are on a hotline's list, with party and clock, until they are done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from shared.core.acts.act import Subject
from shared.core.authority import Role
from shared.core.contracts.items import ItemAnswer
from shared.core.routing.clocks import Law
from shared.core.vocabulary.answers import NoticeAction
from shared.features.attention.api import AttentionRoutes, AttentionSource, overdue
from shared.features.filing.store.attention import origin_waits
from shared.platform.database.transactions import RowScope
from shared.platform.timers.store import read_due
from tests.services.doors import attention_list, serving, timers_of, until_idle
from tests.services.hotline.origin import APPLYING, KEK, Origin
from tests.services.hotline.test_answers_kept import answered, applied
from tests.services.hotline.test_attention import declined, notice_of
from tests.shared.core.routing.test_clocks import SAMPLE_LAW
from tests.support.builders import AT, HOTLINE, PROVIDER
from tests.support.manual_clock import ManualClock


async def listed(origin: Origin, referral_id: UUID, *, hours: int, limit: int = 200) -> list[dict[str, Any]]:
    """Return the lines about the referral in the hotline's list, this many hours after the submission."""
    clock = ManualClock(AT + timedelta(hours=hours))
    law = Law(origin._documents().directory, SAMPLE_LAW)
    await until_idle(timers_of(origin.database, lambda _: law, clock, APPLYING))
    held = serving(origin.database, "hotline", kek=KEK, directory=origin._documents().directory)
    sources = (AttentionSource("referral", "routed", origin_waits), overdue(clock, Subject.OFFER))
    found = await attention_list(AttentionRoutes(held, sources), HOTLINE, "hotline", limit=limit)
    rows = [row for row in found if row["subject"] == str(referral_id)]
    # No line is repeated, however the pages are cut. Other referrals may have several edges to one party.
    assert len({(row.get("party"), *row["reasons"], row.get("clock")) for row in rows}) == len(rows)
    return rows


async def overdue_clocks(origin: Origin, referral_id: UUID, *, hours: int) -> set[str]:
    """Return the clocks towards the provider that have run out this many hours after the submission."""
    async with origin.database.transaction(RowScope([HOTLINE], Role.VIEWER, "read")) as session:
        due = await read_due(session.driver, HOTLINE, after=None, limit=200, subject=referral_id)
    return {each.clock for each in due if each.counterpart == PROVIDER and each.due_at <= AT + timedelta(hours=hours)}


async def test_a_silent_provider_is_overdue_rung_by_rung_until_it_has_answered(origin: Origin) -> None:
    referral_id = await origin.file()
    assert await listed(origin, referral_id, hours=1) == []
    rows = await listed(origin, referral_id, hours=80)
    assert [row["clock"] for row in rows if row["party"] == PROVIDER] == ["practice-notice-to-owner"]
    late = await overdue_clocks(origin, referral_id, hours=80)
    assert {"practice-notice-reminder", "practice-notice-to-owner"} <= late
    assert "practice-notice-to-registrar" not in late
    assert {(row["kind"], *row["reasons"], row["mend"]) for row in rows} == {("referral", "overdue", "call")}
    said = ItemAnswer(n=1, round=1, action=NoticeAction.REMOVED)
    assert await applied(origin, answered(await notice_of(origin, referral_id), 1, said)) == [None]
    left = [row for row in await listed(origin, referral_id, hours=80) if row["party"] == PROVIDER]
    assert {(row["clock"], row["mend"]) for row in left} == {("practice-recheck", "recheck")}


async def test_it_stands_among_the_others_by_since_when(origin: Origin) -> None:
    referral_id = await origin.file()
    origin.clock.advance(30 * 3600)
    assert await applied(origin, declined(referral_id)) == [None]
    rows = await listed(origin, referral_id, hours=80, limit=9)
    reasons = [row["reasons"][0] for row in rows]
    assert {"overdue", "declined"} <= {*reasons}
    assert [row["since"] for row in rows] == sorted(row["since"] for row in rows)
    assert await listed(origin, referral_id, hours=80) == rows
