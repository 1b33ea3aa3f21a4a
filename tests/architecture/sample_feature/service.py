"""Use cases of calls: an agency proposes one, and the origin of the referral confirms it."""

from __future__ import annotations

from typing import Literal, Protocol
from uuid import UUID

from shared.features.calls.acts import CONFIRM, PROPOSE
from shared.features.calls.contract import (
    CALL_CONFIRMED,
    CallConfirmedClear,
    CallProposedClear,
    CallRef,
    CallTerms,
)
from shared.features.calls.rules import CallState, check_time, confirmed

from shared.core.contracts.base import Contract, EventTime, PartyId, Uuid
from shared.core.ids import uuid4
from shared.core.protocol.message import Received
from shared.features.filing.service.referrals import Actor
from shared.features.received.service.items import ItemActor, act


class ShownCall(Contract):
    """A call as both of its parties see it. `counterpart` is the other one."""

    call: Uuid
    referral_id: Uuid
    counterpart: PartyId
    call_at: EventTime
    state: CallState


class CallPage(Contract):
    """The party's calls, by their times."""

    items: tuple[ShownCall, ...]


class ConfirmedCall(Contract):
    """The call is confirmed. The agency learns of it."""

    referral_id: Uuid
    state: Literal["routed"]


class Calls(Protocol):
    """The rows of calls within one transaction."""

    async def add(self, party: str, call: ShownCall) -> None:
        """Store a proposed call of the party."""

    async def confirm(self, party: str, call_id: UUID, state: CallState) -> None:
        """Store the state of a call after its confirmation."""

    async def find(self, party: str, call_id: UUID) -> ShownCall | None:
        """Return one call of the party."""


async def propose_call(referral_id: UUID, said: CallTerms, acting: ItemActor, calls: Calls) -> ShownCall:
    """Propose a call about a case, and tell its origin. Raises `Refused`: `parameter_invalid`, and as `act`."""
    check_time(said.call_at, acting.at)
    call_id = uuid4()
    await act(PROPOSE, referral_id, said=said, acting=acting, act_id=call_id)
    case = (await acting.items.find([referral_id]))[referral_id, acting.party]
    call = ShownCall(
        call=call_id,
        referral_id=referral_id,
        counterpart=case.sender,
        call_at=said.call_at,
        state=CallState.PROPOSED,
    )
    await calls.add(acting.party, call)
    return call


def heard_call(message: Received) -> ShownCall | None:
    """Return the call that a message proposes, as its origin stores it; None for another message.

    Raises `Refused("parameter_invalid")`.
    """
    if not isinstance(message.clear, CallProposedClear):
        return None
    check_time(message.clear.call_at, message.sent_at)
    return ShownCall(
        call=message.clear.act,
        referral_id=message.clear.referral_id,
        counterpart=message.sender,
        call_at=message.clear.call_at,
        state=CallState.PROPOSED,
    )


async def confirm_call(referral_id: UUID, said: CallRef, acting: Actor, calls: Calls) -> ConfirmedCall:
    """Confirm an agency's call, and tell the agency. Raises `Refused`: `forbidden`, `not_found`."""
    filed = await acting.filed(referral_id, CONFIRM.name)
    found = await calls.find(acting.party, said.call)
    state = confirmed(found.state if found is not None and found.referral_id == referral_id else None)
    await calls.confirm(acting.party, said.call, state)
    agency = None if found is None else acting.directory().instance_of(found.counterpart)
    if found is not None and agency is not None:
        clear = CallConfirmedClear(referral_id=referral_id, revision=1, act=uuid4(), call=said.call)
        to, place = found.counterpart, agency.id
        await acting.send(CALL_CONFIRMED, clear, filed, subject=referral_id, to=to, place=place)
    return ConfirmedCall(referral_id=referral_id, state="routed")
