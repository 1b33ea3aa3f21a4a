"""The program as a whole: its version, and wrong calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

import deploy
from deploy.operator.keys import role_at
from shared.core.authority import GivenRole, Role
from shared.core.errors import Refused
from shared.core.routing.directory_index import PartyEntry
from shared.core.vocabulary.routing import PartyKind
from shared.platform.http.identity import KEY_ROLES
from tests.deploy.operator.conftest import Run
from tests.deploy.sample.samples import decide_demo, demo, directory_document, policy_document


def test_the_version_is_the_projects(run: Run) -> None:
    assert run("--version").out == f"{deploy.__version__}\n"
    assert deploy.__version__ != "0.0.0"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *((("--count", "1", f"--dirty={share}"), "share_malformed") for share in ("abc", "101%", "-1%", "nan", "")),
        (("--count=-1",), "count_malformed at --count"),
        (("--from=2026-04-20", "--to=2026-03-01"), "days_reversed at --to"),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_a_wrong_call(run: Run, words: tuple[str, ...], code: str) -> None:
    ended = run("sample", *words)
    assert (ended.code, ended.out, ended.err.startswith(f"error: {code}: ")) == (2, "", True)


# -- The role of a party's person or key: one that opens its own service.


POLICE, AUDITOR = "police-nl.example", "auditor.example"
CALLS = [("dev", "login-link"), ("key", "issue")]


def entry(party: str) -> PartyEntry:
    kind = PartyKind.AUDITOR if party == AUDITOR else PartyKind.LAW_ENFORCEMENT
    return PartyEntry(party, kind, "sandbox", "one", ("NL",), frozenset(), ())


@pytest.mark.parametrize(
    ("party", "named", "role"),
    [
        (POLICE, None, Role.ANALYST),
        (POLICE, Role.VIEWER, Role.VIEWER),
        (AUDITOR, None, Role.AUDITOR),
        (POLICE, Role.AUDITOR, None),
        (AUDITOR, Role.ANALYST, None),
    ],
)
def test_a_role_is_the_named_or_usual_one_and_opens_something_at_its_party(
    party: str, named: Role | None, role: Role | None
) -> None:
    if role is not None:
        assert role_at(entry(party), named, usual=Role.ANALYST) is role
    else:
        with pytest.raises(Refused, match="role_not_of_party"):
            role_at(entry(party), named, usual=Role.ANALYST)


@pytest.mark.parametrize("call", CALLS)
def test_no_verb_offers_the_role_of_the_instance_itself(run: Run, call: tuple[str, str]) -> None:
    assert {*get_args(GivenRole)} == KEY_ROLES
    ended = run(*call, POLICE, "--role", "service")
    assert ended.code == 2
    assert "--role" in ended.err
    assert "analyst" in ended.err


# -- Routing questions about a file: answered with the documents of a state directory, without any server.


ROWS = 60


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("state")
    (directory / "directory.json").write_text(json.dumps(directory_document()))
    (directory / "policy.json").write_text(json.dumps(policy_document()))
    return directory


@pytest.fixture(scope="module")
def sampled(state: Path) -> Path:
    lines = [{"origin": each.origin, "label": each.label, "referral": each.referral} for each in demo()[:ROWS]]
    return written(state / "sampled.jsonl", *lines)


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_preview_says_where_each_referral_of_a_file_would_go(run: Run, state: Path, sampled: Path) -> None:
    ended = run("route", "preview", sampled, "--state", state, "--json")
    assert ended.code == 0
    found = [{(edge["recipient"], edge["purpose"]) for edge in each["edges"]} for each in ended.json["referrals"]]
    assert found == [set(decided.edges) for decided in decide_demo(policy_document())[:ROWS]]
    assert any(found)


def test_an_explanation_names_every_rule_and_what_it_did(run: Run, state: Path, sampled: Path) -> None:
    explained = run("route", "explain", sampled, "--state", state, "--json").json["referrals"][0]
    assert [each["rule"] for each in explained["rules"]] == [each["id"] for each in policy_document()["rules"]]
    assert run("route", "explain", sampled, "--state", state).out.count("\nrow ") == ROWS - 1


def test_a_replay_asks_by_the_law_of_its_day(run: Run, state: Path, sampled: Path) -> None:
    def outcomes(day: str) -> set[str]:
        ended = run("route", "replay", sampled, "--at", day, "--state", state, "--json")
        return {rule["outcome"] for each in ended.json["referrals"] for rule in each["rules"]}

    assert "proposes" not in outcomes("1990-01-01")  # before any of the instruments
    assert "proposes" in outcomes("2026-06-01")


def test_a_dry_run_names_the_edges_that_another_policy_would_take_away(run: Run, state: Path, sampled: Path) -> None:
    policy = policy_document()
    gone = {"purpose": "takedown"}
    kept = [rule for rule in policy["rules"] if rule.get("purpose") != gone["purpose"]]
    other = state / "other.json"
    other.write_text(json.dumps(policy | {"rules": kept}))
    found = run("route", "dry-run", other, sampled, "--state", state, "--json").json
    assert {each["purpose"] for each in found["lost"]} == {"takedown"}
    assert found["gained"] == []
    assert 0 < found["changed"] <= found["referrals"]


def test_a_row_that_would_be_refused_is_named_and_stops_no_other(run: Run, state: Path, tmp_path: Path) -> None:
    good = {"origin": demo()[0].origin, "label": None, "referral": demo()[0].referral}
    rows = [good | {"origin": "nobody.example"}, good | {"referral": {}}, good]
    ended = run("route", "preview", written(tmp_path / "rows.jsonl", *rows), "--state", state, "--json")
    assert ended.code == 1
    first, second, third = ended.json["referrals"]
    assert first["refused"] == {"code": "origin_unknown", "field": "/origin"}
    assert second["refused"]["code"] == "body_invalid"
    assert third["disposition"]


def test_what_a_row_says_is_in_no_refusal(run: Run, state: Path, tmp_path: Path) -> None:
    bad = demo()[0].referral | {"media_kind": "hunter2"}
    row = {"origin": demo()[0].origin, "label": None, "referral": bad}
    ended = run("route", "explain", written(tmp_path / "rows.jsonl", row), "--state", state)
    assert "refused: body_invalid at /media_kind" in ended.out
    assert "hunter2" not in ended.out + ended.err


def test_a_state_directory_without_documents_is_no_crash(run: Run, sampled: Path, tmp_path: Path) -> None:
    ended = run("route", "preview", sampled, "--state", tmp_path)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: documents_missing")


def test_a_file_of_another_kind_is_a_wrong_call(run: Run, state: Path, tmp_path: Path) -> None:
    other = tmp_path / "rows.xml"
    other.write_text("<rows/>")
    assert run("route", "preview", other, "--state", state).code == 2
