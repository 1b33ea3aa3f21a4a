"""What a hotline does: one function per intention. Permission is checked here and nowhere else in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.hotline.domain import AUTHORITY, OfferState, withdraw_offer
from services.hotline.ports import Answers, Offer, OfferKey, Offers
from shared.contracts.registry import REFERRAL_OFFERED, REFERRAL_WITHDRAWN, WITHDRAWAL_ACKNOWLEDGED
from shared.exchange.compose import compose
from shared.exchange.message import Received
from shared.exchange.origin import ANSWERS
from shared.kernel.authority import Role
from shared.kernel.errors import Refused, not_found
from shared.routing.directory_index import DirectoryIndex


async def receive(messages: Sequence[Received], *, offers: Offers, answers: Answers) -> dict[UUID, str]:
    """Apply a batch in order: offers, withdrawals, and answers to our own referrals.

    Returns message id → code for each message that a state machine refuses; the others are applied.
    """
    known = await offers.find(
        [UUID(m.subject) for m in messages if m.message in (REFERRAL_OFFERED, REFERRAL_WITHDRAWN)]
    )
    new: dict[OfferKey, Received] = {}
    changed: dict[OfferKey, tuple[OfferState, OfferState]] = {}
    refusals: dict[UUID, str] = {}
    for message in messages:
        key = (UUID(message.subject), message.recipient)
        if message.message is REFERRAL_OFFERED:
            if key not in known:
                known[key] = _offered(message)
                new[key] = message
        elif message.message is REFERRAL_WITHDRAWN:
            try:
                known[key] = _withdrawn(known.get(key), message.sender)
            except Refused as error:
                refusals[message.message_id] = error.code
            else:
                changed[key] = (OfferState.OFFERED, known[key].state)
        elif type(message.clear) not in ANSWERS:
            refusals[message.message_id] = "message_not_for_hotlines"
    await offers.add(list(new.values()))
    await offers.change(changed)
    return refusals | await answers.apply([m for m in messages if type(m.clear) in ANSWERS])


async def acknowledge_withdrawal(
    referral_id: UUID, *, party: str, role: Role, offers: Offers, directory: DirectoryIndex, at: datetime
) -> None:
    """The hotline has stopped acting on a withdrawn referral, and says so to the origin."""
    offer = (await offers.find([referral_id])).get((referral_id, party))
    if offer is None:
        raise not_found()
    AUTHORITY.require("offer", role, action="acknowledge_withdrawal", state=offer.state)
    await offers.change({(referral_id, party): (offer.state, OfferState.WITHDRAWAL_ACKNOWLEDGED)})
    draft = compose(
        WITHDRAWAL_ACKNOWLEDGED,
        {"referral_id": str(referral_id), "revision": 1},
        subject=referral_id,
        sender=party,
        recipient=offer.origin,
        directory=directory,
        exercise=offer.exercise,
        at=at,
    )
    await offers.send([draft])


def _offered(message: Received) -> Offer:
    return Offer(UUID(message.subject), message.recipient, message.sender, message.exercise, OfferState.OFFERED)


def _withdrawn(offer: Offer | None, sender: str) -> Offer:
    """The offer, withdrawn. Only the origin itself may take its referral back."""
    if offer is None or offer.origin != sender:
        raise Refused("offer_unknown")
    return replace(offer, state=withdraw_offer(offer.state))
