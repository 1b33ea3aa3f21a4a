"""What an agency does: one function per intention. Permission is checked here and nowhere else in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.law_enforcement.domain import AUTHORITY, CaseAct, CaseState, advance, check_further_edge, require_role
from services.law_enforcement.ports import Case, CaseKey, CaseNote, Cases
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
from shared.exchange.message import Draft, Received
from shared.guard import inspect
from shared.kernel.authority import Role
from shared.kernel.errors import Refused, not_found
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.answers import CaseDeclineReason


async def receive(messages: Sequence[Received], *, cases: Cases) -> dict[UUID, str]:
    """Apply a batch in order: offers and withdrawals.

    Returns message id → code for each message that a state machine refuses; the others are applied.
    """
    known = await cases.find([UUID(message.subject) for message in messages])
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


async def show_case(referral_id: UUID, *, role: Role, cases: Cases) -> dict[str, Any]:
    """One case with its opened records."""
    AUTHORITY.require("case", role, action="read", state=CaseState.OFFERED)
    return await cases.show(referral_id)


async def accept_case(
    referral_id: UUID,
    *,
    case_reference: str | None,
    party: str,
    role: Role,
    cases: Cases,
    directory: DirectoryIndex,
    at: datetime,
) -> CaseState:
    """The agency takes the referral up. Its own reference is guarded, kept, and told to the origin alone."""
    case = await _own_case(referral_id, CaseAct.ACCEPT, party=party, role=role, cases=cases)
    record = None if case_reference is None else CaseRecord(case_reference=case_reference)
    if record is not None:
        inspect(record)
    following = advance(case.state, CaseAct.ACCEPT)
    await cases.act(case, following, CaseNote(accepted_at=at, case_reference=case_reference))
    clear = CaseAcceptedClear(referral_id=referral_id)
    await cases.send([_answer(CASE_ACCEPTED, clear, case, directory=directory, at=at, sealed=record)])
    return following


async def decline_case(
    referral_id: UUID,
    *,
    reason: CaseDeclineReason,
    party: str,
    role: Role,
    cases: Cases,
    directory: DirectoryIndex,
    at: datetime,
) -> CaseState:
    """The agency will not take the referral up, and says why."""
    case = await _own_case(referral_id, CaseAct.DECLINE, party=party, role=role, cases=cases)
    following = advance(case.state, CaseAct.DECLINE)
    await cases.act(case, following, CaseNote(decline_reason=reason))
    clear = CaseDeclinedClear(referral_id=referral_id, reason=reason)
    await cases.send([_answer(CASE_DECLINED, clear, case, directory=directory, at=at)])
    return following


async def report_outcome(
    report: OutcomeReportedClear, *, party: str, role: Role, cases: Cases, directory: DirectoryIndex, at: datetime
) -> CaseState:
    """The agency says what has come of the case so far; a conviction or a closing ends it."""
    case = await _own_case(report.referral_id, CaseAct.REPORT_OUTCOME, party=party, role=role, cases=cases)
    following = advance(case.state, CaseAct.REPORT_OUTCOME, report.outcome)
    await cases.act(case, following, CaseNote(report=report))
    await cases.send([_answer(OUTCOME_REPORTED, report, case, directory=directory, at=at)])
    return following


async def acknowledge_withdrawal(
    referral_id: UUID, *, party: str, role: Role, cases: Cases, directory: DirectoryIndex, at: datetime
) -> CaseState:
    """The agency has stopped acting on a withdrawn referral, and says so to the origin."""
    case = await _own_case(referral_id, CaseAct.ACKNOWLEDGE_WITHDRAWAL, party=party, role=role, cases=cases)
    following = advance(case.state, CaseAct.ACKNOWLEDGE_WITHDRAWAL)
    await cases.act(case, following, CaseNote())
    clear = WithdrawalAcknowledgedClear(referral_id=referral_id, revision=1)
    await cases.send([_answer(WITHDRAWAL_ACKNOWLEDGED, clear, case, directory=directory, at=at)])
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


async def _own_case(referral_id: UUID, act: CaseAct, *, party: str, role: Role, cases: Cases) -> Case:
    """The party's own case, if the role may do this to it in its present state."""
    require_role(role, act)
    case = (await cases.find([referral_id])).get((referral_id, party))
    if case is None:
        raise not_found()
    AUTHORITY.require("case", role, action=act, state=case.state)
    return case


def _answer(
    message: MessageType,
    clear: Contract,
    case: Case,
    *,
    directory: DirectoryIndex,
    at: datetime,
    sealed: Contract | None = None,
) -> Draft:
    return compose(
        message,
        clear,
        sealed=None if sealed is None else sealed.model_dump_json().encode(),
        subject=case.referral_id,
        sender=case.party,
        recipient=case.origin,
        directory=directory,
        exercise=case.exercise,
        at=at,
    )
