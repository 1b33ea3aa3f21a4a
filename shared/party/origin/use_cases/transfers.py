"""Who may claim a referral, who has it, and which agencies are told of each other.

A claim is granted in the transaction of its answer: the first that may, and nobody else. Contact is suggested in a step
of its own, after the answers and the links that it goes by: each of them leaves word in its own transaction, so
whichever was last is looked at when all are there. It says nothing to who has not opted in, and nothing of who has not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.contracts.answers import Answer, ClaimGoneClear, ClaimGrantedClear, TransferOfferedClear, Transferring
from shared.contracts.base import Contract
from shared.contracts.case_referral import Contact, ContactSuggestedClear
from shared.contracts.registry import (
    CLAIM_GONE,
    CLAIM_GRANTED,
    CONTACT_SUGGESTED,
    OFFER_CLAIMED,
    TRANSFER_OFFERED,
    MessageType,
)
from shared.exchange.act import Offered, Subject
from shared.exchange.message import Draft, Received
from shared.exchange.prepare import Documents
from shared.exchange.states import Event, event_type, follow, happened, may_come_in, row
from shared.kernel.errors import Refused, not_found
from shared.kernel.ids import uuid4
from shared.party.failure_isolation import Taking
from shared.party.origin.domain import TransferredReferral, TransferStands
from shared.party.origin.records import Held, Met
from shared.party.origin.store.transfers import PostgresContacts, PostgresTransfers
from shared.party.origin.use_cases.holds import Holding
from shared.party.origin.use_cases.referrals import Acting, Letters
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.preservation import HoldEnd
from shared.vocabulary.routing import PartyKind

TRANSFER: Final = row(Subject.REFERRAL, "transfer")
HAND_OVER: Final = row(Subject.REFERRAL, "hand_over")
_HANDED_OVER: Final = event_type(Subject.REFERRAL, HAND_OVER.name)


def told_again(stands: TransferStands, held: Held, letters: Letters) -> list[Draft]:
    """All that a hotline was told of a transfer, where it is now: its new place has heard of nothing."""
    named = {"referral_id": held.referral_id, "revision": held.revision}
    offered = TransferOfferedClear(**named, act=uuid4(), reason=stands.reason)
    drafts = _tell(TRANSFER_OFFERED, offered, held, letters=letters, to=stands.recipient)
    if stands.claim is not None:
        granted = ClaimGrantedClear(**named, claim=stands.claim)
        drafts += _tell(CLAIM_GRANTED, granted, held, letters=letters, to=stands.recipient)
    elif stands.gone:
        drafts += _tell(CLAIM_GONE, ClaimGoneClear(**named), held, letters=letters, to=stands.recipient)
    return drafts


def _tell(message: MessageType, said: Contract, held: Held, *, letters: Letters, to: str) -> list[Draft]:
    return letters.tell(message, said, of=held.referral_id, sender=held.party, to=to, exercise=held.exercise)


async def transfer_referral(referral_id: UUID, said: Transferring, acting: Acting) -> TransferredReferral:
    """Let hotlines that have the referral claim it: one, or whoever has it by an orphan's mandate.

    Asked again it is told again. Raises `Refused`: `forbidden`, `not_found`, `state_forbids`, and
    `transfer_not_entitled` where no rule has sent it to such a hotline.
    """
    acting.require(TRANSFER.name)
    transfers, directory = acting.transfers, acting.directory()
    state = await transfers.stands(referral_id)
    if state is None:
        raise not_found()
    follow(TRANSFER, state)
    held = (await transfers.lock([referral_id])).get(referral_id)
    following = follow(TRANSFER, "" if held is None else held.state)
    assert held is not None
    to = _entitled(held, said.to, directory)
    if not to:
        raise Refused("transfer_not_entitled", "no rule has sent it to such a hotline", field="/to", status=409)
    await transfers.offer(held, to, reason=said.reason, at=acting.at)
    named = {"referral_id": referral_id, "revision": held.revision, "reason": said.reason}
    letters, drafts = Letters(directory, acting.instance, acting.at), list[Draft]()
    for hotline in to:
        drafts += _tell(TRANSFER_OFFERED, TransferOfferedClear(**named, act=uuid4()), held, letters=letters, to=hotline)
    acting.owe(1 + len(drafts))
    await transfers.send(drafts)
    await transfers.note([happened(TRANSFER, referral_id, party=acting.party, state=following)])
    return TransferredReferral(referral_id=referral_id, state=following, offered=tuple(to))


def _entitled(held: Held, to: str | None, directory: DirectoryIndex) -> list[str]:
    stands = [each for each in held.offered if each.stands]
    found = {each.recipient for each in stands if (each.orphan if to is None else each.recipient == to)}
    hotlines = ((each, directory.party(each)) for each in sorted(found))
    return [each for each, party in hotlines if party is not None and party.kind == PartyKind.HOTLINE]


@dataclass(slots=True)
class Claiming:
    """Grants claims within the transaction of a batch of answers."""

    transfers: PostgresTransfers
    documents: Callable[[], Documents]
    instance: str
    at: datetime
    holding: Holding
    _held: Mapping[UUID, Held] = field(default_factory=dict)

    async def lock(self, messages: Sequence[Received]) -> None:
        """Lock what is claimed, before its edges are: a withdrawal and an amendment lock in this order, too."""
        claimed = sorted({UUID(each.subject) for each in messages if each.message is OFFER_CLAIMED})
        self._held = await self.transfers.lock(claimed) if claimed else {}

    def check(self, message: Received) -> None:
        """Raises `Refused("claim_not_offered")` for a claim of what was never transferred to its sender."""
        if message.message is OFFER_CLAIMED:
            held = self._held.get(UUID(message.subject))
            if held is None or not held.claimable_by(message.sender):
                raise Refused("claim_not_offered")

    async def apply(self, messages: Sequence[Received]) -> list[Event]:
        """Grant, in order, each claim that is the first of its referral; what that means to the origin's parties."""
        held, events = dict(self._held), list[Event]()
        for message in messages:
            if message.message is not OFFER_CLAIMED:
                continue
            found = held[UUID(message.subject)]
            if found.state in may_come_in(HAND_OVER) and message.sender in found.claimants:
                await self._grant(message, found)
                transferred = replace(found, state=Offered.TRANSFERRED.value)
                held[found.referral_id] = transferred
                events.append(Event(found.party, _HANDED_OVER, found.referral_id, transferred.state, by=message.sender))
        return events

    async def _grant(self, message: Received, held: Held) -> None:
        assert isinstance(message.clear, Answer)
        referral_id, winner = held.referral_id, message.sender
        # What agencies hold of it is held no more: nothing of it is issued.
        if await self.holding.holds.lock([referral_id]):
            active = await self.holding.holds.active([referral_id])
            await self.holding.end(active.get(referral_id, ()), HoldEnd.LAPSED)
        await self.transfers.hand_over(held, winner, self.at)
        letters = Letters(self.documents().directory, self.instance, self.at)
        named = {"referral_id": referral_id, "revision": held.revision}
        done = await self.transfers.done(referral_id, winner)
        granted = ClaimGrantedClear(**named, claim=message.clear.act, done=done)
        drafts = _tell(CLAIM_GRANTED, granted, held, letters=letters, to=winner)
        for other in sorted(held.claimants - {winner}):
            drafts += _tell(CLAIM_GONE, ClaimGoneClear(**named), held, letters=letters, to=other)
        await self.transfers.send(drafts)


