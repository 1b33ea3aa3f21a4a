"""Notices of windowed rules are planned. An agency holds them in time or too late; at the end they are sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from shared.core.authority import Role
from shared.core.contracts.holds import HoldOverride, HoldPlacedClear, OverrideApproval
from shared.core.errors import Refused
from shared.core.protocol.message import Received
from shared.core.vocabulary.preservation import OverrideBasis
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.holds import service
from shared.features.holds.effects import OriginTimers
from shared.features.holds.store import expired_holds
from shared.platform.database.transactions import RowScope
from tests.services.doors import until_idle, waiting
from tests.services.hotline.origin import APPLYING, Origin, applied, said
from tests.support.builders import AT, HOTLINE, PROVIDER

WINDOW_H = 72
SLOT = timedelta(minutes=10)
WINDOW = timedelta(hours=WINDOW_H)


pytestmark = pytest.mark.usefixtures("planned")


async def nothing_planned(origin: Origin) -> None:
    await origin.sql("UPDATE edge SET state = 'dropped' WHERE state = 'planned'")


def timers(origin: Origin) -> OriginTimers:
    async def borne_out(_: asyncpg.Connection) -> datetime:
        return origin.clock.now()

    return OriginTimers(origin.bus, lambda: APPLYING, witness=borne_out)


async def agencies_of(origin: Origin, referral_id: UUID) -> list[str]:
    edges = (await origin.show(referral_id))["edges"]
    directory = origin.world.documents.directory
    found = [directory.party(edge["recipient"]) for edge in edges]
    return sorted({party.id for party in found if party and party.kind == "law_enforcement"})


def stated(origin: Origin, name: str, referral_id: UUID, by: str, number: int = 1, /, **words: Any) -> Received:
    return replace(said(name, referral_id, by, number, **words), sent_at=origin.clock.now())


def place(origin: Origin, referral_id: UUID, agency: str, until: timedelta, number: int = 1) -> Received:
    words = {"scope": "removal", "basis": "investigation_open", "not_after": origin.clock.now() + until}
    return stated(origin, "hold_placed", referral_id, agency, number, **words)


def extend(origin: Origin, placed: Received, until: timedelta, number: int = 2) -> Received:
    words = {"hold": hold_of(placed), "basis": "child_to_be_identified", "not_after": origin.clock.now() + until}
    return stated(origin, "hold_extended", UUID(placed.subject), placed.sender, number, **words)


def release(origin: Origin, placed: Received, number: int = 2) -> Received:
    return stated(origin, "hold_released", UUID(placed.subject), placed.sender, number, hold=hold_of(placed))


def hold_of(placed: Received) -> UUID:
    assert isinstance(placed.clear, HoldPlacedClear)
    return placed.clear.act


def no_objection(origin: Origin, referral_id: UUID, agency: str, number: int = 1) -> Received:
    return stated(origin, "no_objection", referral_id, agency, number)


async def told(origin: Origin, name: str) -> list[dict[str, Any]]:
    """Return the clear parts of all outgoing messages of this name."""
    rows = [row for row in await origin.waiting() if row.message.name == name]
    return [row.clear for row in rows]


async def attention(origin: Origin, referral_id: UUID) -> list[tuple[str, str]]:
    """Return the reasons and suggested actions of holds that need a person of the referral's origin."""
    rows = await waiting(origin.database, expired_holds, HOTLINE, referral_id)
    return [(reason, row.mend.value) for row in rows for reason in row.reasons]


async def pass_time(origin: Origin, time: timedelta) -> None:
    """Advance the clock, and process everything due, including leftovers of other tests."""
    origin.clock.advance(time.total_seconds())
    await until_idle(timers(origin))


async def test_it_goes_at_once_when_every_agency_has_looked(origin: Origin) -> None:
    referral_id = await origin.file()
    *others, last = await agencies_of(origin, referral_id)
    for agency in others:
        assert await applied(origin, no_objection(origin, referral_id, agency)) == [None]
    await pass_time(origin, SLOT)
    assert (await origin.edge(referral_id))["delivery"] == "planned", "one has not looked yet"
    assert await applied(origin, said("case_declined", referral_id, last, reason="no_capacity")) == [None]
    await pass_time(origin, SLOT)
    assert (await origin.edge(referral_id))["delivery"] == "queued", "who declines has nothing to hold"


async def test_a_hold_in_time_is_activated_and_expires_by_default(origin: Origin) -> None:
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    placed = place(origin, referral_id, agency, WINDOW + timedelta(hours=8))
    assert await applied(origin, placed) == [None]
    (activated,) = await told(origin, "hold_activated")
    assert (activated["hold"], activated["held"], activated["issued"]) == (str(hold_of(placed)), 1, 0)
    await pass_time(origin, WINDOW + SLOT)
    assert (await origin.edge(referral_id))["delivery"] == "planned"
    (hold,) = (await origin.show(referral_id))["holds"]
    assert (hold["agency"], hold["state"]) == (agency, "active")
    await pass_time(origin, timedelta(hours=8))
    assert (await origin.edge(referral_id))["delivery"] == "queued"
    (ended,) = await told(origin, "hold_ended")
    assert (ended["hold"], ended["end"]) == (activated["hold"], "expired")
    (hold,) = (await origin.show(referral_id))["holds"]
    assert hold["state"] == "expired"
    assert ("hold_expired", "call") in await attention(origin, referral_id)


