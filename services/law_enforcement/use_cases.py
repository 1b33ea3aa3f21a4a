"""What an agency does that no other recipient does. The rest is `shared.party.recipient.use_cases`."""

from __future__ import annotations

from uuid import UUID

from services.law_enforcement.domain import AGENCY, check_close_reason
from shared.contracts.answers import Acceptance, OutcomeReport
from shared.contracts.base import Contract
from shared.exchange.acts import Act
from shared.guard import inspect
from shared.party.recipient.domain import require_role
from shared.party.recipient.ports import Acting
from shared.party.recipient.use_cases import act


async def act_on_case(row: Act, referral_id: UUID, *, said: Contract | None, acting: Acting) -> str:
    """Do an act on a case. The agency's own reference is guarded: it is told to the origin, and to it alone."""
    require_role(row, acting.role)
    match said:
        case Acceptance():
            inspect(said)
        case OutcomeReport():
            check_close_reason(said.outcome, said.close_reason)
        case _:
            pass  # the rest has nothing that only an agency would check
    return await act(AGENCY, row, referral_id, said=said, acting=acting)
