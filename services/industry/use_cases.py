"""What a provider does that no other recipient does. The rest is `shared.party.recipient.use_cases`."""

from __future__ import annotations

from uuid import UUID

from services.industry.domain import PROVIDER, check_suggested
from shared.contracts.answers import NoticeDisowning, WithdrawalAnswer
from shared.contracts.base import Contract
from shared.exchange.act import Act, NoticeState, Subject
from shared.exchange.keeping import reason_to_keep
from shared.kernel.errors import Refused
from shared.party.recipient.domain import require_role
from shared.party.recipient.ports import Acting
from shared.party.recipient.use_cases import act
from shared.vocabulary.answers import WithdrawalFate


async def act_on_notice(row: Act, notice_id: UUID, *, said: Contract | None, acting: Acting) -> str:
    """Do an act on a notice. Who does not host the items may name the provider that does, by its directory id."""
    require_role(row, acting.role)
    match said:
        case NoticeDisowning():
            check_suggested(said, acting.directory)
        case WithdrawalAnswer(fate=WithdrawalFate.ERASED):
            await _check_nothing_to_keep(notice_id, acting)
        case _:
            pass  # the rest has nothing that only a provider would check
    return await act(PROVIDER, row, notice_id, said=said, acting=acting)


async def _check_nothing_to_keep(notice_id: UUID, acting: Acting) -> None:
    """What was done can be complained about, and what is preserved is for others to ask for: neither is wiped."""
    notice = (await acting.items.find([notice_id])).get((notice_id, acting.party))
    if notice is None or notice.state != NoticeState.WITHDRAWN:
        return
    if reason_to_keep(Subject.NOTICE, notice.said, retention=None, at=acting.at) is not None:
        detail = "it was acted on: say until when and why it is kept"
        raise Refused("notice_is_kept", detail, field="/fate", status=409)
