"""The indexed engine compared with a brute force that shares none of its code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import pytest
from pydantic_core import from_json, to_json

from shared.core.canonical import canonical_json
from shared.core.contracts.decision import Facts
from shared.core.contracts.directory import Directory, Party
from shared.core.contracts.policy import Policy, Predicate, Rule
from shared.core.routing.documents import read_directory, read_policy
from shared.core.routing.engine import RoutingInput, judge
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.jurisdiction import TREE, JurisdictionTree
from tests.shared.core.routing.builders import SALT
from tests.shared.core.routing.generated import generated_directory, generated_facts, generated_policy, generated_time

PLACES = ("reporter", "hosting", "user", "victim", "provider_establishment")
#: Facts of one item, and the facts among them that name other parties.
OF_ITEMS = ("assessments", "hosting", "locator_kinds", "provider_establishment", "providers")
NAMING = ("hosting", "provider_establishment", "providers")
LISTS = ("reporter", "user", "victim", "incident_flags")
STRICTER_TLP = ["clear", "green", "amber", "amber_strict", "red"]
STRICTER_SIENA = ["H0", "H1", "H2", "H3"]
LONGER = ["minimal", "ca_21d", "tco_6m", "ca_1y", "eu_1y", "us_1y", "uk_policy"]


class Oracle:
    def __init__(self, directory: Directory, policy: Policy, tree: JurisdictionTree) -> None:
        self.directory, self.policy, self.tree = directory, policy, tree
        self.unconfirmed = {each.id for each in policy.instruments if each.confirmation == "unconfirmed"}

    def decide(self, facts: Facts, *, exercise: bool, decided_at: datetime) -> dict[str, Any]:
        stated = facts.model_dump(mode="json")
        for name in LISTS:
            stated[name] = sorted(set(stated[name] or []))
        items = [{name: sorted(set(item[name] or [])) for name in OF_ITEMS} for item in stated.pop("items")]
        stated |= {name: sorted({value for item in items for value in item[name]}) for name in OF_ITEMS}
        day = decided_at.astimezone(UTC).date()
        return _Question(self, stated, items, exercise=exercise, day=day).answer()


class _Question:
    def __init__(
        self,
        oracle: Oracle,
        facts: dict[str, Any],
        items: list[dict[str, Any]],
        *,
        exercise: bool,
        day: date,
    ) -> None:
        self.items = items
        self.tree, self.facts, self.day = oracle.tree, facts, day
        self.unconfirmed = oracle.unconfirmed
        self.parties, self.rules = oracle.directory.parties, sorted(oracle.policy.rules, key=lambda rule: rule.id)
        self.status = "sandbox" if exercise else "live"

    def answer(self) -> dict[str, Any]:
        reason = self.unknown()
        if reason:
            return self.outcome("unknown_code", reason)
        edges, not_sent = {}, {}
        asked = [(rule, self.answers(rule)) for rule in self.rules if rule.select and self.in_force(rule)]
        for party in self.parties:
            for purpose in ("takedown", "investigation", "assessment", "victim_identification"):
                permits = [rule for rule, found in asked if rule.purpose == purpose and party.id in found]
                if not permits:
                    continue
                leads = [lead for rule, found in asked if rule in permits for lead in found[party.id]]
                items = sorted({number for number, _, _ in leads if number is not None})
                if None in [number for number, _, _ in leads]:
                    items = list(range(len(self.items)))
                over = [rule for rule in self.rules if rule.scope and self.covers(rule, party, purpose)]
                about = self.facts | self.together(items)
                removing = [rule.id for rule in over if self.in_force(rule) and self.conditions_hold(rule, about)]
                if removing:
                    not_sent[party.id, purpose] = removing
                else:
                    shown = [self.shown(number, leads) for number in items]
                    edges[party.id, purpose] = self.edge(party, permits, over, shown)
        if len(edges) > 200 or len(not_sent) > 200 or any(len(edge["rules"]) > 32 for edge in edges.values()):
            return self.outcome("unroutable", "too_wide")
        if edges:
            return self.outcome(*self.disposition(edges), edges, not_sent)
        if not_sent:
            return self.outcome("unroutable", "prohibited", {}, not_sent)
        without_law = any(self.answers(rule) for rule in self.rules if rule.select and not self.in_force(rule))
        return self.outcome("unroutable", "no_basis" if without_law else "no_route")

    def answers(self, rule: Rule) -> dict[str, list[tuple[int | None, str, str]]]:
        """Return the selected parties with the selecting item and value. (None, "", "") means the whole referral."""
        assert rule.select is not None
        found: dict[str, list[tuple[int | None, str, str]]] = {}
        by = rule.select.by.value
        questions: list[tuple[tuple[int | None, str, str], dict[str, Any]]] = [((None, "", ""), self.facts)]
        if by in NAMING:
            questions = [
                ((number, by, value), self.facts | item | {name: [] for name in NAMING} | self.named(item, by, value))
                for number, item in enumerate(self.items)
                for value in item[by]
            ]
        for lead, facts in questions:
            if self.conditions_hold(rule, facts):
                for party_id in self.recipients(rule, facts):
                    found.setdefault(party_id, []).append(lead)
        return found

    def named(self, item: dict[str, Any], by: str, value: str) -> dict[str, list[str]]:
        if by != "providers":
            return {by: [value]}
        own = [code for party in self.parties if party.id == value for code in party.jurisdictions]
        return {by: [value], "provider_establishment": [code for code in item["provider_establishment"] if code in own]}

    def together(self, items: list[int]) -> dict[str, list[str]]:
        return {name: sorted({value for n in items for value in self.items[n][name]}) for name in OF_ITEMS}

    def shown(self, number: int, leads: list[tuple[int | None, str, str]]) -> dict[str, list[str]]:
        item = self.items[number]
        shown: dict[str, list[str]] = item | {name: [] for name in NAMING}
        for of, by, value in leads:
            if of == number:
                for name, values in self.named(item, by, value).items():
                    shown[name] = sorted({*shown[name], *values})
        return shown

    def outcome(self, disposition: str, reason: str | None, edges: Any = None, not_sent: Any = None) -> dict[str, Any]:
        return {"disposition": disposition, "work_reason": reason, "edges": edges or {}, "not_sent": not_sent or {}}

    def unknown(self) -> str | None:
        for place in PLACES:
            for code in self.facts[place]:
                if not self.tree.known(code, self.day):
                    return "unknown_jurisdiction"
        providers = [party.id for party in self.parties if party.kind == "industry"]
        return None if set(self.facts["providers"]) <= set(providers) else "unknown_provider"

    def judged(self, rule: Rule) -> date:
        return date.fromisoformat(self.facts["observed_on"]) if rule.judged_by == "observation" else self.day

    def in_force(self, rule: Rule) -> bool:
        if rule.basis.instrument in self.unconfirmed:
            return False
        begun = rule.valid_from <= self.judged(rule) and rule.known_from <= self.day
        return begun and (rule.valid_to is None or self.judged(rule) < rule.valid_to)

    def conditions_hold(self, rule: Rule, facts: dict[str, Any]) -> bool:
        return all(self.holds(predicate, facts, self.judged(rule)) for predicate in rule.when)

    def holds(self, predicate: Predicate, facts: dict[str, Any], day: date) -> bool:
        value = facts[predicate.fact]
        values = value if isinstance(value, list) else [value]
        if predicate.op == "in":
            return any(value in predicate.values for value in values)
        if predicate.op == "not_in":
            return all(value not in predicate.values for value in values)
        if predicate.op == "unserved":
            return any(not self.serving(predicate.values[0], code, None) for code in values)
        above = [node for code in values for node in self.tree.ancestors(code, day)]
        return any(node in predicate.values for node in above) == (predicate.op == "under")

    def serving(self, kind: str, code: str, mandate: str | None) -> list[Party]:
        above = self.tree.ancestors(code, self.day)
        levels: list[list[str | None]] = [[node] for node in above if not node.startswith("BLOC-")]
        levels.append([node for node in above if node.startswith("BLOC-")])
        levels.append([None] if mandate else [])
        for level in levels:
            found = []
            for party in self.parties:
                places = [grant.covers for grant in party.mandates if grant.mandate == mandate]
                here = places if mandate else party.jurisdictions
                if party.kind == kind and party.status == self.status and any(place in level for place in here):
                    found.append(party)
            if found:
                return found
        return []

    def recipients(self, rule: Rule, facts: dict[str, Any]) -> list[str]:
        select = rule.select
        if select is None:
            return []
        if select.how == "named":
            named = facts[select.by]
            selected = [p for p in self.parties if p.id in named and p.kind == select.kind and p.status == self.status]
        else:
            codes = facts[select.by]
            selected = [party for code in codes for party in self.serving(select.kind, code, select.mandate)]
        kind, origin = self.facts["incident_kind"], self.facts["origin"]
        return [p.id for p in selected if p.id != origin and (not p.accepts or kind in p.accepts)]

    def covers(self, rule: Rule, party: Party, purpose: str) -> bool:
        scope = rule.scope
        assert scope is not None
        above = [node for code in party.jurisdictions for node in self.tree.ancestors(code, self.day)]
        under = not scope.nodes or any(node in scope.nodes for node in above)
        return (
            purpose in scope.purposes
            and party.kind in scope.kinds
            and under
            and party.id in (scope.parties or [party.id])
        )

    def edge(
        self, party: Party, permits: list[Rule], over: list[Rule], shown: list[dict[str, list[str]]]
    ) -> dict[str, Any]:
        reads = {"origin"} | ({"incident_kind"} if party.accepts else set())
        for rule in permits:
            reads |= set(rule.reads)
        for rule in over:
            if self.in_force(rule):
                reads |= set(rule.reads)
            elif rule.judged_by == "observation" and rule.known_from <= self.day:
                reads |= {"observed_on"}
        about = reads & set(OF_ITEMS)
        items = [{name: item[name] for name in OF_ITEMS if name in about} for item in shown]
        handlings = [rule.handling for rule in permits if rule.handling]
        siena = [handling.siena for handling in handlings if handling.siena]
        return {
            "rules": [rule.id for rule in permits],
            "reason": permits[0].reason,
            "reasons": [rule.reason for rule in permits],
            "kind": party.kind,
            "basis": [rule.basis.model_dump(mode="json") for rule in permits],
            "tlp": max((handling.tlp for handling in handlings), key=STRICTER_TLP.index),
            "siena": max(siena, key=STRICTER_SIENA.index) if siena else None,
            "retention": min((handling.retention for handling in handlings), key=LONGER.index),
            "withheld": sorted({field for rule in permits for field in rule.withheld}),
            "acknowledge_h": min((h for r in permits if (h := r.deadlines.acknowledge_h)), default=None),
            "act_h": min((h for r in permits if (h := r.deadlines.act_h)), default=None),
            "facts": {name: self.facts[name] for name in sorted(reads - about)} | ({"items": items} if about else {}),
        }

    def disposition(self, edges: dict[tuple[str, str], dict[str, Any]]) -> tuple[str, str | None]:
        offered = any("orphan_mandate" in edge["reasons"] for edge in edges.values())
        otherwise = [e for e in edges.values() if e["kind"] == "hotline" and set(e["reasons"]) != {"orphan_mandate"}]
        return ("orphaned", "no_hotline") if offered and not otherwise else ("routed", None)


WORLDS = 25
FACTS_PER_WORLD = 400


def test_ten_thousand_generated_referrals_are_decided_as_brute_force_decides_them() -> None:
    seen: Counter[str] = Counter()
    for world in range(1, WORLDS + 1):
        for decision, expected in decided_twice(world, FACTS_PER_WORLD):
            assert _as_the_oracle_says_it(decision) == _without(expected)
            seen["referrals"] += 1
            seen[f"{decision['disposition']}:{decision.get('work_reason', '')}"] += 1
            seen["edges"] += len(decision["edges"])
            seen["merged"] += sum(len(edge["rules"]) > 1 for edge in decision["edges"])
            seen["not_sent"] += len(decision["not_sent"])
    assert seen["referrals"] == WORLDS * FACTS_PER_WORLD == 10_000
    taken = {"routed:", "orphaned:no_hotline", "unroutable:no_route", "unroutable:no_basis", "unroutable:prohibited"}
    taken |= {"unknown_code:unknown_jurisdiction", "unknown_code:unknown_provider", "edges", "merged", "not_sent"}
    assert all(seen[name] >= 50 for name in taken), seen


def test_an_index_that_loses_a_rule_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the last of the candidates, the two results differ."""
    whole = PolicyIndex.candidates
    monkeypatch.setattr(PolicyIndex, "candidates", lambda index, view: whole(index, view)[:-1])
    differ = [_as_the_oracle_says_it(one) != _without(other) for one, other in decided_twice(world=4, referrals=50)]
    assert any(differ)


