"""Use cases that only agencies have. The common ones are in `shared.features.received.service.items`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple, cast
from uuid import UUID

from shared.core.acts.act import Act, CaseState, Subject
from shared.core.acts.states import answer_of, happened
from shared.core.acts.table import COME_BACK
from shared.core.authority import Role
from shared.core.contracts.answers import CaseAcceptance, OutcomeReport, WithdrawalAnswer
from shared.core.contracts.base import Contract
from shared.core.contracts.case_referral import TIMES_MAX, CaseEdge, CaseReferral, CaseReturn, ReferralPassedOnClear
from shared.core.contracts.holds import Assignment, CaseClaim, HoldExtension, HoldExtensionOf, HoldRef, HoldRequest
from shared.core.contracts.questions import Dispute, Question
from shared.core.contracts.registry import HOLD_RELEASED, REFERRAL_PASSED_ON
from shared.core.errors import Refused, not_found
from shared.core.guard import inspect
from shared.core.ids import uuid4
from shared.core.protocol.case_referral import CaseFile, bound
from shared.core.protocol.clocks import EdgeStep, awaits_claim, began_again
from shared.core.protocol.clocks import claimed as has_claimed
from shared.core.protocol.message import Addressing, Draft, Received, compose
from shared.core.protocol.prepare import Documents
from shared.core.protocol.preservation import check_bound, hold_max
from shared.core.protocol.questions import check_numbers
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.answers import AnswerState, WithdrawalFate
from shared.features.cases.rules import AUTHORITY, check_close_reason
from shared.features.cases.store import passed_cases
from shared.features.cases.store.cases import PostgresCases
from shared.features.received import rules
from shared.features.received.service.items import ItemActor, act, carry_out


async def act_on_case(
    row: Act, referral_id: UUID, *, said: Contract | None, acting: ItemActor, documents: Callable[[], Documents]
) -> str:
    """Do an act on a case. The guard checks the agency's own reference, which only the origin receives.

    `documents` returns the directory and policy in force.
    """
    rules.require_role(row, acting.role)
    if isinstance(said, CaseClaim | Assignment):
        return await _lease(row, referral_id, said, acting=acting)
    await _check_not_leased(referral_id, acting)
    match said:
        case HoldRequest():
            check_bound(said.not_after, acting.at, hold_max(documents().policy.document))
            await _check_none_open(referral_id, acting)
        case HoldExtension():
            check_bound(said.not_after, acting.at, hold_max(documents().policy.document))
            said = await _extension(referral_id, said, acting)
        case None if row.message is HOLD_RELEASED:
            said = HoldRef(hold=(await _open_hold(referral_id, acting)).hold_id)
        case CaseAcceptance():
            inspect(said)
        case CaseReferral():
            return await _refer(row, referral_id, said, acting=acting, documents=documents())
        case OutcomeReport():
            check_close_reason(said.outcome, said.close_reason)
        case Question() | Dispute():
            await _check_items(referral_id, said, acting)
        case WithdrawalAnswer(fate=WithdrawalFate.ERASED):
            await _check_not_accepted(referral_id, acting)
        case _:
            pass  # all other acts have no checks of their own for agencies
    return await act(row, referral_id, said=said, acting=acting)


async def _lease(row: Act, referral_id: UUID, said: CaseClaim | Assignment, *, acting: ItemActor) -> str:
    """Give an officer the lease of a case. Only the agency's own event feed shows it."""
    case = (await acting.items.find([referral_id])).get((referral_id, acting.party))
    if case is None:
        raise not_found()
    AUTHORITY.require(Subject.CASE, acting.role, action=row.name, state=case.state)
    leases, at = _cases(acting).leases, acting.at
    before = await leases.newest(referral_id, acting.party)
    if before.keeps(acting.actor, at):
        raise rules.claimed()
    if isinstance(said, Assignment) and not before.is_held(at):
        raise Refused("case_not_claimed", "no officer has claimed this case", status=409)
    if (
        isinstance(said, Assignment)
        and said.to is not None
        and not await leases.is_officer(acting.party, said.to, row.roles)
    ):
        raise Refused("officer_unknown", "not an officer of your agency: take an id from claimed_by", field="/to")
    actor, until = acting.actor if isinstance(said, CaseClaim) else said.to, at + timedelta(hours=said.hours)
    lease = rules.CaseLease(before.number + 1, actor, until if actor is not None else at)
    if not await leases.add(referral_id, acting.party, lease, by=acting.actor, at=at):
        raise rules.claimed()
    of = acting.party, referral_id, case.sender
    steps = has_claimed(at, again=began_again(case.said)) if actor is not None else ()
    await acting.items.clock((), [EdgeStep.by(*of, step=step) for step in steps])
    await acting.items.note([happened(row, referral_id, party=acting.party, state=case.state)])
    return case.state


