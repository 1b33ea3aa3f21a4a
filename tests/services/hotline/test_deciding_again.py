"""Edges refused as stale are decided again a limited number of times.

If that is impossible they are dropped and listed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.core.contracts.directory import Directory
from shared.core.errors import CausewayError, Unavailable
from shared.core.protocol.accept import accept_batch
from shared.core.protocol.message import Draft
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.filing.rules import PAUSES
from tests.services.hotline.origin import Origin, applied, said
from tests.services.hotline.test_attention import about
from tests.support.builders import AT, HOTLINE, POLICE, PROVIDER
from tests.support.exchange_world import World, told_to_audit
from tests.support.manual_clock import ManualClock

Change = Callable[[Directory], dict[str, Any]]


def change_directory(world: World, change: Change) -> None:
    """Put a later directory in force."""
    world.place(world.document.model_copy(update={"version": 2, **change(world.document)}), AT - timedelta(minutes=1))


def without(*parties: str) -> Change:
    return lambda directory: {"parties": tuple(each for each in directory.parties if each.id not in parties)}


def unsealable(instance: str) -> Change:
    """Let the instance's sealing keys lapse."""

    def lapsed(directory: Directory) -> dict[str, Any]:
        instances = []
        for each in directory.instances:
            keys = [
                key.model_copy(update={"valid_to": AT - timedelta(days=1)} if key.use == "seal" else {})
                for key in each.keys
            ]
            instances.append(each.model_copy(update={"keys": tuple(keys)}) if each.id == instance else each)
        return {"instances": tuple(instances)}

    return lapsed


def facts(origin: Origin, rows: list[Draft]) -> list[dict[str, Any]]:
    """Return audit's view of the decisions: the clear part, and the sealed part as audit opens it."""
    return [told_to_audit(origin.world, row) for row in rows if row.recipient == "audit"]


def edge_ids(rows: list[Draft]) -> set[str]:
    return {row.clear["edge_id"] for row in rows if row.message.edge}


def recipients(rows: list[Draft]) -> set[str]:
    return {row.recipient for row in rows} - {"audit"}


async def edges(origin: Origin, referral_id: UUID) -> dict[str, str]:
    """Return the state of the newest edge to each recipient."""
    of = "SELECT recipient, state FROM edge WHERE referral_id = $1 ORDER BY edge.message_id"
    return {row["recipient"]: row["state"] for row in await origin.sql(of, referral_id)}


@pytest.mark.parametrize(("change", "lost"), [(without(POLICE), POLICE), (unsealable("industry"), PROVIDER)])
async def test_an_unreachable_recipient_holds_up_nobody(origin: Origin, change: Change, lost: str) -> None:
    referral_id, other = await origin.file(), await origin.file()
    before = await origin.waiting()
    change_directory(origin.world, change)
    await origin.refused(before)
    after = await origin.waiting()
    assert recipients(after) == recipients(before) - {lost}
    assert not {row.message_id for row in after if row.message.edge} & {r.message_id for r in before}
    for each in (referral_id, other):
        assert (await edges(origin, each))[lost] == "dropped"


async def test_a_recipient_that_nobody_can_seal_for_keeps_no_referral_from_being_filed(origin: Origin) -> None:
    await origin.file()
    usual = recipients(await origin.waiting())
    await origin.forget()
    change_directory(origin.world, unsealable("industry"))
    referral_id = await origin.file()
    rows = await origin.waiting()
    assert recipients(rows) == usual - {PROVIDER}
    (told,) = facts(origin, rows)
    assert (told["disposition"], told["work_reason"]) == ("routed", "undeliverable")
    assert (await origin.work("undeliverable"))[0] == referral_id


@pytest.mark.parametrize(
    ("change", "reason"), [(unsealable("industry"), "undeliverable"), (without(PROVIDER), "unknown_provider")]
)
async def test_what_goes_nowhere_is_put_on_the_work_list(origin: Origin, change: Change, reason: str) -> None:
    referral_id = await origin.file()
    change_directory(origin.world, change)
    await origin.refused(await origin.waiting())
    assert referral_id in await origin.work(reason)
    (row,) = await about(origin, referral_id)
    assert (row["reasons"], row["mend"], "party" in row) == ([reason], "refile", False)


async def test_of_an_origin_that_has_left_nothing_is_sent_and_audit_is_told(origin: Origin) -> None:
    referral_id = await origin.file()
    before = await origin.waiting()
    change_directory(origin.world, without(HOTLINE))
    await origin.refused(before)
    after = await origin.waiting()
    assert recipients(after) == set()
    assert {*(await edges(origin, referral_id)).values()} == {"dropped"}
    _, told = facts(origin, after)
    assert (told["work_reason"], told["edges"]) == ("undeliverable", [])
    assert {*told["superseded"]} == edge_ids(before)
    assert told["decision"] == facts(origin, before)[0]["decision"]


async def test_an_erased_referral_is_not_sent_and_audit_is_told(origin: Origin) -> None:
    referral_id, other = await origin.file(), await origin.file()
    await origin.erase(referral_id)
    await origin.refused(await origin.waiting())
    after = await origin.waiting()
    assert {row.subject for row in after if row.recipient == POLICE} == {str(other)}
    assert {*(await edges(origin, referral_id)).values()} == {"dropped"}


