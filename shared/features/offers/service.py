"""The use case of a hotline alone: a draft of its own referral from one that was transferred to it."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from shared.core.acts.act import OfferState
from shared.core.authority import state_forbids
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.protocol.derived_referral import draft
from shared.features.offers.ports import OpenedOffer
from shared.features.offers.rules import HOTLINE
from shared.features.received.service.items import ItemActor, look_at_item, show_item


async def draft_from_transfer(referral_id: UUID, acting: ItemActor) -> ReferralSubmission:
    """Draft the hotline's own referral from one that it has claimed. The access to the record is sent to audit.

    Raises `Refused`: `forbidden`, `not_found`, `state_forbids` unless the claim was granted, `record_erased`.
    """
    looked = cast("OpenedOffer", await look_at_item(HOTLINE, referral_id, acting))
    if looked.state is not OfferState.TRANSFERRED:
        raise state_forbids()
    found = cast("OpenedOffer", await show_item(HOTLINE, referral_id, acting))
    if found.record is None:
        raise Refused("record_erased", "the record was erased, so no draft is possible", status=410)
    return draft(referral_id, found.record, exercise=found.exercise)
