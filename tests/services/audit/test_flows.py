"""An auditor's view of one referral: each message once, with the last outcome that its own recipient reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.clock import coarse
from shared.core.contracts.registry import OUTCOME_REPORTED
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.core.protocol.message import Record
from shared.core.protocol.prepare import Prepared
from shared.messaging.exceptions import OutcomeKind
from shared.messaging.placement import PLACE
from tests.services.audit.log import Log, identity, of_message
from tests.support.exchange_world import FROM_HOTLINE, HOTLINE, LONG_AFTER, decisions, opened

LIVE_HOTLINE = "hotline-live.example"


def to_police(records: list[Record]) -> Record:
    return next(each for each in records if each.topic == FROM_HOTLINE["law_enforcement"])


def carried_on(record: Record) -> Record:
    """Return the same message at another place: number 1 of a later incarnation."""
    place = (uuid7().bytes + (1).to_bytes(8)).hex().encode()
    headers = tuple((name, place if name == PLACE else value) for name, value in record.headers)
    return replace(record, headers=headers, offset=record.offset + 1000)


async def test_each_message_shows_the_last_report_and_stands_once(log: Log) -> None:
    filed = log.world.prepared()
    offer = to_police(await log.file(filed))
    await log.report(offer, OutcomeKind.DEAD, "version_unknown")
    await log.report(offer, OutcomeKind.REFUSED, "offer_unknown")
    shown = of_message(await log.flow(filed.referral_id), offer)
    assert [(each["outcome"], each["code"], each["verified"]) for each in shown] == [("refused", "offer_unknown", True)]


@pytest.mark.parametrize(
    ("outcome", "shown"), [(OutcomeKind.DEAD, "parked"), (OutcomeKind.MOVED, "moved"), (OutcomeKind.WAITING, "waiting")]
)
async def test_a_report_is_shown_and_named_as_for_the_parties(log: Log, outcome: OutcomeKind, shown: str) -> None:
    filed = log.world.prepared()
    offer = to_police(await log.file(filed))
    report = await log.report(offer, outcome)
    flow = await log.flow(filed.referral_id)
    assert [each["outcome"] for each in of_message(flow, offer)] == [shown]
    assert [(each["kind"], each["sender"], each["outcome"]) for each in of_message(flow, report)] == [
        ("outcomes", "law_enforcement", None)
    ]


async def test_a_message_without_a_report_is_applied_once_its_recipient_has_acknowledged_it(log: Log) -> None:
    filed = log.world.prepared()
    offer = to_police(await log.file(filed))
    assert [each["outcome"] for each in of_message(await log.flow(filed.referral_id), offer)] == [None]
    await log.acknowledge(offer)
    assert [each["outcome"] for each in of_message(await log.flow(filed.referral_id), offer)] == ["applied"]
    await log.report(offer, OutcomeKind.DEFERRED, "version_unknown")
    assert [each["outcome"] for each in of_message(await log.flow(filed.referral_id), offer)] == ["deferred"]
    await log.report(offer, OutcomeKind.APPLIED)
    assert [each["outcome"] for each in of_message(await log.flow(filed.referral_id), offer)] == ["applied"]


async def test_a_message_that_was_carried_into_a_new_incarnation_is_applied_at_each_of_its_places(log: Log) -> None:
    filed = log.world.prepared()
    offer = to_police(await log.file(filed))
    carried = carried_on(offer)
    await log.keep(carried)
    await log.acknowledge(carried)
    shown = of_message(await log.flow(filed.referral_id), offer)
    assert [each["outcome"] for each in shown] == ["applied", "applied"]


async def test_a_flow_shows_the_decision_with_its_facts_and_what_was_not_sent(log: Log) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    decisions = [each["detail"] for each in await log.flow(filed.referral_id) if each["kind"] == "decision"]
    assert [each["referral_id"] for each in decisions] == [str(filed.referral_id)]
    assert decisions[0]["facts"]["origin"] == HOTLINE
    assert {"decision", "not_sent"} <= decisions[0].keys()


async def test_a_flow_shows_every_outcome_that_was_reported_by_its_codes(log: Log) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    await log.outcome(filed.referral_id, 2, outcome="arrest", known="yes")
    await log.outcome(filed.referral_id, 3, outcome="ongoing_investigation", known="unknown")
    flow = await log.flow(filed.referral_id)
    told = [each["detail"] for each in flow if each["type"] == OUTCOME_REPORTED.type]
    assert [(each["number"], each["outcome"], each["child_identified"]) for each in told] == [
        (2, "arrest", "yes"),
        (3, "ongoing_investigation", "unknown"),
    ]
    assert all("referral_id" not in each and "act" not in each for each in told)


REMOVED = {"recipient": "police-nl.example", "purpose": "investigation", "rules": ["eu-eprivacy-5-messages"]}


Change = Callable[[dict[str, Any]], None]


def altered(log: Log, filed: Prepared, change: Change) -> list[Record]:
    """Return the records of a referral whose origin states another sealed part of its decision."""
    *others, fact = filed.drafts
    sealed = opened(log.world, fact)
    change(*decisions(sealed))
    return log.world.records([*others, replace(fact, plaintext=json.dumps(sealed).encode())])


@pytest.mark.parametrize(
    "lie",
    [
        lambda sealed: sealed["edges"][0].__setitem__(3, "A" * 43),
        lambda sealed: sealed["not_sent"].append(REMOVED),
        lambda sealed: sealed.__setitem__("work_reason", "prohibited"),
        lambda sealed: sealed.__setitem__("work_reason", "no_route"),
    ],
    ids=["another edge", "a prohibition that removed nothing", "a reason for a person", "another reason"],
)
async def test_a_decision_that_its_facts_do_not_lead_to_is_named_and_its_edges_are_linked_all_the_same(
    log: Log, lie: Change
) -> None:
    filed = log.world.prepared()
    records = altered(log, filed, lie)
    await log.keep(*records)
    assert len(await log.flow(filed.referral_id)) == len(records) > 1
    (shown,) = [each for each in await log.flow(filed.referral_id) if each["kind"] == "decision"]
    assert (shown["verified"], shown["problem"]) == (True, "decision_not_derived")


async def test_a_decision_that_is_told_on_another_day_than_it_was_made_is_named(log: Log) -> None:
    """The decision uses the law of the day before. A party that may choose the day could choose the law."""
    filed = log.world.prepared()
    *offers, fact = log.world.records(filed.drafts)
    told = coarse(log.world.at + timedelta(days=1))
    await log.keep(*offers, log.world.resigned(fact, time=told))
    (shown,) = [each for each in await log.flow(filed.referral_id) if each["kind"] == "decision"]
    assert (shown["verified"], shown["problem"]) == (True, "decision_not_derived")


async def test_a_message_that_commits_to_another_edge_than_audit_was_told_of_is_named(log: Log) -> None:
    filed = log.world.prepared()
    *offers, fact = log.world.records(filed.drafts)
    other = log.world.resigned(to_police(offers), clear={"commitment": "0" * 64})
    await log.keep(fact, other)
    shown = of_message(await log.flow(filed.referral_id), other)
    assert [(each["verified"], each["problem"]) for each in shown] == [(True, "edge_not_committed")]


@pytest.mark.parametrize(
    "change",
    [
        lambda sealed: sealed.__setitem__("facts", {"origin": HOTLINE}),
        lambda sealed: sealed["facts"].__setitem__("origin_kind", "industry"),
        lambda sealed: sealed["decision"].__setitem__("decided_at", "9999-12-31T23:59:50.000Z"),
        lambda sealed: sealed["edges"].append(sealed["edges"][0]),
    ],
    ids=["facts not whole", "a lie of the origin", "the end of time", "an edge twice"],
)
async def test_whatever_a_fact_says_it_is_kept_and_so_are_those_beside_it(log: Log, change: Change) -> None:
    *_, odd = altered(log, log.world.prepared(), change)
    beside = log.world.records(log.world.prepared().drafts)
    await log.keep(beside[0], odd, *beside[1:])
    (shown,) = of_message((await log.page(odd))["items"], odd)
    assert shown["problem"] in {"decision_not_derived", "document_lapsed"}
    assert of_message((await log.page(beside[-1]))["items"], beside[-1])[0]["problem"] is None


async def test_an_auditor_of_the_sandbox_sees_exercises_only_and_one_of_live_parties_no_exercise(log: Log) -> None:
    exercise, live = log.world.prepared(), log.world.prepared(LIVE_HOTLINE, exercise=False)
    await log.file(exercise)
    fact = (await log.file(live))[-1]
    assert await log.flow(exercise.referral_id, exercise=True)
    assert await log.flow(live.referral_id, exercise=False)
    for of, world in ((live, True), (exercise, False)):
        with pytest.raises(Refused, match="not_found"):
            await log.flow(of.referral_id, exercise=world)
    in_sandbox, among_live = await log.page(fact), await log.page(fact, exercise=False)
    assert str(identity(fact)[0]) not in {each["message_id"] for each in in_sandbox["items"]}
    assert str(identity(fact)[0]) in {each["message_id"] for each in among_live["items"]}


async def test_a_time_that_the_broker_cannot_have_given_makes_no_life_of_a_topic_the_newest(log: Log) -> None:
    first, second, third = log.world.records([log.world.prepared().drafts[-1] for _ in range(3)])
    await log.keep(first, replace(second, broker_time=log.world.at + 2 * LONG_AFTER))
    again = replace(third, broker_time=log.world.at + timedelta(hours=12), topic_id=uuid7())
    await log.keep(again)
    newest = await log.page(first, newest=True)
    assert newest["topic_ids"][-1] == str(again.topic_id)


async def test_a_topic_made_again_is_read_by_its_topic_id(log: Log) -> None:
    first, second = log.world.records([log.world.prepared().drafts[-1] for _ in range(2)])
    await log.keep(first)
    again = replace(second, offset=first.offset, broker_time=log.world.at + timedelta(1), topic_id=uuid7())
    await log.keep(again)
    newest, named = await log.page(first, newest=True), await log.page(first)
    assert newest["topic_ids"] == named["topic_ids"]
    assert newest["topic_ids"][-1] == str(again.topic_id)
    assert str(first.topic_id) in newest["topic_ids"]
    assert [each["message_id"] for each in newest["items"]] == [str(identity(again)[0])]
    assert [(each["message_id"], each["topic_id"]) for each in named["items"]] == [
        (str(identity(first)[0]), str(first.topic_id))
    ]
