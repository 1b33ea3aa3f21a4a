"""What the client says to do about a refusal: of what can come, and beside each code and rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.cli import mends
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
    told = f"error: {code} at /a\n  {mends.CODES[code]}\n  /a: {rule} ({mends.RULES[rule]})\n"
    assert run("referral", "show", ID).err == told


def test_what_a_mend_is_told_of_can_come() -> None:
    places = [path.read_text() for room in ("shared", "services", "client") for path in Path(room).rglob("*.py")]
    others = "".join(text for text in places if "CODES: Final[Mapping[str, str]]" not in text)
    of_pydantic = {"enum", "too_long", "too_short", "extra_forbidden", "string_pattern_mismatch"}
    names = {*mends.CODES, *mends.RULES} - of_pydantic
    assert [name for name in sorted(names) if f'"{name.removeprefix("guard_rules_")}"' not in others] == []
