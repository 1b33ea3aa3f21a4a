"""The client's advice for a refusal: for possible refusals only, shown with each code and rule."""

from __future__ import annotations

import pytest

from shared.core.codes import ERRORS, RULES
from tests.client.fake_service import FakeService
from tests.client.prompt import Run

ID = "019ab0e5-1111-7111-8111-111111111111"


@pytest.mark.parametrize(("code", "rule"), [("state_forbids", "enum"), ("case_is_kept", "instant_form")])
def test_a_refusal_says_what_to_do_about_its_code_and_rules(
    run: Run, service: FakeService, code: str, rule: str
) -> None:
    errors = [{"field": "/a", "rule": rule}]
    service.canned[f"/v1/referrals/{ID}"] = (
        422,
        {"code": code, "field": "/a", "errors": errors, "title": "not for people"},
    )
    told = f"error: {code} at /a\n  {ERRORS[code].remedy}\n  /a: {rule} ({RULES[rule]})\n"
    assert run("referral", "show", ID).err == told


def test_a_refusal_lists_the_values_that_are_right(run: Run, service: FakeService) -> None:
    errors = [{"field": "/a", "rule": "enum", "expected": "one of 'x' or 'y'"}, {"field": "/b", "rule": "enum"}]
    errors.append({"field": "/c", "rule": "enum", "expected": "\x1b[2J"})
    service.canned[f"/v1/referrals/{ID}"] = (422, {"code": "fields_invalid", "errors": errors, "title": "t"})
    told = run("referral", "show", ID).err.splitlines()[2:]
    assert told == ["  /a: enum (one of 'x' or 'y')", f"  /b: enum ({RULES['enum']})", f"  /c: enum ({RULES['enum']})"]
    shown = run("referral", "show", ID, "--json").json["error"]["errors"]
    assert shown[0] == errors[0]
