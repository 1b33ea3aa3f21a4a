"""The indexed engine compared with a brute force that shares none of its code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from shared.core.canonical import canonical_json
from shared.core.routing.documents import read_directory, read_policy
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.jurisdiction import TREE
from tests.shared.core.routing.builders import Decision, decided
from tests.shared.core.routing.generated import generated_directory, generated_facts, generated_policy, generated_time
from tests.shared.core.routing.oracle import Oracle

WORLDS = 25
FACTS_PER_WORLD = 400


def test_ten_thousand_generated_referrals_are_decided_as_brute_force_decides_them() -> None:
    seen: Counter[str] = Counter()
    for world in range(1, WORLDS + 1):
        for decision, expected in decided_twice(world, FACTS_PER_WORLD):
            assert _as_the_oracle_says_it(decision) == _without(expected)
            seen["referrals"] += 1
            seen[f"{decision.disposition}:{decision.work_reason or ''}"] += 1
            seen["edges"] += len(decision.edges)
            seen["merged"] += sum(len(edge.rules) > 1 for edge in decision.edges)
            seen["not_sent"] += len(decision.not_sent)
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


def decided_twice(world: int, referrals: int) -> Iterator[tuple[Decision, dict[str, Any]]]:
    """Yield generated referrals, each with the engine's decision and the oracle's."""
    random = Random(world)
    directory, policy = generated_directory(random), generated_policy(random, random.choice((3, 10, 25)), 5)
    oracle = Oracle(directory, policy, TREE)
    parties = read_directory(canonical_json(directory.model_dump(mode="json")))
    law = read_policy(canonical_json(policy.model_dump(mode="json")))
    for _ in range(referrals):
        facts, at, exercise = generated_facts(random, directory), generated_time(random), random.random() < 0.7
        known_on = generated_time(random).date() if random.random() < 0.2 else None
        decision = decided(facts, parties, law, exercise=exercise, at=at, known_on=known_on)
        yield decision, oracle.decide(facts, exercise=exercise, decided_at=at, known_on=known_on)


def _as_the_oracle_says_it(decision: Decision) -> dict[str, Any]:
    edges = {}
    for edge in decision.edges:
        stated = edge.model_dump(mode="json") | {"facts": edge.facts.model_dump(mode="json", exclude_none=True)}
        for name in ("recipient", "purpose", "digest"):
            del stated[name]
        nested = stated.pop("handling") | stated.pop("deadlines")
        edges[edge.recipient, edge.purpose] = stated | nested
    assert list(edges) == sorted(edges)
    return {
        "disposition": decision.disposition,
        "work_reason": decision.work_reason,
        "edges": edges,
        "not_sent": {(edge.recipient, edge.purpose): list(edge.rules) for edge in decision.not_sent},
    }


def _without(expected: dict[str, Any]) -> dict[str, Any]:
    """Return the oracle's answer without its working columns."""
    for edge in expected["edges"].values():
        del edge["reasons"], edge["kind"]
    return expected
