"""The form of a new referral, and its problems."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, Field, JsonValue, TypeAdapter

from shared.core.contracts.base import PartyId, StatedJurisdiction
from shared.core.contracts.fields import ExternalRef
from shared.core.contracts.items import ITEMS_MAX
from shared.core.errors import Refused
from shared.core.guard import stored_form
from shared.core.vocabulary import referral as codes
from shared.core.vocabulary.judgement import ASSESSMENT_VALUES, AssessmentStatus
from shared.features.filing.api.bodies import CheckPassed, CheckRefused, ReferenceTaken
from shared.platform.console.forms import refused_as, said_of
from shared.platform.http.problems import FieldError, Problem

#: Form fields by the beginning of an error's pointer into the submission.
_FIELDS: Final = {
    "/items": "locations",
    "/external_ref": "external_ref",
    "/incident_kind": "incident_kind",
    "/incident_flags": "incident_flags",
    "/observed_at": "observed_at",
    "/media_kind": "media_kind",
    "/viewed_by": "viewed_by",
    "/priority": "priority",
    "/user_jurisdictions": "user_in",
    "/victim_jurisdictions": "victim_in",
}

#: Form fields with the same name as in a submission.
_PLAIN: Final = ("incident_kind", "incident_flags", "observed_at", "media_kind", "viewed_by")

#: Parts of an item that are the same for all locations.
_SHARED: Final = {"provider": "provider", "hosting": "hosted_in", "assessments": "classification", "site_type": "site"}

_CLASSES: Final = tuple(
    f"{scheme.value}:{value}" for scheme, values in ASSESSMENT_VALUES.items() for value in sorted(values)
)


LawField = Annotated[StatedJurisdiction | None, Field(description="The country of the law, such as NL.")]

ProviderField = Annotated[PartyId | None, Field(title="Hosted by", description="The provider's id, if it has one.")]


class NewReferral(BaseModel):
    """The form of a new referral. Locations have one line each; all later fields apply to every location."""

    external_ref: Annotated[ExternalRef, Field(title="Your reference")]
    locations: Annotated[
        tuple[str, ...],
        Field(min_length=1, max_length=ITEMS_MAX, description="One per line. Nothing is opened or fetched."),
    ]
    location_kind: Annotated[codes.LocatorKind, Field(title="Kind of location")] = codes.LocatorKind.URL
    provider: ProviderField = None
    hosted_in: Annotated[StatedJurisdiction | None, Field(description="A country code, such as NL.")] = None
    site: Annotated[codes.SiteType | None, Field(title="Kind of site")] = None
    incident_kind: codes.IncidentKind
    media_kind: codes.MediaKind
    observed_at: Annotated[datetime, Field(title="Seen at (UTC)")]
    viewed_by: codes.ViewedBy = codes.ViewedBy.UNKNOWN
    classification: str | None = None
    classified_under: LawField = None
    status: Annotated[AssessmentStatus | None, Field(title="Status of the classification")] = None
    priority: codes.PriorityLevel = codes.PriorityLevel.P2_NORMAL
    priority_basis: Annotated[tuple[codes.PriorityBasis, ...], Field(title="Because of")] = ()
    user_in: Annotated[tuple[StatedJurisdiction, ...], Field(description="Countries, one per line.")] = ()
    victim_in: Annotated[tuple[StatedJurisdiction, ...], Field(description="Countries, one per line.")] = ()
    incident_flags: tuple[codes.IncidentFlag, ...] = ()


#: The result of a check of one referral.
Looked = CheckPassed | CheckRefused

_PROBLEM: Final[TypeAdapter[Problem]] = TypeAdapter(ReferenceTaken | Problem)


def read_problem(body: bytes) -> Problem:
    """Return the problem in the answer to a filing."""
    return _PROBLEM.validate_json(body)


def classes() -> Sequence[str]:
    """Return every classification that the form offers, as `scheme:value`."""
    return _CLASSES


def submission(values: dict[str, JsonValue], *, exercise: bool) -> dict[str, JsonValue]:
    """Return the body of a submission from the form. The guard reports missing and wrong fields."""
    lines = values.get("locations")
    locations = lines if isinstance(lines, list) else []
    kind = values.get("location_kind") or codes.LocatorKind.URL.value
    shared = shared_of(values)
    items: list[JsonValue] = [item_of(kind, each, shared) for each in locations]
    body: dict[str, JsonValue] = {"exercise": exercise, "items": items}
    if "external_ref" in values:
        body["external_ref"] = values["external_ref"]
    return body | content_of(values)


def content_of(values: dict[str, JsonValue], *, level: JsonValue = None) -> dict[str, JsonValue]:
    """Return the fields of the whole referral. `level` is the priority if the form gives only its basis."""
    body: dict[str, JsonValue] = {name: values[name] for name in _PLAIN if name in values}
    if "priority" in values or "priority_basis" in values:
        chosen = values.get("priority") or level or codes.PriorityLevel.P2_NORMAL.value
        body["priority"] = {"level": chosen, "basis": values.get("priority_basis") or []}
    for name, field in (("user_jurisdictions", "user_in"), ("victim_jurisdictions", "victim_in")):
        if field in values:
            body[name] = values[field]
    return body


def item_of(kind: JsonValue, location: JsonValue, shared: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return one item at a location."""
    item: dict[str, JsonValue] = {"locator": {"kind": kind, "value": location}}
    return item | shared


def shared_of(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the parts of an item that are the same for every location."""
    shared: dict[str, JsonValue] = {}
    stated = {"jurisdiction": values.get("hosted_in"), "provider": values.get("provider")}
    if any(stated.values()):
        hosting: dict[str, JsonValue] = {name: value for name, value in stated.items() if value}
        shared["hosting"] = [hosting | {"method": "stated"}]
    if "site" in values:
        shared["site_type"] = values["site"]
    scheme, _, value = str(values.get("classification") or "").partition(":")
    classified = {"scheme": scheme or None, "value": value or None, "status": values.get("status")}
    classified["jurisdiction"] = values.get("classified_under")
    # A law or a status without a classification is refused later as one without its scheme.
    assessment: dict[str, JsonValue] = {name: each for name, each in classified.items() if each}
    if assessment:
        shared["assessments"] = [assessment]
    return shared


def problems_of(problem: Problem, *, lines: bool = True) -> list[tuple[str, str]]:
    """Return each wrong form field with its rule, never its value. `lines`: items are lines of the form."""
    if problem.errors:
        return [(_field(each.field), _describe(each, lines=lines)) for each in problem.errors]
    return [(_field(problem.field or ""), refused_as(problem.code, problem.title))]


def _describe(error: FieldError, *, lines: bool) -> str:
    place = error.field.split("/")
    line = f"Line {int(place[2]) + 1}: " if lines and "/locator" in error.field else ""
    return line + said_of(error.rule, error.expected)


def stored_lines(values: dict[str, JsonValue]) -> Sequence[tuple[int, str]]:
    """Return each line of the locations that is stored in another form: its number, and the form."""
    lines, kind = values.get("locations"), str(values.get("location_kind") or codes.LocatorKind.URL.value)
    found: list[tuple[int, str]] = []
    for n, line in enumerate(lines if isinstance(lines, list) else (), 1):
        try:
            found += [(n, form)] if (form := stored_form(str(line), kind)) != line else []
        except Refused:
            continue  # the preview shows the rule that the line breaks
    return found


def _field(pointer: str) -> str:
    within = next((name for part, name in _SHARED.items() if pointer.startswith("/items/") and part in pointer), None)
    return within or next((name for begin, name in _FIELDS.items() if pointer.startswith(begin)), "")
