"""`causeway referral check`, and an import that stores nothing: expected refusals and recipients."""

from __future__ import annotations

from pathlib import Path

from shared.core.codes import RULES
from tests.client.fake_service import FakeService
from tests.client.fake_service import referral as submission
from tests.client.prompt import Run
from tests.client.test_client_cli import written


def test_a_dry_run_reports_errors_and_stores_nothing(run: Run, service: FakeService, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", submission(1), submission(1))
    ended = run("referral", "import", path, "--dry-run")
    assert (ended.code, service.stored) == (1, [])
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == ["a.jsonl", "a.jsonl.errors.jsonl"]


def test_a_check_says_per_row_what_would_be_refused(run: Run, service: FakeService, tmp_path: Path) -> None:
    service.refuse = lambda one: (422, "schema", "/media_kind", "enum") if one["external_ref"] == "CASE-2" else None
    path = written(tmp_path / "a.jsonl", submission(1), submission(2))
    ended = run("referral", "check", path)
    assert ended.code == 1
    assert f"2\t/media_kind\tschema\tenum\t{RULES['enum']}\n" in ended.out
    assert run("referral", "check", path, "--json").json["results"] == [
        {"row": 1, "ok": True, "state": "routed", "work_reason": None, "recipients": [], "cut": [], "respelled": []},
        {
            "row": 2,
            "ok": False,
            "errors": [{"field": "/media_kind", "code": "schema", "rule": "enum", "remedy": RULES["enum"]}],
        },
    ]
    assert service.stored == []


def test_a_check_shows_where_each_row_would_go_and_by_which_rules(
    run: Run, service: FakeService, tmp_path: Path
) -> None:
    edge = {"recipient": "p.example", "purpose": "takedown", "reason": "r", "rules": ["one", "two"]}
    service.route = lambda one: (
        {"recipients": [edge]}
        if one["external_ref"] == "CASE-1"
        else {"state": "unroutable", "work_reason": "no_route", "recipients": []}
    )
    ended = run("referral", "check", written(tmp_path / "a.jsonl", submission(1), submission(2)))
    assert ended.code == 0
    assert ended.out.splitlines()[:3] == [
        "row\tstate\trecipient\tpurpose\trules",
        "1\trouted\tp.example\ttakedown\tone two",
        "2\tunroutable (no_route)\t\t\t",
    ]


def test_a_check_shows_what_would_be_cut_and_where_a_redirector_leads(
    run: Run, service: FakeService, tmp_path: Path
) -> None:
    service.route = lambda _: {"cut": [{"n": 2, "rules": ["facebook_out", "s3"], "target": "https://site.example/a"}]}
    ended = run("referral", "check", written(tmp_path / "a.jsonl", submission(1)))
    assert "row\titem\tby\tleads to\n1\t2\tfacebook_out s3\thttps://site.example/a\n" in ended.out
    service.route = lambda _: {"respelled": [2]}
    ended = run("referral", "check", written(tmp_path / "b.jsonl", submission(1)))
    assert "addresses that are stored in their canonical spelling:\nrow\titem\n1\t2\n" in ended.out


def test_rows_of_another_origin_are_left_out_and_said_so(run: Run, service: FakeService, tmp_path: Path) -> None:
    named = [{"origin": f"{name}.example", "referral": submission(number)} for number, name in enumerate("abb")]
    path = written(tmp_path / "a.jsonl", *named, submission(3))
    ended = run("referral", "import", path, "--origin", "a.example")
    assert (ended.code, [one["external_ref"] for one in service.stored]) == (0, ["CASE-0", "CASE-3"])
    assert "2 left out: they name another origin\n" in ended.out


def test_an_origin_that_no_row_is_of_is_a_wrong_call(run: Run, service: FakeService, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", {"origin": "a.example", "referral": submission(1)})
    ended = run("referral", "check", path, "--origin", "c.example")
    assert (ended.code, "origin_has_no_rows" in ended.err, service.requests) == (2, True, [])
