"""What an agency does that no other recipient does. The rest is `shared.party.recipient.use_cases`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from services.law_enforcement.domain import AGENCY, AUTHORITY, check_close_reason
from shared.contracts.answers import Acceptance, OutcomeReport, WithdrawalAnswer
from shared.contracts.base import Contract
from shared.contracts.holds import HoldExtension, HoldExtensionOf, HoldNamed, HoldRequest
from shared.contracts.leases import Claim, HandOver
from shared.contracts.registry import HOLD_RELEASED
from shared.exchange.act import Act, CaseState, Subject
from shared.exchange.events import happened
from shared.exchange.holds import check_bound
from shared.guard import inspect
from shared.kernel.errors import Refused, not_found
from shared.party.recipient.domain import require_role
from shared.party.recipient.holding import Cases, Holds, OpenHold
from shared.party.recipient.leasing import Lease, Leases, Leasing, claimed
from shared.party.recipient.ports import Acting
from shared.party.recipient.use_cases import act
from shared.vocabulary.answers import WithdrawalFate


async def act_on_case(
    row: Act, referral_id: UUID, *, said: Contract | None, acting: Acting, longest: Callable[[], timedelta]
) -> str:
    """Do an act on a case. The agency's own reference is guarded: it is told to the origin, and to it alone.

    `longest`: how far from now a hold may end.
    """
    require_role(row, acting.role)
    if isinstance(said, Claim | HandOver):
        return await _lease(row, referral_id, said, acting)
    await _check_not_kept(referral_id, acting)
    match said:
        case HoldRequest():
            check_bound(said.not_after, acting.at, longest())
            await _check_none_open(referral_id, acting)
        case HoldExtension():
            check_bound(said.not_after, acting.at, longest())
            said = await _extension(referral_id, said, acting)
        case None if row.message is HOLD_RELEASED:
            said = HoldNamed(hold=(await _open_hold(referral_id, acting)).hold_id)
        case Acceptance():
            inspect(said)
        case OutcomeReport():
            check_close_reason(said.outcome, said.close_reason)
        case WithdrawalAnswer(fate=WithdrawalFate.ERASED):
            await _check_not_taken_up(referral_id, acting)
        case _:
            pass  # the rest has nothing that only an agency would check
    return await act(AGENCY, row, referral_id, said=said, acting=acting)


async def _lease(row: Act, referral_id: UUID, said: Claim | HandOver, acting: Acting) -> str:
    """Have an officer have the case. Nobody else is told: it is the agency's own, and stands in its feed."""
    case = (await acting.items.find([referral_id])).get((referral_id, acting.party))
    if case is None:
        raise not_found()
    AUTHORITY.require(Subject.CASE, acting.role, action=row.name, state=case.state)
    leases, at = _leases(acting), acting.at
    before = await leases.newest(referral_id, acting.party)
    if before.keeps(acting.actor, at):
        raise claimed()
    if isinstance(said, HandOver) and not before.stands(at):
        raise Refused("case_not_claimed", "nobody has it", status=409)
    actor, until = acting.actor if isinstance(said, Claim) else said.to, at + timedelta(hours=said.hours)
    lease = Lease(before.number + 1, actor, until if actor is not None else at)
    if not await leases.add(referral_id, acting.party, lease, by=acting.actor, at=at):
        raise claimed()
    await acting.items.note([happened(row, referral_id, party=acting.party, state=case.state)])
    return case.state


async def _check_not_kept(referral_id: UUID, acting: Acting) -> None:
    """Whoever else of the agency has the case is not worked against, as long as the lease lasts."""
    if (await _leases(acting).newest(referral_id, acting.party)).keeps(acting.actor, acting.at):
        raise claimed()


async def _check_not_taken_up(referral_id: UUID, acting: Acting) -> None:
    """A case that was accepted wins over its withdrawal: whoever got hold of an origin's key must not wipe it."""
    case = (await acting.items.find([referral_id])).get((referral_id, acting.party))
    if case is not None and case.state == CaseState.WITHDRAWN and "accepted_at" in case.said:
        raise Refused("case_is_kept", "it was accepted: say until when and why it is kept", field="/fate", status=409)


async def _check_none_open(referral_id: UUID, acting: Acting) -> None:
    if await _holds(acting).open(referral_id, acting.party) is not None:
        raise Refused("hold_open", "one is open already: extend or release it", status=409)


async def _extension(referral_id: UUID, said: HoldExtension, acting: Acting) -> HoldExtensionOf:
    hold = await _open_hold(referral_id, acting)
    if said.not_after <= hold.ends:
        raise Refused("hold_not_longer", "its end must be later than it is now", field="/not_after", status=409)
    return HoldExtensionOf(hold=hold.hold_id, basis=said.basis, not_after=said.not_after)


async def _open_hold(referral_id: UUID, acting: Acting) -> OpenHold:
    hold = await _holds(acting).open(referral_id, acting.party)
    if hold is None:
        if (referral_id, acting.party) not in await acting.items.find([referral_id]):
            raise not_found()
        raise Refused("no_hold_open", "there is none that could be extended or released", status=409)
    return hold


def _leases(acting: Acting) -> Leases:
    """An agency's items are cases, and cases have leases."""
    assert isinstance(acting.items, Leasing)
    return acting.items.leases


def _holds(acting: Acting) -> Holds:
    """An agency's items are cases, and cases have holds."""
    assert isinstance(acting.items, Cases)
    return acting.items.holds
