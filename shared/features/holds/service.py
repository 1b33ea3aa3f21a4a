"""Holds at the origin: agencies place, extend and end them; planned notices are issued when no hold delays them.

Two people of the origin can override a hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from shared.core.acts.act import Act, Subject
from shared.core.acts.states import Event, event_type, row
from shared.core.authority import require_another
from shared.core.contracts.base import Contract
from shared.core.contracts.case_referral import CaseCameBackClear
from shared.core.contracts.holds import (
    OF_HOLDS,
    HoldActivatedClear,
    HoldEndedClear,
    HoldExtendedClear,
    HoldOverride,
    HoldPlacedClear,
    HoldReleasedClear,
    HoldTooLateClear,
    NoObjectionClear,
    OverrideApproval,
)
from shared.core.contracts.registry import HOLD_ACTIVATED, HOLD_ENDED, HOLD_TOO_LATE, MessageType
from shared.core.errors import Refused, not_found
from shared.core.protocol.message import Draft, Received
from shared.core.protocol.prepare import Documents, Redecision
from shared.core.protocol.preservation import MAY_HOLD, TOLERANCE, check_bound, cleared, hold_max
from shared.core.vocabulary.answers import AnswerState
from shared.core.vocabulary.preservation import HoldEnd
from shared.core.vocabulary.routing import PartyKind, WorkReason
from shared.features.filing.ports import AnswerFollower, AppliedAnswers, StaleReferral
from shared.features.filing.service.redecide import EdgeRedecider, edge_ids, send_readable
from shared.features.filing.service.referrals import Actor, OriginSender
from shared.features.filing.store.edges import PostgresEdges
from shared.features.holds.ports import ACTIVE, TOO_LATE, Hold, HoldAct, OverrideResult, PlannedNotice
from shared.features.holds.store import PostgresHolds, PostgresPlanned
from shared.platform.database.failure_isolation import ClaimedBatch
from shared.platform.observability.logs import log

#: Planned notices that one transaction examines.
BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class IssuePlanned:
    """The sending of one batch of planned notices, within the caller's transaction."""

    planned: PostgresPlanned
    edges: PostgresEdges
    again: EdgeRedecider
    holding: HoldAnswers

    async def issue(self, taking: ClaimedBatch) -> None:
        """Send the due notices, and report how each of their holds has ended."""
        at, hours = self.holding.at, self.holding.documents().hours
        due = await self.planned.due(at, taking)
        if not due:
            # A hold ends in its own slot, even if other agencies still hold the notice. Otherwise its agency could
            # infer their holds.
            await self.holding.end(await self.planned.over(hours.begun(at), at, taking), HoldEnd.EXPIRED)
            return
        active = await self.planned.active([each.referral_id for each in due])
        # A notice may be sent if no hold is in force or its referral was withdrawn.
        in_force = {key: max(hold.expires_at for hold in holds) for key, holds in active.items()}
        held = {each.referral_id for each in due if not each.withdrawn and in_force.get(each.referral_id, at) > at}
        free = [each for each in due if each.referral_id not in held]
        again = [self.again.decide(each, self.holding.documents()) for each in free if not each.withdrawn]
        if dropped := await send_readable(self.edges, free, [_listed(each) for each in again]):
            log("edges_dropped", count=len(dropped))
        later = {
            edge_id: hours.slot(in_force[each.referral_id])
            for each in due
            if each.referral_id in held
            for edge_id in edge_ids(each)
        }
        # A notice whose recipient cannot read it yet moves to a later slot, so that its time looks like any other.
        later |= {edge_id: hours.slot(at + hours.slot_length / 2) for edge_id in self._unread(free, again)}
        await self.planned.plan(later)
        await self._end(free, again, active)

    def _unread(self, free: Sequence[StaleReferral], again: Sequence[Redecision]) -> list[UUID]:
        """Return the notices whose recipients cannot read them yet."""
        stale = {each.referral_id: each.stale for each in free}
        return [
            stale[each.referral_id][waiting.edge.recipient, waiting.edge.terms.purpose].edge_id
            for each in again
            for waiting in each.waiting
        ]

    async def _end(
        self, free: Sequence[StaleReferral], again: Sequence[Redecision], active: Mapping[UUID, Sequence[Hold]]
    ) -> None:
        """End the holds: a hold of a sent notice has expired, and a hold of a dropped notice has lapsed."""
        gone = {each.referral_id for each in again if each.emitted or each.waiting}
        for each in free:
            end = HoldEnd.EXPIRED if each.referral_id in gone else HoldEnd.LAPSED
            await self.holding.end(active.get(each.referral_id, ()), end)


