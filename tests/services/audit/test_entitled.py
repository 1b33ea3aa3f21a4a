"""Audit ignores statements of a hostile instance about parties and subjects that are not its own.

The forger has its own instance's signing key and may write to its own topics, so its records are authentic. Each test
compares the true statements with the forged ones. Without the entitlement check each of them fails, which one test
shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from deploy.accounting import views
from shared.core.contracts import registry
from shared.core.contracts.registry import MessageType
from shared.core.ids import uuid7
from shared.core.protocol.message import Draft, Record, compose, compose_fact
from shared.core.protocol.prepare import Prepared
from shared.messaging.exceptions import OutcomeKind
from tests.services.audit.log import Log, of_message
from tests.support.builders import HOTLINE, POLICE, PROVIDER
from tests.support.exchange_world import FROM_HOTLINE, LONG_AFTER, decisions, opened
from tests.support.forging import forged

#: A provider that submits its own referrals. The hostile instance serves it and may make statements about it.
ITS_OWN = "provider-002.example"
STATED = {"kind": "not_entitled", "verified": True, "problem": "statement_not_yours"}
OUTCOME = {"outcome": "conviction", "child_identified": "yes", "child_safeguarded": "yes"}


def fact(
    log: Log, message: MessageType, clear: Any, *, subject: UUID, by: str = "industry", sealed: bytes | None = None
) -> Draft:
    directory = log.world.documents.directory
    return compose_fact(
        message, clear, subject=subject, instance=by, directory=directory, exercise=True, at=log.world.at, sealed=sealed
    )


def decided(
    log: Log, filed: Prepared, *, origin: str, by: str = "industry", clear: Any = None, like: Prepared | None = None
) -> Draft:
    """Return the true decision with changes, as another instance states it. Its edges are those of `like`."""
    true = stated(log, like or filed)
    said = {"referral_id": str(filed.referral_id), "revision": 1, "disposition": filed.disposition} | (clear or {})
    sealed = json.dumps({"decisions": [true | {"origin": origin}]}).encode()
    return fact(log, registry.REFERRAL_DECIDED, {"decisions": [said]}, subject=filed.referral_id, by=by, sealed=sealed)


def stated(log: Log, filed: Prepared) -> dict[str, Any]:
    """Return the sealed part of the true decision, which every instance that decides knows."""
    true = next(draft for draft in filed.drafts if draft.message is registry.REFERRAL_DECIDED)
    [decision] = decisions(opened(log.world, true))
    return decision


def closed(log: Log, filed: Prepared, *, by: str) -> Draft:
    """Return a decision fact with the sealed part of another decision, which cannot be opened."""
    one, other = (decided(log, filed, origin=ITS_OWN, by=by) for _ in range(2))
    return replace(one, context=other.context)


def revealed(party: str) -> dict[str, str]:
    """Return the statement that a record was opened for a viewer of `party`."""
    return {"party": party, "role": "viewer", "actor": "0" * 32}


async def said(log: Log, draft: Draft, *, instance: str = "industry") -> Record:
    log.world.at += timedelta(seconds=1)
    [record] = forged(log.world, [draft], instance=instance)
    await log.keep(record)
    return record


async def shown(log: Log, filed: Prepared, record: Record) -> Mapping[str, Any]:
    [line] = of_message(await log.flow(filed.referral_id), record)
    return line


def is_marked(line: Mapping[str, Any]) -> bool:
    return {name: line[name] for name in STATED} == STATED and line["rules"] == []


async def test_a_decision_of_an_origin_that_the_instance_does_not_serve_replaces_nothing(log: Log) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    before = await log.flow(filed.referral_id)
    false = await said(log, decided(log, filed, origin=HOTLINE, clear={"disposition": "unroutable"}))
    line = await shown(log, filed, false)
    assert is_marked(line)
    assert (line["sender"], line["detail"]) == ("industry", {"spoken_of": HOTLINE})
    assert [each for each in await log.flow(filed.referral_id) if each != line] == before


async def test_a_decision_of_ones_own_origin_about_anothers_referral_links_nothing(log: Log) -> None:
    """It links neither the edges of the referral nor the messages that the other origin really sent."""
    neighbour = "hotline-de.example"
    filed, other = log.world.prepared(), log.world.prepared(neighbour)
    await log.file(other)
    true = await log.file(filed)
    before = await log.flow(filed.referral_id)
    await said(log, decided(log, filed, origin=neighbour, by="hotline"), instance="hotline")
    false = await said(log, decided(log, filed, origin=neighbour, by="hotline", like=other), instance="hotline")
    assert is_marked(await shown(log, filed, false))
    flow = await log.flow(filed.referral_id)
    assert [each["message_id"] for each in flow][: len(before)] == [each["message_id"] for each in before]
    assert [each["kind"] for each in flow][len(before) :] == ["not_entitled"] * 2
    assert of_message(flow, true[0])[0]["rules"] == of_message(before, true[0])[0]["rules"] != []


async def test_a_decision_that_nobody_can_open_neither_ends_the_judging_nor_counts(log: Log) -> None:
    """It is stated before the true decision: the first instance to learn of a referral could do so."""
    filed = log.world.prepared()
    unopenable = await said(log, closed(log, filed, by="industry"))
    log.world.at += timedelta(seconds=1)
    await log.file(filed)
    own = await said(log, closed(log, filed, by="hotline"), instance="hotline")
    assert is_marked(await shown(log, filed, unopenable))
    line = await shown(log, filed, own)
    assert (line["kind"], line["problem"]) == ("decision", "sealed_unopenable")
    stated = fact(log, registry.RECORD_REVEALED, revealed(POLICE), subject=filed.referral_id)
    assert is_marked(await shown(log, filed, await said(log, stated)))
    foreign = fact(
        log, registry.RECORD_REVEALED, revealed("police-jp.example"), subject=filed.referral_id, by="law_enforcement"
    )
    assert is_marked(await shown(log, filed, await said(log, foreign, instance="law_enforcement")))
    rows = await log.database.fetch(views.DECIDED)
    assert all(isinstance(row["origin"], str) for row in rows)


async def test_a_decision_made_of_anothers_facts_does_not_derive(log: Log) -> None:
    """The facts of one origin do not lead to another origin's decision."""
    filed = log.world.prepared()
    false = await said(log, decided(log, filed, origin=ITS_OWN))
    assert (await shown(log, filed, false))["problem"] == "decision_not_derived"


