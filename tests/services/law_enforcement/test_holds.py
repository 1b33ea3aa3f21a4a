"""An agency's holds at origins: bounded, one at a time, with a state folded from the origin's answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.core.contracts.answers import CaseAcceptance
from shared.core.contracts.holds import HoldActivatedClear, HoldEndedClear, HoldExtension, HoldRequest, HoldTooLateClear
from shared.core.contracts.registry import HOLD_ACTIVATED, HOLD_ENDED, HOLD_TOO_LATE, MessageType
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.core.vocabulary.preservation import HoldBasis, HoldEnd, HoldScope
from shared.features.holds.store import ended_holds
from tests.services.deliveries import AGENCY, AT, HOTLINE, directory, received
from tests.services.doors import waiting
from tests.services.law_enforcement.agency import Agencies

HOUR = timedelta(hours=1)
OPEN = HoldBasis.INVESTIGATION_OPEN


def asked(hours: int = 8) -> HoldRequest:
    return HoldRequest(scope=HoldScope.REMOVAL, basis=OPEN, not_after=AT + hours * HOUR)


async def holds(agencies: Agencies, referral_id: UUID) -> list[Any]:
    async with agencies.cases("read") as cases:
        page = await cases.holds.page(AGENCY, state=None, cursor=None, limit=200)
    return [each for each in page.items if each.referral_id == referral_id]


async def hold_id(agencies: Agencies, referral_id: UUID) -> UUID:
    return UUID(str((await holds(agencies, referral_id))[0].hold))


async def hear(agencies: Agencies, message: MessageType, clear: Any) -> str | None:
    made = received(message, clear, subject=clear.referral_id, sender=HOTLINE, recipient=AGENCY)
    (code,) = await agencies.receive(made)
    return code


def named(referral_id: UUID, hold: UUID) -> dict[str, Any]:
    return {"referral_id": referral_id, "revision": 1, "hold": hold}


async def activate(agencies: Agencies, referral_id: UUID, hours: int = 8) -> UUID:
    hold = await hold_id(agencies, referral_id)
    words = {"scope": HoldScope.REMOVAL, "basis": OPEN, "not_after": AT + hours * HOUR, "held": 1, "issued": 0}
    assert await hear(agencies, HOLD_ACTIVATED, HoldActivatedClear(**named(referral_id, hold), **words)) is None
    return hold


async def attention(agencies: Agencies, referral_id: UUID) -> list[tuple[str, str]]:
    """Return the reasons and suggested actions of holds that need a person of the agency."""
    rows = await waiting(agencies.database, ended_holds, AGENCY, referral_id)
    return [(reason, row.mend.value) for row in rows for reason in row.reasons]


async def test_it_asks_and_the_case_stays_where_it_is(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    assert await agencies.act("place_hold", asked(), referral_id) == "offered"
    (hold,) = await holds(agencies, referral_id)
    assert (hold.state, hold.not_after, hold.asked_until) == ("asked", None, AT + 8 * HOUR)
    (sent,) = await agencies.sent(referral_id)
    assert sent[0] == "causeway.hold_placed.v1"
    assert sent[4]["scope"] == "removal"
    shown = await agencies.show(referral_id)
    assert "scope" not in shown
    assert [act["scope"] for act in shown["timeline"]] == ["removal"]
    await activate(agencies, referral_id)
    (hold,) = await holds(agencies, referral_id)
    assert (hold.state, hold.held) == ("active", 1)


@pytest.mark.parametrize(("hours", "code"), [(337, "hold_beyond_bound"), (0, "hold_over")])
async def test_its_end_is_bounded(agencies: Agencies, hours: int, code: str) -> None:
    referral_id = await agencies.offer()
    with pytest.raises(Refused, match=code) as refused:
        await agencies.act("place_hold", asked(hours), referral_id)
    assert refused.value.field == "/not_after"
    await agencies.act("place_hold", asked(), referral_id)
    with pytest.raises(Refused, match=code):
        await agencies.act("extend_hold", HoldExtension(basis=OPEN, not_after=AT + hours * HOUR), referral_id)


async def test_one_is_open_at_a_time_and_can_be_extended_and_released(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    for act in ("extend_hold", "release_hold"):
        said = HoldExtension(basis=OPEN, not_after=AT + HOUR) if act == "extend_hold" else None
        with pytest.raises(Refused, match="no_hold_open"):
            await agencies.act(act, said, referral_id)
    await agencies.act("place_hold", asked(), referral_id)
    with pytest.raises(Refused, match="hold_open"):
        await agencies.act("place_hold", asked(), referral_id)
    hold = await activate(agencies, referral_id)
    with pytest.raises(Refused, match="hold_not_longer"):
        await agencies.act("extend_hold", HoldExtension(basis=OPEN, not_after=AT + 8 * HOUR), referral_id)
    await agencies.act("extend_hold", HoldExtension(basis=OPEN, not_after=AT + 9 * HOUR), referral_id)
    await agencies.act("release_hold", None, referral_id)
    kinds = [(sent[0], sent[4].get("hold")) for sent in await agencies.sent(referral_id)]
    assert kinds[1:] == [("causeway.hold_extended.v1", str(hold)), ("causeway.hold_released.v1", str(hold))]
    ended = HoldEndedClear(**named(referral_id, hold), end=HoldEnd.RELEASED)
    assert await hear(agencies, HOLD_ENDED, ended) is None
    assert [each.state for each in await holds(agencies, referral_id)] == ["released"]
    await agencies.act("place_hold", asked(), referral_id)


async def test_no_hold_is_asked_of_one_that_has_left(agencies: Agencies, monkeypatch: pytest.MonkeyPatch) -> None:
    referral_id = await agencies.offer()
    monkeypatch.setattr(agencies, "directory", directory(HOTLINE))
    with pytest.raises(Refused, match="recipient_unknown"):
        await agencies.act("place_hold", asked(), referral_id)
    assert await holds(agencies, referral_id) == []


@pytest.mark.parametrize("end", [HoldEnd.EXPIRED, HoldEnd.OVERRIDDEN, HoldEnd.LAPSED])
async def test_what_has_ended_stays_so_whatever_overtakes_what(agencies: Agencies, end: HoldEnd) -> None:
    referral_id = await agencies.offer()
    await agencies.act("place_hold", asked(), referral_id)
    hold = await hold_id(agencies, referral_id)
    assert await hear(agencies, HOLD_ENDED, HoldEndedClear(**named(referral_id, hold), end=end)) is None
    await activate(agencies, referral_id)
    assert [each.state for each in await holds(agencies, referral_id)] == [end]
    assert await attention(agencies, referral_id) == [(f"hold_{end}", "accept")]
    await agencies.act("accept", CaseAcceptance(), referral_id)
    assert await attention(agencies, referral_id) == [], "whoever goes on has seen it"


async def test_too_late_says_since_when(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    await agencies.act("place_hold", asked(), referral_id)
    late = HoldTooLateClear(**named(referral_id, await hold_id(agencies, referral_id)), issued_at=AT - HOUR)
    assert await hear(agencies, HOLD_TOO_LATE, late) is None
    (hold,) = await holds(agencies, referral_id)
    assert (hold.state, hold.issued_at) == ("too_late", AT - HOUR)


async def test_a_hold_that_a_restored_agency_has_forgotten_is_as_its_origin_says(agencies: Agencies) -> None:
    """The agency reads again the messages since its backup. The hold is its own again and can be released."""
    referral_id, hold = await agencies.offer(), uuid7()
    words = {"scope": HoldScope.REMOVAL, "basis": OPEN, "not_after": AT + 8 * HOUR, "held": 1, "issued": 0}
    assert await hear(agencies, HOLD_ACTIVATED, HoldActivatedClear(**named(referral_id, hold), **words)) is None
    assert [(each.hold, each.state) for each in await holds(agencies, referral_id)] == [(hold, "active")]
    with pytest.raises(Refused, match="hold_open"):
        await agencies.act("place_hold", asked(), referral_id)
    await agencies.act("release_hold", None, referral_id)
    (sent,) = await agencies.sent(referral_id)
    assert (sent[0], sent[4]["hold"]) == ("causeway.hold_released.v1", str(hold))
    ended = HoldEndedClear(**named(referral_id, hold), end=HoldEnd.RELEASED)
    assert await hear(agencies, HOLD_ENDED, ended) is None
    assert [each.state for each in await holds(agencies, referral_id)] == ["released"]


async def test_that_a_forgotten_hold_came_too_late_leaves_nothing_to_hold(agencies: Agencies) -> None:
    referral_id = await agencies.offer()
    late = HoldTooLateClear(**named(referral_id, uuid7()), issued_at=AT - HOUR)
    assert await hear(agencies, HOLD_TOO_LATE, late) is None
    assert await holds(agencies, referral_id) == []
    assert await agencies.act("place_hold", asked(), referral_id) == "offered"
