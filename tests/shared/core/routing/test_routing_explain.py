"""Explanations, replays and dry runs agree with the engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.canonical import canonical_json
from shared.core.contracts.policy import Policy
from shared.core.routing.documents import DocumentStore, read_directory, read_policy
from shared.core.routing.engine import RoutingInput
from shared.core.routing.explain import DecisionInput, compare, explain, explanation_text, preview, replay
from tests.shared.core.routing.builders import (
    AT,
    agency,
    decided,
    directory_document,
    directory_of,
    facts,
    hotline,
    permit,
    policy_document,
    policy_of,
    prohibition,
    sent,
    when,
)

PARTIES = directory_document(
    hotline("hotline-nl.example", "NL"), hotline("hotline-fr.example", "FR"), agency("police-nl.example", "NL")
)
DIRECTORY = read_directory(canonical_json(PARTIES.model_dump(mode="json")))
POLICE = {"kind": "law_enforcement", "how": "serving", "by": "hosting"}
RULES = (
    permit("a-hosting"),
    permit("b-investigation", select=POLICE, purpose="investigation"),
    permit("c-lapsed", valid_to="2026-04-01"),
    permit("d-unknown", known_from="2026-06-01"),
    permit("e-elsewhere", when("hosting", "under", "US"), when("user", "under", "FR", "BE", "DE", "GH", "BR", "JP")),
    permit("f-nobody", select=POLICE | {"by": "victim"}),
    prohibition(
        "g-video",
        when("media_kind", "in", "image"),
        scope={"purposes": ["investigation"], "kinds": ["law_enforcement"]},
    ),
    prohibition("h-idle", when("media_kind", "in", "image"), scope={"purposes": ["takedown"], "kinds": ["industry"]}),
)


def explained(**more: Any) -> dict[str, str]:
    setting = RoutingInput(DIRECTORY, policy_of(*RULES), exercise=True, decided_at=AT)
    explanation = explain(facts(**more).model_dump(mode="json", exclude_none=True), setting)
    return {rule["rule"]: rule["outcome"] for rule in explanation["rules"]}


def test_every_rule_says_what_it_did_or_why_it_did_nothing() -> None:
    assert explained() == {
        "a-hosting": "proposes",
        "b-investigation": "proposes",
        "c-lapsed": "not_in_force",
        "d-unknown": "not_known_yet",
        "e-elsewhere": "conditions_fail",
        "f-nobody": "selects_nobody",
        "g-video": "removes",
        "h-idle": "covers_nothing",
    }
    assert set(explained(hosting=["XX"]).values()) == {"codes_unknown"}


def test_the_explanation_is_of_the_decision_itself() -> None:
    policy = policy_of(*RULES)
    decision = decided(facts(), DIRECTORY, policy)
    explanation = explain(
        facts().model_dump(mode="json"), RoutingInput(DIRECTORY, policy, exercise=True, decided_at=AT)
    )
    assert [edge["digest"] for edge in explanation["edges"]] == [edge.digest for edge in decision.edges]
    assert explanation["not_sent"] == [edge.model_dump(mode="json") for edge in decision.not_sent]
    canonical_json(explanation)  # it is JSON


def test_people_read_where_it_goes_and_which_condition_failed() -> None:
    setting = RoutingInput(DIRECTORY, policy_of(*RULES), exercise=True, decided_at=AT)
    text = explanation_text(explain(facts(origin="hotline-be.example").model_dump(mode="json"), setting))
    assert text.splitlines() == [
        "routed, decided for 2026-05-01",
        "  to hotline-nl.example for assessment: hosting_jurisdiction",
        "     by a-hosting (inhope_mou 1, NL)",
        "  not to police-nl.example for investigation: g-video",
        "  rule a-hosting: proposes",
        "  rule b-investigation: proposes",
        "  rule c-lapsed: not_in_force on 2026-05-01, in force from 2020-01-01 until the end of 2026-03-31",
        "  rule d-unknown: not_known_yet, known from 2026-06-01",
        "  rule e-elsewhere: conditions_fail; not hosting under US; not user under BE, BR, DE, FR, GH, …",
        "  rule f-nobody: selects_nobody",
        "  rule g-video: removes",
        "  rule h-idle: covers_nothing",
    ]


def test_people_read_why_a_selected_party_is_not_a_recipient() -> None:
    setting = RoutingInput(DIRECTORY, policy_of(permit("a")), exercise=True, decided_at=AT)
    text = explanation_text(explain(facts(hosting=["FR"]).model_dump(mode="json"), setting))
    assert text.splitlines() == [
        "unroutable (no_route), decided for 2026-05-01",
        "  rule a: selects_nobody; hotline-fr.example is_origin",
    ]


@pytest.fixture
def shelf() -> DocumentStore:
    """One directory. The policy changes on 1 April, when the expiring rule was first published."""
    shelf = DocumentStore()
    shelf.directories.place(DIRECTORY, datetime(2026, 1, 1, tzinfo=UTC))
    lapsing = policy_document(permit("b", valid_to="2026-05-01", known_from="2026-04-15"), version=2)
    old, new = policy_of(permit("a")), read_policy(canonical_json(lapsing.model_dump(mode="json")))
    shelf.policies.place(old, datetime(2026, 1, 1, tzinfo=UTC))
    shelf.policies.place(new, datetime(2026, 4, 1, tzinfo=UTC))
    return shelf


def test_a_replay_decides_with_the_documents_and_the_law_of_that_time(shelf: DocumentStore) -> None:
    referral = DecisionInput(facts(), exercise=True, decided_at=AT)
    assert preview(referral, shelf)["work_reason"] == "no_basis"
    by_day = {day: replay(referral, shelf, at=datetime(2026, *day, tzinfo=UTC)) for day in ((3, 1), (4, 20), (5, 1))}
    rules = {day: [rule for edge in again["edges"] for rule in edge["rules"]] for day, again in by_day.items()}
    assert rules == {(3, 1): ["a"], (4, 20): ["b"], (5, 1): []}


def test_a_dry_run_counts_just_what_changes() -> None:
    old: Policy = policy_document(permit("a"), permit("b", when("hosting", "under", "FR")))
    stricter = permit("a", handling={"tlp": "red"}, reads=["hosting", "user"])
    added = permit("c", when("user", "under", "NL"), select=POLICE | {"by": "user"}, purpose="investigation")
    new = policy_document(permit("a", when("hosting", "not_under", "FR")), added)
    traffic = [
        DecisionInput(facts(origin="hotline-be.example", hosting=[hosting], user=user), True, AT + timedelta(seconds=n))
        for n, (hosting, user) in enumerate([("NL", []), ("NL", ["NL"]), ("FR", []), ("FR", ["NL"])])
    ]
    before, after, altered = (
        read_policy(canonical_json(policy.model_dump(mode="json"))) for policy in (old, new, policy_document(stricter))
    )
    changes = compare(traffic, directory=DIRECTORY, old=before, new=after)
    assert (changes.referrals, changes.changed) == (4, 3)
    assert changes.gained == {("police-nl.example", "investigation"): 2}
    assert changes.lost == {("hotline-fr.example", "assessment"): 2}
    assert changes.altered == {}
    assert changes.dispositions == {("routed", "routed"): 3, ("routed", "unroutable"): 1}
    assert compare(traffic, directory=DIRECTORY, old=before, new=before).changed == 0
    assert compare(traffic, directory=DIRECTORY, old=before, new=altered).altered == {
        ("hotline-nl.example", "assessment"): 2,
        ("hotline-fr.example", "assessment"): 2,
    }
    assert sent(decided(facts(), directory_of(*PARTIES.parties), before)) == [("hotline-nl.example", "assessment")]