async def _refer(row: Act, referral_id: UUID, said: CaseReferral, *, acting: ItemActor, documents: Documents) -> str:
    """Pass the case on to another agency, and inform its origin.

    Raises `Refused` as `act` of received subjects, `CaseFile.check` and the guard do; `passed_on_before` for a case
    that came from another agency; `record_erased` for a case whose records were all erased.
    """
    found = await _cases(acting).passable(referral_id)
    if found is None:
        raise not_found()
    if not found:
        raise Refused("record_erased", "its records were erased, so it cannot be passed on", status=410)
    passed = found[0]
    if passed.recipient != acting.party:
        raise Refused("passed_on_before", "the case came from another agency and cannot be passed on again", status=409)
    case = (await acting.items.find([referral_id]))[referral_id, acting.party]
    by_law = documents.directory, documents.policy
    passed.check(said.agency, documents=by_law, exercise=case.exercise, at=acting.at)
    edge = CaseEdge(agency=said.agency, reason=said.reason, from_edge_id=passed.edge_id, edge_id=uuid4())
    state = await act(row, referral_id, said=edge, acting=acting)
    # The case cannot be amended from here on. An amendment that arrived meanwhile is passed on, too.
    now = await _cases(acting).passable(referral_id) or ()
    newest = replace(next((each for each in now if each.edge_id == edge.from_edge_id), passed), history=passed.history)
    draft = _passed_on(case, newest, edge, directory=documents.directory, at=acting.at)
    await acting.items.send([draft])
    answer = answer_of(Subject.CASE, case.state)
    assert answer is not None
    passing = rules.PassedCase(draft.message_id, referral_id, acting.party, edge.edge_id, answer.value)
    await passed_cases.note_passing(acting.items.driver, passing)
    return state


class Refusals(NamedTuple):
    """Refusals by one instance: the code of each message. `by`: the parties that the instance serves or has served."""

    codes: Mapping[UUID, str]
    by: Collection[str]


async def come_back(stated: Refusals, cases: PostgresCases, *, directory: DirectoryIndex, at: datetime) -> int:
    """Restore cases that an agency's instance has refused to their former states, and inform their origins.

    Return their number.

    A case that was withdrawn meanwhile stays withdrawn. Only the agency to which a case was passed on can refuse it. If
    a case was passed on by several messages, because of amendments, the other agency holds the newest one that it
    accepted. Such a case is returned only if all messages were refused.
    """
    passed = await passed_cases.passings(cases.driver, stated.codes)
    found, count = await cases.lock([each.referral_id for each in passed]), 0
    passings = {each.message_id: _find_passing(each, found) for each in passed}
    edges = {each: edge for each, edge in passings.items() if edge is not None and edge.agency in stated.by}
    for each in await passed_cases.refuse_passings(cases.driver, edges) if edges else ():
        case, edge, code = found[each.referral_id, each.party], edges[each.message_id], stated.codes[each.message_id]
        times = case.said.get("times")
        words = {"agency": edge.agency, "edge_id": edge.edge_id, "code": code, "stands": each.stood}
        said = CaseReturn.model_validate(
            words | {"times": min(1 + (times if isinstance(times, int) else 0), TIMES_MAX)}
        )
        acting = ItemActor(each.party, Role.SERVICE, "", cases, directory, at)
        await carry_out(COME_BACK, case, said=said, acting=acting)
        if each.urgent and said.stands is AnswerState.NONE:
            await _await_claim(case, said.times, acting)
        count += 1
    return count


async def _await_claim(case: rules.HeldItem, times: int, acting: ItemActor) -> None:
    """Start the claim clock for a case that was returned `times` times, unless an officer still holds its lease."""
    if not (await _cases(acting).leases.newest(case.subject_id, case.party)).is_held(acting.at):
        of = case.party, case.subject_id, case.sender
        steps = awaits_claim(acting.at, again=times)
        await acting.items.clock((), [EdgeStep.by(*of, step=step) for step in steps])


