"""What an agency does: one function per intention. Permission is checked here and nowhere else in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.law_enforcement.domain import (
    AUTHORITY,
    CaseAct,
    CaseState,
    advance,
    check_close_reason,
    check_further_edge,
    require_role,
)
from services.law_enforcement.ports import Case, CaseKey, CaseNote, CaseReport, Cases
from shared.contracts.answers import CaseAcceptedClear, CaseDeclinedClear, CaseRecord, OutcomeReportedClear
from shared.contracts.base import Contract
from shared.contracts.referral import ReferralOfferedClear, WithdrawalAcknowledgedClear
from shared.contracts.registry import (
    CASE_ACCEPTED,
    CASE_DECLINED,
    OUTCOME_REPORTED,
    REFERRAL_OFFERED,
    REFERRAL_WITHDRAWN,
    WITHDRAWAL_ACKNOWLEDGED,
    MessageType,
)
from shared.exchange.compose import compose
from shared.exchange.message import Received
from shared.exchange.revealed import compose_revealed
from shared.guard import inspect
from shared.kernel.authority import Role
from shared.kernel.errors import Refused, not_found
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.answers import CaseDeclineReason


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, when, on what: everything that all acts on cases need."""

    party: str
    role: Role
    cases: Cases
    directory: DirectoryIndex
    at: datetime


async def receive(messages: Sequence[Received], *, cases: Cases) -> dict[UUID, str]:
    """Apply a batch in order: offers and withdrawals.

    Returns message id → code for each message that a state machine refuses; the others are applied.
    """
    known = await cases.lock([UUID(message.subject) for message in messages])
    new: list[Received] = []
    changed: dict[CaseKey, tuple[CaseState, CaseState]] = {}
    refusals: dict[UUID, str] = {}
    for message in messages:
        key = (UUID(message.subject), message.recipient)
        case = known.get(key)
        try:
            if message.message is REFERRAL_OFFERED:
                known[key] = _offered(case, message)
                new.append(message)
            elif message.message is REFERRAL_WITHDRAWN:
                before, known[key] = _withdrawn(case, message.sender)
                changed[key] = (before, known[key].state)
            else:
                raise Refused("message_not_for_agencies")
        except Refused as error:
            refusals[message.message_id] = error.code
    await cases.add(new)
    await cases.change(changed)
    return refusals


async def list_cases(*, role: Role, cases: Cases, state: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
    """The agency's cases, newest first, without their records."""
    AUTHORITY.require("case", role, action="read", state=CaseState.OFFERED)
    return await cases.page(state=state, cursor=cursor, limit=limit)


async def show_case(referral_id: UUID, acting: Acting) -> dict[str, Any]:
    """One case with its opened records. That it was opened is told to audit, or it is not opened."""
    AUTHORITY.require("case", acting.role, action="read", state=CaseState.OFFERED)
    shown = await acting.cases.show(referral_id)
    told = compose_revealed(
        referral_id,
        acting.party,
        acting.role,
        exercise=shown["exercise"],
        directory=acting.directory,
        at=acting.at,
    )
    await acting.cases.send([told])
    return shown


async def accept_case(referral_id: UUID, acting: Acting, *, case_reference: str | None) -> CaseState:
    """The agency takes the referral up. Its own reference is guarded, kept, and told to the origin alone."""
    record = None if case_reference is None else CaseRecord(case_reference=case_reference)
    if record is not None:
        inspect(record)
    return await _act(
        referral_id,
        acting,
        CaseAct.ACCEPT,
        message=CASE_ACCEPTED,
        clear=CaseAcceptedClear(referral_id=referral_id),
        note=CaseNote(accepted_at=acting.at, case_reference=case_reference),
        sealed=record,
    )


async def decline_case(referral_id: UUID, acting: Acting, *, reason: CaseDeclineReason) -> CaseState:
    """The agency will not take the referral up, and says why."""
    clear = CaseDeclinedClear(referral_id=referral_id, reason=reason)
    note = CaseNote(decline_reason=reason)
    return await _act(referral_id, acting, CaseAct.DECLINE, message=CASE_DECLINED, clear=clear, note=note)


async def report_outcome(referral_id: UUID, acting: Acting, *, report: CaseReport) -> CaseState:
    """The agency says what has come of the case so far; a conviction or a closing ends it."""
    check_close_reason(report.outcome, report.close_reason)
    clear = OutcomeReportedClear(
        referral_id=referral_id,
        outcome=report.outcome,
        close_reason=report.close_reason,
        child_identified=report.child_identified,
        child_safeguarded=report.child_safeguarded,
    )
    note = CaseNote(report=report)
    return await _act(referral_id, acting, CaseAct.REPORT_OUTCOME, message=OUTCOME_REPORTED, clear=clear, note=note)


async def acknowledge_withdrawal(referral_id: UUID, acting: Acting) -> CaseState:
    """The agency has stopped acting on a withdrawn referral, and says so to the origin."""
    clear = WithdrawalAcknowledgedClear(referral_id=referral_id, revision=1)
    return await _act(
        referral_id,
        acting,
        CaseAct.ACKNOWLEDGE_WITHDRAWAL,
        message=WITHDRAWAL_ACKNOWLEDGED,
        clear=clear,
        note=CaseNote(),
    )


async def _act(
    referral_id: UUID,
    acting: Acting,
    act: CaseAct,
    *,
    message: MessageType,
    clear: Contract,
    note: CaseNote,
    sealed: Contract | None = None,
) -> CaseState:
    """Move the agency's own case, keep the note, and tell the origin; the new state."""
    require_role(acting.role, act)
    case = (await acting.cases.find([referral_id])).get((referral_id, acting.party))
    if case is None:
        raise not_found()
    AUTHORITY.require("case", acting.role, action=act, state=case.state)
    following = advance(case.state, act, note.report.outcome if note.report else None)
    await acting.cases.act(case, following, note)
    answer = compose(
        message,
        clear,
        sealed=sealed.model_dump_json().encode() if sealed else None,
        subject=referral_id,
        sender=case.party,
        recipient=case.origin,
        directory=acting.directory,
        exercise=case.exercise,
        at=acting.at,
    )
    await acting.cases.send([answer])
    return following


def _offered(case: Case | None, message: Received) -> Case:
    """The case that an offer begins, or adds a purpose to."""
    clear = message.clear
    assert isinstance(clear, ReferralOfferedClear)
    purpose = clear.edge.purpose.value
    if clear.origin != message.sender or (case is not None and case.origin != message.sender):
        raise Refused("origin_is_not_sender")
    if case is not None:
        check_further_edge(case.state, case.purposes, purpose)
        return replace(case, purposes=case.purposes | {purpose})
    return Case(
        referral_id=clear.referral_id,
        party=message.recipient,
        origin=message.sender,
        exercise=message.exercise,
        state=CaseState.OFFERED,
        purposes=frozenset({purpose}),
    )


def _withdrawn(case: Case | None, sender: str) -> tuple[CaseState, Case]:
    """The state before, and the case withdrawn. Only the origin itself may take its referral back."""
    if case is None or case.origin != sender:
        raise Refused("case_unknown")
    return case.state, replace(case, state=advance(case.state, CaseAct.WITHDRAW))
