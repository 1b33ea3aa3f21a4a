"""Audit ignores statements of a hostile instance about parties and subjects that are not its own.

The forger has its own instance's signing key and may write to its own topics, so its records are authentic. Each test
compares the true statements with the forged ones. Without the entitlement check each of them fails, which one test
shows.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deploy.accounting import views
from shared.catalog import CATALOG
from shared.core.canonical import canonical_json
from shared.core.contracts import registry
from shared.core.contracts.registry import STATED_BY_INSTANCES, MessageType
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Draft, Record, compose, compose_fact
from shared.core.protocol.prepare import Prepared
from shared.messaging.exceptions import OutcomeKind
from tests.contracts.golden import CONTRACTS
from tests.contracts.published import read
from tests.services.audit import test_agencies_judged as agencies
from tests.services.audit.log import Log, of_message
from tests.services.hotline.transferring import ASIA, EUROPE
from tests.support.builders import HOTLINE, POLICE, PROVIDER
from tests.support.exchange_world import FROM_HOTLINE, LONG_AFTER, decisions, move, opened
from tests.support.forging import forged

#: A provider that submits its own referrals. The hostile instance serves it and may make statements about it.
ITS_OWN = "provider-002.example"
STATED = {"kind": "not_entitled", "verified": True, "problem": "statement_not_yours"}


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
    return await agencies.line_of(log, filed.referral_id, record)


def is_marked(line: Mapping[str, Any]) -> bool:
    return {name: line[name] for name in STATED} == STATED and line["rules"] == []


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
    assert [each["message_id"] for each in flow] == [each["message_id"] for each in before]
    assert await agencies.outsiders(log, filed.referral_id) == {neighbour: 2}
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
    monkeypatch.setattr("services.audit.use_cases.judged", lambda messages, _: tuple(messages))
    filed = log.world.prepared()
    await log.file(filed)
    forgeries = [
        decided(log, filed, origin=HOTLINE, clear={"disposition": "unroutable"}),
        fact(log, registry.RECORD_REVEALED, revealed(POLICE), subject=filed.referral_id),
    ]
    kinds = [(await shown(log, filed, await said(log, each)))["kind"] for each in forgeries]
    assert kinds == ["decision", "revealed"]


# -- No record of an outsider changes audit's verdict on another record. It may be of any type, to each party concerned.


#: Parties without a part in the subject, and their instances.
OUTSIDERS = {
    "hotline": ("hotline-us.example", "hotline_two"),
    "provider": ("provider-002.example", "industry"),
    "agency": ("police-jp.example", "law_enforcement"),
    "of the origin's instance": ("hotline-de.example", "hotline"),
}
#: The id of a subject, the parties that have it, and a submitted referral whose decision an outsider imitates.
Begun = tuple[UUID, Sequence[str], Prepared]


async def referral(log: Log, *, decided_after: timedelta) -> Begun:
    """Store a referral of which every statement stands. Audit has its decision later by `decided_after`."""
    filed = log.world.prepared(items=agencies.items("NO", "SG"))
    *edges, decision = log.world.records(filed.drafts)
    await log.keep(*edges, replace(decision, broker_time=log.world.at + decided_after))
    await agencies.told(log, filed, registry.CLAIM_GRANTED, ASIA, claim=uuid4())
    opened = fact(log, registry.RECORD_REVEALED, revealed(ASIA), subject=filed.referral_id, by="hotline")
    await agencies.kept(log, opened, by="hotline")
    return filed.referral_id, (HOTLINE, ASIA, EUROPE), filed


async def preservation(log: Log, **_: Any) -> Begun:
    """Store a preservation of which every statement stands."""
    of = uuid7()
    said = (agencies.AT_AGENCIES, agencies.asked(log, of)), (agencies.AT_PROVIDERS, agencies.answered(log, of))
    await agencies.verdicts(log, of, *said, (agencies.AT_AGENCIES, agencies.opened(log, of, POLICE)))
    return of, (POLICE, PROVIDER), log.world.prepared()


def of_outsider(log: Log, message: MessageType, begun: Begun, by: tuple[str, str]) -> Iterator[Draft]:
    (subject, parties, filed), (party, instance) = begun, by
    if message is registry.REFERRAL_DECIDED:
        yield decided(log, replace(filed, referral_id=subject), origin=party, by=instance)
        return
    example, *sealed = (read(found[-1]) for part in ("", ".sealed") if (found := accepted(message, part)))
    own = dict.fromkeys(("referral_id", "notice_id", "preservation_id"), str(subject)) | {"party": party}
    clear = example | {name: value for name, value in own.items() if name in example}
    is_fact = message.family in STATED_BY_INSTANCES
    for recipient in ("audit",) if is_fact else parties:
        address = log.world.address(subject, instance if is_fact else party, recipient)
        yield compose(message, clear, address, sealed=canonical_json(sealed[0]) if sealed else None)


def accepted(message: MessageType, part: str) -> list[Path]:
    """Return the accepted examples of a part of a message, the largest last."""
    found = (CONTRACTS / "examples" / f"{message.name}.v{message.version}{part}").glob("accepted-*.json")
    return sorted(found, key=lambda file: file.stat().st_size)


@pytest.mark.parametrize("outsider", OUTSIDERS)
@pytest.mark.parametrize(
    ("begun", "decided_after"),
    [(referral, timedelta()), (referral, timedelta(hours=1)), (preservation, timedelta())],
    ids=["referral", "referral before its decision", "preservation"],
)
async def test_no_record_of_an_outsider_changes_a_verdict(
    log: Log, begun: Callable[..., Awaitable[Begun]], decided_after: timedelta, outsider: str
) -> None:
    move(log.world, "hotline-us.example")
    log.world.at += timedelta(days=60)  # outside the periods in which other tests search
    changed = []
    for message in CATALOG.messages:
        made = await begun(log, decided_after=decided_after)
        before, counted = await verdicts(log, made[0]), sum((await agencies.outsiders(log, made[0])).values())
        log.world.at += timedelta(seconds=1)
        drafts = list(of_outsider(log, message, made, OUTSIDERS[outsider]))
        await log.keep(*log.world.records(drafts, OUTSIDERS[outsider][1]))
        after = await verdicts(log, made[0])
        own = [after.pop(str(draft.message_id))[0] for draft in drafts if str(draft.message_id) in after]
        assert {*own} <= {"not_entitled"} or message in (registry.READS_ANNOUNCED, registry.REFERRAL_REFUSED)
        assert sum((await agencies.outsiders(log, made[0])).values()) - counted == len(drafts) - len(own)
        changed += [message.name] if after != before or {each[1] for each in before.values()} != {None} else []
    assert changed == []


async def verdicts(log: Log, subject: UUID) -> dict[str, tuple[Any, ...]]:
    """Return audit's verdict on each message of a flow, by its id."""
    shown = "kind", "problem", "rules", "outcome", "verified"
    return {each["message_id"]: tuple(each[name] for name in shown) for each in await log.flow(subject)}
