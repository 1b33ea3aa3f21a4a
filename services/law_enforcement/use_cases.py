"""What an agency does that no other recipient does. The rest is `shared.party.recipient.use_cases`."""

from __future__ import annotations

from uuid import UUID

from services.law_enforcement.domain import AGENCY, check_close_reason
from shared.contracts.answers import Acceptance, OutcomeReport, WithdrawalAnswer
from shared.contracts.base import Contract
from shared.exchange.act import Act, CaseState
from shared.guard import inspect
from shared.kernel.errors import Refused
from shared.party.recipient.domain import require_role
from shared.party.recipient.ports import Acting
from shared.party.recipient.use_cases import act
from shared.vocabulary.answers import WithdrawalFate


async def act_on_case(row: Act, referral_id: UUID, *, said: Contract | None, acting: Acting) -> str:
    """Do an act on a case. The agency's own reference is guarded: it is told to the origin, and to it alone."""
    require_role(row, acting.role)
    match said:
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