async def test_a_decision_under_the_subject_of_another_referral_is_marked(log: Log) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    false = await said(log, decided(log, filed, origin=ITS_OWN, clear={"referral_id": str(uuid7())}))
    assert is_marked(await shown(log, filed, false))


async def test_a_reading_by_who_was_sent_the_referral_counts(log: Log) -> None:
    filed = log.world.prepared()
    stated = fact(log, registry.RECORD_REVEALED, revealed(POLICE), subject=filed.referral_id, by="law_enforcement")
    true = await said(log, stated, instance="law_enforcement")
    await log.file(filed)  # read later, which is possible because topics have no common order
    assert (await shown(log, filed, true))["kind"] == "revealed"


async def test_a_report_of_an_instance_that_the_message_did_not_go_to_is_not_in_the_flow(log: Log) -> None:
    filed = log.world.prepared()
    records = await log.file(filed)
    offer = next(each for each in records if each.topic == FROM_HOTLINE["law_enforcement"])
    await log.report(offer, OutcomeKind.REFUSED, by="industry")
    flow = await log.flow(filed.referral_id)
    assert "outcomes" not in {each["kind"] for each in flow}
    assert of_message(flow, offer)[0]["outcome"] is None


@pytest.mark.parametrize(
    ("message", "clear", "sender", "instance"),
    [
        (registry.OUTCOME_REPORTED, OUTCOME, PROVIDER, "industry"),
        (registry.REFERRAL_WITHDRAWN, {"revision": 1, "reason": "filed_in_error"}, ITS_OWN, "industry"),
        (registry.OUTCOME_REPORTED, OUTCOME, "police-jp.example", "law_enforcement"),
        (registry.NOTICE_ACKNOWLEDGED, {}, ITS_OWN, "industry"),
    ],
    ids=["anothers answer", "anothers withdrawal", "an answer to what was not sent", "a notice that is none"],
)
async def test_what_a_party_says_of_a_subject_that_is_not_its_own_is_marked(
    log: Log, message: registry.MessageType, clear: Mapping[str, Any], sender: str, instance: str
) -> None:
    filed = log.world.prepared()
    await log.file(filed)
    name = "notice_id" if message is registry.NOTICE_ACKNOWLEDGED else "referral_id"
    to = POLICE if message is registry.REFERRAL_WITHDRAWN else HOTLINE
    address = log.world.address(filed.referral_id, sender, to)
    draft = compose(message, clear | {name: str(filed.referral_id)}, address)
    assert is_marked(await shown(log, filed, await said(log, draft, instance=instance)))


async def test_a_time_that_is_not_the_brokers_own_or_is_ahead_of_ours_makes_no_statement(log: Log) -> None:
    stated = {"origin": HOTLINE, "origin_kind": "hotline", "code": "guard_refused"}
    [record] = forged(
        log.world, [fact(log, registry.REFERRAL_REFUSED, stated, subject=uuid7(), by="hotline")], instance="hotline"
    )
    stated_by_producer = replace(record, offset=record.offset + 1, time_stated=True)
    await log.keep(replace(record, broker_time=log.world.at + 2 * LONG_AFTER), stated_by_producer)
    lines = of_message((await log.page(record))["items"], record)
    assert [(each["kind"], each["verified"], each["problem"]) for each in lines] == [
        ("record", False, "broker_time_off"),
        ("record", False, "broker_time_stated"),
    ]


async def test_with_the_check_off_each_would_have_stood(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.audit.domain.decisions.may_state", lambda *_, **__: True)
    monkeypatch.setattr("services.audit.use_cases.judged", tuple)
    filed = log.world.prepared()
    await log.file(filed)
    forgeries = [
        decided(log, filed, origin=HOTLINE, clear={"disposition": "unroutable"}),
        fact(log, registry.RECORD_REVEALED, revealed(POLICE), subject=filed.referral_id),
    ]
    kinds = [(await shown(log, filed, await said(log, each)))["kind"] for each in forgeries]
    assert kinds == ["decision", "revealed"]
