"""What cannot be decided or sealed any more is dropped and said so; it never holds up anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.answers import CaseAcceptedClear, OutcomeReportedClear
from shared.contracts.directory import Directory
from shared.contracts.registry import CASE_ACCEPTED, OUTCOME_REPORTED
from shared.kernel.authority import Role
from shared.kernel.errors import Unavailable
from shared.party.origin.store import edges as store
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.use_cases.again import DecideAgain
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.runtime.database.transactions import RowScope
from shared.runtime.post.outbox import PostgresOutbox
from shared.runtime.post.ports import OutboxRow
from shared.runtime.post.relay import Relay
from tests.services.deliveries import numbered, received
from tests.services.hotline.origin import KEK, Origin
from tests.support.builders import AT, HOTLINE, POLICE, PROVIDER
from tests.support.exchange_world import World, told_to_audit
from tests.support.memory_stores import MemoryLog, MemoryLogWriter

APPLYING = RowScope([HOTLINE], Role.SERVICE, "apply")
Change = Callable[[Directory], dict[str, Any]]


def change_directory(world: World, change: Change) -> None:
    """A later directory comes into force."""
    world.place(world.document.model_copy(update={"version": 2, **change(world.document)}), AT - timedelta(minutes=1))


def without(*parties: str) -> Change:
    return lambda directory: {"parties": tuple(each for each in directory.parties if each.id not in parties)}


def unsealable(instance: str) -> Change:
    """The instance's sealing keys have lapsed."""

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


def facts(origin: Origin, rows: list[OutboxRow]) -> list[dict[str, Any]]:
    """What audit will be told of decisions: the clear part, and the sealed one as audit opens it."""
    return [told_to_audit(origin.world, row.draft) for row in rows if row.draft.recipient == "audit"]


def edge_ids(rows: list[OutboxRow]) -> set[str]:
    return {json.loads(row.draft.body)["clear"]["edge_id"] for row in rows if row.draft.decided_at}


def recipients(rows: list[OutboxRow]) -> set[str]:
    return {row.draft.recipient for row in rows} - {"audit"}


async def sent(origin: Origin, rows: list[OutboxRow]) -> None:
    """The rows have left the outbox: those behind them come forward."""
    async with origin.database.transaction() as session:
        await session.driver.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", [row.outbox_id for row in rows])


async def edges(origin: Origin, referral_id: UUID) -> dict[str, str]:
    """The state of the newest edge to each recipient."""
    async with origin.database.transaction(APPLYING) as session:
        rows = await session.driver.fetch(
            "SELECT recipient, state FROM edge WHERE referral_id = $1 ORDER BY edge.message_id", referral_id
        )
    return {row["recipient"]: row["state"] for row in rows}


@pytest.mark.parametrize(("change", "lost"), [(without(POLICE), POLICE), (unsealable("industry"), PROVIDER)])
async def test_a_recipient_that_cannot_be_reached_any_more_holds_up_nobody(
    origin: Origin, change: Change, lost: str
) -> None:
    referral_id, other = await origin.file(), await origin.file()
    before = await origin.waiting()
    change_directory(origin.world, change)
    await origin.decide_again(before)
    after = await origin.waiting()
    assert recipients(after) == recipients(before) - {lost}
    assert not {row.draft.message_id for row in after if row.draft.decided_at} & {r.draft.message_id for r in before}
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
async def test_what_goes_nowhere_any_more_puts_the_referral_on_the_work_list(
    origin: Origin, change: Change, reason: str
) -> None:
    referral_id = await origin.file()
    change_directory(origin.world, change)
    await origin.decide_again(await origin.waiting())
    assert referral_id in await origin.work(reason)


async def test_of_an_origin_that_has_left_nothing_is_sent_and_audit_is_told(origin: Origin) -> None:
    referral_id = await origin.file()
    before = await origin.waiting()
    change_directory(origin.world, without(HOTLINE))
    await origin.decide_again(before)
    after = await origin.waiting()
    assert recipients(after) == set()
    assert {*(await edges(origin, referral_id)).values()} == {"dropped"}
    await sent(origin, after)
    (told,) = facts(origin, await origin.waiting())
    assert (told["work_reason"], told["edges"]) == ("undeliverable", [])
    assert {*told["superseded"]} == edge_ids(before)
    assert told["decision"] == facts(origin, before)[0]["decision"]


