"""Forms for the acts that are possible on a referral in its present state, and for its submission and amendment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, Field, JsonValue, TypeAdapter
from pydantic_core import from_json, to_json

from shared.core.acts.act import Act, Subject
from shared.core.acts.states import may_come_in, row
from shared.core.authority import Role
from shared.core.contracts.base import Contract, PartyId, StatedJurisdiction
from shared.core.contracts.fields import ExternalRef
from shared.core.contracts.items import ITEMS_MAX, DisownedItem, ItemNumber
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.vocabulary import referral as codes
from shared.core.vocabulary.judgement import ASSESSMENT_VALUES, AssessmentStatus
from shared.core.vocabulary.questions import QuestionKind, QuestionState
from shared.core.vocabulary.routing import PartyKind
from shared.party.origin.api.bodies import CheckPassed, CheckRefused, ReferenceTaken
from shared.party.origin.domain import SentEdge, ShownReferral
from shared.party.origin.records import ACTIVE
from shared.party.origin.use_cases.amend import CurrentReferral, Rerouting
from shared.party.origin.use_cases.referrals import Withdrawal
from shared.party.questions.store import ShownQuestion
from shared.platform.console.forms import Choice, FieldGroup, Input, inputs_of, refused_as, said_of
from shared.platform.http.edge import read_model
from shared.platform.http.problems import FieldError, Problem


def _row(name: str) -> Act:
    return row(Subject.REFERRAL, name)


AMEND: Final = _row("amend")

REROUTE: Final = _row("reroute")

#: The acts that have a form here, in the order of the page, each with its body type.
FORMS: Final[Mapping[Act, type[Contract] | None]] = {
    _row("reply"): _row("reply").takes,
    _row("uphold"): _row("uphold").takes,
    REROUTE: Rerouting,
    _row("check"): _row("check").takes,
    _row("propose_override"): _row("propose_override").takes,
    _row("confirm_override"): _row("confirm_override").takes,
    _row("transfer"): _row("transfer").takes,
    _row("release"): None,
    _row("drop"): None,
    _row("withdraw"): Withdrawal,
}

_HINTS: Final[Mapping[str, str]] = {
    "release": "The referral is decided by the current law, and sent. Only a person that did not file it can do this.",
    "drop": "The referral is erased and sent to no recipient. Only a person that did not file it can do this.",
    "propose_override": "The hold stays until another person confirms the override.",
    "confirm_override": "Only a person that did not propose it can do this. The notices are sent in the next slot.",
    "transfer": "The referral is yours until a hotline claims it. Leave the field empty for all orphan mandates.",
    "reroute": "The items are sent to the provider that hosts them. Neither provider learns of the other.",
}


class ActForm(NamedTuple):
    """One form. `about` distinguishes it from others of the same act; `hidden` are its hidden fields."""

    act: Act
    about: str = ""
    title: str = ""
    hint: str = ""
    hidden: Mapping[str, str] = MappingProxyType({})
    inputs: Sequence[Input | FieldGroup] = ()

    @property
    def key(self) -> str:
        """Return the prefix of its field ids, unique on a page with several forms."""
        return f"{self.act.name}{'-' if self.about else ''}{self.about}"


def forms_of(
    found: ShownReferral, raised: Sequence[ShownQuestion], role: Role, *, kinds: Mapping[str, str]
) -> list[ActForm]:
    """Return the forms for a role. `kinds` are the kinds of the referral's recipients."""
    forms: list[ActForm] = []
    for act in FORMS:
        if role in act.roles and found.state.value in may_come_in(act):
            forms += _forms(act, found, raised, kinds=kinds)
    return forms


def may_amend(found: ShownReferral, role: Role) -> bool:
    return role in AMEND.roles and found.state.value in may_come_in(AMEND)


def _forms(
    act: Act, found: ShownReferral, raised: Sequence[ShownQuestion], *, kinds: Mapping[str, str]
) -> Iterator[ActForm]:
    match act.name:
        case "reply" | "uphold":
            yield from _answering(act, raised)
        case "reroute":
            yield from (_rerouting(edge) for edge in found.edges if _disowned(edge))
        case "propose_override" | "confirm_override":
            for hold in found.holds:
                if hold.state == ACTIVE:
                    shown = f"{_title(act)}: {hold.agency}"
                    yield _form(act, shown, about=str(hold.hold), hidden={"hold": str(hold.hold)})
        case "transfer":
            names = {edge.recipient for edge in found.edges if edge.notice_id is None}
            to = tuple(Choice(each, each) for each in sorted(names) if kinds.get(each) == PartyKind.HOTLINE)
            if to:
                yield _form(act, _title(act), to=to)
        case "check":
            if any(edge.notice_id for edge in found.edges):
                yield _form(act, "Report a recheck")
        case _:
            yield _form(act, _title(act))


