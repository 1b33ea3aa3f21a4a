"""The sample policy: every rule has an effect, and no other than its text says."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from functools import cache

import pytest

from deploy.policy import sample_policy
from tests.deploy.sample.samples import Decided, decide_demo, demo, policy_document

SAMPLE_DAYS = (date(2026, 3, 15), date(2026, 4, 20))
#: Rules that the demo's days can show; later law is tested in `test_refreshed_law`.
RULES = [rule.id for rule in sample_policy().rules if rule.valid_from <= SAMPLE_DAYS[1]]


@cache
def decided() -> tuple[Decided, ...]:
    return tuple(decide_demo(policy_document()))


def outcome(decision: Decided) -> tuple[object, object]:
    """Return the sent and the unsent edges with their rules, i.e. all that a rule can change."""
    return decision.edges, decision.not_sent


def test_it_has_at_least_12_rules_from_instruments_with_names() -> None:
    rules = sample_policy().rules
    assert len(rules) >= 12
    assert all(rule.basis.instrument != "other" for rule in rules)


def test_rules_are_attached_to_blocs_and_to_subdivisions_and_one_prohibits() -> None:
    rules = sample_policy().rules
    places = {rule.basis.jurisdiction for rule in rules}
    assert {"BLOC-EU", "BLOC-AU", "GB-EAW", "US-CA"} <= places
    assert [rule.id for rule in rules if rule.effect == "prohibit" and rule.id in RULES] == ["eu-eprivacy-5-messages"]


def test_validity_that_changes_inside_the_sample_period_is_judged_by_observation() -> None:
    """If it were judged by decision, its validity would end before any demo.

    The demo must be the same in later years.
    """
    first, last = SAMPLE_DAYS
    changing = [
        rule
        for rule in sample_policy().rules
        if first < rule.valid_from <= last or (rule.valid_to and first < rule.valid_to <= last)
    ]
    assert {rule.id for rule in changing} == {
        "eu-2021-1232-user-agency",
        "eu-eprivacy-5-messages",
        "uk-si-2026-268-agency",
    }
    assert {rule.judged_by for rule in changing} == {"observation"}
    assert [rule.id for rule in sample_policy().rules if rule.valid_to and rule.judged_by == "decision"] == []


@pytest.mark.parametrize("removed", RULES)
def test_each_rule_decides_a_demo_referral_and_its_removal_moves_exactly_those(removed: str) -> None:
    policy = policy_document()
    policy["rules"] = [rule for rule in policy["rules"] if rule["id"] != removed]
    without = decide_demo(policy)
    moved = {at for at, pair in enumerate(zip(decided(), without, strict=True)) if outcome(pair[0]) != outcome(pair[1])}
    assert moved == decided_by(removed)
    assert moved


def decided_by(rule_id: str) -> set[int]:
    """Return the demo referrals where the rule is in an edge, removed an edge, or alone proposed a removed one."""
    found = set()
    for at, decision in enumerate(decided()):
        named = [*decision.edges.values(), *decision.not_sent.values()]
        if any(rule_id in rules for rules in named) or rule_id in _proposing_removed(at):
            found.add(at)
    return found


@cache
def _without_prohibitions() -> tuple[Decided, ...]:
    policy = policy_document()
    policy["rules"] = [rule for rule in policy["rules"] if rule["effect"] == "permit"]
    return tuple(decide_demo(policy))


def _proposing_removed(at: int) -> set[str]:
    proposed = _without_prohibitions()[at].edges
    removed = [proposed[edge] for edge in decided()[at].not_sent]
    return {rules[0] for rules in removed if len(rules) == 1}


def test_the_demo_has_every_disposition_and_every_reason_of_a_work_list() -> None:
    found = Counter((decision.disposition, decision.work_reason) for decision in decided())
    assert found.keys() == {
        ("routed", None),
        ("orphaned", "no_hotline"),
        ("unknown_code", "unknown_jurisdiction"),
        ("unroutable", "no_basis"),
        ("unroutable", "no_route"),
        ("unroutable", "prohibited"),
    }


def test_a_demo_referral_reaches_about_two_recipients() -> None:
    edges = sum(len(decision.edges) for decision in decided())
    assert 1.8 <= edges / len(demo()) <= 2.2


@pytest.mark.parametrize("year", [2027, 2031, 2049])
def test_the_demo_is_the_same_in_any_later_year(year: int) -> None:
    assert decide_demo(policy_document(), decided_at=datetime(year, 2, 28, tzinfo=UTC)) == list(decided())


def test_messages_found_by_scanning_go_to_nobody_after_the_derogation_lapsed() -> None:
    lapsed = date(2026, 4, 4)
    assert len(RULES) >= 26
    days = [
        date.fromisoformat(each.referral["observed_at"][:10])
        for each, decision in zip(demo(), decided(), strict=True)
        if decision.work_reason == "prohibited"
    ]
    assert days
    assert min(days) >= lapsed
