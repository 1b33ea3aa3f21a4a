"""An origin's attention items: every edge that needs a person, with a child at risk first, then the oldest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.core.acts.act import Subject
from shared.core.authority import Role
from shared.core.protocol.message import Received
from shared.core.routing.clocks import Law
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.attention.api import AttentionRoutes, AttentionSource, overdue
from shared.features.filing.store.attention import origin_waits
from shared.platform.database.transactions import RowScope
from shared.platform.timers.store import read_due
from tests.services.doors import attention_list, serving, timers_of, until_idle
from tests.services.hotline.origin import APPLYING, KEK, Origin, answered, applied, said
from tests.services.hotline.test_answers_kept import accepted, outcome
from tests.shared.core.routing.test_clocks import SAMPLE_LAW
from tests.support.builders import AT, HOTLINE, POLICE, PROVIDER, settlement
from tests.support.manual_clock import ManualClock

P0 = {"level": "p0_child_at_risk", "basis": ["ongoing_abuse"]}
P3 = {"level": "p3_informational"}
Row = dict[str, Any]


async def attention(origin: Origin, *, only_p0: bool = False, limit: int = 200) -> list[Row]:
    """Return the whole list, page after page."""
    held = serving(origin.database, "hotline", kek=KEK, directory=origin._documents().directory)
    door = AttentionRoutes(held, (AttentionSource("referral", "routed", origin_waits),))
    return await attention_list(door, HOTLINE, "hotline", rank_max=0 if only_p0 else 1, limit=limit)


async def about(origin: Origin, referral_id: UUID) -> list[Row]:
    return [row for row in await attention(origin) if row["subject"] == str(referral_id)]


def declined(referral_id: UUID) -> Received:
    return said("case_declined", referral_id, POLICE, reason="no_capacity")


async def receipt(
    origin: Origin, referral_id: UUID, recipient: str, outcome: ReceiptOutcome, code: str | None = None
) -> None:
    """Report an outcome from one recipient's instance for the message that carries its edge."""
    place = "SELECT message_id, instance FROM edge WHERE referral_id = $1 AND recipient = $2 LIMIT 1"
    ((message_id, instance),) = await origin.sql(place, referral_id, recipient)
    await origin.heard(settlement(message_id, outcome, code, by=instance))


async def test_what_an_agency_declines_needs_a_person_with_the_reason_and_the_act_that_helps(origin: Origin) -> None:
    referral_id = await origin.file()
    assert await about(origin, referral_id) == []
    assert await applied(origin, declined(referral_id)) == [None]
    (row,) = await about(origin, referral_id)
    assert (row["kind"], row["party"], row["reasons"]) == ("referral", POLICE, ["declined"])
    assert (row["code"], row["mend"], row["priority"]) == ("no_capacity", "refile", "p2_normal")
    assert row["since"]
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await about(origin, referral_id) == []


async def test_a_child_at_risk_stands_first_until_everybody_has_answered_for_good(origin: Origin) -> None:
    calm = await origin.file()
    await applied(origin, declined(calm))
    referral_id = await origin.file(priority=P0)
    rows = await attention(origin)
    first = [row for row in rows if row["priority"] == "p0_child_at_risk"]
    assert rows[: len(first)] == first
    assert {row["subject"] for row in first} == {str(referral_id)}
    assert {(tuple(row["reasons"]), row["mend"]) for row in first} == {(("p0_open",), "call")}
    assert await attention(origin, only_p0=True) == first
    before = len(first)
    await applied(origin, accepted(referral_id))
    assert len(await about(origin, referral_id)) == before
    await applied(origin, outcome(referral_id, 2, "closed", "unknown"))
    left = await about(origin, referral_id)
    assert POLICE not in {row["party"] for row in left}
    assert len(left) == before - 1


@pytest.mark.parametrize("outcome_", [ReceiptOutcome.DEFERRED, ReceiptOutcome.WAITING, ReceiptOutcome.PARKED])
async def test_what_does_not_arrive_needs_a_person_until_it_has(origin: Origin, outcome_: ReceiptOutcome) -> None:
    referral_id = await origin.file()
    await receipt(origin, referral_id, POLICE, outcome_, "body_invalid")
    (row,) = await about(origin, referral_id)
    assert (row["reasons"], row["code"], row["mend"]) == ([outcome_.value], "body_invalid", "operator")
    origin.clock.advance(3600)
    await receipt(origin, referral_id, POLICE, ReceiptOutcome.DEFERRED)
    assert [each["since"] for each in await about(origin, referral_id)] == [row["since"]]
    await receipt(origin, referral_id, POLICE, ReceiptOutcome.APPLIED)
    assert await about(origin, referral_id) == []


async def test_what_is_refused_for_good_needs_a_person_and_what_is_decided_again_does_not(origin: Origin) -> None:
    referral_id = await origin.file()
    await receipt(origin, referral_id, POLICE, ReceiptOutcome.REFUSED, "guard_refused")
    assert [(r["reasons"], r["code"]) for r in await about(origin, referral_id)] == [(["refused"], "guard_refused")]
    other = await origin.file()
    await receipt(origin, other, POLICE, ReceiptOutcome.REFUSED, "decision_time_off")
    assert await about(origin, other) == []


async def test_a_referral_that_goes_nowhere_needs_a_person_once(origin: Origin) -> None:
    nowhere = await origin.file(user_jurisdictions=["Europe"])
    (row,) = await about(origin, nowhere)
    assert (row["reasons"], row["mend"], "party" in row) == (["unknown_jurisdiction"], "refile", False)


