"""From what an origin states to the facts that routing may read: class S1 only, codes resolved, nothing guessed.

Labels are closed on the way: of parties, places and scheme labels only those that are listed travel, everything else is
`unknown`. A free one would carry whatever somebody writes into it, to every recipient, unread. What was stated stays
with who filed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from shared.contracts.referral import Assessment, Hosting, Item, ReferralContent, SubjectAccount
from shared.routing.directory_index import DirectoryIndex, PartyEntry
from shared.vocabulary.judgement import ASSESSMENT_VALUES, UNKNOWN_VALUE
from shared.vocabulary.routing import PartyKind, WorkReason

#: Where a party or a place stands that nobody knows.
UNKNOWN: Final = "unknown"
ContentT = TypeVar("ContentT", bound=ReferralContent)


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """The facts as JSON; per item the providers that host it; and what could not be placed, if anything."""

    facts: dict[str, Any]
    item_providers: tuple[frozenset[str], ...]
    unknown: WorkReason | None


def read_facts(content: ReferralContent, origin: PartyEntry, directory: DirectoryIndex) -> ReadFacts:
    """Read the facts of a referral filed by `origin`. Total: what is not known goes to `unknown`, never away."""
    on = content.observed_at.astimezone(UTC).date()
    places = {
        "hosting": [h.jurisdiction for item in content.items for h in item.hosting if h.jurisdiction is not None],
        "user": list(content.user_jurisdictions),
        "victim": list(content.victim_jurisdictions),
    }
    unknown = None if all(directory.tree.known(code, on) for codes in places.values() for code in codes) else _PLACE
    item_providers = tuple(frozenset(_providers(item, directory, on)) for item in content.items)
    providers = sorted({provider for found in item_providers for provider in found})
    parties = [directory.party(provider) for provider in providers]
    if any(party is None or party.kind != PartyKind.INDUSTRY for party in parties):
        unknown = unknown or WorkReason.UNKNOWN_PROVIDER
    established = [code for party in parties if party is not None for code in party.jurisdictions]
    facts = {
        "origin": origin.id,
        "origin_kind": origin.kind,
        "reporter": sorted(set(origin.jurisdictions)),
        "incident_kind": content.incident_kind.value,
        "incident_flags": sorted({flag.value for flag in content.incident_flags}),
        "locator_kinds": sorted({item.locator.kind for item in content.items}),
        "media_kind": content.media_kind.value,
        "viewed_by": content.viewed_by.value,
        "priority": content.priority.level.value,
        "actionable": content.actionable.status.value,
        "assessments": sorted({f"{a.scheme.value}:{a.value}" for item in content.items for a in item.assessment}),
        "provider_establishment": sorted(set(established)),
        "providers": [party.id for party in parties if party is not None],
        "observed_on": on.isoformat(),
    }
    known = {name: sorted({code for code in codes if directory.tree.known(code, on)}) for name, codes in places.items()}
    return ReadFacts(facts | known, item_providers, unknown)


_PLACE = WorkReason.UNKNOWN_JURISDICTION


def _providers(item: Item, directory: DirectoryIndex, on: date) -> Iterable[str]:
    """Who hosts the item: as stated, else by autonomous system, else by the domain in its address. Never by looking."""
    stated = {provider for hosting in item.hosting for provider in _stated(hosting, directory, on)}
    if stated or item.locator.kind != "url":
        return stated
    host = urlsplit(item.locator.value).hostname or ""
    by_domain = directory.provider_by_domain(host, on)
    return {by_domain} if by_domain else ()


def _stated(hosting: Hosting, directory: DirectoryIndex, on: date) -> Iterable[str]:
    if hosting.provider is not None:
        # An id that nobody knows stays as it is: the work list names it instead of a guess.
        yield directory.party_by_alias(hosting.provider, on) or hosting.provider
    elif hosting.asn is not None and (owner := directory.provider_by_asn(hosting.asn, on)):
        yield owner


def closed(content: ContentT, directory: DirectoryIndex) -> ContentT:
    """The content with parties of the directory, under their present ids, and known places on the day observed."""
    known = _Known(directory, content.observed_at.astimezone(UTC).date())
    return content.model_copy(
        update={
            "items": tuple(_closed_item(item, known) for item in content.items),
            "user_jurisdictions": tuple(map(known.place, content.user_jurisdictions)),
            "victim_jurisdictions": tuple(map(known.place, content.victim_jurisdictions)),
            "subject_accounts": tuple(_closed_account(account, known) for account in content.subject_accounts),
        }
    )


class _Known(NamedTuple):
    """What is listed on one day."""

    directory: DirectoryIndex
    on: date

    def party(self, stated: str) -> str:
        return self.directory.party_by_alias(stated, self.on) or UNKNOWN

    def place(self, stated: str) -> str:
        return stated if self.directory.tree.known(stated, self.on) else UNKNOWN


def _closed_item(item: Item, known: _Known) -> Item:
    if not item.hosting and not item.assessment:
        return item
    hosting = tuple(_closed_hosting(each, known) for each in item.hosting)
    assessment = tuple(_closed_assessment(each, known) for each in item.assessment)
    return item.model_copy(update={"hosting": hosting, "assessment": assessment})


def _closed_hosting(hosting: Hosting, known: _Known) -> Hosting:
    place = None if hosting.jurisdiction is None else known.place(hosting.jurisdiction)
    provider = None if hosting.provider is None else known.party(hosting.provider)
    return hosting.model_copy(update={"jurisdiction": place, "provider": provider})


def _closed_assessment(assessment: Assessment, known: _Known) -> Assessment:
    place = None if assessment.jurisdiction is None else known.place(assessment.jurisdiction)
    assessor = None if assessment.assessor is None else known.party(assessment.assessor)
    value = assessment.value if assessment.value in ASSESSMENT_VALUES[assessment.scheme] else UNKNOWN_VALUE
    return assessment.model_copy(update={"jurisdiction": place, "assessor": assessor, "value": value})


def _closed_account(account: SubjectAccount, known: _Known) -> SubjectAccount:
    return account.model_copy(update={"service": known.party(account.service)})
