"""The content of a decision, rule by rule of its semantics."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.contracts.decision import Edge, Facts
from shared.kernel.errors import Defect
from shared.routing import directory_index
from shared.routing.directory_index import DirectoryIndex, _party
from shared.routing.terms import combine
from shared.vocabulary.routing import WorkReason
from tests.shared.routing.builders import (
    AT,
    agency,
    decided,
    directory_of,
    facts,
    hotline,
    permit,
    policy_of,
    prohibition,
    provider,
    sent,
    when,
)

DIRECTORY = directory_of(
    hotline("hotline-nl.example", "NL"),
    hotline("hotline-fr.example", "FR"),
    hotline("hotline-us.example", "US", mandates=[{"mandate": "orphan"}]),
    agency("police-nl.example", "NL"),
    provider("provider-001.example", "US"),
)
HOSTING = permit("hosting")
ORPHAN = permit(
    "orphan",
    when("hosting", "unserved", "hotline"),
    select={"kind": "hotline", "how": "mandated", "by": "hosting", "mandate": "orphan"},
    reason="orphan_mandate",
)
USER_POLICE = permit(
    "user-police",
    select={"kind": "law_enforcement", "how": "serving", "by": "user"},
    purpose="investigation",
    reason="user_location",
)


def recipients(stated: Facts, directory: DirectoryIndex, *rules: Any, **more: Any) -> list[str]:
    return [recipient for recipient, _ in sent(decided(stated, directory, policy_of(*rules), **more))]


def read_by(edge: Edge) -> set[str]:
    """Return the facts that the edge carries, including those of its items."""
    stated = edge.facts.model_dump(exclude_none=True)
    return stated.keys() - {"items"} | {name for item in stated.get("items", ()) for name in item}


def test_a_referral_goes_to_the_hotline_of_the_hosting_country() -> None:
    decision = decided(facts(hosting=["NL"]), DIRECTORY, policy_of(HOSTING))
    assert sent(decision) == [("hotline-nl.example", "assessment")]
    assert (decision.disposition, decision.work_reason) == ("routed", None)
    assert decision.edges[0].reason == "hosting_jurisdiction"
    assert decision.edges[0].rules == ("hosting",)


def test_a_subdivision_without_a_party_is_served_by_its_country() -> None:
    assert recipients(facts(hosting=["US-CA"]), DIRECTORY, HOSTING) == ["hotline-us.example"]


def test_a_party_of_the_subdivision_is_nearer_than_one_of_the_country() -> None:
    directory = directory_of(hotline("hotline-us.example", "US"), hotline("hotline-ca.example", "US-CA"))
    assert recipients(facts(hosting=["US-CA"]), directory, HOSTING) == ["hotline-ca.example"]
    assert recipients(facts(hosting=["US-TX"]), directory, HOSTING) == ["hotline-us.example"]


def test_all_blocs_of_a_country_are_equally_near() -> None:
    directory = directory_of(hotline("hotline-eu.example", "BLOC-EU"), hotline("hotline-eur.example", "BLOC-EUR"))
    assert recipients(facts(hosting=["NL"]), directory, HOSTING) == ["hotline-eu.example", "hotline-eur.example"]


def test_a_referral_is_never_sent_to_its_own_origin() -> None:
    assert recipients(facts(hosting=["FR", "NL"]), DIRECTORY, HOSTING) == ["hotline-nl.example"]
    other = facts(hosting=["FR"], origin="hotline-nl.example")
    assert recipients(other, DIRECTORY, HOSTING) == ["hotline-fr.example"]


def test_a_party_that_does_not_accept_the_incident_kind_is_not_replaced_by_the_next_one_above() -> None:
    directory = directory_of(
        hotline("hotline-nl.example", "NL", accepts=["enticement"]), hotline("hotline-eu.example", "BLOC-EU")
    )
    assert recipients(facts(incident_kind="csam"), directory, HOSTING) == []
    assert recipients(facts(incident_kind="enticement"), directory, HOSTING) == ["hotline-nl.example"]


@pytest.mark.parametrize("how", ["serving", "mandated", "named"])
def test_an_exercise_never_reaches_a_live_party_nor_a_real_referral_a_sandbox(how: str) -> None:
    grants = [{"mandate": "orphan", "covers": "NL"}]
    parties = [
        hotline(f"hotline-{status}.example", "NL", status=status, mandates=grants)
        for status in ("sandbox", "live", "suspended")
    ]
    parties += [provider(f"provider-{status}.example", status=status) for status in ("sandbox", "live", "suspended")]
    named = [f"provider-{status}.example" for status in ("live", "sandbox", "suspended")]
    select = {
        "serving": {"kind": "hotline", "how": "serving", "by": "hosting"},
        "mandated": {"kind": "hotline", "how": "mandated", "by": "hosting", "mandate": "orphan"},
        "named": {"kind": "industry", "how": "named", "by": "providers"},
    }[how]
    kind = "provider" if how == "named" else "hotline"
    rule, stated = permit("rule", select=select), facts(providers=named)
    assert recipients(stated, directory_of(*parties), rule, exercise=True) == [f"{kind}-sandbox.example"]
    assert recipients(stated, directory_of(*parties), rule, exercise=False) == [f"{kind}-live.example"]


def test_the_check_of_status_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: an index that treats every party as a sandbox party selects a live one."""
    parties = (hotline("hotline-live.example", "NL", status="live"),)
    assert recipients(facts(), directory_of(*parties), HOSTING) == []
    monkeypatch.setattr(directory_index, "_party", lambda entry: replace(_party(entry), status="sandbox"))
    assert recipients(facts(), directory_of(*parties), HOSTING) == ["hotline-live.example"]


