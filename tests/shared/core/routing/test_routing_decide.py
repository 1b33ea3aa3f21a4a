"""Rules of a decision at the bounds that generated referrals do not reach.

`test_routing_oracle.py` compares all other rules with a brute force.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.core.contracts.decision import Facts
from shared.core.errors import Defect
from shared.core.routing import directory_index
from shared.core.routing.directory_index import DirectoryIndex, _party
from shared.core.routing.terms import combine
from shared.core.vocabulary.routing import WorkReason
from tests.shared.core.routing.builders import (
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


def test_the_day_of_decision_is_the_day_in_utc() -> None:
    rule = permit("dated", valid_from="2026-05-02")
    assert recipients(facts(), DIRECTORY, rule, at=datetime.fromisoformat("2026-05-02T01:00:00+02:00")) == []
    assert recipients(facts(), DIRECTORY, rule, at=datetime.fromisoformat("2026-05-01T23:00:00-02:00")) != []


def test_of_several_permits_each_must_allow_a_kind_of_hash() -> None:
    told = [permit(name, hash_kinds=kinds) for name, kinds in (("a", ["md5", "sha1"]), ("b", ["md5"]), ("c", []))]
    rules = [rule.model_dump(mode="json") for rule in told]
    assert [combine(rules[:count]).hash_kinds for count in (1, 2, 3)] == [{"md5", "sha1"}, {"md5"}, set()]


def test_a_dissolved_country_is_known_for_the_time_it_existed() -> None:
    rule = permit("old", valid_from="2000-01-01", known_from="2000-01-01", basis=HOSTING.basis)
    directory = directory_of(hotline("hotline-an.example", "AN"))
    assert recipients(facts(hosting=["AN"]), directory, rule, at=datetime(2009, 1, 1, tzinfo=UTC)) != []


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