def _listed(again: Redecision) -> Redecision:
    """Return the decision; if the law no longer permits one of its notices, with a reason to list the referral."""
    return replace(again, work_reason=again.work_reason or (WorkReason.NO_BASIS if again.dropped else None))


_REVISION: Final = 1
PROPOSE: Final = row(Subject.REFERRAL, "propose_override")
CONFIRM: Final = row(Subject.REFERRAL, "confirm_override")
_ENDED: Final = event_type(Subject.CASE, "hold_ended")


@dataclass(frozen=True, slots=True)
class HoldAnswers(AnswerFollower):
    """The context for answering holds at one instance, by the current documents."""

    holds: PostgresHolds
    documents: Callable[[], Documents]
    instance: str
    at: datetime

    @classmethod
    def of(cls, acting: Actor) -> Self:
        """Return the context of the acting party."""
        return cls(PostgresHolds(acting.referrals.driver), acting.documents, acting.instance, acting.at)

    def check(self, message: Received) -> None:
        """Check the end of a hold. Raises `Refused` if it is later than the policy permits."""
        if isinstance(message.clear, HoldPlacedClear | HoldExtendedClear):
            longest = hold_max(self.documents().policy.document) + TOLERANCE
            # The hold counts from the time that the agency states, but from no time in the future.
            check_bound(message.clear.not_after, min(message.sent_at, self.at) - TOLERANCE, longest + TOLERANCE)

    async def apply(self, answers: AppliedAnswers) -> Sequence[Event]:
        """Apply acts of agencies on their cases, in order, and end holds of agencies that no longer act on the case."""
        if not (messages := of_agencies(answers.applied)):
            return ()
        referrals = {UUID(message.subject) for message in messages}
        planned = dict(await self.holds.lock(referrals))
        for message in messages:
            referral_id = UUID(message.subject)
            if isinstance(message.clear, CaseCameBackClear):
                # If the agency held until now, it referred the case in this batch. Its hold ends before any later
                # request.
                active = (await self.holds.active([referral_id])).get(referral_id, ())
                await self._pass_on([each for each in active if each.agency == message.sender], planned)
            elif isinstance(message.clear, OF_HOLDS):
                await self._apply(message, planned.get(referral_id, ()))
        for referral_id in sorted(referrals):
            await self._end_of_closed(referral_id, planned)
            await self.plan(referral_id, planned.get(referral_id, ()))
        return ()

    async def follow(self, referral_id: UUID) -> None:
        """Plan the notices of a referral again after its edges have changed, and end the holds that lost their basis.

        A hold lapses if no notice is planned any more or its agency no longer has the referral.
        """
        planned = (await self.holds.lock([referral_id])).get(referral_id, ())
        active = (await self.holds.active([referral_id])).get(referral_id, ())
        answers = await self.holds.load_answers(referral_id) if active else {}
        await self.end([hold for hold in active if not planned or hold.agency not in answers], HoldEnd.LAPSED)
        await self.plan(referral_id, planned)

    async def lapse(self, referral_id: UUID) -> None:
        """End the holds of a referral of which no planned notice will be sent."""
        if await self.holds.lock([referral_id]):
            await self.end((await self.holds.active([referral_id])).get(referral_id, ()), HoldEnd.LAPSED)

    async def plan(self, referral_id: UUID, planned: Sequence[PlannedNotice]) -> None:
        """Set the slots of a referral's planned notices from the holds and windows as they are now."""
        if not planned:
            return
        active = (await self.holds.active([referral_id])).get(referral_id, ())
        answers = await self.holds.load_answers(referral_id)
        agencies = {name: answer for name, answer in answers.items() if self._is_agency(name)}
        free = cleared(agencies, {*await self.holds.unobjecting(referral_id), *(hold.agency for hold in active)})
        until = max((hold.expires_at for hold in active), default=None)
        hours = self.documents().hours
        await self.holds.plan(
            {
                each.edge_id: hours.issue_at(each.window_ends, self.at, held_until=until, cleared=free)
                for each in planned
            }
        )

    async def end(
        self, holds: Collection[Hold], end: HoldEnd, *, basis: str | None = None, by: str | None = None
    ) -> None:
        """End active holds, and inform their agencies and the origin's party."""
        if not holds:
            return
        await self.holds.end(holds, end, self.at)
        drafts = list[Draft]()
        for hold in holds:
            await self.holds.note_act(hold, HoldAct(end.value, self.at, basis=basis, actor=by))
            said = HoldEndedClear(referral_id=hold.referral_id, revision=_REVISION, hold=hold.hold_id, end=end)
            drafts += self._compose(HOLD_ENDED, said, hold)
        await self.holds.send(drafts)
        await self.holds.note([Event(each.party, _ENDED, each.referral_id, end.value, each.agency) for each in holds])

    async def _apply(self, message: Received, planned: Sequence[PlannedNotice]) -> None:
        referral_id, agency, clear = UUID(message.subject), message.sender, message.clear
        match clear:
            case HoldPlacedClear():
                await self._place(message, clear, planned)
            case HoldExtendedClear():
                for hold in await self._active(referral_id, agency, clear.hold):
                    await self.holds.extend(hold, clear.not_after)
                    extension = HoldAct("extended", self.at, clear.not_after, clear.basis.value)
                    await self.holds.note_act(hold, extension)
                    longer = replace(hold, expires_at=clear.not_after, basis=clear.basis.value)
                    await self.holds.send(await self._activated(longer, planned))
            case HoldReleasedClear():
                await self.end(await self._active(referral_id, agency, clear.hold), HoldEnd.RELEASED)
                await self.holds.note_no_objection(referral_id, agency, message.recipient, at=self.at)
            case NoObjectionClear():
                await self.holds.note_no_objection(referral_id, agency, message.recipient, at=self.at)

    async def _place(self, message: Received, clear: HoldPlacedClear, planned: Sequence[PlannedNotice]) -> None:
        hold = Hold(
            hold_id=clear.act,
            referral_id=clear.referral_id,
            agency=message.sender,
            party=message.recipient,
            scope=clear.scope.value,
            basis=clear.basis.value,
            placed_at=self.at,
            expires_at=clear.not_after,
            state=ACTIVE if planned else TOO_LATE,
            exercise=message.exercise,
        )
        await self.holds.place(hold)
        placed = HoldAct("placed" if planned else TOO_LATE, self.at, hold.expires_at, hold.basis)
        await self.holds.note_act(hold, placed)
        if planned:
            await self.holds.drop_no_objection(hold.referral_id, hold.agency, hold.party)
            await self.holds.send(await self._activated(hold, planned))
            return
        issued_at = (await self.holds.issued(hold.referral_id)).last_at
        named = {"referral_id": hold.referral_id, "revision": _REVISION, "hold": hold.hold_id}
        late = HoldTooLateClear.model_validate(named | {"issued_at": issued_at})
        await self.holds.send(self._compose(HOLD_TOO_LATE, late, hold))

    async def _activated(self, hold: Hold, planned: Sequence[PlannedNotice]) -> list[Draft]:
        words = {"scope": hold.scope, "basis": hold.basis, "not_after": hold.expires_at}
        counts = {"held": len(planned), "issued": (await self.holds.issued(hold.referral_id)).notices}
        named = {"referral_id": hold.referral_id, "revision": _REVISION, "hold": hold.hold_id}
        return self._compose(HOLD_ACTIVATED, HoldActivatedClear.model_validate(named | words | counts), hold)

    async def _active(self, referral_id: UUID, agency: str, hold_id: UUID) -> list[Hold]:
        active = (await self.holds.active([referral_id])).get(referral_id, ())
        return [hold for hold in active if (hold.agency, hold.hold_id) == (agency, hold_id)]

    async def _end_of_closed(self, referral_id: UUID, planned: dict[UUID, Sequence[PlannedNotice]]) -> None:
        """End the holds of agencies that have declined, closed or referred the case."""
        active = (await self.holds.active([referral_id])).get(referral_id, ())
        answers = await self.holds.load_answers(referral_id) if active else {}
        over = [hold for hold in active if answers.get(hold.agency, AnswerState.NONE) not in MAY_HOLD]
        referred = [hold for hold in over if answers[hold.agency] == AnswerState.REFERRED]
        await self.end([hold for hold in over if hold not in referred], HoldEnd.RELEASED)
        await self._pass_on(referred, planned)

    async def _pass_on(self, holds: Sequence[Hold], planned: dict[UUID, Sequence[PlannedNotice]]) -> None:
        """End holds of agencies that have referred the case, and extend the window of the notices for the next agency.

        The window lasts as long as the hold would have, but at most one window of the notice's rules from now.
        """
        await self.end(holds, HoldEnd.RELEASED)
        rules = {rule["id"]: rule for rule in self.documents().policy.document["rules"]}
        for hold in holds:
            left = []
            for each in planned.get(hold.referral_id, ()):
                hours = max((rules.get(name, {}).get("hold_window_h") or 0 for name in each.rules), default=0)
                ends = min(hold.expires_at, self.documents().hours.ends(self.at, hours))
                left.append(each._replace(window_ends=max(each.window_ends, ends)))
            planned[hold.referral_id] = left
            await self.holds.leave_to({each.edge_id: each.window_ends for each in left})

    def _is_agency(self, name: str) -> bool:
        party = self.documents().directory.party(name)
        return party is not None and party.kind == PartyKind.LAW_ENFORCEMENT

    def _compose(self, message: MessageType, said: Contract, hold: Hold) -> list[Draft]:
        letters = OriginSender(self.documents().directory, self.instance, self.at)
        return letters.compose(
            message, said, of=hold.referral_id, sender=hold.party, to=hold.agency, exercise=hold.exercise
        )


