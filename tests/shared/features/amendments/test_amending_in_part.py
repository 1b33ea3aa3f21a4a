"""A partial amendment: fields left empty stay unchanged, item by item."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.core.errors import Refused
from shared.features.amendments.pages import Amendment, amended
from shared.features.amendments.service import CurrentReferral
from shared.platform.console.forms import read_inputs


def stands(**changes: Any) -> CurrentReferral:
    items = [
        {
            "n": n,
            "locator": {"kind": "url", "value": f"https://images.example/canary/{n}", "cut": ["query"]},
            "hosting": [{"jurisdiction": "NL", "provider": "provider-012.example", "method": "stated"}],
        }
        for n in (1, 3)
    ]
    record = {
        "incident_kind": "csam",
        "observed_at": "2026-03-20T08:00:00.000Z",
        "media_kind": "image",
        "viewed_by": "human",
        "priority": {"level": "p0_child_at_risk", "basis": ["imminent_harm"]},
        "items": items,
        "external_ref": "ref-1",
    }
    return CurrentReferral("ref-1", True, json.dumps(record | changes).encode())


def said(**fields: str | list[str]) -> dict[str, Any]:
    """Return the form data of a browser, as the server reads it."""
    return read_inputs(Amendment, {name: each if isinstance(each, list) else [each] for name, each in fields.items()})


def test_what_is_left_empty_stays() -> None:
    submission = amended(stands(), said(media_kind="video"))
    assert submission.media_kind == "video"
    assert (submission.external_ref, submission.exercise, submission.viewed_by) == ("ref-1", True, "human")
    assert submission.priority.level == "p0_child_at_risk"
    assert [item.locator.value for item in submission.items] == [f"https://images.example/canary/{n}" for n in (1, 3)]
    assert {item.hosting[0].provider for item in submission.items} == {"provider-012.example"}


def test_what_is_said_of_an_item_is_said_of_no_other() -> None:
    submission = amended(stands(), said(provider="provider-001.example", of_items="3"))
    assert [item.hosting[0].provider for item in submission.items] == ["provider-012.example", "provider-001.example"]


def test_the_other_fields_of_a_host_and_of_an_assessment_stay() -> None:
    """Else their loss would withdraw the referral from recipients that it still concerns."""
    scheme = {"scheme": "interpol_baseline", "value": "baseline", "jurisdiction": "BE", "status": "final"}
    hosts = [{"jurisdiction": code, "provider": "provider-012.example", "method": "stated"} for code in ("NL", "DE")]
    item = {"n": 1, "locator": {"kind": "url", "value": "https://images.example/1"}}
    whole = stands(items=[item | {"hosting": hosts, "assessments": [scheme]}])
    moved = amended(whole, said(provider="provider-001.example", status="provisional")).items[0]
    assert [(each.jurisdiction, each.provider) for each in moved.hosting] == [
        ("NL", "provider-001.example"),
        ("DE", "provider-001.example"),
    ]
    (assessed,) = moved.assessments
    assert (assessed.value, assessed.jurisdiction, assessed.status) == ("baseline", "BE", "provisional")
    assert len(amended(whole, said(hosted_in="FR")).items[0].hosting) == 1


def test_an_item_is_left_out_and_another_comes_with_what_is_said_of_the_first() -> None:
    submission = amended(stands(), said(leave_out="1", locations="https://images.example/canary/9"))
    assert [item.locator.value[-1] for item in submission.items] == ["3", "9"]
    assert submission.items[1].hosting == submission.items[0].hosting


def test_a_basis_alone_keeps_the_priority() -> None:
    submission = amended(stands(), said(priority_basis=["ongoing_abuse"]))
    assert (submission.priority.level, submission.priority.basis) == ("p0_child_at_risk", ("ongoing_abuse",))


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({}, "nothing_amended", "/form"),
        ({"location_kind": "url"}, "nothing_amended", "/form"),
        ({"hosted_in": "NL"}, "nothing_amended", "/form"),
        ({"status": "final"}, "fields_invalid", None),
        ({"leave_out": "2"}, "item_unknown", "/leave_out"),
        ({"of_items": "2", "provider": "provider-001.example"}, "item_unknown", "/of_items"),
        ({"locations": "a secret", "location_kind": "account"}, "fields_invalid", None),
        ({"leave_out": ["1\n3"]}, "fields_invalid", None),
    ],
)
def test_what_cannot_be_is_refused_without_a_value(fields: Any, code: str, field: str | None) -> None:
    with pytest.raises(Refused) as raised:
        amended(stands(), said(**fields))
    assert raised.value.code == code
    assert raised.value.field == field or field is None
    assert "secret" not in str(vars(raised.value))
    assert "canary" not in str(vars(raised.value))
