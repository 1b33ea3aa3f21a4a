"""What a provider does: one function per intention. Permission is checked here and nowhere else in Python.

Its own filings are `shared.party.origin`'s, as every origin's are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.industry.domain import AUTHORITY, NoticeAct, NoticeState, advance, require_role
from services.industry.ports import Answers, Notice, NoticeKey, NoticeNote, Notices
from shared.contracts.answers import (
    NoticeAcknowledgedClear,
    NoticeActionedClear,
    NoticeNotOursClear,
    NoticeRejectedClear,
)
from shared.contracts.base import Contract
from shared.contracts.referral import NoticeIssuedClear, NoticeWithdrawalAcknowledgedClear
from shared.contracts.registry import (
    NOTICE_ACKNOWLEDGED,
    NOTICE_ACTIONED,
    NOTICE_ISSUED,
    NOTICE_NOT_OURS,
    NOTICE_REJECTED,
    NOTICE_WITHDRAWAL_ACKNOWLEDGED,
    NOTICE_WITHDRAWN,
    MessageType,
)
from shared.exchange.compose import compose
from shared.exchange.message import Received
from shared.exchange.origin import ANSWERS
from shared.exchange.revealed import compose_revealed
from shared.kernel.authority import Role
from shared.kernel.errors import Refused, not_found
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.answers import NoticeAction, NoticeRejection
from shared.vocabulary.routing import PartyKind


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, when, on what: everything that all acts on notices need."""

    party: str
    role: Role
    notices: Notices
    directory: DirectoryIndex
    at: datetime


async def receive(messages: Sequence[Received], *, notices: Notices, answers: Answers) -> dict[UUID, str]:
    """Apply a batch in order: notices, their withdrawals, and answers to the provider's own referrals.

    Returns message id → code for each message that a state machine refuses; the others are applied.
    """
    known = await notices.lock([UUID(m.subject) for m in messages if m.message in (NOTICE_ISSUED, NOTICE_WITHDRAWN)])
    new: list[Received] = []
    changed: dict[NoticeKey, tuple[NoticeState, NoticeState]] = {}
    refusals: dict[UUID, str] = {}
    for message in messages:
        key = (UUID(message.subject), message.recipient)
        notice = known.get(key)
        try:
            if message.message is NOTICE_ISSUED:
                known[key] = _issued(notice, message)
                new.append(message)
            elif message.message is NOTICE_WITHDRAWN:
                before, known[key] = _withdrawn(notice, message.sender)
                changed[key] = (before, known[key].state)
            elif type(message.clear) not in ANSWERS:
                raise Refused("message_not_for_providers")
        except Refused as error:
            refusals[message.message_id] = error.code
    await notices.add(new)
    await notices.change(changed)
    return refusals | await answers.apply([m for m in messages if type(m.clear) in ANSWERS])


async def list_notices(
    *, role: Role, notices: Notices, state: str | None, cursor: str | None, limit: int
) -> dict[str, Any]:
    """The provider's notices, newest first, without their records."""
    AUTHORITY.require("notice", role, action="read", state=NoticeState.ISSUED)
    return await notices.page(state=state, cursor=cursor, limit=limit)


async def show_notice(notice_id: UUID, acting: Acting) -> dict[str, Any]:
    """One notice with its opened record. That it was opened is told to audit, or it is not opened."""
    AUTHORITY.require("notice", acting.role, action="read", state=NoticeState.ISSUED)
    shown = await acting.notices.show(notice_id)
    told = compose_revealed(
        notice_id,
        acting.party,
        acting.role,
        exercise=shown["exercise"],
        directory=acting.directory,
        at=acting.at,
    )
    await acting.notices.send([told])
    return shown


async def acknowledge_notice(notice_id: UUID, acting: Acting) -> NoticeState:
    """The provider has the notice in hand: an act of the organisation, not of its server."""
    clear = NoticeAcknowledgedClear(notice_id=notice_id)
    return await _act(
        notice_id, acting, NoticeAct.ACKNOWLEDGE, message=NOTICE_ACKNOWLEDGED, clear=clear, note=NoticeNote()
    )