async def test_the_list_is_the_same_in_pages_of_any_size(origin: Origin) -> None:
    for priority in (P0, P3, P0, P3):
        await applied(origin, declined(await origin.file(priority=priority)))
    whole = await attention(origin)
    assert len(whole) > 7
    for limit in (1, 2, 7):
        assert await attention(origin, limit=limit) == whole
    keys = [(row["priority"] != "p0_child_at_risk", row["since"]) for row in whole]
    assert keys == sorted(keys)


#: Brings a new referral to a fate.
async def _fate(origin: Origin, fate: str, **filed: Any) -> UUID:
    if fate == "nowhere":
        return await origin.file(user_jurisdictions=["Europe"], **filed)
    referral_id = await origin.file(**filed)
    match fate:
        case "declined":
            await applied(origin, declined(referral_id))
        case "not_ours":
            notice_id = await origin.notice_id(referral_id)
            await applied(origin, said("notice_not_ours", notice_id, PROVIDER, disowned=({"n": 1},)))
        case "rejected":
            await applied(origin, answered(await origin.notice_id(referral_id), 1, {"rejection": "not_found"}))
        case "actioned":
            await applied(origin, answered(await origin.notice_id(referral_id), 1, {"action": "removed"}))
        case "closed":
            await applied(origin, accepted(referral_id))
            await applied(origin, outcome(referral_id, 2, "closed", "unknown"))
        case "withdrawn":
            await applied(origin, declined(referral_id))
            await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
        case "refused" | "parked" | "deferred":
            await receipt(origin, referral_id, POLICE, ReceiptOutcome(fate), "body_invalid")
        case "mended":
            await receipt(origin, referral_id, POLICE, ReceiptOutcome.PARKED, "body_invalid")
            await receipt(origin, referral_id, POLICE, ReceiptOutcome.APPLIED)
    return referral_id


FATES = (
    *("open", "nowhere", "declined", "not_ours", "rejected", "actioned", "closed", "withdrawn", "refused", "parked"),
    *("deferred", "mended"),
)


def recounted(filed: Mapping[UUID, tuple[str, bool]], shown: Mapping[UUID, Any]) -> set[tuple[str, str, str, str]]:
    """Return the expected list as (subject, party, notice, reasons).

    It is derived only from the fate and the recipients of each referral.
    """
    by = {"not_ours": PROVIDER, "rejected": PROVIDER}
    closes = {"declined": POLICE, "closed": POLICE, "actioned": PROVIDER} | by
    expected = set()
    for referral_id, (fate, p0) in filed.items():
        if fate == "nowhere":
            expected.add((str(referral_id), "", "", "unknown_jurisdiction"))
        if fate in ("nowhere", "withdrawn"):
            continue
        for each in shown[referral_id]["edges"]:
            to = each["recipient"]
            bad = fate in ("refused", "parked", "deferred", "declined", "not_ours", "rejected")
            reasons = [fate] if bad and to == by.get(fate, POLICE) else []
            reasons += ["p0_open"] if p0 and closes.get(fate) != to else []
            if reasons:
                expected.add((str(referral_id), to, each.get("notice_id") or "", "+".join(reasons)))
    return expected


async def test_a_recount_of_all_fates_finds_nothing_missing_and_nothing_more(origin: Origin) -> None:
    filed = {}
    for fate in 2 * FATES:
        for priority in (P0, P3):
            filed[await _fate(origin, fate, priority=priority)] = (fate, priority is P0)
    assert len(filed) == 4 * len(FATES)
    shown = {referral_id: await origin.show(referral_id) for referral_id in filed}
    rows = [row for row in await attention(origin, limit=7) if UUID(row["subject"]) in filed]
    listed = [(r["subject"], r.get("party", ""), r.get("notice_id", ""), "+".join(r["reasons"])) for r in rows]
    expected = recounted(filed, shown)
    assert {*listed} - expected == set()
    assert expected - {*listed} == set()
    assert len(listed) == len(expected), json.dumps(sorted(listed))


# -- Overdue acts of counterparts are on the list, with party and clock, until they are done.


async def overdue_rows(origin: Origin, referral_id: UUID, *, hours: int, limit: int = 200) -> list[dict[str, Any]]:
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
    assert await overdue_rows(origin, referral_id, hours=1) == []
    rows = await overdue_rows(origin, referral_id, hours=80)
    assert [row["clock"] for row in rows if row["party"] == PROVIDER] == ["practice-notice-to-owner"]
    late = await overdue_clocks(origin, referral_id, hours=80)
    assert {"practice-notice-reminder", "practice-notice-to-owner"} <= late
    assert "practice-notice-to-registrar" not in late
    assert {(row["kind"], *row["reasons"], row["mend"]) for row in rows} == {("referral", "overdue", "call")}
    assert await applied(origin, answered(await origin.notice_id(referral_id), 1, {"action": "removed"})) == [None]
    left = [row for row in await overdue_rows(origin, referral_id, hours=80) if row["party"] == PROVIDER]
    assert {(row["clock"], row["mend"]) for row in left} == {("practice-recheck", "recheck")}


async def test_it_stands_among_the_others_by_since_when(origin: Origin) -> None:
    referral_id = await origin.file()
    origin.clock.advance(30 * 3600)
    assert await applied(origin, declined(referral_id)) == [None]
    rows = await overdue_rows(origin, referral_id, hours=80, limit=9)
    reasons = [row["reasons"][0] for row in rows]
    assert {"overdue", "declined"} <= {*reasons}
    assert [row["since"] for row in rows] == sorted(row["since"] for row in rows)
    assert await overdue_rows(origin, referral_id, hours=80) == rows