def _answering(act: Act, raised: Sequence[ShownQuestion]) -> Iterator[ActForm]:
    kind = QuestionKind.QUESTION if act.name == "reply" else QuestionKind.DISPUTE
    for each in raised:
        if not each.own and each.kind is kind and each.state is QuestionState.OPEN:
            hidden = {"party": each.party, kind.value: str(each.number)}
            title = f"Answer {kind.value} {each.number} of {each.party}"
            yield _form(act, title, about=f"{each.party}-{each.number}", hidden=hidden, rows=each.about)


def _rerouting(edge: SentEdge) -> ActForm:
    title, hidden = f"Reroute items that {edge.recipient} does not host", {"notice_id": str(edge.notice_id)}
    suggested = sorted({each.suggested for each in _disowned(edge) if each.suggested})
    hint = f"The answer suggests {', '.join(suggested)}." if suggested else "Name the provider that hosts the items."
    return _form(REROUTE, title, about=str(edge.notice_id), hidden=hidden, hint=f"{hint} {_HINTS['reroute']}")


def _disowned(edge: SentEdge) -> Sequence[DisownedItem]:
    found = None if edge.answer_detail is None else edge.answer_detail.disowned
    return found if found and edge.notice_id is not None else ()


def _form(
    act: Act,
    title: str,
    *,
    about: str = "",
    hidden: Mapping[str, str] | None = None,
    rows: Sequence[int] = (),
    hint: str | None = None,
    to: tuple[Choice, ...] = (),
) -> ActForm:
    known = hidden or {}
    asked = [each for each in inputs_of(FORMS[act], rows=rows) if each.path not in known]
    if to:
        asked = [
            each._replace(kind="select", choices=to) if isinstance(each, Input) and each.path == "to" else each
            for each in asked
        ]
    return ActForm(act, about, title, _HINTS.get(act.name, "") if hint is None else hint, known, tuple(asked))


def _title(act: Act) -> str:
    return act.name.replace("_", " ").capitalize()


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
_SHARED: Final = {"hosting": "hosted_in", "provider": "provider", "assessments": "classification", "site_type": "site"}

_LOCATION: Final = "The location does not match the chosen kind. Give all of it, such as https://images.host.example/1"

_CLASSES: Final = tuple(
    f"{scheme.value}:{value}" for scheme, values in ASSESSMENT_VALUES.items() for value in sorted(values)
)


_Law = Annotated[StatedJurisdiction | None, Field(description="The country of the law, such as NL.")]

_Provider = Annotated[PartyId | None, Field(title="Hosted by", description="The provider's id, if it has one.")]


class NewReferral(BaseModel):
    """The form of a new referral. Locations have one line each; all later fields apply to every location."""

    external_ref: Annotated[ExternalRef, Field(title="Your reference")]
    locations: Annotated[
        tuple[str, ...],
        Field(min_length=1, max_length=ITEMS_MAX, description="One per line. Nothing is opened or fetched."),
    ]
    location_kind: Annotated[codes.LocatorKind, Field(title="Kind of location")] = codes.LocatorKind.URL
    provider: _Provider = None
    hosted_in: Annotated[StatedJurisdiction | None, Field(description="A country code, such as NL.")] = None
    site: Annotated[codes.SiteType | None, Field(title="Kind of site")] = None
    incident_kind: codes.IncidentKind
    media_kind: codes.MediaKind
    observed_at: Annotated[datetime, Field(title="Seen at (UTC)")]
    viewed_by: codes.ViewedBy = codes.ViewedBy.UNKNOWN
    classification: str | None = None
    classified_under: _Law = None
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


def submission(said: dict[str, JsonValue], *, exercise: bool) -> dict[str, JsonValue]:
    """Return the body of a submission from the form. The guard reports missing and wrong fields."""
    lines = said.get("locations")
    locations = lines if isinstance(lines, list) else []
    kind = said.get("location_kind") or codes.LocatorKind.URL.value
    shared = shared_of(said)
    items: list[JsonValue] = [item_of(kind, each, shared) for each in locations]
    body: dict[str, JsonValue] = {"exercise": exercise, "items": items}
    if "external_ref" in said:
        body["external_ref"] = said["external_ref"]
    return body | content_of(said)


def content_of(said: dict[str, JsonValue], *, level: JsonValue = None) -> dict[str, JsonValue]:
    """Return the fields of the whole referral. `level` is the priority if the form gives only its basis."""
    body: dict[str, JsonValue] = {name: said[name] for name in _PLAIN if name in said}
    if "priority" in said or "priority_basis" in said:
        told = said.get("priority") or level or codes.PriorityLevel.P2_NORMAL.value
        body["priority"] = {"level": told, "basis": said.get("priority_basis") or []}
    for name, told_as in (("user_jurisdictions", "user_in"), ("victim_jurisdictions", "victim_in")):
        if told_as in said:
            body[name] = said[told_as]
    return body


