"""The form of an amendment: what is to be said otherwise. What is left empty stays, and is not shown for that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, Field, JsonValue
from pydantic_core import from_json, to_json

from shared.contracts.base import PartyId, StatedJurisdiction
from shared.contracts.items import ITEMS_MAX, ItemNumber
from shared.contracts.referral import ReferralSubmission
from shared.kernel.errors import Refused
from shared.party.origin.console.filing import content_of, item_of, shared_of
from shared.party.origin.use_cases.amend import Stands
from shared.runtime.http.edge import read_model
from shared.vocabulary.judgement import AssessmentStatus
from shared.vocabulary.referral import (
    IncidentFlag,
    IncidentKind,
    LocatorKind,
    MediaKind,
    PriorityBasis,
    PriorityLevel,
    SiteType,
    ViewedBy,
)

_Numbers = Annotated[tuple[ItemNumber, ...], Field(max_length=ITEMS_MAX)]
#: What is said of an item in one word, and by what name the form asks it.
_OF_ITEMS: Final = ("hosting", "site_type", "assessments")


class Amendment(BaseModel):
    """What the form asks. What is said of items is said of those that are named, and of those that are added."""

    leave_out: Annotated[_Numbers, Field(title="Items to leave out", description="Numbers, one a line.")] = ()
    locations: Annotated[
        tuple[str, ...],
        Field(title="Further locations", description="One a line. Nothing is opened or fetched."),
    ] = ()
    location_kind: Annotated[LocatorKind, Field(title="Kind of location")] = LocatorKind.URL
    of_items: Annotated[
        _Numbers, Field(title="Items that this is said of", description="Numbers, one a line; empty: of every item.")
    ] = ()
    provider: Annotated[PartyId | None, Field(title="Hosted by", description="The provider's id, if it has one.")] = (
        None
    )
    hosted_in: Annotated[StatedJurisdiction | None, Field(description="A country, as NL.")] = None
    site: Annotated[SiteType | None, Field(title="Kind of site")] = None
    classification: str | None = None
    classified_under: Annotated[StatedJurisdiction | None, Field(description="The law of a country, as NL.")] = None
    status: Annotated[AssessmentStatus | None, Field(title="Status of the classification")] = None
    incident_kind: IncidentKind | None = None
    media_kind: MediaKind | None = None
    observed_at: Annotated[datetime | None, Field(title="Seen at (UTC)")] = None
    viewed_by: ViewedBy | None = None
    priority: PriorityLevel | None = None
    priority_basis: Annotated[tuple[PriorityBasis, ...], Field(title="Because of")] = ()
    user_in: Annotated[tuple[StatedJurisdiction, ...], Field(description="Countries, one a line.")] = ()
    victim_in: Annotated[tuple[StatedJurisdiction, ...], Field(description="Countries, one a line.")] = ()
    incident_flags: tuple[IncidentFlag, ...] = ()


def amended(stands: Stands, said: dict[str, JsonValue]) -> ReferralSubmission:
    """What stands, with what was filled in instead. Raises `Refused`: `item_unknown`, `nothing_amended`."""
    if not set(said) - {"location_kind"}:
        raise Refused("nothing_amended", "say what is to be otherwise", field="/form")
    body: dict[str, JsonValue] = from_json(stands.content)
    items: list[dict[str, JsonValue]] = body["items"]  # type: ignore[assignment]
    left_out = _numbers(said, "leave_out", items)
    of_items = _numbers(said, "of_items", items) or {each["n"] for each in items}
    shared = shared_of(said)
    kept = [_said(each, shared if each["n"] in of_items else {}) for each in items if each["n"] not in left_out]
    kind, lines = said.get("location_kind") or LocatorKind.URL.value, said.get("locations")
    for each in lines if isinstance(lines, list) else []:
        alike: dict[str, JsonValue] = {name: kept[0][name] for name in _OF_ITEMS if kept and name in kept[0]}
        kept.append(item_of(kind, each, {**alike, **shared}))
    body |= content_of(said, level=_level(body))
    # Of JSON, as everything that is posted is.
    body |= {"items": from_json(to_json(kept)), "external_ref": stands.external_ref, "exercise": stands.exercise}
    return read_model(ReferralSubmission, body)


def _said(item: dict[str, JsonValue], shared: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """An item as it is submitted: without its number, and without what only the guard says of its location."""
    locator = item["locator"]
    assert isinstance(locator, dict)
    bare: dict[str, JsonValue] = {"locator": {name: value for name, value in locator.items() if name != "cut"}}
    return {name: value for name, value in item.items() if name != "n"} | bare | shared


def _numbers(said: dict[str, JsonValue], name: str, items: Sequence[dict[str, JsonValue]]) -> set[JsonValue]:
    told = said.get(name)
    wanted = set(told if isinstance(told, list) else [])
    if wanted - {each["n"] for each in items}:
        raise Refused("item_unknown", "no such item", field=f"/{name}")
    return wanted


def _level(body: dict[str, JsonValue]) -> str | None:
    """The priority that stands."""
    priority = body.get("priority")
    level = priority.get("level") if isinstance(priority, dict) else None
    return level if isinstance(level, str) else None
