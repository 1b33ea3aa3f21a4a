"""The attention list at the prompt, and the outcome of a case: in eighty columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import UUID

import pytest

from tests.client.fake_service import FakeService
from tests.client.prompt import Run

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
ID = "019ab0e5-1111-7111-8111-111111111111"


@pytest.fixture
def draws(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that runs a verb at a terminal of eighty columns, and returns what is drawn."""

    def drawn(*arguments: str) -> str:
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setattr("client.cli.output.sys.stdout.isatty", lambda: True)
        text = _STYLE.sub("", run(*arguments).out)
        assert max(map(len, text.splitlines())) <= 80
        return text

    return drawn


def test_what_needs_a_person_is_told_with_its_priority_and_the_act_that_helps(
    run: Run, service: FakeService, draws: Callable[..., str]
) -> None:
    item = {"kind": "referral", "subject": ID, "external_ref": "CASE-1", "party": "police-nl.example", "mend": "refile"}
    item |= {"priority": "p0_child_at_risk", "code": "insufficient_information", "since": "2026-03-15T12:00:07Z"}
    reasons = ["recipient_cannot_read", "p0_open"]
    service.canned["/v1/attention"] = (200, {"items": [item | {"reasons": reasons}], "next": None})
    ended = run("attention", "--priority", "p0")
    told = "recipient_cannot_read p0_open (insufficient_information)"
    assert f"{ID}\tp0\tpolice-nl.example\t{told}\t2026-03-15 12:00Z\trefile\n" in ended.out
    assert run("attention", "--json").json["items"][0]["reasons"] == reasons
    assert ID in draws("attention")


def test_what_falls_due_is_told_with_who_owes_it(run: Run, service: FakeService, draws: Callable[..., str]) -> None:
    said = {"due_at": "2026-03-15T12:00:00Z", "overdue": True, "due": "acknowledge", "then": "escalate", "run": 1}
    owed = {"counterpart": "police-nl.example", "owed_by": "police-nl.example", "purpose": "investigation", "rung": 0}
    item = said | owed | {"subject": ID, "clock": "nl-acknowledge"}
    service.canned["/v1/due"] = (200, {"items": [item], "next": None})
    assert f"{ID}\t2026-03-15 12:00!\tacknowledge\tpolice-nl.example\n" in run("due").out
    draws("due")


def test_an_inbox_shows_priorities_in_eighty_columns(run: Run, service: FakeService, draws: Callable[..., str]) -> None:
    item = {"referral_id": ID, "origin": "hotline-nl.example", "purpose": "victim_identification"}
    item |= {"state": "withdrawal_acknowledged", "priority": "p0_child_at_risk", "received_at": "2026-03-15T12:00:00Z"}
    service.canned["/v1/inbox"] = (200, {"items": [item], "next": None})
    assert f"{ID}\tp0\thotline-nl.example\t" in run("inbox", "--priority", "p0").out
    drawn = draws("inbox")
    assert ID in drawn
    assert all(item[name] in drawn for name in ("origin", "purpose", "state")), "no word is broken"
    assert "2026-03-15 12:00Z" in drawn


def test_a_referral_breaks_no_word_in_eighty_columns(run: Run, service: FakeService, draws: Callable[..., str]) -> None:
    edge = {"recipient": "police-nl.example", "purpose": "investigation", "reason": "victim_jurisdiction"}
    edge |= {"rules": ["nl-law-enforcement", "europol-victim"], "delivery": "delivered", "answer": "acknowledged"}
    shown = {"referral_id": ID, "external_ref": "CASE-1", "state": "withdrawn", "edges": [edge]}
    shown |= {"ticks": {"accepted": True, "delivered": {"done": 1, "of": 1}, "acknowledged": {"done": 0, "of": 1}}}
    service.canned[f"/v1/referrals/{ID}"] = (200, shown | {"withdrawn_at": "2026-03-15T12:00:00Z"})
    drawn = draws("referral", "show", ID)
    assert "accepted: yes  delivered: 1 of 1  acknowledged: 0 of 1  (of its withdrawal)\n" in drawn
    assert "police-nl.example\n  purpose: investigation  reason: victim_jurisdiction" in drawn
    assert all(word in drawn for word in ("rules: nl-law-enforcement", "europol-victim", "delivery: delivered"))
    assert "withdrawal:" not in drawn, "what is empty is not said"


def test_a_list_as_json_has_what_the_service_has_sent(run: Run, service: FakeService) -> None:
    service.referrals["CASE-1"] = UUID(ID)
    sent = {"referral_id": ID, "external_ref": "CASE-1", "state": "routed"}
    assert run("referral", "list", "--json").json == {"items": [sent]}


def test_what_has_come_of_a_case_and_what_its_agency_calls_it_are_shown(run: Run, service: FakeService) -> None:
    detail = {"outcome": "closed", "child_identified": "yes", "child_safeguarded": None}
    edge = {"recipient": "police-nl.example", "purpose": "investigation", "reason": "victim_jurisdiction", "rules": []}
    edge |= {"answer": "closed", "answer_detail": detail, "case_reference": "2026/17", "timeline": [{"number": 1}]}
    shown = {"referral_id": ID, "external_ref": "CASE-1", "state": "routed", "edges": [edge]}
    service.canned[f"/v1/referrals/{ID}"] = (200, shown)
    assert "closed: outcome closed, identified yes, case 2026/17\n" in run("referral", "show", ID).out
    told = run("referral", "show", ID, "--json").json["edges"][0]
    assert (told["case_reference"], told["timeline"]) == ("2026/17", [{"number": 1}])
