"""An overdue edge needs a person until its due acts are done. Its subject lists every clock that has run out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from deploy.policy import sample_policy
from shared.core.acts.act import Subject
from shared.core.authority import Role
from shared.core.clock import rfc3339
from shared.core.routing.clocks import Law
from shared.core.routing.policy_index import PolicyIndex
from shared.features.attention.api import AttentionRoutes, overdue
from shared.platform.database.transactions import RowScope
from shared.platform.timers.store import read_due
from tests.services.deliveries import AT, HOTLINE, PROVIDER, notice_withdrawn
from tests.services.doors import attention_list, serving, timers_of, until_idle
from tests.services.industry.provider import APPLYING, KEK, Providers
from tests.services.industry.test_notices import ACTION
from tests.shared.core.routing.test_clocks import SAMPLE_LAW, policy
from tests.support.manual_clock import ManualClock

#: The sample's clocks of a notice, in hours: every 24 again, then the site owner, the registrar, the regulator.
CLOCKS = [each for each in sample_policy().clocks if each.starts == "notice_issued"]
SAID = {each.id: each.duration_h for each in CLOCKS if each.duration_h is not None}
ROUND_H = 80


class Virtual:
    """A provider's service in virtual time, by one law."""

    def __init__(self, providers: Providers, law: PolicyIndex = SAMPLE_LAW) -> None:
        self.providers = providers
        self.clock = ManualClock(AT)
        self.law = Law(providers.directory, law)

    async def look(self, hours: int) -> None:
        self.clock._now = AT + timedelta(hours=hours)
        await until_idle(timers_of(self.providers.database, lambda _: self.law, self.clock, APPLYING))

    async def late(self, subject: UUID) -> list[str]:
        """Return the clocks of a subject that have run out."""
        async with self.providers.database.transaction(RowScope([PROVIDER], Role.VIEWER, "read")) as session:
            due = await read_due(session.driver, PROVIDER, after=None, limit=200, subject=subject)
        return sorted(timer.clock for timer in due if timer.due_at <= self.clock.now())

    async def listed(self, subject: UUID, *, limit: int = 3, rank_max: int = 1) -> list[dict[str, Any]]:
        """Return the provider's attention items about the subject, over all pages."""
        held = serving(self.providers.database, "industry", kek=KEK, directory=self.providers.directory)
        door = AttentionRoutes(held, (overdue(self.clock, Subject.NOTICE),))
        found = await attention_list(door, PROVIDER, "industry", rank_max=rank_max, limit=limit)
        return [row for row in found if row["subject"] == str(subject)]


async def over(virtual: Virtual, subject: UUID, durations: Collection[int]) -> dict[int, list[str]]:
    """Return by hour the clocks that become overdue. It looks at the end of each duration and an hour before it."""
    came: dict[int, list[str]] = {}
    before: list[str] = []
    for hour in sorted({*durations, *(each - 1 for each in durations), 0, ROUND_H} & {*range(ROUND_H + 1)}):
        await virtual.look(hour)
        now = await virtual.late(subject)
        listed = [row["clock"] for row in await virtual.listed(subject)]
        assert len(listed) == bool(now), "one row an edge"
        assert {*listed} <= ({*now} - {*before} or {*now}), "with the newest clock"
        if now != before:
            came[hour] = sorted(set(now) - set(before))
        before = now
    return came


def said_by(clocks: Mapping[str, int]) -> dict[int, list[str]]:
    """Return the same by hour, from the clocks in the data."""
    found: dict[int, list[str]] = {}
    for clock, hours in sorted(clocks.items()):
        if hours <= ROUND_H:
            found.setdefault(hours, []).append(clock)
    return found


async def test_over_eighty_hours_each_clock_is_overdue_when_the_data_says_so(providers: Providers) -> None:
    notice_id = await providers.issue()
    virtual = Virtual(providers)
    assert await over(virtual, notice_id, {*SAID.values()}) == said_by(SAID)
    assert {24, 72} <= said_by(SAID).keys()
    (row,) = await virtual.listed(notice_id)
    first = min(SAID.values())
    latest = max((hours, clock) for clock, hours in SAID.items() if hours <= ROUND_H)[1]
    assert (row["kind"], row["party"], *row["reasons"], row["mend"]) == ("notice", HOTLINE, "overdue", "answer")
    assert (row["clock"], row["since"]) == (latest, rfc3339(AT + timedelta(hours=first)))
    assert await virtual.listed(notice_id, rank_max=0) == []


async def test_other_data_is_another_ladder_without_a_line_of_code(providers: Providers) -> None:
    """The owner is informed earlier, the regulator is the last rung, and there is no registrar and no reminder."""
    ladder = {"to-owner": 30, "to-upstream": 48, "to-regulator": 60}
    basis = {"instrument": "practice", "article": "ladder", "jurisdiction": "BLOC-WLD"}
    rungs = [{"id": name, "duration_h": hours, "then": "escalate", "basis": basis} for name, hours in ladder.items()]
    notice_id = await providers.issue()
    virtual = Virtual(providers, policy(*rungs))
    assert await over(virtual, notice_id, {*ladder.values()}) == said_by(ladder)
    async with providers.database.transaction(RowScope([PROVIDER], Role.VIEWER, "read")) as session:
        due = await read_due(session.driver, PROVIDER, after=None, limit=200, subject=notice_id)
    assert {row.clock: row.rung for row in due} == {"to-owner": 1, "to-upstream": 2, "to-regulator": 3}


async def test_what_was_done_is_overdue_no_more(providers: Providers) -> None:
    notice_id = await providers.issue()
    virtual = Virtual(providers)
    await virtual.look(ROUND_H)
    assert await virtual.listed(notice_id)
    await providers.act("answer", ACTION, notice_id)
    await virtual.look(ROUND_H)
    assert await virtual.listed(notice_id) == []


async def test_what_is_taken_back_is_overdue_no_more(providers: Providers) -> None:
    notice_id = await providers.issue()
    virtual = Virtual(providers)
    await virtual.look(ROUND_H)
    assert len(await virtual.listed(notice_id)) == 1
    assert len(await virtual.late(notice_id)) == sum(hours <= ROUND_H for hours in SAID.values())
    await providers.receive(notice_withdrawn(notice_id))
    await virtual.look(ROUND_H)
    assert await virtual.listed(notice_id) == []
