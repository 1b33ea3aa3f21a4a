"""The sample load: drawn from the tables, repeatable, harmless, and with the requested errors."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from datetime import date
from functools import cache
from urllib.parse import urlsplit

import pytest

from deploy.sample import published
from deploy.sample.generator import DEMO_COUNT, SampledReferral, sample_referrals
from shared.core.contracts.referral import ReferralSubmission
from shared.core.guard import as_kept, inspect
from tests.deploy.sample.samples import decide_demo, demo, digest_of_demo, policy_document

#: It changes only when the sample itself is meant to change.
DEMO_SHA256 = "76e6f42c77169038e78267d70c69151c160f5e3dfe3478f29a7f6a5244ed7dc3"
RESERVED = [ipaddress.ip_network(of) for of in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]


def small(seed: int = 7, dirty: float = 0.1) -> list[SampledReferral]:
    return list(sample_referrals(start=date(2026, 4, 1), end=date(2026, 4, 2), count=200, seed=seed, dirty=dirty))


@cache
def drawn() -> tuple[SampledReferral, ...]:
    """Return a sample that is large enough to compare shares with the tables."""
    return tuple(sample_referrals(start=date(2026, 3, 15), end=date(2026, 4, 20), count=2000, seed=1, dirty=0.01))


def test_the_demo_is_the_same_on_every_machine() -> None:
    assert digest_of_demo() == DEMO_SHA256


def test_every_referral_is_a_valid_submission_that_the_guard_lets_through() -> None:
    let_through = 0
    for each in demo():
        inspect(as_kept(ReferralSubmission.model_validate_json(json.dumps(each.referral))))
        let_through += 1
    assert let_through == DEMO_COUNT


def test_references_are_unique_and_every_referral_is_an_exercise() -> None:
    assert len({each.referral["external_ref"] for each in demo()}) == len(demo()) == DEMO_COUNT == 600
    assert all(each.referral["exercise"] for each in demo())


def test_observations_lie_in_the_period_both_days_included() -> None:
    days = {each.referral["observed_at"][:10] for each in small()}
    assert days == {"2026-04-01", "2026-04-02"}
    times = [each.referral["observed_at"] for each in small()]
    assert times == sorted(times)


def test_hosts_and_network_addresses_are_reserved_for_documentation() -> None:
    for each in demo():
        for item in each.referral["items"]:
            if item["locator"]["kind"] in ("url", "onion"):
                assert (urlsplit(item["locator"]["value"]).hostname or "").endswith((".example", ".onion"))
        for account in each.referral.get("subject_accounts", ()):
            for event in account["events"]:
                address = ipaddress.ip_address(event["ip"])
                assert any(address in network for network in RESERVED if network.version == address.version)


def test_clean_means_clean_and_a_little_dirt_is_at_least_one() -> None:
    assert {each.label for each in small(dirty=0)} == {None}
    assert sum(each.label is not None for each in small(dirty=0.0001)) == 1


def test_exactly_the_labelled_referrals_have_an_unknown_code() -> None:
    decisions = decide_demo(policy_document())
    found = [decision.disposition == "unknown_code" for decision in decisions]
    assert found == [each.label is not None for each in demo()]


def test_users_are_where_the_table_counted_them() -> None:
    users = Counter((a.referral["user_jurisdictions"] or [""])[0] for a in drawn() if a.origin.startswith("provider-"))
    total = sum(row.weight for row in published.user_countries())
    expected = {row.value: row.weight / total for row in published.user_countries()}
    for country in ("IN", "PH", ""):
        assert users[country] / users.total() == pytest.approx(expected[country], abs=0.03)