async def test_what_an_agency_has_answered_stays_when_its_edge_is_decided_again(origin: Origin) -> None:
    referral_id = await origin.file()
    offer = next(row for row in await origin.waiting() if row.recipient == POLICE)
    await origin.forget()
    assert await applied(origin, said("case_accepted", referral_id, POLICE)) == [None]
    await origin.refused([offer])
    known = {"outcome": "arrest", "child_identified": "yes", "child_safeguarded": "yes"}
    assert await applied(origin, said("outcome_reported", referral_id, POLICE, 2, **known)) == [None]
    assert (await origin.edge(referral_id, POLICE))["answer"] == "ongoing"


async def decided(origin: Origin) -> int:
    """Return how many edges to the agency were ever decided."""
    ((count,),) = await origin.sql("SELECT count(*) FROM edge WHERE recipient = $1", POLICE)
    return int(count)


def offers(rows: list[Draft]) -> list[Draft]:
    return [row for row in rows if row.recipient == POLICE and row.message.edge]


async def test_an_edge_is_decided_four_times_at_most_with_growing_pauses_and_then_a_person_looks(
    origin: Origin,
) -> None:
    before = await decided(origin)
    referral_id = await origin.file()
    for pause in PAUSES:
        await origin.refused(offers(await origin.waiting()))
        if pause:
            assert offers(await origin.waiting()) == []
            origin.clock.advance(pause.total_seconds() - 1)
            assert await origin.due() == 0
            origin.clock.advance(1)
            assert await origin.due() == 1
        assert referral_id not in await origin.work("undeliverable")
    assert await decided(origin) - before == 4
    await origin.refused(offers(await origin.waiting()))
    origin.clock.advance(86_400)
    assert (await origin.due(), offers(await origin.waiting())) == (0, [])
    assert await decided(origin) - before == 4
    assert referral_id in await origin.work("undeliverable")
    assert (await edges(origin, referral_id))[POLICE] == "dropped"


async def test_a_clock_that_was_ahead_puts_no_edge_off(origin: Origin) -> None:
    """The clocks of two processes may differ by up to the longest pause. A time further ahead is due at once."""
    await origin.file()
    for _ in PAUSES:
        await origin.refused(offers(await origin.waiting()))
    waits = "UPDATE edge SET redecide_at = $1 WHERE redecide_at IS NOT NULL"
    for ahead, due in ((2 * max(PAUSES), 0), (2 * max(PAUSES) + timedelta(seconds=1), 1)):
        await origin.sql(waits, origin.clock.now() + ahead)
        assert await origin.due() == due
    assert len(offers(await origin.waiting())) == 1


async def test_without_the_bound_it_is_decided_each_time(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the test above."""
    monkeypatch.setattr("shared.features.filing.service.redecide.PAUSES", (PAUSES[0],) * 100)
    before = await decided(origin)
    await origin.file()
    for _ in range(12):
        await origin.refused(offers(await origin.waiting()))
    assert await decided(origin) - before == 13


async def test_a_refusal_counts_only_if_its_documents_were_those_in_force(origin: Origin) -> None:
    """A recipient may not know a newer directory yet. Its refusal is not counted among the limited tries."""
    await origin.file()
    change_directory(origin.world, lambda directory: {"version": 2})
    await origin.refused(offers(await origin.waiting()), code="document_lapsed")
    for pause in PAUSES:
        await origin.refused(offers(await origin.waiting()))
        origin.clock.advance(pause.total_seconds())
        assert await origin.due() == int(pause > timedelta(0))
        assert len(offers(await origin.waiting())) == 1


async def test_without_documents_nothing_is_decided_or_counted(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    referral_id = await origin.file()
    before = offers(await origin.waiting())

    def expired() -> Any:
        raise Unavailable("documents_expired")

    monkeypatch.setattr(origin, "_documents", expired)
    await origin.told_stale(before)
    with pytest.raises(Unavailable):
        await origin.due()
    assert offers(await origin.waiting()) == []
    monkeypatch.undo()
    assert await origin.due() == 1
    assert len(offers(await origin.waiting())) == 1
    tries = "SELECT max(redecide_attempts) FROM edge WHERE referral_id = $1"
    assert [*map(tuple, await origin.sql(tries, referral_id))] == [(0,)]


async def test_a_withdrawn_referrals_edge_is_not_decided_again(origin: Origin) -> None:
    referral_id = await origin.file()
    rows = offers(await origin.waiting())
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    await origin.refused(rows)
    assert offers(await origin.waiting()) == []
    assert (await edges(origin, referral_id))[POLICE] == "dropped"


def taken(origin: Origin, rows: list[Draft], at: datetime) -> list[str]:
    """Return the agencies' codes for records that the broker receives at this time, or "" for accepted ones."""
    records = [replace(record, broker_time=at) for record in origin.world.records(rows)]
    found = accept_batch(records, origin.world.reader("law_enforcement", clock=ManualClock(at)))
    return [each.code if isinstance(each, CausewayError) else "" for each in found]


async def test_an_outage_of_an_hour_decides_nothing_again(origin: Origin) -> None:
    await origin.file_all([{}] * 20)
    assert taken(origin, offers(await origin.waiting()), AT + timedelta(hours=1)) == [""] * 20


async def test_where_the_policy_changes_meanwhile_each_edge_is_decided_once_more(origin: Origin) -> None:
    await origin.file_all([{}] * 20)
    before, back = offers(await origin.waiting()), AT + timedelta(hours=1)
    newer = origin.world.policy.model_copy(update={"version": origin.world.policy.version + 1})
    origin.world.place(newer, AT + timedelta(minutes=10))
    assert taken(origin, before, back) == ["document_lapsed"] * 20
    origin.clock.advance(3600)
    origin.world.at = back
    await origin.refused(before, code="document_lapsed")
    again = offers(await origin.waiting())
    assert taken(origin, again, back) == [""] * 20
