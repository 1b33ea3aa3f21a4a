"""The checks before publication: each objection has its code and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.artifacts import examples as example_world
from deploy.directory.approval import renewed, valid_until
from deploy.operator.document_checks import check_directory, check_policy, objections
from deploy.operator.documents import keep_published, publish_file, signed_beat
from deploy.policy import sample_policy
from shared.core.canonical import digest
from shared.core.clock import SystemClock
from shared.core.contracts.policy import Policy
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused
from shared.core.routing.documents import read_directory, verify_beat
from tests.deploy.operator.conftest import Run

ISSUED = example_world.WORLD["policy"]()["issued_on"]
Edit = Callable[[dict[str, Any]], object]


def at(policy: Any, place: str) -> Any:
    for name in filter(None, place.split("/")):
        policy = policy[int(name) if name.isdigit() else name]
    return policy


def put(place: str, **members: Any) -> Edit:
    return lambda policy: at(policy, place).update(members)


def cut(place: str, member: str | int) -> Edit:
    return lambda policy: at(policy, place).pop(member)


def edited(edit: Edit) -> bytes:
    policy = json.loads(json.dumps(example_world.WORLD["policy"]()))
    edit(policy)
    return json.dumps(policy).encode()


def test_the_sample_and_the_example_pass() -> None:
    assert list(objections(sample_policy())) == []
    assert check_policy(edited(lambda _: None)).version == 1
    assert check_directory(json.dumps(example_world.directory()).encode()).version == 1


@pytest.mark.parametrize(
    ("edit", "code", "field"),
    [
        (cut("rules/2", "review_by"), "prohibition_without_end", "/rules/2"),
        (put("rules/2", hold_window_h=24), "hold_of_nothing", "/rules/2/hold_window_h"),
        (cut("instruments", 1), "instrument_not_listed", "/rules/1/basis/instrument"),
        (lambda p: p["instruments"].append(p["instruments"][0]), "instrument_repeated", "/instruments/3/id"),
        (put("instruments/0", reviewed_on="2026-06-01"), "reviewed_after_issue", "/instruments/0/reviewed_on"),
        (cut("instruments/0", "valid_from"), "instrument_without_start", "/instruments/0/valid_from"),
        (
            lambda p: (
                p["instruments"][0].update(valid_to="2026-12-31", succeeded_by=p["instruments"][1]["id"]),
                p["instruments"][1].update(confirmation="unconfirmed"),
            ),
            "ended_by_unconfirmed",
            "/instruments/0/valid_to",
        ),
        (put("clocks/0", working_days=5), "clock_term_not_one", "/clocks/0"),
        (cut("clocks/0", "duration_h"), "clock_term_not_one", "/clocks/0"),
        (
            lambda p: (p["clocks"][0].pop("duration_h"), p["clocks"][0].update(working_days=5, repeats=True)),
            "clock_repeats_nothing",
            "/clocks/0/repeats",
        ),
        (put("calendars/0", holidays=["2026-12-25", "2026-01-01"]), "holidays_unsorted", "/calendars/0/holidays"),
        (put("calendars/0", holidays=["2027-12-25"]), "holiday_outside_span", "/calendars/0/holidays"),
        (put("calendars/0", working_weekdays=[]), "calendar_without_work", "/calendars/0/working_weekdays"),
        (put("", valid_until=ISSUED), "over_at_issue", "/valid_until"),
        (put("rules/2", review_by=ISSUED), "review_overdue", "/rules/2/review_by"),
        (put("rules/1", valid_to="2024-02-17"), "never_in_force", "/rules/1/valid_to"),
        (put("rules/1", valid_from="2024-02-16"), "instrument_not_yet_in_force", "/rules/1/valid_from"),
        (put("instruments/1", valid_to=ISSUED), "instrument_over", "/rules/1/basis/instrument"),
        (
            lambda p: (p["clocks"][0]["basis"].update(instrument="malabo"), p["instruments"].pop(0), p["rules"].pop(0)),
            "instrument_not_listed",
            "/clocks/0/basis/instrument",
        ),
        (put("instruments/1", succeeded_by="lanzarote"), "instrument_not_listed", "/instruments/1/succeeded_by"),
        (put("instruments/1", valid_to="2020-01-01"), "never_in_force", "/instruments/1/valid_to"),
        (put("instruments/1", jurisdiction="ZZ"), "jurisdiction_unknown", "/instruments/1"),
        (lambda p: p["clocks"].append(p["clocks"][0]), "clock_repeated", "/clocks/1/id"),
        (put("clocks/0", reviewed_on="2026-06-01"), "reviewed_after_issue", "/clocks/0/reviewed_on"),
        (put("clocks/0/basis", jurisdiction="ZZ"), "jurisdiction_unknown", "/clocks/0"),
        (lambda p: p["calendars"].append(p["calendars"][0]), "calendar_repeated", "/calendars/1/jurisdiction"),
        (put("calendars/0", reviewed_on="2026-06-01"), "reviewed_after_issue", "/calendars/0/reviewed_on"),
        (put("calendars/0", valid_to="2025-01-01", holidays=[]), "never_in_force", "/calendars/0/valid_to"),
        (put("rules/2", review_by="9999-12-31"), "review_too_far", "/rules/2/review_by"),
        (put("rules/2", valid_to="9999-12-31"), "end_too_far", "/rules/2/valid_to"),
        (put("instruments/1", valid_to="9999-12-31"), "end_too_far", "/instruments/1/valid_to"),
        (put("clocks/0", valid_to="9999-12-31"), "end_too_far", "/clocks/0/valid_to"),
        (put("calendars/0", valid_to="9999-12-31"), "end_too_far", "/calendars/0/valid_to"),
        (put("", valid_until="9999-12-31"), "end_too_far", "/valid_until"),
        (
            lambda p: [p["instruments"][at].update(succeeded_by=p["instruments"][1 - at]["id"]) for at in (0, 1)],
            "succession_cyclic",
            "/instruments/0/succeeded_by",
        ),
        (put("rules/0", hold_windw_h=24), "document_invalid", "/rules/0"),
    ],
)
def test_what_must_not_be_published_is_refused_with_its_field(edit: Edit, code: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        check_policy(edited(edit))
    assert (refused.value.code, refused.value.field) == (code, field)


def test_an_instrument_that_ended_may_be_cited_by_what_ended_too_or_ends_later() -> None:
    """The control: past law stays on the list, and a future end is a matter for the alarm."""
    check_policy(edited(lambda p: p["instruments"][1].update(valid_to="2026-05-02")))
    over = edited(
        lambda p: (p["instruments"][1].update(valid_to="2026-04-01"), p["rules"][1].update(valid_to="2026-04-01"))
    )
    check_policy(over)


def test_calendars_of_one_place_may_follow_each_other() -> None:
    following = {"valid_from": "2027-01-01", "valid_to": "2028-01-01", "holidays": []}
    check_policy(edited(lambda p: p["calendars"].append(p["calendars"][0] | following)))


def test_a_directory_that_is_over_when_it_is_issued_is_refused() -> None:
    directory = example_world.directory()
    with pytest.raises(Refused, match="over_at_issue at /valid_until"):
        check_directory(json.dumps(directory | {"valid_until": directory["issued_on"]}).encode())
    with pytest.raises(Refused, match="end_too_far at /valid_until"):
        check_directory(json.dumps(directory | {"valid_until": "9999-12-31"}).encode())


@pytest.mark.parametrize("strange", [{"suite": "mldsa65"}, {"use": "attest"}])
def test_a_key_that_nobody_reads_is_not_published(strange: dict[str, str]) -> None:
    directory = example_world.directory()
    directory["instances"][0]["keys"][0] |= strange
    with pytest.raises(Refused, match="document_invalid") as refused:
        check_directory(json.dumps(directory).encode())
    assert refused.value.field == f"/instances/0/keys/0/{next(iter(strange))}"


def test_a_clock_of_working_days_needs_the_calendar_of_its_jurisdiction() -> None:
    def of(place: str) -> bytes:
        def change(policy: Any) -> None:
            clock = policy["clocks"][0]
            clock.pop("duration_h"), clock.update(working_days=5), clock["basis"].update(jurisdiction=place)

        return edited(change)

    check_policy(of("NL"))
    with pytest.raises(Refused, match="calendar_missing"):
        check_policy(of("BE"))
    over = json.loads(of("NL"))
    over["calendars"][0].update(valid_from="2025-01-01", valid_to="2026-01-01", holidays=[])
    with pytest.raises(Refused, match="calendar_missing"):
        check_policy(json.dumps(over).encode())


def test_every_objection_is_said_at_once(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_bytes(edited(lambda p: (p["rules"][2].pop("review_by"), p["clocks"][0].pop("duration_h"))))
    ended = run("policy", "check", file, "--json")
    assert ended.code == 1
    assert ended.json == {
        "objections": [
            {"code": "prohibition_without_end", "field": "/rules/2"},
            {"code": "clock_term_not_one", "field": "/clocks/0"},
        ],
        "law": [],
    }


@pytest.mark.parametrize(("at", "code", "said"), [("2026-07-30", 0, False), ("2026-08-11", 1, True)])
def test_a_check_names_law_that_was_not_reviewed(run: Run, tmp_path: Path, at: str, code: int, said: bool) -> None:
    """The example was reviewed on 1 May 2026, so it needs a review 102 days later."""
    file = tmp_path / "policy.json"
    file.write_bytes(edited(lambda _: None))
    ended = run("policy", "check", file, "--at", at, "--json")
    assert (ended.code, ended.json["objections"]) == (code, [])
    assert ({"instrument": "dsa", "reason": "unreviewed"} in ended.json["law"]) is said
    assert ("dsa" in run("policy", "check", file, "--at", at).out) is said


def test_a_check_names_an_end_90_days_ahead_and_passes(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_bytes(edited(lambda p: p["instruments"][0].update(valid_to="2026-08-01")))
    ended = run("policy", "check", file, "--at", "2026-05-10", "--json")
    assert (ended.code, ended.json["law"]) == (0, [{"instrument": "dsa", "reason": "ending"}])


def test_a_document_issued_again_ends_13_months_later_under_the_next_version() -> None:
    policy = Policy.model_validate(example_world.WORLD["policy"]())
    again = renewed(policy, on=policy.issued_on.replace(month=12, day=31))
    assert (again.version, again.valid_until.isoformat()) == (2, "2028-01-28")
    assert valid_until(policy.issued_on.replace(month=1)).isoformat() == "2027-02-01"
    assert again.rules == policy.rules


def test_no_document_takes_effect_in_the_past(tmp_path: Path) -> None:
    """Otherwise messages in transit that were decided by the replaced documents would be refused."""
    nowhere: Any = SimpleNamespace(state=tmp_path, endpoints=None)
    body = json.dumps(example_world.WORLD["policy"]()).encode()
    with pytest.raises(Refused, match="active_from_past"):
        publish_file(nowhere, "policy", body, active_from=SystemClock().now() - timedelta(minutes=6))


def test_the_beat_names_what_this_state_directory_has_in_force(tmp_path: Path) -> None:
    bodies = {kind: json.dumps(example_world.WORLD[kind]()).encode() for kind in ("directory", "policy")}
    for kind, body in bodies.items():
        (tmp_path / f"{kind}.json").write_bytes(body)
    said = signed_beat(tmp_path, example_world.BEAT, example_world.AT)
    assert (said.beat.directory, said.beat.policy) == tuple((1, digest(body)) for body in bodies.values())
    verify_beat(said, read_directory(bodies["directory"]), example_world.AT)
    coming = json.dumps(json.loads(bodies["policy"]) | {"version": 2}).encode()
    later = SystemClock().now() + timedelta(hours=1)
    keep_published(tmp_path, "policy", coming, active_from=later)
    assert signed_beat(tmp_path, example_world.BEAT, example_world.AT).beat.policy == (1, digest(bodies["policy"]))
    due = signed_beat(tmp_path, example_world.BEAT, later)
    assert due.beat.policy == (2, digest(coming))
    stranger = signed_beat(tmp_path, SigningKey(b"9" * 32), example_world.AT)
    with pytest.raises(Refused, match="beat_key_unknown"):
        verify_beat(stranger, read_directory(bodies["directory"]), example_world.AT)
