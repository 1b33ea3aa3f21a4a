"""The law of the second half of 2026: the decisions it changes, the days it judges, its gaps, and its sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deploy.artifacts.pages import write_page
from deploy.policy import sample_policy
from deploy.sample.generator import SampledReferral, sample_referrals, write_jsonl
from shared.core.canonical import canonical_json
from shared.core.contracts.decision import Facts
from shared.core.contracts.policy import Calendar, ClockRule, InstrumentEntry, Policy
from shared.core.contracts.referral import ReferralSubmission
from shared.core.protocol.facts import read_facts
from shared.core.routing.ageing import aged, review
from shared.core.routing.documents import DocumentStore
from shared.core.routing.explain import DecisionDiff, DecisionInput, compare, preview, replay
from tests.deploy.sample.samples import directory_document, index_of, policy_document, policy_of
from tests.deploy.sample.test_recount import rule, run_script

ROOT = Path(__file__).parents[3]
#: The sample's earlier law, as pinned for the golden decisions.
BEFORE = json.loads((ROOT / "tests/shared/core/routing/golden/policy.json").read_bytes())
DECIDED_AT = datetime(2026, 12, 1, 12, tzinfo=UTC)
APRIL, AUGUST = datetime(2026, 4, 15, 12, tzinfo=UTC), datetime(2026, 8, 15, 12, tzinfo=UTC)
#: 35 days around 31 July: 2,000 referrals drawn like the demo's, observed later.
START, END = date(2026, 7, 15), date(2026, 8, 20)
#: No published table says which services use end-to-end encryption, or which messages have sound: here every tenth
#: message.
EVERY = 10

#: Permits that did not change, of edges that the prohibition no longer removes.
WIDER = {"us-2258a-hub"}

Edit = Callable[[dict[str, Any]], None]


@cache
def later() -> tuple[SampledReferral, ...]:
    found = tuple(sample_referrals(start=START, end=END, count=2000, seed=1, dirty=0.01))
    messages = [each.referral for each in found if each.referral["items"][0]["locator"]["kind"] == "message"]
    for referral in messages[::EVERY]:
        referral["incident_flags"] = sorted({*referral["incident_flags"], "end_to_end_encrypted"})
    for referral in messages[5::EVERY]:
        referral["media_kind"] = "audio"
    return found


@cache
def later_decided() -> tuple[DecisionInput, ...]:
    directory, found = index_of(directory_document()), []
    for each in later():
        origin = directory.party(each.origin)
        assert origin is not None
        read = read_facts(ReferralSubmission.model_validate_json(json.dumps(each.referral)), origin, directory)
        facts = Facts.model_validate_json(canonical_json(read.facts))
        found.append(DecisionInput(facts, True, DECIDED_AT, read.unknown))
    return tuple(found)


def engine_moves(after: dict[str, Any]) -> dict[str, Any]:
    directory, old, new = index_of(directory_document()), policy_of(BEFORE), policy_of(after)
    rules: dict[str, dict[str, int]] = {}
    changed = []
    for number, each in enumerate(later_decided()):
        moved: DecisionDiff = compare([each], directory=directory, old=old, new=new)
        for (name, direction), count in moved.rules.items():
            rules.setdefault(name, {}).setdefault(direction, 0)
            rules[name][direction] += count
        if moved.rules or any(had != has for had, has in moved.dispositions):
            changed.append(number)
    return {"referrals": len(later_decided()), "changed": changed, "rules": rules}


def recounted_moves(folder: Path, after: dict[str, Any]) -> dict[str, Any]:
    """Return the script's count, run where neither the project nor any package can be imported."""
    files = {name: folder / f"{name}.json" for name in ("directory", "policy", "before")}
    for name, document in (("directory", directory_document()), ("policy", after), ("before", BEFORE)):
        files[name].write_text(json.dumps(document))
    files |= {"referrals": folder / "later.jsonl"}
    write_jsonl(files["referrals"], later())
    return run_script(files, DECIDED_AT)


def begin_the_derogation_later(policy: dict[str, Any]) -> None:
    rule(policy, "eu-2026-1881-user-agency")["valid_from"] = "2026-08-10"


def end_the_gap_earlier(policy: dict[str, Any]) -> None:
    rule(policy, "eu-eprivacy-5-messages")["valid_to"] = "2026-07-20"


def let_audio_through(policy: dict[str, Any]) -> None:
    permit = rule(policy, "eu-2026-1881-user-agency")
    permit["when"] = [each for each in permit["when"] if each["fact"] != "media_kind"]
    policy["rules"].remove(rule(policy, "eu-eprivacy-5-audio"))