async def suggest_contacts(
    contacts: PostgresContacts, taking: Taking, directory: DirectoryIndex, *, instance: str, at: datetime
) -> None:
    """Tell the agencies of one batch. `instance` serves the origins."""
    due = await contacts.due(taking)
    among = [each for each in directory.contactable if _can_be_told(each, directory, at)]
    if due and among:
        met = await contacts.met(due, among)
        await contacts.send([each for one in met for each in _suggested(one, Letters(directory, instance, at))])


def _can_be_told(agency: str, directory: DirectoryIndex, at: datetime) -> bool:
    """Whether there is a key to seal for it: else one agency would hold up what is told all others."""
    instance = directory.instance_of(agency)
    return instance is not None and directory.sealing_key(instance.id, at) is not None


def _suggested(met: Met, letters: Letters) -> Sequence[Draft]:
    """One message; none where its origin is served elsewhere now."""
    clear = ContactSuggestedClear(referral_id=met.referral_id, revision=met.revision)
    told = {"agency": met.other, "ground": met.ground, "their_referral_id": met.their_referral_id}
    return letters.tell(
        CONTACT_SUGGESTED,
        clear,
        of=met.referral_id,
        sender=met.party,
        to=met.agency,
        exercise=met.exercise,
        sealed=Contact.model_validate(told).model_dump_json().encode(),
    )