async def test_an_erased_referral_is_not_sent_and_audit_is_told(origin: Origin) -> None:
    referral_id, other = await origin.file(), await origin.file()
    async with origin.database.transaction() as session:
        await session.driver.execute("DELETE FROM data_key WHERE subject = $1", referral_id)
    await origin.decide_again(await origin.waiting())
    after = await origin.waiting()
    assert {row.draft.subject for row in after if row.draft.recipient == POLICE} == {str(other)}
    assert {*(await edges(origin, referral_id)).values()} == {"dropped"}


async def test_a_stale_row_without_an_edge_is_not_met_again(origin: Origin) -> None:
    referral_id = await origin.file()
    async with origin.database.transaction(APPLYING) as session:
        await session.driver.execute("UPDATE edge SET state = 'dropped' WHERE referral_id = $1", referral_id)
    await origin.decide_again(await origin.waiting())
    assert recipients(await origin.waiting()) == set()


@pytest.mark.parametrize("change", [without(HOTLINE), without(PROVIDER), unsealable("industry")])
async def test_the_relay_gets_past_what_it_cannot_send(origin: Origin, change: Change) -> None:
    await origin.file()
    change_directory(origin.world, change)
    origin.clock.advance(360)
    log = MemoryLog(origin.clock)
    assert await rounds(relay_of(origin, log)) < 10
    assert any(place[0] == "causeway.inbox.audit.hotline.v1" for place in log.partitions)


async def test_a_relay_that_left_the_rows_where_they_are_would_meet_them_for_ever(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(store, "_UNSEND", "SELECT $1::uuid[]")
    await origin.file()
    change_directory(origin.world, without(HOTLINE))
    origin.clock.advance(360)
    assert await rounds(relay_of(origin, MemoryLog(origin.clock))) == 10


async def test_what_an_agency_has_answered_stays_when_its_edge_is_decided_again(origin: Origin) -> None:
    referral_id = await origin.file()
    offer = next(row.draft for row in await origin.waiting() if row.draft.recipient == POLICE)
    await origin.forget()
    accepted = CaseAcceptedClear(referral_id=referral_id, revision=1, **numbered())
    outcome = OutcomeReportedClear(
        referral_id=referral_id,
        revision=1,
        **numbered(2),
        outcome="arrest",
        child_identified="yes",
        child_safeguarded="yes",
    )
    async with origin.database.transaction(APPLYING) as session:
        rows = PostgresEdges(session.driver, KEK)
        answers = EdgeAnswers(rows, AT)
        said = received(CASE_ACCEPTED, accepted, subject=referral_id, sender=POLICE, recipient=HOTLINE)
        assert await answers.apply([said]) == {}
        again = DecideAgain(documents=lambda: origin.world.documents, instance="hotline", clock=origin.clock)
        await again.messages(rows, [offer.message_id])
        said = received(OUTCOME_REPORTED, outcome, subject=referral_id, sender=POLICE, recipient=HOTLINE)
        assert await answers.apply([said]) == {}
    shown = {edge["recipient"]: edge["answer"] for edge in (await origin.show(referral_id))["edges"]}
    assert shown[POLICE] == "ongoing"


def relay_of(origin: Origin, log: MemoryLog) -> Relay:
    outbox = PostgresOutbox(origin.database, instance="hotline", key=origin.world.keys["hotline"].signing)
    writer = MemoryLogWriter(log, instance="hotline")
    return Relay(outbox, writer, clock=origin.clock, decide_again=origin.bus.stale)


async def rounds(relay: Relay) -> int:
    """How often the relay goes round until it finds nothing to do; at most ten times."""
    for number in range(10):
        try:
            if not await relay.publish_once():
                return number
        except Unavailable:
            raise AssertionError("nothing is away") from None
    return 10