def test_the_refreshed_policy_moves_exactly_what_a_stand_alone_recount_says(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    found = engine_moves(policy_document())
    assert found == recounted_moves(tmp_path, policy_document())
    changed = {rule_id for rule_id in found["rules"] if rule_id not in WIDER}
    eprivacy = {f"eu-eprivacy-5-{name}" for name in ("audio", "encrypted", "messages")}
    assert changed == {"eu-2026-1881-user-agency"} | eprivacy
    assert 0 < len(found["changed"]) < found["referrals"] == 2000
    words = [f"{way} {count} by {name}" for name, ways in found["rules"].items() for way, count in ways.items()]
    record_property("figure", f"{len(found['changed'])} of 2,000 decisions: {'; '.join(sorted(words))}")
    print(*sorted(words), sep="\n")


@pytest.mark.parametrize("edit", [begin_the_derogation_later, end_the_gap_earlier, let_audio_through])
def test_a_planted_edit_moves_both_sides_and_on_one_side_only_it_is_noticed(tmp_path: Path, edit: Edit) -> None:
    policy = policy_document()
    edit(policy)
    again = engine_moves(policy)
    assert recounted_moves(tmp_path, policy) == again
    assert again != engine_moves(policy_document())


def test_what_was_observed_in_spring_is_decided_as_before() -> None:
    """The control: only a policy that judges their days changes the decisions."""
    spring = [replace(one, facts=one.facts.model_copy(update={"observed_on": APRIL.date()})) for one in later_decided()]
    old, new = policy_of(BEFORE), policy_of(policy_document())
    assert compare(spring, directory=index_of(directory_document()), old=old, new=new).rules == {}


def message(observed_at: datetime, **more: Any) -> DecisionInput:
    """Return a report by a provider in Ireland about a message of a user in Germany, viewed by one of its people."""
    facts = {
        "origin": "provider-002.example",
        "origin_kind": "industry",
        "reporter": ["IE"],
        "incident_kind": "csam",
        "incident_flags": [],
        "media_kind": "image",
        "viewed_by": "human",
        "priority": "p2_normal",
        "actionable": "actionable",
        "user": ["DE"],
        "victim": [],
        "items": [{"locator_kinds": ["message"], "assessments": [], "hosting": []}],
        "observed_on": observed_at.date().isoformat(),
    }
    return DecisionInput(Facts.model_validate(facts | more), True, observed_at)


@pytest.fixture
def shelf() -> DocumentStore:
    """Return a shelf as if the refreshed policy had always been there. `known_from` is the time of knowledge."""
    filled = DocumentStore()
    filled.directories.place(index_of(directory_document()), datetime(2026, 1, 1, tzinfo=UTC))
    filled.policies.place(policy_of(policy_document()), datetime(2026, 1, 1, tzinfo=UTC))
    return filled


def rules_of(explained: dict[str, Any]) -> list[str]:
    return [name for edge in explained["edges"] for name in edge["rules"]]


def test_april_has_no_basis_and_august_has_and_each_under_the_others_law_comes_out_as_the_other(
    shelf: DocumentStore,
) -> None:
    april, august = message(APRIL), message(AUGUST)
    was, is_ = preview(april, shelf), preview(august, shelf)
    assert (was["work_reason"], was["edges"]) == ("no_basis", [])
    assert rules_of(is_) == ["eu-2026-1881-user-agency"]
    assert [edge["recipient"] for edge in is_["edges"]] == ["police-de.example"]
    moved_on = replay(april, shelf, at=AUGUST, observed_on=AUGUST.date())
    moved_back = replay(august, shelf, at=APRIL, observed_on=APRIL.date())
    assert rules_of(moved_on) == ["eu-2026-1881-user-agency"]
    assert (moved_back["work_reason"], moved_back["edges"]) == ("no_basis", [])


@pytest.mark.parametrize(
    ("day", "permitted"),
    [
        (date(2026, 4, 3), "eu-2021-1232-user-agency"),
        (date(2026, 4, 4), ""),
        (date(2026, 7, 30), ""),
        (date(2026, 7, 31), "eu-2026-1881-user-agency"),
        (date(2028, 4, 3), "eu-2026-1881-user-agency"),
        (date(2028, 4, 4), ""),
    ],
)
def test_the_derogations_begin_and_end_to_the_day_and_so_does_what_is_prohibited(
    shelf: DocumentStore, day: date, permitted: str
) -> None:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    assert rules_of(preview(message(at), shelf)) == ([permitted] if permitted else [])
    scanned = message(at, origin="provider-001.example", reporter=["US-CA"], viewed_by="automated_only")
    assert (preview(scanned, shelf)["work_reason"] == "prohibited") is not bool(permitted)


def test_deciding_later_makes_no_detection_lawful_that_was_not(shelf: DocumentStore) -> None:
    assert replay(message(APRIL), shelf, at=AUGUST)["work_reason"] == "no_basis"


@pytest.mark.parametrize("observed_at", [AUGUST, datetime(2028, 4, 3, tzinfo=UTC)])
@pytest.mark.parametrize("viewed_by", ["human", "automated_only"])
@pytest.mark.parametrize("excluded", [{"incident_flags": ["end_to_end_encrypted"]}, {"media_kind": "audio"}])
def test_encrypted_messages_and_audio_stay_excluded(
    shelf: DocumentStore, excluded: dict[str, Any], viewed_by: str, observed_at: datetime
) -> None:
    assert preview(message(observed_at, viewed_by=viewed_by), shelf)["edges"] != [], "the control: permitted without"
    assert preview(message(observed_at, viewed_by=viewed_by, **excluded), shelf)["edges"] == []
    for more in ({}, {"victim": ["FR"]}):  # the place of a child does not make the way of discovery lawful
        abroad = more | {"origin": "provider-001.example", "reporter": ["US-CA"]}
        explained = preview(message(observed_at, viewed_by="automated_only", **abroad, **excluded), shelf)
        assert (explained["edges"], explained["work_reason"]) == ([], "prohibited")


def test_after_the_derogation_what_scanning_found_goes_to_nobody_again(shelf: DocumentStore) -> None:
    abroad = {"origin": "provider-001.example", "reporter": ["US-CA"]}
    explained = preview(message(datetime(2028, 4, 4, tzinfo=UTC), viewed_by="automated_only", **abroad), shelf)
    assert (explained["edges"], explained["work_reason"]) == ([], "prohibited")
    assert [name for edge in explained["not_sent"] for name in edge["rules"]] == ["eu-eprivacy-5-messages-2028"]


def test_canada_keeps_its_confirmed_class_while_the_second_is_unconfirmed() -> None:
    """Royal Assent does not begin C-16 and does not end the earlier law. An order in council is still needed."""
    own = {"reporter": ["CA"], "user": ["CA"], "origin": "provider-009.example"}

    def kept(observed_at: datetime, policy: dict[str, Any]) -> list[tuple[list[str], str]]:
        filled = DocumentStore()
        filled.directories.place(index_of(directory_document()), datetime(2026, 1, 1, tzinfo=UTC))
        filled.policies.place(policy_of(policy), datetime(2026, 1, 1, tzinfo=UTC))
        edges = preview(message(observed_at, **own), filled)["edges"]
        return [(list(one["rules"]), one["handling"]["retention"]) for one in edges if one["purpose"] == "assessment"]

    policy = policy_document()
    for day in (datetime(2026, 6, 17, tzinfo=UTC), datetime(2026, 6, 18, tzinfo=UTC), DECIDED_AT):
        assert kept(day, policy) == [(["ca-2011-4-hub"], "ca_21d")]
    by_id = {each.instrument: each for each in review(policy, DECIDED_AT.date())}
    assert (by_id["ca_c16"].state, by_id["ca_c16"].confirmation) == ("pending", "unconfirmed")
    assert (by_id["ca_2011_4"].state, by_id["ca_2011_4"].confirmation) == ("in_force", "confirmed")
    (entry,) = [each for each in policy["instruments"] if each["id"] == "ca_c16"]
    entry |= {"confirmation": "confirmed", "valid_from": "2026-06-18"}
    assert kept(DECIDED_AT, policy) == [(["ca-2011-4-hub", "ca-c16-hub"], "ca_21d")], "the control: it would decide"


def test_the_instruments_of_the_last_year_are_listed() -> None:
    policy = sample_policy()
    listed = {entry.id.value for entry in policy.instruments}
    assert {"eu_2026_1881", "eu_2023_1543", "eu_2024_2835", "us_take_it_down", "uk_si_2026_268", "ca_c16"} <= listed


def test_days_and_terms_are_those_that_were_read_and_only_these_rest_on_the_text() -> None:
    """Written here a second time, because all other tests read the same data and would miss an error in it."""
    policy = sample_policy()
    spans = {entry.id.value: (str(entry.valid_from), str(entry.valid_to)) for entry in policy.instruments}
    assert spans["eu_2021_1232"] == ("2021-08-02", "2026-04-04")
    assert spans["eu_2026_1881"] == ("2026-07-31", "2028-04-04")
    assert spans["uk_si_2026_268"] == ("2026-04-07", "None")
    assert spans["us_take_it_down"] == ("2026-05-19", "None")
    assert spans["eu_2024_2835"] == ("2025-07-01", "None")
    assert spans["ca_c16"] == ("None", "None")
    hours = {each.id: each.duration_h for each in policy.clocks if each.duration_h}
    assert hours == {
        "ca-2011-4-preservation": 21 * 24,
        "practice-recheck": 24,
        "ca-c16-preservation": 365 * 24,
        "eu-2023-1543-extension": 30 * 24,
        "eu-2023-1543-preservation": 60 * 24,
        "eu-2023-1543-production": 10 * 24,
        "practice-dispute": 72,
        "practice-feedback": 30 * 24,
        "practice-p0-claim": 1,
        "practice-p0-claim-escalation": 4,
        "practice-question": 7 * 24,
        "practice-notice-reminder": 24,
        "practice-notice-to-owner": 3 * 24,
        "practice-notice-to-registrar": 6 * 24,
        "practice-notice-to-regulator": 10 * 24,
        "uk-si-2026-268-information": 7 * 24,
        "us-2258a-preservation": 365 * 24,
        "eu-dsa-16-acknowledgement": 24,
    }
    read = {entry.id.value for entry in policy.instruments if entry.reading == "read"}
    assert read == {"ca_2011_4", "eu_2024_2835", "us_2258a"}
    assert {clock.id for clock in policy.clocks if clock.reading == "read"} == {
        "ca-2011-4-preservation",
        "eu-2023-1543-extension",
        "eu-2023-1543-preservation",
        "eu-dsa-16-acknowledgement",
        "us-2258a-preservation",
    }


def entries(policy: Policy) -> tuple[InstrumentEntry | ClockRule | Calendar, ...]:
    return (*policy.instruments, *policy.clocks, *policy.calendars)


def test_every_entry_has_source_and_review_and_one_without_is_refused() -> None:
    found = entries(sample_policy())
    assert len(found) >= 50
    for entry in found:
        stated = entry.model_dump(mode="json", exclude_none=True)
        type(entry).model_validate(stated)
        for missing in ("source", "reviewed_on", "reviewer_role", "reading"):
            with pytest.raises(ValidationError):
                type(entry).model_validate({name: value for name, value in stated.items() if name != missing})


def test_the_page_says_which_texts_were_read_and_that_it_is_no_advice() -> None:
    page = write_page("law.md")
    assert "Sample wording, not legal advice" in " ".join(page.split())
    policy = sample_policy()
    for entry in (*policy.instruments, *policy.clocks):
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{entry.id}` |") and entry.source in line]
        assert (f"| {entry.reading} |" in row) is (entry.reading == "read")
        assert (f"**{entry.reading}**" in row) is (entry.reading != "read")
        assert entry.reviewed_on.isoformat() in row
    for calendar in policy.calendars:
        assert calendar.jurisdiction in page.partition("## Calendars")[2]


def test_the_sample_ages_91_days_after_its_review_and_what_ended_stays_on_the_list() -> None:
    policy = policy_document()
    reviewed_on = max(entry.reviewed_on for entry in sample_policy().instruments)
    assert aged(policy, reviewed_on + timedelta(days=90)) == []
    found = aged(policy, reviewed_on + timedelta(days=91))
    over = {"eu_2021_1232"}
    assert found == sorted((one.id.value, "unreviewed") for one in sample_policy().instruments if one.id not in over)
    (ended,) = [each for each in review(policy, reviewed_on) if each.instrument == "eu_2021_1232"]
    assert (ended.succeeded_by, ended.live, ended.reasons) == ("eu_2026_1881", (), ())
    assert ("eu_2026_1881", "ended") not in aged(policy, date(2028, 4, 4)), "no rule cites it then"


def test_the_calendars_know_the_working_days_of_three_years() -> None:
    calendars = {each.jurisdiction: each for each in sample_policy().calendars}
    assert {"BE", "CA", "DE", "FR", "GB-EAW", "IE", "NL", "SE", "US"} <= calendars.keys()
    for calendar in calendars.values():
        years = [sum(day.year == year for day in calendar.holidays) for year in (2026, 2027, 2028)]
        assert min(years) >= 5, calendar.jurisdiction
        assert date(2027, 12, 25) in calendar.holidays


@pytest.mark.parametrize("jurisdiction", ["AU", "CA", "GB-EAW", "NZ"])
def test_a_new_year_or_christmas_at_a_weekend_has_its_substitute_day(jurisdiction: str) -> None:
    """The law moves these days, so that a clock of working days does not run on a holiday."""
    (calendar,) = [each for each in sample_policy().calendars if each.jurisdiction == jurisdiction]
    assert {date(2028, 1, 3), date(2027, 12, 27)} <= set(calendar.holidays)


def test_an_unconfirmed_rule_is_explained(shelf: DocumentStore) -> None:
    explained = preview(message(AUGUST, reporter=["CA"], origin="provider-009.example"), shelf)
    assert [each["outcome"] for each in explained["rules"] if each["rule"] == "ca-c16-hub"] == ["unconfirmed"]
