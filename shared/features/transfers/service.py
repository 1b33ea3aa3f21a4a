"""Transfers of referrals between hotlines, and their claims.

A claim is granted in the transaction of its answer, to the first permitted hotline only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.core.acts.act import Offering, Subject
from shared.core.acts.states import Event, event_type, follow, happened, may_come_in, row
from shared.core.contracts.answers import (
    Answer,
    ClaimGoneClear,
    ClaimGrantedClear,
    TransferOfferedClear,
    TransferRequest,
)
from shared.core.contracts.base import Contract
from shared.core.contracts.registry import CLAIM_GONE, CLAIM_GRANTED, OFFER_CLAIMED, TRANSFER_OFFERED, MessageType
from shared.core.errors import Refused, not_found
from shared.core.guard import cost
from shared.core.ids import uuid4
from shared.core.protocol.message import Draft, Received
from shared.core.protocol.prepare import Documents
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.routing import PartyKind
from shared.features.filing.ports import AnswerFollower, AppliedAnswers, StaleReferral
from shared.features.filing.service.redecide import DecidedAgain
from shared.features.filing.service.referrals import Actor, OriginSender, debit_one
from shared.features.filing.store.edges import PostgresEdges
from shared.features.transfers.ports import LockedReferral, TransferredReferral, TransferStatus
from shared.features.transfers.store import PostgresTransfers

TRANSFER: Final = row(Subject.REFERRAL, "transfer")
HAND_OVER: Final = row(Subject.REFERRAL, "hand_over")
_HANDED_OVER: Final = event_type(Subject.REFERRAL, HAND_OVER.name)


def repeat_messages(status: TransferStatus, held: LockedReferral, sender: OriginSender) -> list[Draft]:
    """Compose the transfer messages of a hotline again for its new instance, which has none of them."""
    named = {"referral_id": held.referral_id, "revision": held.revision}
    offered = TransferOfferedClear(**named, act=uuid4(), reason=status.reason)
    drafts = _draft(TRANSFER_OFFERED, offered, held, sender=sender, to=status.recipient)
    if status.claim is not None:
        granted = ClaimGrantedClear(**named, claim=status.claim)
        drafts += _draft(CLAIM_GRANTED, granted, held, sender=sender, to=status.recipient)
    elif status.gone:
        drafts += _draft(CLAIM_GONE, ClaimGoneClear(**named), held, sender=sender, to=status.recipient)
    return drafts


def _draft(message: MessageType, said: Contract, held: LockedReferral, *, sender: OriginSender, to: str) -> list[Draft]:
    return sender.compose(message, said, of=held.referral_id, sender=held.party, to=to, exercise=held.exercise)


async def resend_transfers(
    edges: PostgresEdges, again: Sequence[DecidedAgain], sender: OriginSender
) -> Sequence[DecidedAgain]:
    """Return the repeated decisions, each with the transfer messages that its hotline had received."""
    anew = {(each.referral_id, one.recipient) for _, each in again for one in each.emitted if one.notice_id is None}
    transfers = PostgresTransfers(edges.driver)
    statuses = [each for each in await transfers.transfers({referral for referral, _ in anew}) if each[:2] in anew]
    held = {each.referral_id: _held(each) for each, _ in again}
    drafts = {each.referral_id: [*each.drafts] for _, each in again}
    for each in statuses:
        drafts[each.referral_id] += repeat_messages(each, held[each.referral_id], sender)
    return [(of, replace(each, drafts=tuple(drafts[each.referral_id]))) for of, each in again]


def _held(referral: StaleReferral) -> LockedReferral:
    """Return the fields of a referral that transfer messages need."""
    return LockedReferral(
        referral.referral_id, referral.party, referral.disposition, referral.exercise, referral.revision, offered=()
    )


async def transfer_referral(referral_id: UUID, said: TransferRequest, acting: Actor) -> TransferredReferral:
    """Permit hotlines that have the referral to claim it: one hotline, or all that have it as an orphan's mandate.

    A repetition sends the messages again. Each request counts against the party's daily quota. Raises `QuotaExceeded`,
    and `Refused`: `forbidden`, `not_found`, `state_forbids`, and `transfer_not_entitled` if no rule has sent the
    referral to such a hotline.
    """
    acting.require(TRANSFER.name)
    transfers, directory = PostgresTransfers(acting.referrals.driver), acting.directory()
    state = await transfers.load_state(referral_id)
    if state is None:
        raise not_found()
    follow(TRANSFER, state)
    held = (await transfers.lock([referral_id])).get(referral_id)
    following = follow(TRANSFER, "" if held is None else held.state)
    assert held is not None
    to = _entitled(held, said.to, directory)
    if not to:
        raise Refused(
            "transfer_not_entitled", "no rule has sent the referral to such a hotline", field="/to", status=409
        )
    await transfers.offer(held, to, reason=said.reason, at=acting.at)
    named = {"referral_id": referral_id, "revision": held.revision, "reason": said.reason}
    sender, drafts = OriginSender(directory, acting.instance, acting.at), list[Draft]()
    offered = [TransferOfferedClear(**named, act=uuid4()) for _ in to]
    # The referral may concern a child at risk, so a full day does not stop it.
    await debit_one(sum(cost(each).whole for each in offered), acting, is_p0=True, released=True)
    for each, hotline in zip(offered, to, strict=True):
        drafts += _draft(TRANSFER_OFFERED, each, held, sender=sender, to=hotline)
    acting.owe(1 + len(drafts))
    await transfers.send(drafts)
    await transfers.note([happened(TRANSFER, referral_id, party=acting.party, state=following)])
    return TransferredReferral(referral_id=referral_id, state=following, offered=tuple(to))


def _entitled(held: LockedReferral, to: str | None, directory: DirectoryIndex) -> list[str]:
    current = [each for each in held.offered if each.is_current]
    found = {each.recipient for each in current if (each.orphan if to is None else each.recipient == to)}
    hotlines = ((each, directory.party(each)) for each in sorted(found))
    return [each for each, party in hotlines if party is not None and party.kind == PartyKind.HOTLINE]


@dataclass(slots=True)
class ClaimGrants(AnswerFollower):
    """The grants of claims within the transaction of a batch of answers.

    `end_holds` ends the holds of a referral, because none of its planned notices is sent any more.
    """

    transfers: PostgresTransfers
    documents: Callable[[], Documents]
    instance: str
    at: datetime
    end_holds: Callable[[UUID], Awaitable[None]]
    _held: Mapping[UUID, LockedReferral] = field(default_factory=dict)

    async def lock(self, messages: Sequence[Received]) -> None:
        """Lock the claimed referrals before their edges, in the same order as withdrawals and amendments."""
        claimed = sorted({UUID(each.subject) for each in messages if each.message is OFFER_CLAIMED})
        self._held = await self.transfers.lock(claimed) if claimed else {}

    def check(self, message: Received) -> None:
        """Check a claim. Raises `Refused("claim_not_offered")` if the referral was never transferred to the sender."""
        if message.message is OFFER_CLAIMED:
            held = self._held.get(UUID(message.subject))
            if held is None or not held.claimable_by(message.sender):
                raise Refused("claim_not_offered")

    async def apply(self, answers: AppliedAnswers) -> list[Event]:
        """Grant the first claim of each referral, in order. Return the events for the origin's parties."""
        held, events = dict(self._held), list[Event]()
        for message in answers.moving:
            if message.message is not OFFER_CLAIMED:
                continue
            found = held[UUID(message.subject)]
            if found.state in may_come_in(HAND_OVER) and message.sender in found.claimants:
                await self._grant(message, found)
                transferred = replace(found, state=Offering.TRANSFERRED.value)
                held[found.referral_id] = transferred
                events.append(Event(found.party, _HANDED_OVER, found.referral_id, transferred.state, by=message.sender))
        return events

    async def _grant(self, message: Received, held: LockedReferral) -> None:
        assert isinstance(message.clear, Answer)
        referral_id, winner = held.referral_id, message.sender
        await self.end_holds(referral_id)
        await self.transfers.hand_over(held, winner, self.at)
        sender = OriginSender(self.documents().directory, self.instance, self.at)
        named = {"referral_id": referral_id, "revision": held.revision}
        done = await self.transfers.done(referral_id, winner)
        granted = ClaimGrantedClear(**named, claim=message.clear.act, done=done)
        drafts = _draft(CLAIM_GRANTED, granted, held, sender=sender, to=winner)
        for other in sorted(held.claimants - {winner}):
            drafts += _draft(CLAIM_GONE, ClaimGoneClear(**named), held, sender=sender, to=other)
        await self.transfers.send(drafts)
