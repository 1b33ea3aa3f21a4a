"""What a decision says, rule by rule of its semantics."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.contracts.decision import Facts
from shared.kernel.canonical import canonical_json, digest
from shared.kernel.errors import Defect
from shared.routing import directory_index
from shared.routing.directory_index import DirectoryIndex, _party
from shared.routing.engine import Setting, judge
from shared.routing.policy_index import PolicyIndex
from shared.vocabulary.jurisdiction import TREE
from shared.vocabulary.routing import Fact, WorkReason
from tests.shared.routing.builders import (
    AT,
    SALT,
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
    """Negative control of the test above: an index that takes every party for a sandbox lets a live one through."""
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
        withheld=["correlation", "hashes"],
        hold_gate=True,
        reason="trusted_flagger",
        basis={"instrument": "dsa", "article": "22", "jurisdiction": "BLOC-EU"},
    )
    (edge,) = decided(facts(), DIRECTORY, policy_of(second, first)).edges
    assert edge.rules == ("a-first", "b-second")
    assert [basis.instrument.value for basis in edge.basis] == ["inhope_mou", "dsa"]
    assert edge.reason == "hosting_jurisdiction"
    assert edge.handling.model_dump(mode="json") == {"tlp": "amber_strict", "siena": "H3", "retention": "tco_6m"}
    assert edge.withheld == ("correlation", "hashes")
    assert edge.hold_gate is True
    assert edge.deadlines.model_dump() == {"acknowledge_h": 2, "act_h": 48}


def test_an_edge_carries_what_its_rules_read_and_nothing_else() -> None:
    rules = (
        HOSTING,
        permit("victim", select={"kind": "law_enforcement", "how": "serving", "by": "victim"}, purpose="investigation"),
        prohibition("viewed", when("viewed_by", "in", "nobody")),
        prohibition("repealed", when("media_kind", "in", "video"), valid_to="2021-01-01"),
    )
    by_recipient = {
        edge.recipient: set(edge.facts.model_dump(exclude_none=True))
        for edge in decided(facts(victim=["NL"], user=["DE"]), DIRECTORY, policy_of(*rules)).edges
    }
    assert by_recipient == {
        "hotline-nl.example": {"origin", "hosting", "viewed_by"},
        "police-nl.example": {"origin", "victim"},
    }


def test_a_recipient_that_limits_what_it_accepts_learns_the_incident_kind() -> None:
    directory = directory_of(hotline("hotline-nl.example", "NL", accepts=["csam"]))
    (edge,) = decided(facts(), directory, policy_of(HOSTING)).edges
    assert set(edge.facts.model_dump(exclude_none=True)) == {"origin", "hosting", "incident_kind"}


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


@pytest.mark.parametrize("permits", [32, 33])
def test_an_edge_with_more_permits_than_a_message_can_say_goes_to_a_work_list(permits: int) -> None:
    rules = [permit(f"hosting-{number:02}") for number in range(permits)]
    decision = decided(facts(), DIRECTORY, policy_of(*rules))
    assert decision.work_reason == (None if permits == 32 else WorkReason.TOO_WIDE)


@pytest.mark.parametrize("fact", ["origin", "incident_kind", "observed_on"])
def test_facts_that_lack_a_single_value_are_our_defect(fact: str) -> None:
    with pytest.raises(Defect, match="facts_incomplete"):
        decided(facts(**{fact: None}), DIRECTORY, policy_of(HOSTING))


def test_every_digest_is_that_of_the_canonical_json_it_names() -> None:
    rules = (HOSTING, ORPHAN, USER_POLICE, prohibition("no", when("media_kind", "in", "video")))
    decision = decided(facts(hosting=["NL", "BR"], user=["NL"]), DIRECTORY, policy_of(*rules))
    ref = decision.ref.model_dump(mode="json")
    frame = {name: ref[name] for name in ("directory", "policy", "engine", "decided_at")} | {"exercise": True}
    for edge in decision.edges:
        whole = edge.model_dump(mode="json", exclude_none=True, exclude={"digest"})
        assert edge.digest == digest(canonical_json(frame | {"edge": whole}))
    bound = frame | {
        "disposition": decision.disposition,
        "work_reason": decision.work_reason,
        "edges": [edge.digest for edge in decision.edges],
        "not_sent": [edge.model_dump(mode="json") for edge in decision.not_sent],
        "salt": decision.salt,
    }
    assert decision.ref.digest == digest(canonical_json(bound))


def test_two_decisions_alike_but_for_their_salt_cannot_be_matched_by_digest() -> None:
    one, other = (decided(facts(), DIRECTORY, policy_of(HOSTING), salt=salt) for salt in ("00" * 32, "01" * 32))
    assert one.edges == other.edges
    assert one.ref.digest != other.ref.digest


def test_the_engines_json_is_the_contracts_json() -> None:
    policy = policy_of(HOSTING, ORPHAN, USER_POLICE, prohibition("no", when("media_kind", "in", "image")))
    for stated in (facts(), facts(hosting=["BR"]), facts(user=["NL"]), facts(user=["XX"])):
        json = stated.model_dump(mode="json", exclude_none=True)
        outcome = judge(json, Setting(DIRECTORY, policy, exercise=True, decided_at=AT), salt=SALT)
        decision = decided(stated, DIRECTORY, policy)
        assert canonical_json(outcome.as_json()) == canonical_json(decision.model_dump(mode="json", exclude_none=True))


def test_documents_mean_the_same_with_their_defaults_written_or_left_out() -> None:
    policy, directory = policy_document(HOSTING, ORPHAN), directory_document(hotline("hotline-nl.example", "NL"))
    outcomes = []
    for short in (False, True):
        setting = Setting(
            DirectoryIndex(directory.model_dump(mode="json", exclude_defaults=short), "0" * 64, TREE),
            PolicyIndex(policy.model_dump(mode="json", exclude_defaults=short), "0" * 64, TREE),
            exercise=True,
            decided_at=AT,
        )
        outcomes.append(judge(facts().model_dump(mode="json"), setting, salt=SALT).ref())
    assert outcomes[0] == outcomes[1]


def test_lists_of_facts_mean_the_same_in_any_order_and_with_repeats() -> None:
    policy = policy_of(HOSTING, USER_POLICE)
    one = decided(facts(hosting=["NL", "BR", "US"], user=["NL"]), DIRECTORY, policy)
    other = decided(facts(hosting=["US", "NL", "BR", "NL"], user=["NL", "NL"]), DIRECTORY, policy)
    assert one == other


def test_every_fact_of_the_vocabulary_is_a_field_of_facts() -> None:
    assert [fact.value for fact in Fact] == list(Facts.model_fields)


def test_the_salt_is_in_no_edge_and_not_in_the_reference() -> None:
    salt = hashlib.sha256(b"salt").hexdigest()
    decision = decided(facts(), DIRECTORY, policy_of(HOSTING), salt=salt)
    travelling = decision.ref.model_dump_json() + "".join(edge.model_dump_json() for edge in decision.edges)
    assert salt not in travelling
    assert salt in decision.model_dump_json()
