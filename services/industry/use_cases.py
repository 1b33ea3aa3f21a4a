"""What a provider does that no other recipient does. The rest is `shared.party.recipient.use_cases`."""

from __future__ import annotations

from uuid import UUID

from services.industry.domain import PROVIDER, check_suggested
from shared.contracts.answers import NoticeDisowning
from shared.contracts.base import Contract
from shared.exchange.act import Act
from shared.party.recipient.domain import require_role
from shared.party.recipient.ports import Acting
from shared.party.recipient.use_cases import act


async def act_on_notice(row: Act, notice_id: UUID, *, said: Contract | None, acting: Acting) -> str:
    """Do an act on a notice. Who does not host the items may name the provider that does, by its directory id."""
    require_role(row, acting.role)
    if isinstance(said, NoticeDisowning):
        check_suggested(said, acting.directory)
    return await act(PROVIDER, row, notice_id, said=said, acting=acting)
