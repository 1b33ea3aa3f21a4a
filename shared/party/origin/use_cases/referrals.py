"""What a party does with its own referrals: look at them, and take one back and tell everyone who was sent it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.registry import NOTICE_WITHDRAWN, REFERRAL_WITHDRAWN
from shared.exchange.act import Subject
from shared.exchange.clocks import Happened, taken_back
from shared.exchange.compose import Addressing, compose
from shared.exchange.events import happened
from shared.exchange.message import Draft
from shared.exchange.origin import ReferralState
from shared.exchange.states import follow, row
from shared.kernel.authority import Authority, Role
from shared.kernel.errors import not_found
from shared.kernel.ids import uuid4
from shared.party.origin.domain import ReferralPage, ShownReferral, Ticks, WorkPage
from shared.party.origin.records import Filed, Told
from shared.party.origin.store.referrals import PostgresReferrals
from shared.party.sought import EVERYTHING, Sought
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.watch.logs import log
from shared.vocabulary.referral import WithdrawalReason
from shared.vocabulary.routing import Disposition


class Withdrawal(Contract):
    """Why the origin takes the referral back."""

    reason: WithdrawalReason


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, when, on what, and by which permits."""

    party: str
    role: Role
    referrals: PostgresReferrals
    authority: Authority
    directory: Callable[[], DirectoryIndex]
    at: datetime

    def require(self, action: str) -> None:
        """Raises `Refused("forbidden")` for a role that never may, before anything is looked up for it.

        Whatever was decided may be read and withdrawn, so one state stands for all.
        """
        self.authority.require("referral", self.role, action=action, state=Disposition.ROUTED)


async def show_referral(referral_id: UUID, acting: Acting) -> ShownReferral:
    """One referral with its ticks. Raises `Refused("not_found")` for absent and foreign ids alike."""
    acting.require("read")
    shown = await acting.referrals.show(referral_id)
    if shown is None:
        raise not_found()
    return shown


async def list_referrals(
    acting: Acting, sought: Sought = EVERYTHING, *, state: str | None, cursor: str | None, limit: int
) -> ReferralPage:
    """The party's referrals, newest first."""
    acting.require("read")
    return await acting.referrals.page(acting.party, sought, state=state, cursor=cursor, limit=limit)


async def list_ticks(page: ReferralPage, acting: Acting) -> dict[UUID, Ticks]:
    """The ticks of each referral of a page."""
    acting.require("read")
    return await acting.referrals.ticked(page.items)


async def list_work(acting: Acting, *, reason: str | None, cursor: str | None, limit: int) -> WorkPage:
    """What went nowhere, each with the named reason."""
    acting.require("read")
    return await acting.referrals.work(acting.party, reason=reason, cursor=cursor, limit=limit)


async def withdraw_referral(referral_id: UUID, reason: WithdrawalReason, acting: Acting) -> None:
    """Mark the referral withdrawn and send a tombstone to each recipient, wherever it ever had it.

    What is withdrawn stays as it is: asking again, for whatever reason, changes nothing and tells nobody.
    Raises `Refused("not_found")` for absent and foreign referrals alike. Every recipient must acknowledge;
    until it has, the edge shows so. One that has left the directory cannot be told: its edge keeps showing it.
    """
    acting.require("withdraw")
    referrals = acting.referrals
    filed = await referrals.find(referral_id)
    if filed is None:
        raise not_found()
    if filed.state == ReferralState.WITHDRAWN:
        return
    withdrawing = row(Subject.REFERRAL, "withdraw")
    following = follow(withdrawing, filed.state)
    if not await referrals.withdraw(referral_id, reason, acting.at):
        return  # withdrawn by somebody else while we waited for the row
    await referrals.note([happened(withdrawing, referral_id, party=acting.party, state=following)])
    told = await referrals.told(referral_id)
    over = [
        Happened.by(acting.party, each.notice_id or referral_id, each.recipient, step=step)
        for each in told
        for step in taken_back(acting.at)
    ]
    await referrals.clock((), over)
    directory = acting.directory()
    reached = [each for each in told if reachable(each, directory)]
    drafts = [
        tombstone(referral_id, each, filed, reason=reason, sender=acting.party, directory=directory, at=acting.at)
        for each in reached
    ]
    await referrals.send(drafts)
    # Where a recipient was before it moved, nobody is left to acknowledge.
    there = [(draft.message_id, each) for draft, each in zip(drafts, reached, strict=True) if each.there]
    await referrals.mark_withdrawn(referral_id, there)
    if len(reached) < len(told):
        log("withdrawal_untold", count=len(told) - len(reached))


def tombstone(
    referral_id: UUID,
    to: Told,
    filed: Filed,
    *,
    reason: WithdrawalReason,
    sender: str,
    directory: DirectoryIndex,
    at: datetime,
) -> Draft:
    """What tells a recipient, at one instance, that the referral is withdrawn."""
    return compose(
        NOTICE_WITHDRAWN if to.notice_id else REFERRAL_WITHDRAWN,
        _named(referral_id, to.notice_id) | {"act": str(uuid4()), "reason": reason.value},
        Addressing(
            subject=to.notice_id or referral_id,
            origin=referral_id,
            sender=sender,
            recipient=to.recipient,
            directory=directory,
            exercise=filed.exercise,
            at=at,
            traceparent=filed.traceparent,
            place=to.instance,
        ),
    )


def reachable(told: Told, directory: DirectoryIndex) -> bool:
    """Whether there is anybody to be told."""
    return directory.party(told.recipient) is not None and directory.instance(told.instance) is not None


def _named(referral_id: UUID, notice_id: UUID | None) -> dict[str, str | int]:
    """How a tombstone names what it takes back: to a provider by the notice alone."""
    return {"notice_id": str(notice_id)} if notice_id else {"referral_id": str(referral_id), "revision": 1}
