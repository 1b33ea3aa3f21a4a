"""Closed labels: of parties, places and scheme labels, only those that are listed travel. Everything else is `unknown`.

A free label would carry whatever somebody writes into it, to every recipient, unread. What was stated stays with who
filed it; whether it puts the referral on the work list is for `shared.exchange.facts` to say, as before.
"""

from __future__ import annotations

from datetime import UTC, date
from typing import Final, NamedTuple, TypeVar

from shared.contracts.referral import Assessment, Hosting, Item, ReferralContent, SubjectAccount
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.judgement import ASSESSMENT_VALUES, UNKNOWN_VALUE

#: Where a party or a place stands that nobody knows.
UNKNOWN: Final = "unknown"
ContentT = TypeVar("ContentT", bound=ReferralContent)


def closed(content: ContentT, directory: DirectoryIndex) -> ContentT:
    """The content with parties of the directory, under their present ids, and known places on the day observed."""
    known = _Known(directory, content.observed_at.astimezone(UTC).date())
    return content.model_copy(
        update={
            "items": tuple(_item(item, known) for item in content.items),
            "user_jurisdictions": tuple(map(known.place, content.user_jurisdictions)),
            "victim_jurisdictions": tuple(map(known.place, content.victim_jurisdictions)),
            "subject_accounts": tuple(_account(account, known) for account in content.subject_accounts),
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


def _item(item: Item, known: _Known) -> Item:
    if not item.hosting and not item.assessment:
        return item
    hosting = tuple(_hosting(each, known) for each in item.hosting)
    assessment = tuple(_assessment(each, known) for each in item.assessment)
    return item.model_copy(update={"hosting": hosting, "assessment": assessment})


def _hosting(hosting: Hosting, known: _Known) -> Hosting:
    place = None if hosting.jurisdiction is None else known.place(hosting.jurisdiction)
    provider = None if hosting.provider is None else known.party(hosting.provider)
    return hosting.model_copy(update={"jurisdiction": place, "provider": provider})


def _assessment(assessment: Assessment, known: _Known) -> Assessment:
    place = None if assessment.jurisdiction is None else known.place(assessment.jurisdiction)
    assessor = None if assessment.assessor is None else known.party(assessment.assessor)
    value = assessment.value if assessment.value in ASSESSMENT_VALUES[assessment.scheme] else UNKNOWN_VALUE
    return assessment.model_copy(update={"jurisdiction": place, "assessor": assessor, "value": value})


def _account(account: SubjectAccount, known: _Known) -> SubjectAccount:
    return account.model_copy(update={"service": known.party(account.service)})