def test_a_prohibition_removes_the_edges_in_its_scope_and_is_named() -> None:
    rules = (HOSTING, USER_POLICE, prohibition("no-messages", when("locator_kinds", "in", "message")))
    decision = decided(facts(locator_kinds=["message"], user=["NL"]), DIRECTORY, policy_of(*rules))
    assert sent(decision) == [("police-nl.example", "investigation")]
    assert [(edge.recipient, edge.rules) for edge in decision.not_sent] == [("hotline-nl.example", ("no-messages",))]
    assert sent(decided(facts(locator_kinds=["url"]), DIRECTORY, policy_of(*rules))) == [
        ("hotline-nl.example", "assessment")
    ]


@pytest.mark.parametrize(
    ("narrower", "removed"),
    [
        ({}, True),
        ({"purposes": ["takedown"]}, False),
        ({"kinds": ["law_enforcement"]}, False),
        ({"nodes": ["BLOC-EU"]}, True),
        ({"nodes": ["US"]}, False),
        ({"parties": ["hotline-nl.example"]}, True),
        ({"parties": ["hotline-fr.example"]}, False),
        ({"nodes": ["NL"], "parties": ["hotline-fr.example"]}, False),
    ],
)
def test_every_list_of_a_scope_narrows_it(narrower: dict[str, Any], removed: bool) -> None:
    scope = {"purposes": ["assessment"], "kinds": ["hotline"]} | narrower
    rules = (HOSTING, prohibition("no", when("media_kind", "in", "image"), scope=scope))
    assert recipients(facts(), DIRECTORY, *rules) == ([] if removed else ["hotline-nl.example"])


@pytest.mark.parametrize(
    ("day", "in_force"), [("2026-03-31", False), ("2026-04-01", True), ("2026-04-02", True), ("2026-04-03", False)]
)
@pytest.mark.parametrize("judged_by", ["observation", "decision"])
def test_a_rule_is_in_force_from_its_first_day_until_before_its_last(day: str, in_force: bool, judged_by: str) -> None:
    rule = permit(
        "dated", judged_by=judged_by, reads=["hosting", "observed_on"], valid_from="2026-04-01", valid_to="2026-04-03"
    )
    on_day = datetime.fromisoformat(f"{day}T23:59:59.999+00:00")
    at = on_day if judged_by == "decision" else AT
    observed_on = day if judged_by == "observation" else "2026-01-01"
    assert bool(recipients(facts(observed_on=observed_on), DIRECTORY, rule, at=at)) is in_force


def test_the_day_of_decision_is_the_day_in_utc() -> None:
    rule = permit("dated", valid_from="2026-05-02")
    assert recipients(facts(), DIRECTORY, rule, at=datetime.fromisoformat("2026-05-02T01:00:00+02:00")) == []
    assert recipients(facts(), DIRECTORY, rule, at=datetime.fromisoformat("2026-05-01T23:00:00-02:00")) != []


def test_a_rule_decides_nothing_before_it_was_known() -> None:
    rule = permit("late", known_from="2026-04-20")
    assert recipients(facts(), DIRECTORY, rule, at=datetime(2026, 4, 19, tzinfo=UTC)) == []
    assert recipients(facts(), DIRECTORY, rule, at=datetime(2026, 4, 20, tzinfo=UTC)) != []
    assert recipients(facts(), DIRECTORY, rule, known_on=date(2026, 4, 19)) == []


