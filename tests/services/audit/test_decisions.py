"""Decisions about several referrals in one message: audit shows, finds and judges each of them separately."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.audit import use_cases
from services.audit.domain import decisions as judged
from services.audit.domain.shown import Access, FlowFilter, Partition
from shared.core.authority import Role
from shared.core.contracts.facts import DecidedReferral
from shared.core.contracts.registry import REFERRAL_DECIDED
from shared.core.ids import uuid7
from shared.core.protocol.decision_fact import join_decided
from shared.core.protocol.message import Draft, Record
from shared.core.protocol.prepare import Prepared
from tests.services.audit.log import AUDITOR, PURPOSE, Log
from tests.services.audit.test_finding import found
from tests.support.builders import HOTLINE, PROVIDER
from tests.support.exchange_world import decisions, opened


def joined(log: Log, filed: Sequence[Prepared]) -> Draft:
    [draft] = join_decided([d for each in filed for d in each.drafts if d.message is REFERRAL_DECIDED])
    return draft


async def kept(log: Log, draft: Draft) -> Record:
    [record] = log.world.records([draft])
    await log.keep(record)
    return record


async def shown(log: Log, filed: Prepared) -> dict[str, Any]:
    [decision] = [each for each in await log.flow(filed.referral_id) if each["type"] == REFERRAL_DECIDED.type]
    return decision


async def test_each_flow_shows_its_own_decision_and_each_referral_is_found(log: Log) -> None:
    filed = [log.world.prepared() for _ in range(3)]
    await kept(log, joined(log, filed))
    for each in filed:
        line = await shown(log, each)
        assert (line["kind"], line["problem"], line["subject"]) == ("decision", None, str(each.referral_id))
        assert line["detail"]["referral_id"] == str(each.referral_id)
        assert line["detail"]["body_sha256"] == each.body_sha256
        assert [one.referral_id for one in (await found(log, reference=each.referral_id)).items] == [each.referral_id]
    wanted = sorted((each.referral_id for each in filed), reverse=True)
    listed = [each.referral_id for each in (await found(log, HOTLINE)).items]
    assert [each for each in listed if each in wanted] == wanted


async def test_a_page_of_entries_shows_all_decisions_of_its_last_message(log: Log) -> None:
    filed = [log.world.prepared() for _ in range(3)]
    record = await kept(log, joined(log, filed))
    place = Partition(record.topic, record.partition, record.offset, record.topic_id or log.topic_id)
    look = use_cases.Access(AUDITOR, Role.AUDITOR, True, PURPOSE)
    page = await use_cases.show_entries(place, look, limit=1, entries=log.entries)
    assert [each.subject for each in page.items] == [str(each.referral_id) for each in filed]


async def test_a_message_that_is_read_again_states_nothing_twice(log: Log) -> None:
    filed = [log.world.prepared() for _ in range(2)]
    record = await kept(log, joined(log, filed))
    await log.keep(record)
    assert [(await shown(log, each))["problem"] for each in filed] == [None, None]


@pytest.mark.parametrize(
    ("change", "kind", "problem"),
    [
        (lambda stated: stated["facts"].update(user=["FR"]), "decision", "decision_not_derived"),
        (lambda stated: stated.update(origin=PROVIDER), "not_entitled", "statement_not_yours"),
        (lambda stated: stated.update(work_reason="not_invented_yet"), "decision", "code_unknown"),
        (lambda stated: stated.update(salt="short"), "decision", "body_invalid"),
    ],
    ids=["altered", "of another origin", "of a later release", "broken"],
)
async def test_one_wrong_is_named(log: Log, change: Callable[[dict[str, Any]], None], kind: str, problem: str) -> None:
    filed = [log.world.prepared() for _ in range(3)]
    draft = joined(log, filed)
    sealed = opened(log.world, draft)
    change(decisions(sealed)[1])
    await kept(log, replace(draft, plaintext=json.dumps(sealed).encode()))
    lines = [await shown(log, each) for each in filed]
    assert [(one["kind"], one["problem"]) for one in lines] == [("decision", None), (kind, problem), ("decision", None)]


@pytest.mark.parametrize("party", [HOTLINE, None])
async def test_a_referral_stated_more_often_than_a_page_is_long_is_listed_once(log: Log, party: str | None) -> None:
    filed = [log.world.prepared() for _ in range(2)]
    first, second = (joined(log, [each]) for each in filed)
    sealed = opened(log.world, first)
    clear = {"decisions": 9 * decisions(first.clear)}
    often = replace(first, clear=clear, plaintext=json.dumps({"decisions": 9 * decisions(sealed)}).encode())
    await kept(log, often)
    await kept(log, second)
    at = log.world.at
    sought = FlowFilter(party, at - timedelta(days=1), at + timedelta(days=1))
    look = Access(AUDITOR, Role.AUDITOR, True, PURPOSE)
    listed, cursor = [], None
    while True:
        page = await log.entries.find(sought, look, limit=3, cursor=cursor)
        listed += [each.referral_id for each in page.items]
        if (cursor := page.next) is None:
            break
    assert [listed.count(each.referral_id) for each in filed] == [1, 1]


@pytest.mark.parametrize("proven", [True, False])
async def test_a_decision_that_is_found_again_at_an_earlier_time_stays_listed(log: Log, *, proven: bool) -> None:
    filed = log.world.prepared()
    record = await kept(log, joined(log, [filed]))
    again = replace(record, topic_id=uuid7(), broker_time=record.broker_time - timedelta(minutes=1))
    await log.keep(again if proven else replace(again, proof=None))
    assert filed.referral_id in [each.referral_id for each in (await found(log, HOTLINE)).items]
    kinds = [each["kind"] for each in await log.flow(filed.referral_id) if each["type"] == REFERRAL_DECIDED.type]
    assert sorted(kinds) == ["decision", "decision" if proven else "unproven"]


async def test_whatever_breaks_at_one_decision_others_are_judged(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    filed = [log.world.prepared() for _ in range(3)]
    judge = judged.judged_edges

    def broken(told: DecidedReferral, *given: Any, **named: Any) -> Any:
        if told.referral_id == filed[1].referral_id:
            raise KeyError(told)
        return judge(told, *given, **named)

    monkeypatch.setattr(judged, "judged_edges", broken)
    await kept(log, joined(log, filed))
    assert [(await shown(log, each))["problem"] for each in filed] == [None, "accept_defect", None]
