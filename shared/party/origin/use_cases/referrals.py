"""What a party does with its own referrals: look at them, and take one back and tell everyone who was sent it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from pydantic_core import from_json

from shared.contracts.base import Contract
from shared.contracts.facts import RecordRevealedClear
from shared.exchange.act import Subject
from shared.exchange.events import happened
from shared.exchange.origin import ReferralState
from shared.exchange.states import follow, row
from shared.kernel.errors import not_found
from shared.party.compared import Comparison, compared
from shared.party.opened import tell_opened
from shared.party.origin.domain import ShownReferral
from shared.party.origin.use_cases.acting import Acting, reachable, tell_taken_back
from shared.runtime.watch.logs import log
from shared.vocabulary.referral import WithdrawalReason
from shared.vocabulary.reveal import RevealReason

_WITHDRAW = row(Subject.REFERRAL, "withdraw")


class Withdrawal(Contract):
    """Why the origin takes the referral back."""

    reason: WithdrawalReason


async def show_referral(referral_id: UUID, acting: Acting) -> ShownReferral:
    """One referral with its ticks. Raises `Refused("not_found")` for absent and foreign ids alike."""
    acting.require("read")
    shown = await acting.referrals.show(referral_id)
    if shown is None:
        raise not_found()
    return shown


async def compare_revisions(referral_id: UUID, acting: Acting, *, reason: RevealReason) -> Sequence[Comparison]:
    """What each amendment has changed. That it was opened is told to audit, or it is not opened.

    Raises `Refused("not_found")` for absent and foreign referrals alike.
    """
    filed = await acting.filed(referral_id, "read")
    opened = RecordRevealedClear(party=acting.party, role=acting.role, actor=acting.actor, reason=reason)
    directory, at = acting.directory(), acting.at
    await tell_opened(referral_id, opened, acting.amendments, exercise=filed.exercise, directory=directory, at=at)
    said = await acting.amendments.said(referral_id)
    return compared([(f"revision {each.revision}", from_json(each.content)) for each in said])


async def withdraw_referral(referral_id: UUID, reason: WithdrawalReason, acting: Acting) -> None:
    """Mark the referral withdrawn and send a tombstone to each recipient, wherever it ever had it.

    What is withdrawn stays as it is: asking again, for whatever reason, changes nothing and tells nobody.
    Raises `Refused("not_found")` for absent and foreign referrals alike. Every recipient must acknowledge;
    until it has, the edge shows so. One that has left the directory cannot be told: its edge keeps showing it.
    """
    filed = await acting.filed(referral_id, "withdraw")
    if filed.state == ReferralState.WITHDRAWN:
        return
    following, referrals = follow(_WITHDRAW, filed.state), acting.referrals
    if not await referrals.withdraw(referral_id, reason, acting.at):
        return  # withdrawn by somebody else while we waited for the row
    await referrals.note([happened(_WITHDRAW, referral_id, party=acting.party, state=following)])
    told, directory = await referrals.told(referral_id), acting.directory()
    there = await tell_taken_back(
        referral_id,
        told,
        filed,
        store=referrals,
        reason=reason,
        party=acting.party,
        directory=directory,
        at=acting.at,
    )
    await referrals.mark_withdrawn(referral_id, there)
    if left := [each for each in told if not reachable(each, directory)]:
        log("withdrawal_untold", count=len(left))