def test_what_several_permits_ask_is_combined_strictly() -> None:
    first = permit(
        "a-first",
        handling={"tlp": "amber_strict", "siena": "H1", "retention": "us_1y"},
        deadlines={"acknowledge_h": 24, "act_h": 48},
        withheld=["hashes"],
    )
    second = permit(
        "b-second",
        handling={"tlp": "amber", "siena": "H3", "retention": "tco_6m"},
        deadlines={"acknowledge_h": 2},
        withheld=["correlations", "hashes"],
        hold_window_h=24,
        reason="trusted_flagger",
        basis={"instrument": "dsa", "article": "22", "jurisdiction": "BLOC-EU"},
    )
    (edge,) = decided(facts(), DIRECTORY, policy_of(second, first)).edges
    assert edge.rules == ("a-first", "b-second")
    assert [basis.instrument.value for basis in edge.basis] == ["inhope_mou", "dsa"]
    assert edge.reason == "hosting_jurisdiction"
    assert edge.handling.model_dump(mode="json") == {"tlp": "amber_strict", "siena": "H3", "retention": "tco_6m"}
    assert edge.withheld == ("correlations", "hashes")
    assert edge.deadlines.model_dump() == {"acknowledge_h": 2, "act_h": 48}


def test_of_several_permits_each_must_allow_a_kind_of_hash() -> None:
    told = [permit(name, hash_kinds=kinds) for name, kinds in (("a", ["md5", "sha1"]), ("b", ["md5"]), ("c", []))]
    rules = [rule.model_dump(mode="json") for rule in told]
    assert [combine(rules[:count]).hash_kinds for count in (1, 2, 3)] == [{"md5", "sha1"}, {"md5"}, set()]


def test_an_edge_carries_what_its_rules_read_and_nothing_else() -> None:
    rules = (
        HOSTING,
        permit("victim", select={"kind": "law_enforcement", "how": "serving", "by": "victim"}, purpose="investigation"),
        prohibition("viewed", when("viewed_by", "in", "nobody")),
        prohibition("repealed", when("media_kind", "in", "video"), valid_to="2021-01-01"),
    )
    by_recipient = {
        edge.recipient: read_by(edge)
        for edge in decided(facts(victim=["NL"], user=["DE"]), DIRECTORY, policy_of(*rules)).edges
    }
    assert by_recipient == {
        "hotline-nl.example": {"origin", "hosting", "viewed_by"},
        "police-nl.example": {"origin", "victim"},
    }


@pytest.mark.parametrize(
    ("dates", "read"),
    [
        ({}, {"observed_on", "media_kind"}),
        ({"valid_to": "2021-01-01"}, {"observed_on"}),
        ({"known_from": "2027-01-01"}, set()),
    ],
)
def test_a_prohibition_judged_by_observation_discloses_the_day_only_once_it_is_known(
    dates: dict[str, str], read: set[str]
) -> None:
    """The recipient needs the day to check that the prohibition was not in force. An unknown one discloses no day."""
    video = when("media_kind", "in", "video")
    rule = prohibition("no", video, judged_by="observation", reads=["media_kind", "observed_on"], **dates)
    (edge,) = decided(facts(), DIRECTORY, policy_of(HOSTING, rule)).edges
    assert read_by(edge) == {"origin", "hosting"} | read


def test_a_recipient_that_limits_what_it_accepts_learns_the_incident_kind() -> None:
    directory = directory_of(hotline("hotline-nl.example", "NL", accepts=["csam"]))
    (edge,) = decided(facts(), directory, policy_of(HOSTING)).edges
    assert read_by(edge) == {"origin", "hosting", "incident_kind"}


def test_a_referral_hosted_where_no_hotline_is_is_orphaned_and_offered_to_the_mandated_one() -> None:
    decision = decided(facts(hosting=["BR"], user=["NL"]), DIRECTORY, policy_of(HOSTING, ORPHAN, USER_POLICE))
    assert (decision.disposition, decision.work_reason) == ("orphaned", WorkReason.NO_HOTLINE)
    assert sent(decision) == [("hotline-us.example", "assessment"), ("police-nl.example", "investigation")]


def test_a_referral_that_a_hotline_gets_otherwise_is_not_orphaned() -> None:
    decision = decided(facts(hosting=["BR", "NL"]), DIRECTORY, policy_of(HOSTING, ORPHAN))
    assert decision.disposition == "routed"
    assert {recipient for recipient, _ in sent(decision)} == {"hotline-nl.example", "hotline-us.example"}


def test_a_mandate_for_a_place_is_nearer_than_one_for_everywhere() -> None:
    directory = directory_of(
        hotline("hotline-all.example", mandates=[{"mandate": "orphan"}]),
        hotline("hotline-amr.example", mandates=[{"mandate": "orphan", "covers": "BLOC-AMR"}]),
    )
    assert recipients(facts(hosting=["BR"]), directory, ORPHAN) == ["hotline-amr.example"]
    assert recipients(facts(hosting=["GH"]), directory, ORPHAN) == ["hotline-all.example"]


