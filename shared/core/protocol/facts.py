"""Facts for routing, read from an origin's submission: class S1 only, codes resolved, nothing guessed.

Labels are closed: parties, places and scheme labels are sent only if they are listed, otherwise as `unknown`. A free
label could carry arbitrary text to every recipient, unchecked. The submitter keeps its original statement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date
from typing import Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from shared.core.canonical import Json, JsonView
from shared.core.contracts.base import Contract
from shared.core.contracts.referral import Assessment, Hosting, Item, ReferralContent
from shared.core.errors import Refused
from shared.core.routing.directory_index import DirectoryIndex, PartyEntry
from shared.core.vocabulary.answers import HotlineAssessment
from shared.core.vocabulary.judgement import ASSESSMENT_VALUES, UNKNOWN_VALUE, AssessmentScheme, AssessmentStatus
from shared.core.vocabulary.routing import PartyKind, WorkReason

#: Opposed findings. An item can have only one of them as final.
_OPPOSED: Final = frozenset({HotlineAssessment.BASELINE.value, HotlineAssessment.NOT_ILLEGAL.value})

#: An item of a record.
_ItemJson = JsonView

#: The label for an unknown party or place.
UNKNOWN: Final = "unknown"
ContentT = TypeVar("ContentT", bound=ReferralContent)
_Part = TypeVar("_Part", bound=Contract)


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """The facts as JSON, and the reason if a code could not be resolved."""

    facts: Json
    unknown: WorkReason | None


def read_facts(content: ReferralContent, origin: PartyEntry, directory: DirectoryIndex) -> ReadFacts:
    """Read the facts of a referral submitted by `origin`.

    It never fails: unknown codes are reported in `unknown`.
    """
    on = content.observed_at.astimezone(UTC).date()
    known = directory.tree.known
    items = [_item_facts(item, directory, on) for item in content.items]
    places = [
        *content.user_jurisdictions,
        *content.victim_jurisdictions,
        *[hosting.jurisdiction for item in content.items for hosting in item.hosting if hosting.jurisdiction],
    ]
    unknown = None if all(known(code, on) for code in places) else WorkReason.UNKNOWN_JURISDICTION
    if True in [item.pop("unknown") for item in items]:  # a list, because every item must lose it
        unknown = unknown or WorkReason.UNKNOWN_PROVIDER
    facts = {
        "origin": origin.id,
        "origin_kind": origin.kind,
        "reporter": sorted(set(origin.jurisdictions)),
        "incident_kind": content.incident_kind.value,
        "incident_flags": sorted({flag.value for flag in content.incident_flags}),
        "media_kind": content.media_kind.value,
        "viewed_by": content.viewed_by.value,
        "priority": content.priority.level.value,
        "actionable": content.actionable.status.value,
        "user": sorted({code for code in content.user_jurisdictions if known(code, on)}),
        "victim": sorted({code for code in content.victim_jurisdictions if known(code, on)}),
        "observed_on": on.isoformat(),
        "items": items,
    }
    return ReadFacts(facts, unknown)


def _item_facts(item: Item, directory: DirectoryIndex, on: date) -> Json:
    """Return the facts of an item. `unknown`: it names a provider that the directory does not have."""
    providers = [(directory.party(each), each) for each in sorted(set(_providers(item, directory, on)))]
    found = [party for party, _ in providers if party is not None]
    places = {hosting.jurisdiction for hosting in item.hosting if hosting.jurisdiction is not None}
    return {
        "assessments": sorted({f"{each.scheme.value}:{each.value}" for each in item.assessments}),
        "hosting": sorted({code for code in places if directory.tree.known(code, on)}),
        "locator_kinds": [item.locator.kind],
        "provider_establishment": sorted({code for party in found for code in party.jurisdictions}),
        "providers": [party.id for party in found],
        "unknown": any(party is None or party.kind != PartyKind.INDUSTRY for party, _ in providers),
    }


def _providers(item: Item, directory: DirectoryIndex, on: date) -> Iterable[str]:
    """Return the hosts of an item: as stated, else by autonomous system, else by domain.

    No network lookup is made.
    """
    stated = {provider for hosting in item.hosting for provider in _stated(hosting, directory, on)}
    if stated or item.locator.kind != "url":
        return stated
    host = urlsplit(item.locator.value).hostname or ""
    by_domain = directory.provider_by_domain(host, on)
    return {by_domain} if by_domain else ()


def _stated(hosting: Hosting, directory: DirectoryIndex, on: date) -> Iterable[str]:
    if hosting.provider is not None:
        # An unknown id is kept: the list for persons shows it instead of a guess.
        yield directory.party_by_alias(hosting.provider, on) or hosting.provider
    elif hosting.asn is not None and (owner := directory.provider_by_asn(hosting.asn, on)):
        yield owner


def closed(content: ContentT, directory: DirectoryIndex) -> ContentT:
    """Return the content with listed parties, under their present ids, and places known on its day."""
    known = _Codes(directory, content.observed_at.astimezone(UTC).date())
    return _with(
        content,
        items=tuple([_closed_item(each, known) for each in content.items]),
        user_jurisdictions=tuple(map(known.place, content.user_jurisdictions)),
        victim_jurisdictions=tuple(map(known.place, content.victim_jurisdictions)),
        subject_accounts=tuple([_with(each, service=known.party(each.service)) for each in content.subject_accounts]),
    )


class _Codes(NamedTuple):
    """Lookup of listed parties and places on one day."""

    directory: DirectoryIndex
    on: date

    def party(self, stated: str) -> str:
        return self.directory.party_by_alias(stated, self.on) or UNKNOWN

    def place(self, stated: str) -> str:
        return stated if self.directory.tree.known(stated, self.on) else UNKNOWN


def _closed_item(item: Item, known: _Codes) -> Item:
    hosting = tuple([_closed_hosting(each, known) for each in item.hosting])
    assessments = tuple([_closed_assessment(each, known) for each in item.assessments])
    return _with(item, hosting=hosting, assessments=assessments)


def _closed_hosting(hosting: Hosting, known: _Codes) -> Hosting:
    place = None if hosting.jurisdiction is None else known.place(hosting.jurisdiction)
    provider = None if hosting.provider is None else known.party(hosting.provider)
    return _with(hosting, jurisdiction=place, provider=provider)


def _closed_assessment(assessment: Assessment, known: _Codes) -> Assessment:
    place = None if assessment.jurisdiction is None else known.place(assessment.jurisdiction)
    assessor = None if assessment.assessor is None else known.party(assessment.assessor)
    value = assessment.value if assessment.value in ASSESSMENT_VALUES[assessment.scheme] else UNKNOWN_VALUE
    return _with(assessment, jurisdiction=place, assessor=assessor, value=value)


def _with(part: _Part, **closed_members: object) -> _Part:
    """Return the part with these members.

    If none changes, return the same part: a copy costs more than a check.
    """
    changed = {
        name: value
        for name, value in closed_members.items()
        if value is not (held := getattr(part, name)) and value != held
    }
    return part.model_copy(update=changed) if changed else part


def check_stated(items: Iterable[_ItemJson], before: Iterable[_ItemJson] = (), *, field: str | None = None) -> None:
    """Check that no item is stated as both finally baseline and finally not illegal.

    `items` are those of a record, as JSON. `before` are those of the earlier revision and the findings of hotlines,
    matched by number: a final finding stays final. Raises `Refused("assessment_final")` at `field`, by default at the
    item.
    """
    found = defaultdict[object, frozenset[str]](frozenset)
    for each in before:
        found[each["n"]] |= _finals(each)
    for place, each in enumerate(items):
        stated = _finals(each)
        if stated and stated | found[each.get("n")] >= _OPPOSED:
            detail = "an item cannot be both finally baseline and finally not illegal"
            raise Refused("assessment_final", detail, field=field or f"/items/{place}/assessments")


def _finals(item: _ItemJson) -> frozenset[str]:
    """Return the opposed values that a record's item states as final."""
    stated = item.get("assessments") or ()
    own = (each for each in stated if each["scheme"] == AssessmentScheme.INTERPOL_BASELINE)
    return _OPPOSED & {each["value"] for each in own if each.get("status") == AssessmentStatus.FINAL}
