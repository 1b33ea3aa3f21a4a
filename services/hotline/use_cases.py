"""What a hotline does: one function per intention. Permission is checked here and nowhere else in Python.

Filing, looking at and withdrawing its own referrals is the same for every origin: `shared.party.origin.use_cases`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.hotline.domain import AUTHORITY, OfferAct, OfferState, advance, require_role
from services.hotline.ports import Answers, Offer, OfferKey, Offers
from shared.contracts.referral import ReferralOfferedClear, WithdrawalAcknowledgedClear
from shared.contracts.registry import REFERRAL_OFFERED, REFERRAL_WITHDRAWN, WITHDRAWAL_ACKNOWLEDGED
from shared.exchange.compose import compose
from shared.exchange.message import Received
from shared.exchange.origin import ANSWERS
from shared.exchange.revealed import compose_revealed
from shared.kernel.authority import Role
from shared.kernel.errors import Refused, not_found
from shared.routing.directory_index import DirectoryIndex


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, when, on what: everything that all acts on offers need."""

    party: str
    role: Role
    offers: Offers
    directory: DirectoryIndex
    at: datetime


async def receive(messages: Sequence[Received], *, offers: Offers, answers: Answers) -> dict[UUID, str]:
    """Apply a batch in order: offers, withdrawals, and answers to our own referrals.

    Returns message id → code for each message that a state machine refuses; the others are applied.
    """
    incoming = [message for message in messages if type(message.clear) not in ANSWERS]
    known = await offers.lock([UUID(message.subject) for message in incoming]) if incoming else {}
    new: list[Received] = []
    changed: dict[OfferKey, tuple[OfferState, OfferState]] = {}
    refusals: dict[UUID, str] = {}
    for message in incoming:
        key = (UUID(message.subject), message.recipient)
        offer = known.get(key)
        try:
            if message.message is REFERRAL_OFFERED:
                known[key] = _offered(offer, message)
                new.append(message)
            elif message.message is REFERRAL_WITHDRAWN:
                before, known[key] = _withdrawn(offer, message.sender)
                changed[key] = (before, known[key].state)
            else:
                raise Refused("message_not_for_hotlines")
        except Refused as error:
            refusals[message.message_id] = error.code
    await offers.add(new)
    await offers.change(changed)
    return refusals | await answers.apply([message for message in messages if type(message.clear) in ANSWERS])


async def list_offers(
    *, role: Role, offers: Offers, state: str | None, cursor: str | None, limit: int
) -> dict[str, Any]:
    """The offers made to the hotline, newest first, without their records."""
    AUTHORITY.require("offer", role, action="read", state=OfferState.OFFERED)
    return await offers.page(state=state, cursor=cursor, limit=limit)


async def show_offer(referral_id: UUID, acting: Acting) -> dict[str, Any]:
    """One offer with its opened record. That it was opened is told to audit, or it is not opened."""
    AUTHORITY.require("offer", acting.role, action="read", state=OfferState.OFFERED)
    shown = await acting.offers.show(referral_id)
    told = compose_revealed(
        referral_id,
        acting.party,
        acting.role,
        exercise=shown["exercise"],
        directory=acting.directory,
        at=acting.at,
    )
    await acting.offers.send([told])
    return shown


async def acknowledge_withdrawal(referral_id: UUID, acting: Acting) -> OfferState:
    """The hotline has stopped acting on a withdrawn referral, and says so to the origin."""
    act = OfferAct.ACKNOWLEDGE_WITHDRAWAL
    require_role(acting.role, act)
    offer = (await acting.offers.find([referral_id])).get((referral_id, acting.party))
    if offer is None:
        raise not_found()
    AUTHORITY.require("offer", acting.role, action=act, state=offer.state)
    following = advance(offer.state, act)
    await acting.offers.change({(referral_id, acting.party): (offer.state, following)})
    answer = compose(
        WITHDRAWAL_ACKNOWLEDGED,
        WithdrawalAcknowledgedClear(referral_id=referral_id, revision=1),
        subject=referral_id,
        sender=offer.party,
        recipient=offer.origin,
        directory=acting.directory,
        exercise=offer.exercise,
        at=acting.at,
    )
    await acting.offers.send([answer])
    return following


def _offered(offer: Offer | None, message: Received) -> Offer:
    """The offer that a message begins."""
    clear = message.clear
    assert isinstance(clear, ReferralOfferedClear)
    if clear.origin != message.sender:
        raise Refused("origin_is_not_sender")
    if offer is not None:
        raise Refused("offer_exists")
    return Offer(clear.referral_id, message.recipient, message.sender, message.exercise, OfferState.OFFERED)


def _withdrawn(offer: Offer | None, sender: str) -> tuple[OfferState, Offer]:
    """The state before, and the offer withdrawn. Only the origin itself may take its referral back."""
    if offer is None or offer.origin != sender:
        raise Refused("offer_unknown")
    return offer.state, replace(offer, state=advance(offer.state, OfferAct.WITHDRAW))
