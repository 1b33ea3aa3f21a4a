"""The form of a new referral: each error is at the field that it is about, and no field is left out silently."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel

from shared.core.contracts import base
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import InvalidFields
from shared.core.guard import as_kept
from shared.features.amendments.pages import Amendment
from shared.features.filing.pages import NewReferral, problems_of, stored_lines, submission
from shared.features.preservation.pages import NewPreservation
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


@pytest.mark.parametrize(
    ("kind", "line", "says"),
    [
        ("url", "qx7vw", "Line 2: The text has no host name. Give the whole address, for example https://"),
        ("url", "qx7vw:abc", "Line 2: The scheme before the first colon is none of a location"),
        ("url", "https://qx7vw.example:x/", "Line 2: The port after the host is not a number from 1 to 65535."),
        ("p2p", "qx7vw", "Line 2: The text is no complete link to a file in a peer-to-peer network."),
        ("onion", "qx7vw.onion", "Line 2: The text is no address of a version 3 onion service."),
        ("account", "qx7vw 1", "Line 2: Write letters, digits and @ . _ : + ~ # / - without spaces, for example "),
        ("message", "qx7vw 1", "Line 2: Write letters, digits and @ . _ : + ~ # / $"),
    ],
)
def test_a_wrong_location_names_its_line_what_is_wrong_and_an_accepted_form(kind: str, line: str, says: str) -> None:
    first = {"url": "www.a.example", "p2p": "0a7f" * 10, "onion": f"{'a7' * 28}.onion"}.get(kind, "anna_1")
    form: dict[str, Any] = WHOLE | {"locations": [first, line], "location_kind": kind}
    with pytest.raises(InvalidFields) as raised:
        as_kept(read_model(ReferralSubmission, submission(form, exercise=True)))
    ((field, text),) = problems_of(problem_body(raised.value))
    assert (field, text[: len(says)]) == ("locations", says)
    assert "qx7vw" not in str(problem_body(raised.value))
    assert "^" not in text


def test_the_form_shows_how_each_changed_line_is_stored() -> None:
    lines: list[Any] = ["https://a.example/1", "HXXPS://Straße[.]example/a b", "data:,x", "https://youtu.be/a?si=b"]
    assert stored_lines({"locations": lines}) == [
        (2, "https://xn--strae-oqa.example/a%20b"),
        (4, "https://youtu.be/a"),
    ]
    assert stored_lines({"locations": ["0A7F" * 10], "location_kind": "p2p"}) == [(1, "0a7f" * 10)]
    assert stored_lines({}) == []


@pytest.mark.parametrize("model", [NewReferral, Amendment, NewPreservation])
def test_each_pattern_of_a_form_has_words_for_it(model: type[BaseModel]) -> None:
    patterns = re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(model.model_json_schema()))
    times = [each for each in patterns if not each.startswith("^[0-9]{4}-")]
    assert times
    assert [each for each in times if json.loads(f'"{each}"') not in base._IN_WORDS] == []