def test_without_any_rule_for_it_a_referral_has_no_route() -> None:
    decision = decided(facts(hosting=["BR"]), DIRECTORY, policy_of(HOSTING))
    assert (decision.disposition, decision.work_reason) == ("unroutable", WorkReason.NO_ROUTE)


def test_where_the_law_has_lapsed_a_referral_has_no_basis_and_is_not_sent() -> None:
    decision = decided(facts(), DIRECTORY, policy_of(permit("lapsed", valid_to="2026-04-01")))
    assert (decision.disposition, decision.work_reason, sent(decision)) == ("unroutable", WorkReason.NO_BASIS, [])


def test_where_every_edge_is_prohibited_the_referral_says_so() -> None:
    rules = (HOSTING, permit("lapsed", valid_to="2026-04-01"), prohibition("no", when("media_kind", "in", "image")))
    decision = decided(facts(), DIRECTORY, policy_of(*rules))
    assert (decision.disposition, decision.work_reason) == ("unroutable", WorkReason.PROHIBITED)
    assert len(decision.not_sent) == 1


@pytest.mark.parametrize("fact", ["reporter", "hosting", "user", "victim", "provider_establishment"])
@pytest.mark.parametrize("code", ["XX", "AN", "US-ZZ"])
def test_a_jurisdiction_that_nobody_knows_on_that_day_sends_the_referral_to_a_work_list(fact: str, code: str) -> None:
    decision = decided(facts(**{fact: ["NL", code]}), DIRECTORY, policy_of(HOSTING))
    assert (decision.disposition, decision.work_reason) == ("unknown_code", WorkReason.UNKNOWN_JURISDICTION)
    assert decision.edges == ()


def test_a_dissolved_country_is_known_for_the_time_it_existed() -> None:
    rule = permit("old", valid_from="2000-01-01", known_from="2000-01-01", basis=HOSTING.basis)
    directory = directory_of(hotline("hotline-an.example", "AN"))
    assert recipients(facts(hosting=["AN"]), directory, rule, at=datetime(2009, 1, 1, tzinfo=UTC)) != []


def test_an_unknown_provider_sends_the_referral_to_a_work_list() -> None:
    for name in ("nobody.example", "hotline-nl.example"):
        decision = decided(facts(providers=[name]), DIRECTORY, policy_of(HOSTING))
        assert (decision.disposition, decision.work_reason) == ("unknown_code", WorkReason.UNKNOWN_PROVIDER)


def test_what_the_extraction_could_not_place_is_decided_as_unknown() -> None:
    decision = decided(facts(), DIRECTORY, policy_of(HOSTING), unknown=WorkReason.UNKNOWN_JURISDICTION)
    assert (decision.disposition, decision.work_reason) == ("unknown_code", WorkReason.UNKNOWN_JURISDICTION)
    assert decision.edges == ()


@pytest.mark.parametrize("hotlines", [200, 201])
def test_a_decision_wider_than_a_message_can_say_goes_to_a_work_list(hotlines: int) -> None:
    directory = directory_of(*(hotline(f"hotline-{number:03}.example", "NL") for number in range(hotlines)))
    decision = decided(facts(), directory, policy_of(HOSTING))
    assert len(decision.edges) == (200 if hotlines == 200 else 0)
    assert decision.work_reason == (None if hotlines == 200 else WorkReason.TOO_WIDE)


def test_more_prohibited_edges_than_a_message_can_say_send_the_referral_to_a_work_list() -> None:
    directory = directory_of(*(hotline(f"hotline-{number:03}.example", "NL") for number in range(201)))
    rules = (HOSTING, prohibition("no", when("media_kind", "in", "image")))
    assert decided(facts(), directory, policy_of(*rules)).work_reason == WorkReason.TOO_WIDE


@pytest.mark.parametrize("permits", [32, 33])
def test_an_edge_with_more_permits_than_a_message_can_say_goes_to_a_work_list(permits: int) -> None:
    rules = [permit(f"hosting-{number:02}") for number in range(permits)]
    decision = decided(facts(), DIRECTORY, policy_of(*rules))
    assert decision.work_reason == (None if permits == 32 else WorkReason.TOO_WIDE)


@pytest.mark.parametrize("fact", ["origin", "incident_kind", "observed_on"])
def test_facts_that_lack_a_single_value_are_our_defect(fact: str) -> None:
    with pytest.raises(Defect, match="facts_incomplete"):
        decided(facts(**{fact: None}), DIRECTORY, policy_of(HOSTING))
