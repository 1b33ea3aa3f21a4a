"""The form of an amendment: only the filled-in fields change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, Field, JsonValue
from pydantic_core import from_json, to_json

from shared.core.contracts.base import StatedJurisdiction
from shared.core.contracts.items import ITEMS_MAX, ItemNumber
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.vocabulary import referral as codes
from shared.core.vocabulary.judgement import AssessmentStatus
from shared.features.amendments.service import CurrentReferral
from shared.features.filing.pages import LawField, ProviderField, content_of, item_of, shared_of
from shared.platform.http.edge import read_model

_Numbers = Annotated[tuple[ItemNumber, ...], Field(max_length=ITEMS_MAX)]

#: The item fields that an added location takes from the first item.
_OF_ITEMS: Final = ("hosting", "site_type", "assessments")


class Amendment(BaseModel):
    """The form of an amendment. Item fields apply to the named items and to the added ones."""

    leave_out: Annotated[_Numbers, Field(title="Items to leave out", description="Numbers, one per line.")] = ()
    locations: Annotated[
        tuple[str, ...], Field(title="Further locations", description="One per line. Nothing is opened or fetched.")
    ] = ()
    location_kind: Annotated[codes.LocatorKind, Field(title="Kind of location")] = codes.LocatorKind.URL
    of_items: Annotated[
        _Numbers,
        Field(title="Items that these fields apply to", description="Numbers, one per line. If empty, every item."),
    ] = ()
    provider: ProviderField = None
    hosted_in: Annotated[StatedJurisdiction | None, Field(description="A country code, such as NL.")] = None
    site: Annotated[codes.SiteType | None, Field(title="Kind of site")] = None
    classification: str | None = None
    classified_under: LawField = None
    status: Annotated[AssessmentStatus | None, Field(title="Status of the classification")] = None
    incident_kind: codes.IncidentKind | None = None
    media_kind: codes.MediaKind | None = None
    observed_at: Annotated[datetime | None, Field(title="Seen at (UTC)")] = None
    viewed_by: codes.ViewedBy | None = None
    priority: codes.PriorityLevel | None = None
    priority_basis: Annotated[tuple[codes.PriorityBasis, ...], Field(title="Because of")] = ()
    user_in: Annotated[tuple[StatedJurisdiction, ...], Field(description="Countries, one per line.")] = ()
    victim_in: Annotated[tuple[StatedJurisdiction, ...], Field(description="Countries, one per line.")] = ()
    incident_flags: tuple[codes.IncidentFlag, ...] = ()


def amended(current: CurrentReferral, values: dict[str, JsonValue]) -> ReferralSubmission:
    """Return the current record with the changes of the form. Raises `Refused`: `item_unknown`, `nothing_amended`."""
    if not set(values) - {"location_kind"}:
        raise Refused("nothing_amended", "fill in at least one field", field="/form")
    body: dict[str, JsonValue] = from_json(current.content)
    body |= {"external_ref": current.external_ref, "exercise": current.exercise}
    items: list[dict[str, JsonValue]] = body["items"]  # type: ignore[assignment]
    present = read_model(ReferralSubmission, body | {"items": [_submitted(each, {}) for each in items]})
    left_out = _numbers(values, "leave_out", items)
    of_items = _numbers(values, "of_items", items) or {each["n"] for each in items}
    shared = shared_of(values)
    kept = [_submitted(each, shared if each["n"] in of_items else {}) for each in items if each["n"] not in left_out]
    kind, lines = values.get("location_kind") or codes.LocatorKind.URL.value, values.get("locations")
    for each in lines if isinstance(lines, list) else []:
        alike: dict[str, JsonValue] = {name: kept[0][name] for name in _OF_ITEMS if kept and name in kept[0]}
        kept.append(item_of(kind, each, _changed(alike, shared)))
    # Converted to JSON values, as in every posted body.
    body |= content_of(values, level=_level(body)) | {"items": from_json(to_json(kept))}
    if (submission := read_model(ReferralSubmission, body)) == present:
        raise Refused("nothing_amended", "the referral already says this", field="/form")
    return submission


def _changed(item: dict[str, JsonValue], shared: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return an item with the given fields. Of each present host and assessment, fields that are not given stay."""
    parts: dict[str, JsonValue] = {}
    for name, given in shared.items():
        before = item.get(name)
        if isinstance(given, list) and isinstance(before, list) and before:
            merged = [{**each, **given[0]} for each in before if isinstance(each, dict) and isinstance(given[0], dict)]
            parts[name] = [each for place, each in enumerate(merged) if each not in merged[:place]]
    return item | shared | parts


def _submitted(item: dict[str, JsonValue], shared: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return an item as it is submitted: without its number and without the guard's notes on its location."""
    locator = item["locator"]
    assert isinstance(locator, dict)
    bare: dict[str, JsonValue] = {"locator": {name: value for name, value in locator.items() if name != "cut"}}
    return _changed({name: value for name, value in item.items() if name != "n"} | bare, shared)


def _numbers(values: dict[str, JsonValue], name: str, items: Sequence[dict[str, JsonValue]]) -> set[JsonValue]:
    chosen = values.get(name)
    wanted = set(chosen if isinstance(chosen, list) else [])
    if wanted - {each["n"] for each in items}:
        raise Refused("item_unknown", "the referral has no such item", field=f"/{name}")
    return wanted


def _level(body: dict[str, JsonValue]) -> str | None:
    """Return the current priority."""
    priority = body.get("priority")
    level = priority.get("level") if isinstance(priority, dict) else None
    return level if isinstance(level, str) else None
