"""The views of a hotline on referrals that others offer to it."""

from __future__ import annotations

from shared.core.acts.act import OfferState
from shared.core.contracts.answers import OfferCodes
from shared.core.contracts.base import Contract, NextCursor, PartyId, Uuid
from shared.core.contracts.decision import Edge
from shared.core.contracts.items import ItemNumber
from shared.core.contracts.referral import ReferralRecord
from shared.core.vocabulary.answers import CaseDeclineReason
from shared.features.received.rules import ShownItem


class Offer(OfferCodes, ShownItem):
    """A referral offered to this hotline, with its item numbers and the hotline's answers so far."""

    referral_id: Uuid
    origin: PartyId
    state: OfferState
    reason: CaseDeclineReason | None = None
    edge: Edge
    numbers: tuple[ItemNumber, ...]


class OfferPage(Contract):
    """Offers, newest first, without their records."""

    items: tuple[Offer, ...]
    next: NextCursor


class OpenedOffer(Offer):
    """An offer with its record, which is null after erasure."""

    record: ReferralRecord | None


class OfferTransition(Contract):
    """The state after the act. The origin will get a message."""

    referral_id: Uuid
    state: OfferState