def item_of(kind: JsonValue, location: JsonValue, shared: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return one item at a location."""
    item: dict[str, JsonValue] = {"locator": {"kind": kind, "value": location}}
    return item | shared


def shared_of(said: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the parts of an item that are the same for every location."""
    shared: dict[str, JsonValue] = {}
    stated = {"jurisdiction": said.get("hosted_in"), "provider": said.get("provider")}
    if any(stated.values()):
        hosting: dict[str, JsonValue] = {name: value for name, value in stated.items() if value}
        shared["hosting"] = [hosting | {"method": "stated"}]
    if "site" in said:
        shared["site_type"] = said["site"]
    scheme, _, value = str(said.get("classification") or "").partition(":")
    if scheme:
        assessment: dict[str, JsonValue] = {"scheme": scheme, "value": value}
        if said.get("classified_under"):
            assessment["jurisdiction"] = said["classified_under"]
        if said.get("status"):
            assessment["status"] = said["status"]
        shared["assessments"] = [assessment]
    return shared


def problems_of(problem: Problem, *, lines: bool = True) -> list[tuple[str, str]]:
    """Return each wrong form field with its rule, never its value. `lines`: items are lines of the form."""
    if problem.errors:
        return [(_field(each.field), _said(each, lines=lines)) for each in problem.errors]
    return [(_field(problem.field or ""), refused_as(problem.code, problem.title))]


def _said(error: FieldError, *, lines: bool) -> str:
    place = error.field.split("/")
    of_line = lines and error.field.startswith("/items/") and place[2].isdecimal()
    line = f"Line {int(place[2]) + 1}: " if of_line else ""
    return line + (_LOCATION if "/locator" in error.field else said_of(error.rule, error.expected))


def _field(pointer: str) -> str:
    within = next((name for part, name in _SHARED.items() if pointer.startswith("/items/") and part in pointer), None)
    return within or next((name for begin, name in _FIELDS.items() if pointer.startswith(begin)), "")


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
    provider: _Provider = None
    hosted_in: Annotated[StatedJurisdiction | None, Field(description="A country code, such as NL.")] = None
    site: Annotated[codes.SiteType | None, Field(title="Kind of site")] = None
    classification: str | None = None
    classified_under: _Law = None
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


def amended(stands: CurrentReferral, said: dict[str, JsonValue]) -> ReferralSubmission:
    """Return the current record with the changes of the form. Raises `Refused`: `item_unknown`, `nothing_amended`."""
    if not set(said) - {"location_kind"}:
        raise Refused("nothing_amended", "fill in at least one field", field="/form")
    body: dict[str, JsonValue] = from_json(stands.content)
    items: list[dict[str, JsonValue]] = body["items"]  # type: ignore[assignment]
    left_out = _numbers(said, "leave_out", items)
    of_items = _numbers(said, "of_items", items) or {each["n"] for each in items}
    shared = shared_of(said)
    kept = [_submitted(each, shared if each["n"] in of_items else {}) for each in items if each["n"] not in left_out]
    kind, lines = said.get("location_kind") or codes.LocatorKind.URL.value, said.get("locations")
    for each in lines if isinstance(lines, list) else []:
        alike: dict[str, JsonValue] = {name: kept[0][name] for name in _OF_ITEMS if kept and name in kept[0]}
        kept.append(item_of(kind, each, {**alike, **shared}))
    body |= content_of(said, level=_level(body))
    # Converted to JSON values, as in every posted body.
    body |= {"items": from_json(to_json(kept)), "external_ref": stands.external_ref, "exercise": stands.exercise}
    return read_model(ReferralSubmission, body)


def _submitted(item: dict[str, JsonValue], shared: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return an item as it is submitted: without its number and without the guard's notes on its location."""
    locator = item["locator"]
    assert isinstance(locator, dict)
    bare: dict[str, JsonValue] = {"locator": {name: value for name, value in locator.items() if name != "cut"}}
    return {name: value for name, value in item.items() if name != "n"} | bare | shared


def _numbers(said: dict[str, JsonValue], name: str, items: Sequence[dict[str, JsonValue]]) -> set[JsonValue]:
    told = said.get(name)
    wanted = set(told if isinstance(told, list) else [])
    if wanted - {each["n"] for each in items}:
        raise Refused("item_unknown", "the referral has no such item", field=f"/{name}")
    return wanted


def _level(body: dict[str, JsonValue]) -> str | None:
    """Return the current priority."""
    priority = body.get("priority")
    level = priority.get("level") if isinstance(priority, dict) else None
    return level if isinstance(level, str) else None