async def test_after_the_notice_it_is_too_late(origin: Origin) -> None:
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    await pass_time(origin, WINDOW + SLOT)
    issued = await origin.edge(referral_id)
    placed = place(origin, referral_id, agency, timedelta(hours=8))
    assert await applied(origin, placed) == [None]
    (late,) = await told(origin, "hold_too_late")
    assert late["hold"] == str(hold_of(placed))
    assert late["issued_at"] == (AT + WINDOW + SLOT).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert await told(origin, "hold_activated") == []
    assert (await origin.edge(referral_id))["notice_id"] == issued["notice_id"]


async def test_what_is_released_goes_in_the_next_slot_once_nobody_else_may_hold(origin: Origin) -> None:
    referral_id = await origin.file()
    agency, *others = await agencies_of(origin, referral_id)
    placed = place(origin, referral_id, agency, timedelta(hours=80))
    looked = [no_objection(origin, referral_id, other) for other in others]
    assert await applied(origin, placed, *looked) == [None] * (1 + len(looked))
    await pass_time(origin, SLOT)
    assert (await origin.edge(referral_id))["delivery"] == "planned"
    assert await applied(origin, release(origin, placed)) == [None]
    (ended,) = await told(origin, "hold_ended")
    assert ended["end"] == "released"
    await pass_time(origin, SLOT)
    assert (await origin.edge(referral_id))["delivery"] == "queued"


async def test_an_extension_is_a_new_act_with_a_bound_of_its_own(origin: Origin) -> None:
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    placed = place(origin, referral_id, agency, timedelta(hours=300))
    assert await applied(origin, placed) == [None]
    await pass_time(origin, timedelta(hours=299))
    assert await applied(origin, extend(origin, placed, timedelta(hours=400))) == ["hold_beyond_bound"]
    assert await applied(origin, extend(origin, placed, timedelta(hours=300), number=3)) == [None]
    *_, again = await told(origin, "hold_activated")
    assert again["basis"] == "child_to_be_identified"
    await pass_time(origin, timedelta(hours=299))
    assert (await origin.edge(referral_id))["delivery"] == "planned"
    await pass_time(origin, timedelta(hours=2))
    assert (await origin.edge(referral_id))["delivery"] == "queued"


async def test_what_is_taken_back_or_permitted_no_more_lapses(origin: Origin) -> None:
    taken_back, forbidden = await origin.file(), await origin.file()
    for referral_id in (taken_back, forbidden):
        agency, *_ = await agencies_of(origin, referral_id)
        assert await applied(origin, place(origin, referral_id, agency, timedelta(hours=80))) == [None]
    await origin.withdraw(taken_back, WithdrawalReason.FILED_IN_ERROR)
    await pass_time(origin, SLOT)
    policy = origin.world.policy
    telling = tuple(rule for rule in policy.rules if rule.select is None or rule.select.kind != "industry")
    origin.world.place(policy.model_copy(update={"rules": telling, "version": 91}), AT + timedelta(hours=1))
    origin.world.at = origin.clock.now() + timedelta(hours=81)
    await pass_time(origin, timedelta(hours=81))
    assert [each["end"] for each in await told(origin, "hold_ended")] == ["lapsed", "lapsed"]
    assert PROVIDER not in {row.recipient for row in await origin.waiting()}
    assert await origin.work("no_basis") == [forbidden]


async def overridable(origin: Origin) -> tuple[UUID, Callable[..., Awaitable[str]]]:
    """Return a held referral, and a function by which a user of its origin proposes or confirms an override."""
    referral_id = await origin.file()
    agency, *others = await agencies_of(origin, referral_id)
    placed = place(origin, referral_id, agency, timedelta(hours=80))
    looked = [no_objection(origin, referral_id, other) for other in others]
    await applied(origin, placed, *looked)
    hold = hold_of(placed)

    async def override(act: str, actor: str, role: Role = Role.ANALYST) -> str:
        async with origin.database.transaction(RowScope([HOTLINE], role, act)) as session:
            acting = origin.acting(session, role=role, actor=actor)
            if act == "propose_override":
                basis = OverrideBasis.CHILD_AT_RISK
                done = await service.propose_override(referral_id, HoldOverride(hold=hold, basis=basis), acting)
            else:
                done = await service.confirm_override(referral_id, OverrideApproval(hold=hold), acting)
            return done.state

    return referral_id, override


async def test_without_that_check_one_person_would_override(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the test below, without the check of the proposer."""
    monkeypatch.setattr(service, "require_another", lambda *_: None)
    _, override = await overridable(origin)
    await override("propose_override", "one")
    assert await override("confirm_override", "one") == "overridden"


async def test_an_override_takes_two_persons(origin: Origin) -> None:
    referral_id, override = await overridable(origin)
    with pytest.raises(Refused, match="override_not_proposed"):
        await override("confirm_override", "one")
    assert await override("propose_override", "one") == "proposed"
    with pytest.raises(Refused, match="second_person_needed"):
        await override("confirm_override", "one")
    with pytest.raises(Refused, match="forbidden"):
        await override("confirm_override", "two", Role.MACHINE)
    assert await override("confirm_override", "two") == "overridden"
    with pytest.raises(Refused, match="hold_not_active"):
        await override("propose_override", "two")
    (ended,) = await told(origin, "hold_ended")
    assert ended["end"] == "overridden"
    await pass_time(origin, SLOT)
    assert (await origin.edge(referral_id))["delivery"] == "queued"
