"""Checks that a recipient can make on an edge from the edge alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.canonical import canonical_json
from shared.core.contracts.decision import DecisionRef, Edge, Facts
from shared.core.errors import Refused
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import check_time, derive_edge, read_directory, read_policy
from shared.core.routing.engine import RoutingInput, derive
from shared.core.routing.policy_index import PolicyIndex
from tests.shared.core.routing.builders import (
    AT,
    Decision,
    agency,
    decided,
    directory_of,
    facts,
    hotline,
    permit,
    policy_of,
    prohibition,
    sent,
    spelt,
    when,
)
from tests.shared.core.routing.generated import generated_directory, generated_facts, generated_policy, generated_time

DIRECTORY = directory_of(hotline("hotline-nl.example", "NL"), agency("police-nl.example", "NL"))
POLICY = policy_of(
    permit("hosting", when("priority", "in", "p1_urgent", "p2_normal")),
    prohibition("viewed", when("viewed_by", "in", "nobody")),
)
#: Two other valid values for every fact. One of them always differs from the edge's fact.
OTHERS: dict[str, tuple[Any, Any]] = {
    "origin": ("hotline-fr.example", "hotline-be.example"),
    "origin_kind": ("hotline", "industry"),
    "incident_kind": ("csam", "virtual"),
    "incident_flags": (["viral"], ["spam"]),
    "media_kind": ("image", "video"),
    "viewed_by": ("human", "unknown"),
    "priority": ("p2_normal", "p1_urgent"),
    "actionable": ("actionable", "informational"),
    "reporter": (["FR"], ["BE"]),
    "user": (["NL"], []),
    "victim": (["NL"], []),
    "observed_on": ("2026-04-01", "2026-04-02"),
}
#: The same for the facts of an item.
OF_ITEMS: dict[str, tuple[Any, Any]] = {
    "locator_kinds": (["url"], ["message", "url"]),
    "assessments": (["iwf:A"], ["iwf:B"]),
    "hosting": (["NL"], ["NL", "US"]),
    "provider_establishment": (["US"], ["IE"]),
    "providers": (["provider-001.example"], []),
}


@lru_cache
def world(seed: int) -> tuple[Any, DirectoryIndex, PolicyIndex]:
    random = Random(seed)
    directory, policy = generated_directory(random), generated_policy(random, 25, 6)
    index = read_directory(canonical_json(directory.model_dump(mode="json")))
    return directory, index, read_policy(canonical_json(policy.model_dump(mode="json")))


def generated_decision(seed: int) -> tuple[Decision, dict[str, Any]]:
    random = Random(seed)
    document, directory, policy = world(seed % 8)
    exercise = random.random() < 0.7
    decision = decided(
        generated_facts(random, document), directory, policy, exercise=exercise, at=generated_time(random)
    )
    return decision, {"directory": directory, "policy": policy, "exercise": exercise}


def altered(edge: Edge, **changed: Any) -> Edge:
    return edge.model_copy(
        update={"facts": Facts.model_validate(edge.facts.model_dump(mode="json", exclude_none=True) | changed)}
    )


def alterations(edge: Edge) -> list[Edge]:
    """Yield the edge with each of its facts changed or removed, in turn, and with an additional fact."""
    stated = edge.facts.model_dump(mode="json", exclude_none=True)
    items = stated.pop("items", None)
    edges = [altered(edge, **each) for each in _other_facts(stated, OTHERS)]
    if items is None:
        return [*edges, altered(edge, items=[{"hosting": ["NL"]}])]
    for number, item in enumerate(items):
        others = [{**item, **each} for each in _other_facts(item, OF_ITEMS)]
        edges += [altered(edge, items=[*items[:number], other, *items[number + 1 :]]) for other in others]
        edges.append(altered(edge, items=items[:number] + items[number + 1 :]))
    return [*edges, altered(edge, items=None), altered(edge, items=[*items, {name: [] for name in items[0]}])]


def _other_facts(stated: dict[str, Any], others: dict[str, tuple[Any, Any]]) -> Iterator[dict[str, Any]]:
    for name, (one, other) in others.items():
        if name in stated:
            yield {name: other if stated[name] == one else one}
            yield {name: None}
        else:
            yield {name: one}


def refused(edge: Edge, ref: DecisionRef, **documents: Any) -> bool:
    try:
        derive_edge(spelt(edge), ref, **documents)
    except Refused as refusal:
        return refusal.code == "edge_not_reproducible"
    return False


@given(st.integers(0, 10_000))
@settings(max_examples=300, deadline=None)
def test_every_edge_of_every_decision_is_derived_again_from_its_own_facts(seed: int) -> None:
    decision, documents = generated_decision(seed)
    for edge in decision.edges:
        derive_edge(spelt(edge), decision.ref, **documents)  # raises if the result differs


@given(st.integers(0, 10_000))
@settings(max_examples=300, deadline=None)
def test_no_single_altered_fact_is_accepted(seed: int) -> None:
    decision, documents = generated_decision(seed)
    for edge in decision.edges[:3]:
        assert all(refused(other, decision.ref, **documents) for other in alterations(edge))


def test_an_altered_fact_to_which_the_rules_are_indifferent_is_refused_by_the_edges_digest_alone() -> None:
    """Negative control: with a corrected digest, it is a valid edge of another referral."""
    documents: dict[str, Any] = {"directory": DIRECTORY, "policy": POLICY, "exercise": True}
    (edge,) = (decision := decided(facts(priority="p2_normal"), DIRECTORY, POLICY)).edges
    (other,) = decided(facts(priority="p1_urgent"), DIRECTORY, POLICY).edges
    lie = altered(edge, priority="p1_urgent")
    assert refused(lie, decision.ref, **documents)
    consistent = lie.model_copy(update={"digest": other.digest})
    assert not refused(consistent, decision.ref, **documents)
    assert consistent.digest not in {entry.digest for entry in decision.edges}, "audit, who holds these, sees the lie"


@pytest.mark.parametrize(
    "changed",
    [
        {"recipient": "police-nl.example"},
        {"recipient": "nobody.example"},
        {"purpose": "takedown"},
        {"rules": ("viewed",)},
        {"rules": ("nothing",)},
        {"rules": ("hosting", "hosting")},
        {"reason": "appeal"},
        {"withheld": ("hashes",)},
        {"digest": "0" * 64},
    ],
)
def test_an_edge_that_differs_from_what_its_facts_lead_to_is_refused(changed: dict[str, Any]) -> None:
    decision = decided(facts(), DIRECTORY, POLICY)
    edge = Edge.model_validate(decision.edges[0].model_dump(mode="json") | changed)
    assert refused(edge, decision.ref, directory=DIRECTORY, policy=POLICY, exercise=True)


def test_an_edge_decided_for_an_exercise_is_refused_as_a_real_one() -> None:
    decision = decided(facts(), DIRECTORY, POLICY)
    assert refused(decision.edges[0], decision.ref, directory=DIRECTORY, policy=POLICY, exercise=False)


def test_an_edge_is_refused_under_the_time_or_documents_of_another_decision() -> None:
    decision = decided(facts(), DIRECTORY, POLICY)
    documents: dict[str, Any] = {"directory": DIRECTORY, "policy": POLICY, "exercise": True}
    (edge,) = decision.edges
    for changed in ({"decided_at": AT + timedelta(seconds=1)}, {"directory": "0" * 64}, {"policy": "0" * 64}):
        assert refused(edge, decision.ref.model_copy(update=changed), **documents)
    assert not refused(edge, decision.ref, **documents)


def test_an_edge_of_another_engine_version_is_refused_as_that() -> None:
    decision = decided(facts(), DIRECTORY, POLICY)
    newer = decision.ref.model_copy(update={"engine": 1})
    with pytest.raises(Refused, match="engine_unknown"):
        derive_edge(spelt(decision.edges[0]), newer, directory=DIRECTORY, policy=POLICY, exercise=True)


def test_an_edge_that_a_prohibition_removed_is_refused_though_its_permits_hold() -> None:
    lenient = policy_of(permit("hosting", when("priority", "in", "p1_urgent", "p2_normal")))
    stated = facts(viewed_by="nobody")
    assert sent(decided(stated, DIRECTORY, POLICY)) == []
    (edge,) = (decision := decided(stated, DIRECTORY, lenient)).edges
    smuggled = altered(edge, viewed_by="nobody")
    ref = decision.ref.model_copy(update={"policy": POLICY.digest})
    with pytest.raises(Refused) as refusal:
        derive_edge(spelt(smuggled), ref, directory=DIRECTORY, policy=POLICY, exercise=True)
    assert refusal.value.detail == "a prohibition removes it"


def test_an_edge_with_a_code_that_nobody_knows_is_refused_though_its_permits_hold() -> None:
    setting = RoutingInput(DIRECTORY, POLICY, exercise=True, decided_at=AT)
    stated: dict[str, Any] = {"origin": "hotline-fr.example", "priority": "p2_normal", "viewed_by": "human"}
    claim: dict[str, Any] = {"recipient_id": "hotline-nl.example", "claimed": ["hosting"]}
    assert derive(stated | {"items": [{"hosting": ["NL"]}]}, setting, **claim).terms.rules == ("hosting",)
    with pytest.raises(Refused, match="edge_not_reproducible"):
        derive(stated | {"items": [{"hosting": ["NL", "XX"]}]}, setting, **claim)


def check(edge: Edge, ref: DecisionRef, broker_time: datetime, policy: PolicyIndex = POLICY) -> None:
    check_time(spelt(edge), ref, broker_time, documents=(DIRECTORY, policy), exercise=True)


@pytest.mark.parametrize(
    ("after", "accepted"),
    [
        (timedelta(0), True),
        (timedelta(hours=1), True),
        (timedelta(days=40), True),
        (timedelta(seconds=-60), True),
        (timedelta(seconds=-61), False),
        (timedelta(days=-1), False),
    ],
)
def test_a_decision_may_be_old_and_not_of_the_future(after: timedelta, accepted: bool) -> None:
    (edge, *_), ref = (decision := decided(facts(), DIRECTORY, POLICY)).edges, decision.ref
    if accepted:
        check(edge, ref, AT + after)
        return
    with pytest.raises(Refused, match="decision_time_off"):
        check(edge, ref, AT + after)


@pytest.mark.parametrize(
    ("lasts_days", "after", "accepted"), [(1, 1, False), (2, 1, True), (2, 2, False), (1, 0, True)]
)
def test_a_decision_must_hold_on_the_day_on_which_the_broker_took_it(
    lasts_days: int, after: int, accepted: bool
) -> None:
    ends = AT.date() + timedelta(days=lasts_days)
    policy = policy_of(permit("hosting", when("priority", "in", "p1_urgent", "p2_normal"), valid_to=ends))
    (edge, *_), ref = (decision := decided(facts(), DIRECTORY, policy)).edges, decision.ref
    if accepted:
        check(edge, ref, AT + timedelta(days=after), policy)
        return
    with pytest.raises(Refused, match="decision_time_off"):
        check(edge, ref, AT + timedelta(days=after), policy)
