"""Transfers: an origin lets hotlines that have its referral claim it; of those that do, exactly one has it.

There is no change of owner: whoever has claimed it files a referral of its own, and the first has been transferred. A
hotline is sent nothing by a transfer that no rule has sent it before: it is about what it was offered.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.contracts.answers import Declination, OnReferral, WithdrawalWords
from shared.contracts.base import Contract, Count, PartyId, Uuid
from shared.contracts.items import (
    ASSESSED_MAX,
    ITEMS_MAX,
    NUMBERED_ONCE,
    AssessedItem,
    ItemFinding,
    ItemNumber,
    over_all_revisions,
)
from shared.contracts.referral import AboutReferral
from shared.vocabulary.transfers import TransferReason


class Transferring(Contract):
    """Who may claim the referral, and why it is not kept. Without `to`: whoever it is an orphan's mandate of."""

    to: PartyId | None = None
    reason: TransferReason


class OnTransfer(AboutReferral):
    """What an origin says of a transfer, to one hotline."""


class TransferOfferedClear(OnTransfer):
    """The origin cannot keep the referral: the hotline may claim it. The first that does has it."""

    act: Uuid
    reason: TransferReason


class OfferClaimedClear(OnReferral):
    """The hotline claims the referral. Whether it has it, the origin says."""


class DoneSoFar(Contract):
    """What was done about item `n`: how many notices were issued, and how many of their providers say it is gone."""

    n: ItemNumber
    issued: Count
    actioned: Count


class ClaimGrantedClear(OnTransfer):
    """The referral is the hotline's, to file as its own. Nobody else has claimed it, and what was issued runs on."""

    claim: Uuid
    done: Annotated[tuple[DoneSoFar, ...], Field(max_length=ITEMS_MAX), NUMBERED_ONCE] = ()


class ClaimGoneClear(OnTransfer):
    """Another hotline has claimed the referral."""


class TransferWords(Contract):
    """What was said of a transfer so far: why it is not kept, and what was done about it."""

    transfer: TransferReason | None = None
    done: tuple[DoneSoFar, ...] | None = None


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
