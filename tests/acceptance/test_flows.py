"""One referral's flow: shown by audit, read again by a foreign client, and verified by another program."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from shared.core.contracts.answers import (
    CaseRecord,
    ItemStatement,
    NoticeStatements,
    RetentionStatement,
    WithdrawalAnswer,
)
from shared.core.vocabulary.answers import CaseOutcome, KeptBasis, NoticeAction, WithdrawalFate, YesNoUnknown
from shared.core.vocabulary.judgement import RetentionClass
from shared.core.vocabulary.referral import WithdrawalReason
from tests.acceptance import flows
from tests.acceptance.programs import SUPPORT
from tests.support.running import AGENCY, HOTLINE, OTHER_HOTLINE, PROVIDER, Exchange, referral

Record = Callable[[str, object], None]
REMOVED = ItemStatement(action=NoticeAction.REMOVED)
ARREST = {"outcome": CaseOutcome.ARREST, "child_identified": YesNoUnknown.YES, "child_safeguarded": YesNoUnknown.YES}
ERASED = WithdrawalAnswer(fate=WithdrawalFate.ERASED)


def kept(basis: KeptBasis) -> WithdrawalAnswer:
    keeping = RetentionStatement(retention=RetentionClass.MINIMAL, basis=basis, until=date(2099, 1, 1))
    return WithdrawalAnswer(fate=WithdrawalFate.KEPT, kept=keeping)


#: A removal can lead to a complaint.
ACTED_ON = kept(KeptBasis.OPEN_COMPLAINT)
KEPT = kept(KeptBasis.ACCEPTED_CASE)


@pytest.fixture(scope="module")
async def flow(exchange: Exchange) -> list[dict[str, Any]]:
    """Return the messages of a referral that was removed, accepted, withdrawn and acknowledged by all."""
    async with (
        exchange.client(HOTLINE) as hotline,
        exchange.client(OTHER_HOTLINE) as other,
        exchange.client(AGENCY) as agency,
        exchange.client(PROVIDER) as provider,
    ):
        referral_id = (await hotline.submit(referral())).referral_id
        await exchange.until_quiet()
        notice_id = next(edge.notice_id for edge in (await hotline.show(referral_id)).edges if edge.notice_id)
        await provider.act_on_notice("answer", notice_id, NoticeStatements(items=(REMOVED,)))
        await agency.act_on_case("accept", referral_id, CaseRecord(case_reference="CASE-1"))
        await agency.call("POST", f"/v1/cases/{referral_id}:outcome", body=ARREST)
        await hotline.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
        await exchange.until_quiet()
        await other.act_on_offer("acknowledge_withdrawal", referral_id, ERASED)
        await agency.act_on_case("acknowledge_withdrawal", referral_id, KEPT)
        await provider.act_on_notice("acknowledge_withdrawal", notice_id, ACTED_ON)
    await exchange.until_quiet()
    await exchange.until_audited()
    async with exchange.http("auditor.example") as auditor:
        answer = await auditor.get(f"/v1/flows/{referral_id}", headers={"Purpose": "acceptance of one flow"})
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


async def test_a_flow_crosses_the_instances_with_times_rules_and_places(
    exchange: Exchange, flow: list[dict[str, Any]], record_property: Record
) -> None:
    directory = exchange.state / "directory.json"
    assert flows.instances_of(flow, directory) == {"hotline", "law_enforcement", "industry"}
    assert [each["position"] for each in flow] == [*range(1, len(flow) + 1)]
    assert [each["at"] for each in flow] == sorted(each["at"] for each in flow)
    offers = [each for each in flow if each["type"] in {"causeway.referral_offered.v1", "causeway.notice_issued.v1"}]
    assert [bool(each["rules"]) and each["outcome"] == "applied" for each in offers] == [True] * 3
    answers = [each["type"] for each in flow if each["recipient"] == HOTLINE]
    assert sorted(answers) == [
        "causeway.case_accepted.v1",
        "causeway.notice_answered.v1",
        "causeway.notice_withdrawal_acknowledged.v1",
        "causeway.outcome_reported.v1",
        "causeway.withdrawal_acknowledged.v1",
        "causeway.withdrawal_acknowledged.v1",
    ]
    record_property("figure", f"{len(flow)} messages over 3 instances")


async def test_every_message_of_a_flow_read_again_has_its_digest_and_its_proof(
    exchange: Exchange, flow: list[dict[str, Any]], record_property: Record
) -> None:
    again = flows.reread(exchange.endpoints, flow, exchange.state / "directory.json")
    assert again.digests == [each["digest"] for each in flow]
    assert again.verdicts == ["ok"] * len(flow)
    record_property("figure", f"{len(flow)} of {len(flow)} digests equal and proofs verified")


async def test_a_changed_bit_or_a_missing_key_would_be_noticed(exchange: Exchange, flow: list[dict[str, Any]]) -> None:
    """The control of the test above."""
    keys = flows.signing_keys(exchange.state / "directory.json")
    records = flows.read_again(exchange.endpoints, flow[:2])
    changed = [flows.with_a_bit_changed(records[0]), records[1]]
    assert flows.verify(changed, keys) == ["failed", "ok"]
    assert flows.verify(records, {}) == ["failed", "failed"]


async def test_a_place_without_a_record_is_not_passed_over(exchange: Exchange, flow: list[dict[str, Any]]) -> None:
    nowhere = flow[0] | {"offset": 10**9}
    with pytest.raises(AssertionError, match="no record at"):
        flows.read_again(exchange.endpoints, [nowhere])


@pytest.mark.parametrize(
    ("script", "allowed"),
    [
        ("foreign_reader.py", "confluent_kafka"),
        ("foreign_verifier.py", "cryptography"),
        ("foreign_timelines.py", "asyncpg"),
        ("foreign_lists.py", "asyncpg"),
    ],
)
def test_the_foreign_programs_import_nothing_of_the_project(script: str, allowed: str) -> None:
    tree = ast.parse((SUPPORT / script).read_text(encoding="utf-8"))
    roots = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    roots |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {root.split(".")[0] for root in roots} <= sys.stdlib_module_names | {allowed}
