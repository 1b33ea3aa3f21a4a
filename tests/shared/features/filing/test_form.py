"""The form of a new referral: each error is at the field that it is about, and no field is left out silently."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import InvalidFields
from shared.features.filing.pages import problems_of, submission
from shared.platform.http.edge import read_model
from shared.platform.http.problems import problem_body

WHOLE = {
    "external_ref": "ref-1",
    "locations": ["https://images.example/1"],
    "incident_kind": "csam",
    "media_kind": "image",
    "observed_at": "2026-03-20T08:00:00.000Z",
    "hosted_in": "NL",
}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"classified_under": "NL"}, "classification"),
        ({"status": "final"}, "classification"),
        ({"provider": "Provider 12"}, "provider"),
        ({"hosted_in": "N/L"}, "hosted_in"),
    ],
)
def test_an_error_is_at_its_field_and_at_no_line_of_the_locations(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFields) as raised:
        read_model(ReferralSubmission, submission(WHOLE | fields, exercise=True))
    problems = problems_of(problem_body(raised.value))
    assert {name for name, _ in problems} == {field}
    assert not [text for _, text in problems if "Line" in text]


def test_a_wrong_location_names_its_line() -> None:
    with pytest.raises(InvalidFields) as raised:
        read_model(ReferralSubmission, submission(WHOLE | {"locations": ["https://a.example/1", "b"]}, exercise=True))
    ((field, text),) = problems_of(problem_body(raised.value))
    assert (field, text.startswith("Line 2: ")) == ("locations", True)
