"""Only listed labels travel: parties of the directory, places of the tree, values of a scheme.

All others become `unknown`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from shared.core.contracts.referral import NumberedItem, ReferralRecord, ReferralSubmission
from shared.core.protocol.facts import UNKNOWN, closed
from shared.core.protocol.prepare import Prepared
from tests.support.builders import HOTLINE, PROVIDER
from tests.support.exchange_world import SUBMISSION, World, merged
from tests.support.preparing import prepare

#: Unknown labels, one for each field that holds a label.
STRANGE = {"assessor": "anna.example", "jurisdiction": "Europe", "value": "AGE_0_2", "service": "nowhere.example"}


def submission(**changes: Any) -> ReferralSubmission:
    return ReferralSubmission.model_validate_json(json.dumps(merged(SUBMISSION, changes)))


def prepared(here: World, **changes: Any) -> Prepared:
    origin = here.documents.directory.party(HOTLINE)
    assert origin is not None
    return prepare(submission(**changes), origin=origin, documents=here.documents, at=here.at)


def kept(here: World, **changes: Any) -> str:
    """Return the content that the origin stores. No recipient is sent more."""
    return prepared(here, **changes).content.decode()


def first(**changes: Any) -> list[dict[str, Any]]:
    return [SUBMISSION["items"][0] | changes, *SUBMISSION["items"][1:]]


def assessed(**changes: Any) -> list[dict[str, Any]]:
    return first(assessments=[{"scheme": "ucs", "value": "unknown"} | changes])


@pytest.mark.parametrize(
    "changes",
    [
        {"items": assessed(assessor=STRANGE["assessor"])},
        {"items": assessed(jurisdiction=STRANGE["jurisdiction"])},
        {"items": assessed(value=STRANGE["value"])},
        {"items": first(hosting=[{"provider": STRANGE["service"]}])},
        {"items": first(hosting=[{"jurisdiction": STRANGE["jurisdiction"]}])},
        {"subject_accounts": [{"service": STRANGE["service"], "account": "u-1"}]},
        {"user_jurisdictions": [STRANGE["jurisdiction"]]},
        {"victim_jurisdictions": [STRANGE["jurisdiction"]]},
    ],
)
def test_a_label_that_nobody_knows_becomes_unknown(here: World, changes: dict[str, Any]) -> None:
    text = kept(here, **changes)
    assert not [label for label in STRANGE.values() if label in text]
    assert f'"{UNKNOWN}"' in text
    # The control: the submission contains the label.
    assert any(label in submission(**changes).model_dump_json() for label in STRANGE.values())


def test_what_is_known_stays_as_it_was_filed(here: World) -> None:
    known = {"assessor": HOTLINE, "scheme": "interpol_baseline", "value": "baseline", "jurisdiction": "FR"}
    filed = submission(items=first(assessments=[known]))
    assert closed(filed, here.documents.directory) == filed
    assert UNKNOWN not in kept(here, items=first(assessments=[known]))


def test_an_unknown_provider_or_place_is_on_the_work_list_as_before_and_an_assessor_is_not(here: World) -> None:
    reasons = [
        prepared(here, **changes).unrouted_reason
        for changes in (
            {"items": first(hosting=[{"provider": STRANGE["service"]}])},
            {"user_jurisdictions": [STRANGE["jurisdiction"]]},
            {"items": assessed(assessor=STRANGE["assessor"])},
            {},
        )
    ]
    assert reasons[:2] == ["unknown_provider", "unknown_jurisdiction"]
    assert reasons[2] == reasons[3]


def test_a_record_with_a_free_label_of_a_scheme_is_none() -> None:
    item = {"n": 1, "locator": {"kind": "url", "value": "https://files.example/1"}}
    for value, taken in (("unknown", True), ("AGE_0_2", False)):
        stated = item | {"assessments": [{"scheme": "ucs", "value": value}]}
        if taken:
            NumberedItem.model_validate(stated)
        else:
            with pytest.raises(ValidationError, match="assessment_value_not_in_scheme"):
                NumberedItem.model_validate(stated)


def test_only_the_service_says_what_was_cut_from_an_address(here: World) -> None:
    cut = {"kind": "url", "value": "https://files.example/1", "cut": ["signature", "session"]}
    record = json.loads(kept(here))
    record["items"][0]["locator"] = cut
    assert ReferralRecord.model_validate(record).items[0].locator.model_dump()["cut"] == ("signature", "session")
    with pytest.raises(ValidationError, match="extra_forbidden"):
        submission(items=first(locator=cut))
    record["items"][0]["locator"] = cut | {"cut": ["x" * 25]}
    with pytest.raises(ValidationError, match=r"string_pattern_mismatch|string_too_long"):
        ReferralRecord.model_validate(record)


@pytest.mark.parametrize("field", ["n", "cut"])
def test_a_sender_gives_no_numbers(field: str) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        submission(items=first(**{field: 1}))


def test_times_are_no_finer_than_they_need_be() -> None:
    filed = submission(observed_at="2026-05-03T08:00:00.987Z")
    assert filed.model_dump(mode="json")["observed_at"] == "2026-05-03T08:00:00.000Z"
    for finer in ("2026-05-03T08:00:00Z", "2026-05-03T00:00:00.000Z"):
        with pytest.raises(ValidationError, match="day_form"):
            submission(items=first(hosting=[{"provider": PROVIDER, "observed_on": finer}]))