async def pass_on_amended(
    amended: Sequence[Received], cases: PostgresCases, documents: Callable[[], Documents]
) -> None:
    """Pass on amendments of cases that were passed on, to the agency that has the case, on the edge of its answers.

    Only amendments of the edge that was passed on count, and only if the policy in force permits that agency to
    receive them. Others stay here.
    """
    found = await cases.find([each.subject_id for each in amended])
    for message in amended:
        case = found.get((message.subject_id, message.recipient))  # None if its party moved away earlier
        edge, passed = None if case is None else _was_told(case), bound(message)
        if case is None or edge is None or passed is None or passed.edge_id != edge.from_edge_id:
            continue
        if message.edge is None or rules.revision_of(message) != case.purposes.get(message.edge.purpose.value):
            continue
        by_law = documents()
        law = by_law.directory, by_law.policy
        with suppress(Refused):
            passed.check(edge.agency, documents=law, exercise=case.exercise, at=message.sent_at)
            draft = _passed_on(case, passed, edge, directory=by_law.directory, at=message.sent_at)
            await cases.send([draft])
            passing = rules.PassedCase(draft.message_id, case.subject_id, case.party, edge.edge_id, case.state)
            await passed_cases.note_amended(cases.driver, passing)


def _find_passing(passed: rules.PassedCase, cases: Mapping[rules.ItemKey, rules.HeldItem]) -> CaseEdge | None:
    """Return the passing that a message was sent for, if its case still waits for that."""
    case = cases.get((passed.referral_id, passed.party))
    edge = None if case is None else _was_told(case)
    return edge if edge is not None and edge.edge_id == passed.edge_id else None


def _was_told(case: rules.HeldItem) -> CaseEdge | None:
    """Return the passing that the origin was informed of; None if this instance has not passed the case on."""
    if case.state != CaseState.REFERRED or not case.said.keys() >= CaseEdge.model_fields.keys():
        return None
    return CaseEdge.model_validate({name: case.said[name] for name in CaseEdge.model_fields})


def _passed_on(
    case: rules.HeldItem, passed: CaseFile, edge: CaseEdge, *, directory: DirectoryIndex, at: datetime
) -> Draft:
    """Return the message that passes the case on to another agency."""
    to = Addressing(
        subject=case.subject_id,
        sender=case.party,
        recipient=edge.agency,
        directory=directory,
        exercise=case.exercise,
        at=at,
        is_p0=passed.is_p0,
    )
    named = {"referral_id": case.subject_id, "revision": passed.revision}
    clear = ReferralPassedOnClear(**named, act=uuid4(), edge_id=edge.edge_id)
    return compose(REFERRAL_PASSED_ON, clear, to, sealed=passed.sealed(edge.reason))


async def _check_not_leased(referral_id: UUID, acting: ItemActor) -> None:
    """Check that no other officer of the agency holds the lease of the case. Raises `Refused("case_claimed")`."""
    if (await _cases(acting).leases.newest(referral_id, acting.party)).keeps(acting.actor, acting.at):
        raise rules.claimed()


async def _check_not_accepted(referral_id: UUID, acting: ItemActor) -> None:
    """Check that a withdrawn case was not accepted. Raises `Refused("case_is_kept")`.

    An accepted case wins over its withdrawal, so that a thief of an origin's key cannot erase it.
    """
    case = (await acting.items.find([referral_id])).get((referral_id, acting.party))
    if case is not None and not case.gone and case.state == CaseState.WITHDRAWN and "accepted_at" in case.said:
        raise Refused(
            "case_is_kept",
            "the case was accepted and must be retained: state why and until when",
            field="/fate",
            status=409,
        )


async def _check_items(referral_id: UUID, said: Question | Dispute, acting: ItemActor) -> None:
    """Check that a question or dispute names items of the case, if a record of it is left. No record is shown."""
    numbers = await _cases(acting).item_numbers(referral_id)
    if numbers:
        check_numbers(said, numbers)


async def _check_none_open(referral_id: UUID, acting: ItemActor) -> None:
    if await _cases(acting).holds.open(referral_id, acting.party) is not None:
        raise Refused("hold_open", "a hold is open already: extend or release it", status=409)


async def _extension(referral_id: UUID, said: HoldExtension, acting: ItemActor) -> HoldExtensionOf:
    hold = await _open_hold(referral_id, acting)
    if said.not_after <= hold.ends:
        raise Refused(
            "hold_not_longer", "the new end must be later than the present one", field="/not_after", status=409
        )
    return HoldExtensionOf(hold=hold.hold_id, basis=said.basis, not_after=said.not_after)


async def _open_hold(referral_id: UUID, acting: ItemActor) -> rules.OpenHold:
    hold = await _cases(acting).holds.open(referral_id, acting.party)
    if hold is None:
        if (referral_id, acting.party) not in await acting.items.find([referral_id]):
            raise not_found()
        raise Refused("no_hold_open", "the case has no open hold to extend or release", status=409)
    return hold


def _cases(acting: ItemActor) -> PostgresCases:
    """Return an agency's items, which are cases."""
    return cast("PostgresCases", acting.items)
