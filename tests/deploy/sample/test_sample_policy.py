"""The sample policy: every rule has an effect, and no other than its text says."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import pytest

from deploy.directory.approval import ISSUED_ON, PARTIES, sample_directory
from deploy.policy import sample_policy
from deploy.sample import published
from shared.core.envelope.keys import OpeningKey, SigningKey
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.vocabulary.jurisdiction import TREE
from tests.deploy.sample.samples import Decided, decide_demo, demo, directory_document, index_of, policy_document
from tests.support.exchange_world import Keys
from tests.support.stack import INSTANCES

SAMPLE_DAYS = (date(2026, 3, 15), date(2026, 4, 20))
#: Rules that the demo's days can show; later law is tested in `test_refreshed_law`.
RULES = [rule.id for rule in sample_policy().rules if rule.valid_from <= SAMPLE_DAYS[1]]


@cache
def decided() -> tuple[Decided, ...]:
    return tuple(decide_demo(policy_document()))


def outcome(decision: Decided) -> tuple[object, object]:
    """Return the sent and the unsent edges with their rules, i.e. all that a rule can change."""
    return decision.edges, decision.not_sent


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
    assert {r.id for r in changing} == {"eu-2021-1232-user-agency", "eu-eprivacy-5-messages", "uk-si-2026-268-agency"}
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


# -- The sample directory: its parties, none of which is real.


PARTY_LIST: list[dict[str, Any]] = json.loads(PARTIES.read_text(encoding="utf-8"))["parties"]
TODAY = date(2026, 6, 1)


@pytest.fixture(scope="module")
def directory() -> DirectoryIndex:
    return index_of(directory_document())


def own(directory: DirectoryIndex, kind: str, place: str) -> list[PartyEntry]:
    """Return the parties of `kind` at `place` itself."""
    return [party for party in directory.nearest("", kind, place, "sandbox", TODAY) if place in party.jurisdictions]


@pytest.mark.parametrize("kind", ["hotline", "law_enforcement"])
def test_the_top_60_user_countries_and_all_hosting_countries_have_both(directory: DirectoryIndex, kind: str) -> None:
    users = [row.value for row in published.user_countries() if row.value][:60]
    hosts = [row.value for row in published.hosting_countries() if row.value]
    assert (len(users), len(hosts)) == (60, 24)  # the 25th row of the hosting table is onion services
    assert [place for place in (*users, *hosts) if not own(directory, kind, place)] == []


def test_an_agency_of_last_resort_serves_no_place_by_itself(directory: DirectoryIndex) -> None:
    assert directory.nearest("", "law_enforcement", "NO", "sandbox", TODAY) == ()


def test_every_jurisdiction_of_a_party_is_known_on_the_day_of_issue() -> None:
    stated = {code for party in PARTY_LIST for code in party["jurisdictions"]}
    covered = {grant["covers"] for party in PARTY_LIST for grant in party.get("mandates", ())}
    assert [code for code in stated | covered if not TREE.known(code, ISSUED_ON)] == []


def test_names_and_numbers_are_reserved_for_documentation() -> None:
    names = [party["id"] for party in PARTY_LIST]
    names += [domain["domain"] for party in PARTY_LIST for domain in party.get("domains", ())]
    numbers = [system["asn"] for party in PARTY_LIST for system in party.get("asns", ())]
    assert all(name.endswith(".example") for name in names)
    assert all(64496 <= number <= 64511 or 65536 <= number <= 65551 for number in numbers)
    assert len(set(numbers)) == len(numbers) == 32


def test_a_party_whose_instance_is_not_run_is_served_by_the_first_of_its_kind() -> None:
    keys = {name: Keys(SigningKey.generate(), OpeningKey.generate()).public() for name in INSTANCES}
    parties = sample_directory(keys).parties
    assert {party.instance for party in parties if party.kind == "industry"} == {"industry"}
    assert [party.id for party in parties] == [party["id"] for party in PARTY_LIST]


def live_parties(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [party for party in document["parties"] if party["id"] in ("hotline-live.example", "police-live.example")]


def receiving(document: dict[str, Any]) -> set[str]:
    decisions = decide_demo(policy_document(), directory=document)
    return {recipient for decision in decisions for recipient, _ in decision.edges}


def test_an_exercise_never_reaches_a_live_party() -> None:
    document = json.loads(json.dumps(directory_document()))
    assert {party["status"] for party in live_parties(document)} == {"live"}
    assert not {"hotline-live.example", "police-live.example"} & receiving(document)


def test_a_party_in_the_same_place_that_is_not_live_would_be_reached() -> None:
    """The control of the test above: only the status excludes the live parties."""
    document = json.loads(json.dumps(directory_document()))
    for party in live_parties(document):
        party["status"] = "sandbox"
    assert {"hotline-live.example", "police-live.example"} <= receiving(document)
