"""The verbs as users and scripts call them, against a local service."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.client.fake_service import KEY, FakeService
from tests.client.fake_service import referral as submission
from tests.client.prompt import Run

ID = "019ab0e5-1111-7111-8111-111111111111"
CANARY = "canary-7f3a"


def written(path: Path, *submissions: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(one) for one in submissions))
    return path


def test_an_import_ends_with_0_when_every_row_went_through_and_its_progress_at_the_last_line(
    run: Run, service: FakeService, tmp_path: Path
) -> None:
    named = [
        {"origin": f"{'h' if number < 2 else 'i'}.example", "label": "", "referral": submission(number)}
        for number in range(50)
    ]
    path = written(tmp_path / "a.jsonl", *named)
    ended = run("referral", "import", path, "--origin", "h.example")
    assert (ended.code, ended.out.splitlines()[:2]) == (0, ["2 are routed", "0 are refused"])
    assert ended.err == "imported: line 50 of 50, 0 refused\n"
    service.batch_refusal = lambda batch: (401, "key_unknown", None, "")
    stopped = run("referral", "import", path, "--origin", "i.example")
    assert (stopped.code, "stopped before the last row" in stopped.out) == (1, True)
    assert "line 50 of 50" not in stopped.err


def test_an_import_ends_with_1_when_a_row_was_refused_and_names_the_report(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", submission(1), submission(1))
    ended = run("referral", "import", path, "--json")
    assert ended.code == 1
    assert ended.json == {
        "rows": 2,
        "states": {"routed": 1},
        "existing": 0,
        "left_out": 0,
        "refused": 1,
        "stopped": None,
        "dry_run": False,
        "errors_file": f"{path}.errors.jsonl",
    }


def test_an_import_that_is_interrupted_says_how_it_goes_on(
    run: Run, served: tuple[FakeService, str], service: FakeService, tmp_path: Path
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def waiting(one: dict[str, Any]) -> None:
        if one["external_ref"] == "CASE-150":
            reached.set()
            go_on.wait(60)

    service.refuse = waiting
    path = written(tmp_path / "a.jsonl", *map(submission, range(200)))
    command = [sys.executable, "-m", "deploy.cli", "referral", "import", str(path), "--url", served[1], "--key", KEY]
    # If these tests run in the background, all processes that they start ignore Ctrl-C.
    command = ["env", "--default-signal=INT", *command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert reached.wait(60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            go_on.set()
    assert (process.returncode, out) == (130, "")
    assert err.endswith(
        f"interrupted: finished rows are stored: causeway referral import {path} continues from there\n"
    )
    service.refuse = lambda _: None
    before = len(service.stored)
    assert before >= 100
    assert run("referral", "import", path).code == 0
    assert len(service.stored) == 200


def test_what_is_not_found_may_be_asked_of_the_wrong_service_and_that_is_said(run: Run) -> None:
    asked = run("inbox", "notices")
    assert (asked.code, asked.out) == (1, "")
    assert asked.err == "error: not_found\n  Check the id, and check that this is the service for your kind of party.\n"
    assert run("inbox", "notices", "--json").json["error"]["code"] == "not_found"


KEPT = "--kept-class us_1y --kept-basis accepted_case --kept-until 2027-05-04"


@pytest.mark.parametrize(
    ("path", "arguments", "body"),
    [
        (f"cases/{ID}:accept", ["case", "accept", ID], {}),
        (f"cases/{ID}:accept", ["case", "accept", ID, "--case-reference", "K-1"], {"case_reference": "K-1"}),
        (f"cases/{ID}:decline", ["case", "decline", ID, "--reason", "already_known"], {"reason": "already_known"}),
        (
            f"cases/{ID}:outcome",
            f"case outcome {ID} closed --close-reason no_crime --child-identified no --child-safeguarded yes".split(),
            {"outcome": "closed", "close_reason": "no_crime", "child_identified": "no", "child_safeguarded": "yes"},
        ),
        (f"inbox/{ID}:acknowledge-withdrawal", ["inbox", "acknowledge-withdrawal", ID], {"fate": "erased"}),
        (
            f"inbox/{ID}:acknowledge-withdrawal",
            f"inbox acknowledge-withdrawal {ID} {KEPT}".split(),
            {"fate": "kept", "kept": {"retention": "us_1y", "basis": "accepted_case", "until": "2027-05-04"}},
        ),
        (f"notices/{ID}:acknowledge", ["notice", "acknowledge", ID], {}),
        (
            f"notices/{ID}:answer",
            ["notice", "answer", ID, "removed", "2=preserved", "--effective-at", "2026-03-15T12:00:00"],
            {
                "items": [
                    {"action": "removed", "effective_at": "2026-03-15T00:00:00.000Z"},
                    {"action": "preserved", "effective_at": "2026-03-15T00:00:00.000Z", "n": 2},
                ]
            },
        ),
        (f"notices/{ID}:answer", ["notice", "answer", ID, "technical"], {"items": [{"rejection": "technical"}]}),
        (
            f"notices/{ID}:not-ours",
            ["notice", "not-ours", ID, "--suggested", "q.example"],
            {"disowned": [{"suggested": "q.example"}]},
        ),
        (
            f"notices/{ID}:not-ours",
            ["notice", "not-ours", ID, "--item", "1", "--item", "3"],
            {"disowned": [{"n": 1}, {"n": 3}]},
        ),
        (f"notices/{ID}:acknowledge-withdrawal", ["notice", "acknowledge-withdrawal", ID], {"fate": "erased"}),
    ],
)
def test_a_recipient_answers_from_the_prompt(
    run: Run, service: FakeService, path: str, arguments: list[str], body: dict[str, Any]
) -> None:
    name = "notice_id" if path.startswith("notices") else "referral_id"
    service.canned[f"/v1/{path}"] = (202, {name: ID, "state": "moved"})
    ended = run(*arguments)
    assert (ended.code, ended.out, ended.err) == (0, f"{ID}: moved\n", "")
    assert service.requests[-1][1:3] == (f"/v1/{path}", body)
    assert run(*arguments, "--json").json == {name: ID, "state": "moved"}


def test_whoever_removes_what_is_to_be_kept_is_told_which_requests_wait(run: Run, service: FakeService) -> None:
    refused = {"code": "preservation_unanswered", "status": 409, "field": "/preservations"}
    service.canned[f"/v1/notices/{ID}:answer"] = (409, refused)
    wanted = {"preservation_id": ID, "counterpart": "police.example", "state": "requested", "kind": "preserve"}
    wanted |= {"instrument": "eu_2023_1543", "asked_at": "2026-03-15T12:00:00Z"}
    service.canned["/v1/preservations"] = (200, {"items": [wanted], "next": None})
    ended = run("notice", "answer", ID, "removed")
    said = f"unanswered since 2026-03-15 by police.example (eu_2023_1543): causeway preservation show {ID}\n"
    assert (ended.code, ended.err.startswith(said), "error: preservation_unanswered" in ended.err) == (1, True, True)
    service.canned[f"/v1/notices/{ID}:answer"] = (409, refused | {"code": "state_forbids"})
    assert "unanswered" not in run("notice", "answer", ID, "removed").err, "control"


def test_one_referral_is_submitted(run: Run, service: FakeService, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(submission(1), indent=4))
    ended = run("referral", "submit", path, "--json", "--idempotency-key", "mine-1")
    assert (ended.code, ended.json["state"]) == (0, "routed")
    assert service.requests[0][3]["idempotency-key"] == "mine-1"
    again = run("referral", "submit", path)
    earlier = service.referrals["CASE-1"]
    told = f"  this external_ref was submitted before: causeway referral show {earlier}\n"
    assert (again.code, again.err) == (1, f"error: external_ref_exists\n{told}")
    assert run("referral", "submit", path, "--json").json["error"]["referral_id"] == str(earlier)


def test_a_refusal_names_the_fields_for_people_and_for_programs(run: Run, service: FakeService) -> None:
    errors = [{"field": "/a", "rule": "missing"}]
    service.canned[f"/v1/referrals/{ID}"] = (422, {"code": "schema", "field": "/a", "errors": errors, "title": CANARY})
    ended = run("referral", "show", ID)
    assert (ended.code, ended.out, ended.err) == (1, "", "error: schema at /a\n  /a: missing\n")
    programs = run("referral", "show", ID, "--json")
    assert (programs.code, programs.err) == (1, "")
    assert programs.json == {"error": {"code": "schema", "status": 422, "field": "/a", "errors": errors}}


def test_a_referral_is_shown_with_its_edges(run: Run, service: FakeService) -> None:
    edge = {"recipient": "p.example", "purpose": "takedown", "reason": "r", "rules": ["one", "two"]}
    shown = {"referral_id": ID, "external_ref": "CASE-1", "state": "unroutable", "work_reason": "no_route"}
    shown |= {"edges": [edge | {"delivery": "applied"}]}
    service.canned[f"/v1/referrals/{ID}"] = (200, shown)
    ended = run("referral", "show", ID)
    assert ended.code == 0
    assert "unroutable (no_route)" in ended.out
    assert "p.example\ttakedown\tr\tone two\tapplied\t\tnone\n" in ended.out


def test_a_notice_is_shown_with_what_was_said_of_each_item(run: Run, service: FakeService) -> None:
    said = [{"n": 2, "round": 1, "action": "removed"}, {"n": 5, "round": 1, "rejection": "not_found"}]
    edge = {"recipient": "p.example", "purpose": "takedown", "reason": "r", "answer": "actioned"}
    shown = {"referral_id": ID, "state": "routed", "edges": [edge | {"answer_detail": {"items": said}}]}
    service.canned[f"/v1/referrals/{ID}"] = (200, shown)
    assert "\tactioned: 2 removed, 5 not_found\n" in run("referral", "show", ID).out
    # A later service may add or change fields of an item. The rest is shown anyway.
    shown["edges"] = [edge | {"answer_detail": {"items": "many"}}]
    assert "\tactioned\n" in run("referral", "show", ID).out


def test_a_list_stops_at_its_limit(run: Run, service: FakeService, tmp_path: Path) -> None:
    run("referral", "import", written(tmp_path / "a.jsonl", *(submission(number) for number in range(5))))
    service.page_size = 2
    found = run("referral", "list", "--limit", 3, "--json").json["items"]
    assert [item["external_ref"] for item in found] == ["CASE-0", "CASE-1", "CASE-2"]


def test_a_withdrawal_needs_a_reason_of_the_list(run: Run, service: FakeService) -> None:
    service.canned[f"/v1/referrals/{ID}:withdraw"] = (202, {"referral_id": ID, "state": "withdrawn"})
    assert run("referral", "withdraw", ID).code == 2
    assert run("referral", "withdraw", ID, "--reason", "because").code == 2
    ended = run("referral", "withdraw", ID, "--reason", "filed-in-error")
    assert (ended.code, ended.out) == (0, f"{ID}: withdrawn\n")
    assert service.requests[-1][2] == {"reason": "filed_in_error"}


@pytest.mark.parametrize("kind", ["inbox", "notices"])
def test_opened_addresses_are_shown_so_that_none_can_be_followed(run: Run, service: FakeService, kind: str) -> None:
    address = "https://provider-007.example/path/a.b?c=d.e"
    others = ["ed2k://|file|a|1|", "magnet:?xt=urn:btih:0", "HTTP://192.0.2.1/a", "user@provider-001.example"]
    record = {"items": [{"locator": {"kind": "url", "value": address}}], "others": others}
    shared = {"state": "offered", "exercise": True, "record": record}
    item = {"referral_id": ID, "origin": "h.example", "purpose": "investigation", "received_at": "2026-03-15T12:00:00Z"}
    service.canned[f"/v1/{kind}/{ID}"] = (200, {**shared, **(item if kind == "inbox" else {"notice_id": ID})})
    verb = "show" if kind == "inbox" else "notice"
    ended = run("inbox", verb, ID)
    assert ended.code == 0
    assert "hxxps[:]//provider-007[.]example/path/a[.]b" in ended.out
    assert '"origin": "h.example"' in ended.out or kind == "notices", "the ids of parties stay whole"
    assert not re.search(r"https?:|[a-z]://|magnet:|[0-9]\.example", ended.out, re.IGNORECASE)
    assert run("inbox", verb, ID, "--json").json["record"] == record


def test_the_inbox_lists_what_was_offered_and_what_was_issued(run: Run, service: FakeService) -> None:
    item = {"referral_id": ID, "origin": "h.example", "purpose": "investigation", "state": "offered", "exercise": True}
    item["received_at"] = "2026-03-15T12:00:00Z"
    service.canned["/v1/inbox"] = (200, {"items": [item], "next": None})
    notice = {"notice_id": ID, "state": "issued", "exercise": True, "notifier": "h.example", "purpose": "takedown"}
    notice |= {"received_at": "2026-03-15T12:00:00Z", "edge": {"deadlines": {"acknowledge_h": None, "act_h": 24}}}
    service.canned["/v1/notices"] = (200, {"items": [notice], "next": None})
    assert f"{ID}\t\th.example\tinvestigation\toffered\t" in run("inbox").out
    line = f"{ID}\t\th.example\ttakedown\tissued\tTrue\t2026-03-15 12:00Z\tact within 24 h\n"
    assert line in run("inbox", "notices").out
    assert run("inbox", "--state", "offered", "--json").json["items"][0]["referral_id"] == ID


def test_a_flow_is_listed_with_its_purpose(run: Run, service: FakeService) -> None:
    message = {"at": "2026-03-15T12:00:00Z", "topic": "t", "partition": 0, "offset": 3, "digest": "ab" * 32}
    offer = {"type": "causeway.referral_offered.v1", "sender": "h.example", "recipient": "p.example", "rules": ["one"]}
    kept_out = {"recipient": "q.example", "purpose": "takedown", "rules": ["no"]}
    decision = {"offset": 4, "detail": {"not_sent": [kept_out]}}
    opened = {"offset": 5, "detail": {"party": "p.example", "role": "analyst"}}
    later = ({"not_sent": [{"recipient": "q.example"}], "party": "p.example", "role": 7}, {"not_sent": "all"}, None)
    odd = [message | {"offset": 6, "detail": each} for each in later]
    messages = [message | offer, message | decision, message | opened, *odd]
    service.canned[f"/v1/flows/{ID}"] = (200, {"referral_id": ID, "messages": messages})
    shown = run("flow", ID, "--purpose", "yearly audit").out
    assert "t/0/3\th.example\tp.example\tcauseway.referral_offered.v1\tone\t" in shown
    assert "t/0/4: not sent to q.example for takedown: no\n" in shown
    assert "t/0/5: opened for p.example as analyst\n" in shown
    assert "t/0/6:" not in shown
    assert service.requests[-1][3]["purpose"] == "yearly audit"
    assert run("flow", ID).code == 2


WRONG_CALLS = (
    *("referral import /nowhere/a.csv", "referral show no-uuid", "referral list --limit 0"),
    *(f"referral list --url http://{host}.example" for host in ("hotline", "localhost", "localhost@hotline")),
    *("referral list --key cw_test_short", f"flow {ID} --purpose no", "inbox --frequency daily"),
    *(f"notice answer {ID} {words}" for words in ("", "archived", "x=removed", "0=removed")),
    *(f"notice acknowledge-withdrawal {ID} --kept-class us_1y", f"case decline {ID} --reason because"),
)


@pytest.mark.parametrize("call", WRONG_CALLS)
def test_a_wrong_call_ends_with_2_and_asks_nothing(run: Run, service: FakeService, call: str) -> None:
    assert run(*call.split()).code == 2
    assert service.requests == []


@pytest.mark.parametrize("missing", ["CAUSEWAY_URL", "CAUSEWAY_API_KEY"])
def test_a_missing_address_or_key_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.delenv(missing)
    ended = run("referral", "list")
    assert ended.code == 2
    assert missing in ended.err


def test_no_verb_ever_shows_the_key(run: Run, service: FakeService, tmp_path: Path) -> None:
    service.canned["/v1/inbox"] = (500, {"detail": "unreadable"})
    calls = ("inbox", "inbox --json", "referral list --url https://[bad", "inbox --help")
    shown = [run(*call.split()) for call in calls]
    assert all(KEY not in ended.out + ended.err for ended in shown)


def test_an_unreadable_file_is_a_failure_with_a_code(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.mkdir()
    assert run("referral", "check", path).code == 2
    directory = tmp_path / "b.jsonl.errors.jsonl"
    directory.mkdir()
    written(tmp_path / "b.jsonl", submission(1))
    ended = run("referral", "import", tmp_path / "b.jsonl")
    assert (ended.code, "file_unusable" in ended.err) == (1, True)


@pytest.mark.parametrize("rows", ["edges", "of another release"], ids=["an answer", "no answer"])
def test_a_reader_that_goes_away_early_gets_no_traceback(
    served: tuple[FakeService, str], service: FakeService, rows: str
) -> None:
    edges = [{"recipient": f"agency-{number}.example"} for number in range(2000)]
    service.canned[f"/v1/referrals/{ID}"] = (200, {"referral_id": ID, "state": "routed", rows: edges})
    arguments = ["show", ID, "--json", "--url", served[1], "--key", KEY]
    program = f"from client.cli.verbs import group; group('referral')({arguments})"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        if rows == "edges":
            process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_help_needs_neither_the_http_library_nor_the_contracts() -> None:
    program = (
        "import sys; from client.cli.verbs import group, table; [*map(group, table()['groups'])]; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert not {"httpx", "pydantic", "shared.core.contracts"} & set(loaded)
