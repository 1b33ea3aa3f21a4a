"""What only a hotline does with what it was sent: a draft of its own referral for one that was handed over to it."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from services.hotline.domain import HOTLINE
from services.hotline.ports import OpenedOffer
from shared.contracts.referral import ReferralSubmission
from shared.exchange.act import OfferState
from shared.exchange.derived_referral import draft
from shared.kernel.authority import state_forbids
from shared.kernel.errors import Refused
from shared.party.recipient.use_cases import Acting, look_at_item, show_item


async def draft_handed_over(referral_id: UUID, acting: Acting) -> ReferralSubmission:
    """What the hotline would file of its own for a referral that it has by a claim. Audit is told: it opens the record.

    Raises `Refused`: `forbidden`, `not_found`, `state_forbids` unless it was granted, `record_erased`.
    """
    looked = cast("OpenedOffer", await look_at_item(HOTLINE, referral_id, acting))
    if looked.state is not OfferState.TRANSFERRED:
        raise state_forbids()
    found = cast("OpenedOffer", await show_item(HOTLINE, referral_id, acting))
    if found.record is None:
        raise Refused("record_erased", "its record was erased: there is nothing to draft from", status=410)
    return draft(referral_id, found.record, exercise=found.exercise)
