"""What an agency does that no other recipient does. The rest is `shared.party.recipient.use_cases`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from services.law_enforcement.domain import AGENCY, check_close_reason
from shared.contracts.answers import Acceptance, OutcomeReport, WithdrawalAnswer
from shared.contracts.base import Contract
from shared.contracts.holds import HoldExtension, HoldExtensionOf, HoldNamed, HoldRequest
from shared.contracts.registry import HOLD_RELEASED
from shared.exchange.act import Act, CaseState
from shared.exchange.holds import check_bound
from shared.guard import inspect
from shared.kernel.errors import Refused, not_found
from shared.party.recipient.domain import require_role
from shared.party.recipient.holding import Cases, Holds, OpenHold
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


def _holds(acting: Acting) -> Holds:
    """An agency's items are cases, and cases have holds."""
    assert isinstance(acting.items, Cases)
    return acting.items.holds
