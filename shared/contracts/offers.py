"""What a hotline says of a referral that was offered to it: that it takes it up or not, and what it finds of items."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.contracts.answers import Declination, OnReferral, WithdrawalWords
from shared.contracts.base import Contract
from shared.contracts.items import ASSESSED_MAX, AssessedItem, ItemFinding, ItemNumber, over_all_revisions
from shared.contracts.transfers import TransferWords


class FindingStatement(ItemFinding):
    """What a hotline says of item `n`; without `n`, of every item."""

    n: ItemNumber | None = None


class OfferFindings(Contract):
    """What a hotline finds of items, and what was done about them. `baseline` is final, no action comes twice."""

    assessed: Annotated[tuple[FindingStatement, ...], Field(min_length=1, max_length=ASSESSED_MAX)]


class AssessedItems(Contract):
    """What a hotline finds of items, one by one."""

    assessed: Annotated[tuple[AssessedItem, ...], Field(min_length=1, max_length=ASSESSED_MAX)]


class OfferAcceptedClear(OnReferral):
    """The hotline takes the referral up: it alone acts on what was offered to it."""


class OfferDeclinedClear(Declination, OnReferral):
    """The hotline will not take the referral up, and says why."""


class OfferAssessedClear(AssessedItems, OnReferral):
    """The hotline has assessed items of the referral, or acted on them, each in its own words."""


class OfferWords(TransferWords, WithdrawalWords):
    """What was said of an offer so far, by its hotline, its reason apart, and, of a transfer, by its origin.

    A new word is added here.
    """

    assessed: Annotated[tuple[AssessedItem, ...], Field(max_length=over_all_revisions(ASSESSED_MAX))] | None = None
