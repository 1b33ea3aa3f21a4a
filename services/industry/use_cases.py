"""Use cases that only providers have. The common ones are in `shared.features.received.service.items`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from services.industry.domain import AUTHORITY, PROVIDER, Period, check_suggested, removed_by
from services.industry.store import PostgresNotices
from shared.core.acts.act import Act, NoticeState, Subject, Track
from shared.core.acts.states import row
from shared.core.contracts.answers import NoticeDisowning, NoticeStatements, WithdrawalAnswer
from shared.core.contracts.base import Contract
from shared.core.contracts.preservation_api import PreservationAnswering
from shared.core.errors import Refused
from shared.core.protocol.preservation import check_day
from shared.core.protocol.retention_grounds import reason_to_keep
from shared.core.vocabulary.answers import WithdrawalFate
from shared.features.preservation import service as preservation
from shared.features.preservation.service import PreserveActor
from shared.features.received.rules import require_role
from shared.features.received.service.items import ItemActor, act
from shared.formats.dsa_notices import ReportedNotice


async def act_on_notice(row: Act, notice_id: UUID, *, said: Contract | None, acting: ItemActor) -> str:
    """Do an act on a notice. A provider that does not host the items may name the right one, by its directory id."""
    require_role(row, acting.role)
    match said:
        case NoticeDisowning():
            check_suggested(said, acting.directory)
        case WithdrawalAnswer(fate=WithdrawalFate.ERASED):
            await _check_nothing_to_keep(notice_id, acting)
        case NoticeStatements():
            await _keep_before_removing(said, notice_id, acting)
        case _:
            pass  # all other acts have no checks of their own for providers
    return await act(PROVIDER, row, notice_id, said=said, acting=acting)


async def reported_notices(period: Period, acting: ItemActor, *, exercises: bool) -> Sequence[ReportedNotice]:
    """Return the notices of a period for the provider's report. Needs the permit to read notices."""
    AUTHORITY.require(Subject.NOTICE, acting.role, action="read", state=NoticeState.WITHDRAWN)
    notices = cast("PostgresNotices", acting.items)
    return await notices.reported(acting.party, since=period.begins, before=period.ends, exercises=exercises)


async def _check_nothing_to_keep(notice_id: UUID, acting: ItemActor) -> None:
    """Check that no retention ground forbids the erasure of a withdrawn notice. Raises `Refused("notice_is_kept")`.

    Actions can be the subject of complaints, and preserved content can be requested. Such notices must be retained.
    """
    notice = (await acting.items.find([notice_id])).get((notice_id, acting.party))
    if notice is None or notice.gone or notice.state != NoticeState.WITHDRAWN:
        return
    if reason_to_keep(Subject.NOTICE, notice.said, retention=None, at=acting.at) is not None:
        detail = "the provider acted on the notice, so it must be retained: state why and until when"
        raise Refused("notice_is_kept", detail, field="/fate", status=409)


async def _keep_before_removing(said: NoticeStatements, notice_id: UUID, acting: ItemActor) -> None:
    """Answer preservation requests in the act that reports a removal: removed content cannot be preserved later.

    Raises `Refused("preservation_unanswered")` if the act removes content and a request for it has no answer.
    """
    notice = (await acting.items.find([notice_id])).get((notice_id, acting.party))
    if notice is None:
        return  # `act` refuses an absent notice
    AUTHORITY.require(Subject.NOTICE, acting.role, action="answer", state=notice.state)
    preservations = cast("PostgresNotices", acting.items).preservations
    answered = {each.preservation_id for each in said.preservations}
    if removed := removed_by(said, notice):
        waiting = await preservations.unanswered(notice_id, acting.party, removed)
        if not answered.issuperset(waiting):
            raise Refused(
                "preservation_unanswered",
                "answer each request for these locations in the same act: preserved or not_possible",
                field="/preservations",
                status=409,
            )
    preserving = PreserveActor(
        party=acting.party,
        role=acting.role,
        actor=acting.actor,
        track=Track.ANSWER,
        authority=AUTHORITY,
        preservations=preservations,
        directory=acting.directory,
        at=acting.at,
    )
    for place, each in enumerate(said.preservations):
        check_day(each, acting.at.date(), field=f"/preservations/{place}/until")
        words = PreservationAnswering.model_validate(each.model_dump(exclude={"preservation_id"}))
        await preservation.act(_ANSWER, each.preservation_id, said=words, acting=preserving)


_ANSWER = row(Subject.PRESERVATION, "answer")