async def action_notice(
    notice_id: UUID, acting: Acting, *, actions: Sequence[NoticeAction], effective_at: datetime
) -> NoticeState:
    """The provider has acted, and says what took effect when."""
    clear = NoticeActionedClear(notice_id=notice_id, actions=tuple(actions), effective_at=effective_at)
    note = NoticeNote(actions=clear.actions, effective_at=clear.effective_at)
    return await _act(notice_id, acting, NoticeAct.ACTION, message=NOTICE_ACTIONED, clear=clear, note=note)


async def reject_notice(notice_id: UUID, acting: Acting, *, reason: NoticeRejection) -> NoticeState:
    """The provider will not act, and says why."""
    clear = NoticeRejectedClear(notice_id=notice_id, reason=reason)
    note = NoticeNote(rejection=reason)
    return await _act(notice_id, acting, NoticeAct.REJECT, message=NOTICE_REJECTED, clear=clear, note=note)


async def disown_notice(notice_id: UUID, acting: Acting, *, suggested: str | None) -> NoticeState:
    """The provider does not host the items; it may name the provider that does, by its id in the directory."""
    if suggested is not None:
        entry = acting.directory.party(suggested)
        if entry is None or entry.kind != PartyKind.INDUSTRY:
            raise Refused("suggested_unknown", "no provider of the directory", field="/suggested")
    clear = NoticeNotOursClear(notice_id=notice_id, suggested=suggested)
    note = NoticeNote(suggested=suggested)
    return await _act(notice_id, acting, NoticeAct.DISOWN, message=NOTICE_NOT_OURS, clear=clear, note=note)


async def acknowledge_withdrawal(notice_id: UUID, acting: Acting) -> NoticeState:
    """The provider has stopped acting on a withdrawn notice, and says so to the notifier."""
    clear = NoticeWithdrawalAcknowledgedClear(notice_id=notice_id)
    return await _act(
        notice_id,
        acting,
        NoticeAct.ACKNOWLEDGE_WITHDRAWAL,
        message=NOTICE_WITHDRAWAL_ACKNOWLEDGED,
        clear=clear,
        note=NoticeNote(),
    )


async def _act(
    notice_id: UUID,
    acting: Acting,
    act: NoticeAct,
    *,
    message: MessageType,
    clear: Contract,
    note: NoticeNote,
) -> NoticeState:
    """Move the provider's own notice, keep the note, and tell the notifier; the new state."""
    require_role(acting.role, act)
    notice = (await acting.notices.find([notice_id])).get((notice_id, acting.party))
    if notice is None:
        raise not_found()
    AUTHORITY.require("notice", acting.role, action=act, state=notice.state)
    following = advance(notice.state, act)
    await acting.notices.act(notice, following, note)
    answer = compose(
        message,
        clear,
        subject=notice_id,
        sender=notice.party,
        recipient=notice.contact,
        directory=acting.directory,
        exercise=notice.exercise,
        at=acting.at,
    )
    await acting.notices.send([answer])
    return following


def _issued(notice: Notice | None, message: Received) -> Notice:
    """The notice that a message issues. An id is issued once, and only by the contact that it names."""
    clear = message.clear
    assert isinstance(clear, NoticeIssuedClear)
    if clear.contact != message.sender:
        raise Refused("contact_is_not_sender")
    if notice is not None:
        raise Refused("notice_exists")
    return Notice(
        notice_id=clear.notice_id,
        party=message.recipient,
        contact=message.sender,
        exercise=message.exercise,
        state=NoticeState.ISSUED,
    )


def _withdrawn(notice: Notice | None, sender: str) -> tuple[NoticeState, Notice]:
    """The state before, and the notice withdrawn. Only the notifier itself may take its notice back."""
    if notice is None or notice.contact != sender:
        raise Refused("notice_unknown")
    return notice.state, replace(notice, state=advance(notice.state, NoticeAct.WITHDRAW))