async def follow_edges(referral_id: UUID, acting: Actor) -> None:
    """Plan the notices and end the holds that an amendment of a referral concerns."""
    await HoldAnswers.of(acting).follow(referral_id)


async def propose_override(referral_id: UUID, said: HoldOverride, acting: Actor) -> OverrideResult:
    """Propose to override a hold, for a second person to confirm. Raises as `confirm_override`."""
    hold, _ = await _found(referral_id, said.hold, PROPOSE, acting=acting)
    act = HoldAct("override_proposed", acting.at, basis=said.basis.value, actor=acting.actor)
    await PostgresHolds(acting.referrals.driver).note_act(hold, act)
    return OverrideResult(referral_id=referral_id, hold=hold.hold_id, state="proposed")


async def confirm_override(referral_id: UUID, said: OverrideApproval, acting: Actor) -> OverrideResult:
    """End a hold that another person has proposed to override.

    Raises `Refused`: `forbidden`, `not_found`, `hold_not_active`, `override_not_proposed`, and `second_person_needed`
    for the person that proposed it.
    """
    hold, planned = await _found(referral_id, said.hold, CONFIRM, acting=acting)
    holding = HoldAnswers.of(acting)
    proposed = await holding.holds.proposed_by(hold)
    if not proposed:
        raise Refused("override_not_proposed", "another person must propose it first", status=409)
    require_another(acting.actor, proposed)
    await holding.end([hold], HoldEnd.OVERRIDDEN, by=acting.actor)
    # A person has decided, so notices that no other agency holds do not wait for the end of their window.
    await holding.holds.note_no_objection(referral_id, hold.agency, acting.party, at=acting.at)
    await holding.plan(referral_id, planned)
    return OverrideResult(referral_id=referral_id, hold=hold.hold_id, state=HoldEnd.OVERRIDDEN)


async def _found(referral_id: UUID, hold_id: UUID, act: Act, *, acting: Actor) -> tuple[Hold, Sequence[PlannedNotice]]:
    acting.require(act.name)
    holds = PostgresHolds(acting.referrals.driver)
    planned = (await holds.lock([referral_id])).get(referral_id, ())
    known = await holds.find(referral_id, hold_id)
    if known is None:
        raise not_found()
    if known.state != ACTIVE:
        raise Refused("hold_not_active", "the hold has ended, or came too late", status=409)
    return known, planned


def of_agencies(messages: Iterable[Received]) -> list[Received]:
    """Return the messages that may change holds: acts of agencies on their cases."""
    return [each for each in messages if isinstance(each.clear, OF_HOLDS) or each.message.name in _CLOSING]


_CLOSING: Final = frozenset({"case_declined", "case_referred", "case_came_back", "outcome_reported"})
