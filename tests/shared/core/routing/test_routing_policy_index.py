"""Content that a policy must not have, and how few rules a decision asks."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.canonical import canonical_json
from shared.core.contracts.policy import Rule
from shared.core.errors import Refused
from shared.core.routing.documents import read_policy
from shared.core.routing.policy_index import PolicyIndex
from tests.shared.core.routing.builders import (
    decided,
    directory_of,
    facts,
    hotline,
    permit,
    policy_document,
    policy_of,
    prohibition,
    when,
)

NAMED = {"kind": "industry", "how": "named", "by": "providers"}
MANDATED = {"kind": "hotline", "how": "mandated", "by": "hosting"}
DIRECTORY = directory_of(hotline("hotline-nl.example", "NL"))


@pytest.mark.parametrize(
    ("code", "field", "rule"),
    [
        ("rule_reads_undeclared", "/rules/1/reads", permit("b", when("user", "under", "NL"), reads=["hosting"])),
        ("rule_reads_undeclared", "/rules/1/reads", permit("b", when("user", "under", "NL"), reads=["user"])),
        ("rule_reads_undeclared", "/rules/1/reads", permit("b", judged_by="observation")),
        ("rule_incomplete", "/rules/1", permit("b", handling=None)),
        ("rule_incomplete", "/rules/1", permit("b", reason=None)),
        ("rule_incomplete", "/rules/1", permit("b", purpose=None)),
        ("rule_incomplete", "/rules/1", permit("b", scope={"purposes": ["takedown"], "kinds": ["hotline"]})),
        ("rule_incomplete", "/rules/1", permit("b", effect="prohibit")),
        ("rule_incomplete", "/rules/1", prohibition("b", scope=None)),
        ("rule_incomplete", "/rules/1", prohibition("b", purpose="takedown")),
        ("rule_mismatched", "/rules/1/when", permit("b", when("media_kind", "under", "NL"))),
        ("rule_mismatched", "/rules/1/when", permit("b", when("hosting", "unserved", "NL"))),
        ("rule_mismatched", "/rules/1/when", permit("b", when("hosting", "unserved", "hotline", "industry"))),
        ("rule_mismatched", "/rules/1/select", permit("b", select=NAMED | {"by": "hosting"})),
        ("rule_mismatched", "/rules/1/select", permit("b", select=MANDATED)),
        ("rule_mismatched", "/rules/1/select", permit("b", select=MANDATED | {"how": "serving", "mandate": "orphan"})),
        ("rule_mismatched", "/rules/1/select", permit("b", select=MANDATED | {"by": "origin", "mandate": "orphan"})),
        ("rule_repeated", "/rules/1/id", permit("a")),
        ("rule_node_unknown", "/rules/1", permit("b", when("hosting", "under", "NL", "XX"))),
        ("rule_node_unknown", "/rules/1", permit("b", when("hosting", "not_under", "AN"))),
        (
            "rule_node_unknown",
            "/rules/1",
            prohibition("b", scope={"purposes": ["takedown"], "kinds": ["hotline"], "nodes": ["BLOC-XX"]}),
        ),
        (
            "rule_dates_a_notice",
            "/rules/1/reads",
            permit("b", select=NAMED, purpose="takedown", reads=["providers", "observed_on"]),
        ),
        (
            "rule_dates_a_notice",
            "/rules/1/reads",
            prohibition(
                "b",
                scope={"purposes": ["takedown"], "kinds": ["hotline", "industry"]},
                judged_by="observation",
                reads=["observed_on"],
            ),
        ),
    ],
)
def test_a_policy_that_says_what_cannot_be_is_refused_with_the_rule(code: str, field: str, rule: Rule) -> None:
    with pytest.raises(Refused) as refusal:
        policy_of(permit("a"), rule)
    assert (refusal.value.code, refusal.value.field) == (code, field)


def test_the_field_of_a_refusal_is_the_place_in_the_document_not_in_the_index() -> None:
    with pytest.raises(Refused) as refusal:
        policy_of(permit("z"), permit("m", reason=None), permit("a"))
    assert refusal.value.field == "/rules/1"


@pytest.mark.parametrize(
    ("field", "change"),
    [("/rules/0/id", {"id": "Not An Id"}), ("/rules/0/effect", {"effect": "allow"}), ("/rules/0/reads", {"reads": 1})],
)
def test_a_body_that_is_not_a_policy_is_refused_without_its_values(field: str, change: dict[str, Any]) -> None:
    body = policy_document(permit("a")).model_dump(mode="json")
    body["rules"][0] |= change
    with pytest.raises(Refused, match="document_invalid") as refusal:
        read_policy(canonical_json(body))
    assert refusal.value.field == field
    assert "Not An Id" not in str(refusal.value)


def test_a_decision_asks_only_the_rules_that_its_facts_can_touch(monkeypatch: pytest.MonkeyPatch) -> None:
    countries = ("NL", "BE", "DE", "FR", "US", "BR", "JP", "GH", "KE", "AU")
    common = when("priority", "in", "p2_normal")
    rules = [
        permit(f"{code.lower()}-{n}", common, when("hosting", "under", code)) for code in countries for n in range(30)
    ]
    policy, asked = policy_of(*rules), []

    def noting(index: PolicyIndex, view: Any) -> list[Any]:
        asked.append(len(found := ORIGINAL(index, view)))
        return found

    monkeypatch.setattr(PolicyIndex, "candidates", noting)
    decided(facts(hosting=["NL"]), DIRECTORY, policy)
    assert asked == [30]


ORIGINAL = PolicyIndex.candidates