def decided_twice(world: int, referrals: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield generated referrals, each with the engine's decision and the oracle's."""
    random = Random(world)
    directory, policy = generated_directory(random), generated_policy(random, random.choice((3, 10, 25)), 5)
    oracle = Oracle(directory, policy, TREE)
    parties = read_directory(canonical_json(directory.model_dump(mode="json")))
    law = read_policy(canonical_json(policy.model_dump(mode="json")))
    for _ in range(referrals):
        facts, at, exercise = generated_facts(random, directory), generated_time(random), random.random() < 0.7
        stated = facts.model_dump(mode="json", exclude_none=True)
        outcome = judge(stated, RoutingInput(parties, law, exercise, at), salt=SALT)
        yield from_json(to_json(outcome.as_json())), oracle.decide(facts, exercise=exercise, decided_at=at)


def _as_the_oracle_says_it(decision: dict[str, Any]) -> dict[str, Any]:
    edges = {}
    for edge in decision["edges"]:
        del edge["digest"]
        nested = {"siena": None, "acknowledge_h": None, "act_h": None} | edge.pop("handling") | edge.pop("deadlines")
        key = edge.pop("recipient"), edge.pop("purpose")
        edges[key] = edge | nested
    assert list(edges) == sorted(edges)
    return {
        "disposition": decision["disposition"],
        "work_reason": decision.get("work_reason"),
        "edges": edges,
        "not_sent": {(edge["recipient"], edge["purpose"]): edge["rules"] for edge in decision["not_sent"]},
    }


def _without(expected: dict[str, Any]) -> dict[str, Any]:
    """Return the oracle's answer without its working columns."""
    for edge in expected["edges"].values():
        del edge["reasons"], edge["kind"]
    return expected
