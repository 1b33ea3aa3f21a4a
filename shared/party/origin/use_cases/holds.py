"""Holds at the origin: what agencies ask, what they are answered, and when the notices go after that.

An agency asks by an act on its case. What is planned of the referral is locked, and the answer is one of two: it is
held from now on, or it is too late. Every change plans the notices anew; whoever issues them (`planned`) looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.case_referral import CaseCameBackClear
from shared.contracts.holds import (
    OF_HOLDS,
    Confirming,
    HoldActivatedClear,
    HoldEndedClear,
    HoldExtendedClear,
    HoldPlacedClear,
    HoldReleasedClear,
    HoldTooLateClear,
    NoObjectionClear,
    Overriding,
)
from shared.contracts.registry import HOLD_ACTIVATED, HOLD_ENDED, HOLD_TOO_LATE, MessageType
from shared.exchange.act import Act, Subject
from shared.exchange.message import Draft, Received
from shared.exchange.prepare import Documents
from shared.exchange.preservation import MAY_HOLD, TOLERANCE, check_bound, cleared, hold_max
from shared.exchange.states import Event, event_type, row
from shared.kernel.authority import require_another
from shared.kernel.errors import Refused, not_found
from shared.party.origin.domain import Overridden
from shared.party.origin.records import ACTIVE, TOO_LATE, Hold, HoldAct, PlannedEdge
from shared.party.origin.store.holds import PostgresHolds
from shared.party.origin.use_cases.referrals import Acting, Letters
from shared.vocabulary.answers import AnswerState
from shared.vocabulary.preservation import HoldEnd
from shared.vocabulary.routing import PartyKind

_REVISION: Final = 1
PROPOSE: Final = row(Subject.REFERRAL, "propose_override")
CONFIRM: Final = row(Subject.REFERRAL, "confirm_override")
_ENDED: Final = event_type(Subject.CASE, "hold_ended")


@dataclass(frozen=True, slots=True)
class Holding:
    """What it takes to answer holds at one instance, by the documents of now."""

    holds: PostgresHolds
    documents: Callable[[], Documents]
    instance: str
    at: datetime

    @classmethod
    def of(cls, acting: Acting) -> Self:
        """By whoever acts."""
        return cls(acting.holds, acting.documents, acting.instance, acting.at)

    def check(self, message: Received) -> None:
        """Raises `Refused` where a hold would end later than the policy lets it."""
        if isinstance(message.clear, HoldPlacedClear | HoldExtendedClear):
            longest = hold_max(self.documents().policy.document) + TOLERANCE
            # Its agency says when it was asked for: that counts as far as it can have been.
            check_bound(message.clear.not_after, min(message.sent_at, self.at) - TOLERANCE, longest + TOLERANCE)

    async def apply(self, messages: Sequence[Received]) -> None:
        """What agencies have said of their cases, in order: holds, and that nobody holds any more."""
        referrals = {UUID(message.subject) for message in messages}
        planned = dict(await self.holds.lock(referrals))
        for message in messages:
            referral_id = UUID(message.subject)
            if isinstance(message.clear, CaseCameBackClear):
                # It was passed on in this batch, if it was held until now: that is over, whatever is asked next.
                active = (await self.holds.active([referral_id])).get(referral_id, ())
                await self._pass_on([each for each in active if each.agency == message.sender], planned)
            elif isinstance(message.clear, OF_HOLDS):
                await self._apply(message, planned.get(referral_id, ()))
        for referral_id in sorted(referrals):
            await self._end_of_closed(referral_id, planned)
            await self.plan(referral_id, planned.get(referral_id, ()))

    async def follow(self, referral_id: UUID) -> None:
        """After its edges have changed: plan anew what is planned, end holds of nothing and of who is told no more."""
        planned = (await self.holds.lock([referral_id])).get(referral_id, ())
        active = (await self.holds.active([referral_id])).get(referral_id, ())
        told = await self.holds.told(referral_id) if active else {}
        await self.end([hold for hold in active if not planned or hold.agency not in told], HoldEnd.LAPSED)
        await self.plan(referral_id, planned)

    async def plan(self, referral_id: UUID, planned: Sequence[PlannedEdge]) -> None:
        """Set anew in which slot the planned notices of a referral go, as things stand."""
        if not planned:
            return
        active = (await self.holds.active([referral_id])).get(referral_id, ())
        told = await self.holds.told(referral_id)
        agencies = {name: answer for name, answer in told.items() if self._is_agency(name)}
        free = cleared(agencies, {*await self.holds.unobjecting(referral_id), *(hold.agency for hold in active)})
        until = max((hold.not_after for hold in active), default=None)
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
        """End holds in force, and say so to their agencies and to the origin's party."""
        if not holds:
            return
        await self.holds.end(holds, end, self.at)
        drafts = list[Draft]()
        for hold in holds:
            await self.holds.note_act(hold, HoldAct(end.value, self.at, basis=basis, actor=by))
            said = HoldEndedClear(referral_id=hold.referral_id, revision=_REVISION, hold=hold.hold_id, end=end)
            drafts += self._tell(HOLD_ENDED, said, hold)
        await self.holds.send(drafts)
        await self.holds.note([Event(each.party, _ENDED, each.referral_id, end.value, each.agency) for each in holds])

    async def _apply(self, message: Received, planned: Sequence[PlannedEdge]) -> None:
        referral_id, agency, clear = UUID(message.subject), message.sender, message.clear
        match clear:
            case HoldPlacedClear():
                await self._place(message, clear, planned)
            case HoldExtendedClear():
                for hold in await self._active(referral_id, agency, clear.hold):
                    await self.holds.extend(hold, clear.not_after)
                    acted = HoldAct("extended", self.at, clear.not_after, clear.basis.value)
                    await self.holds.note_act(hold, acted)
                    longer = replace(hold, not_after=clear.not_after, basis=clear.basis.value)
                    await self.holds.send(await self._activated(longer, planned))
            case HoldReleasedClear():
                await self.end(await self._active(referral_id, agency, clear.hold), HoldEnd.RELEASED)
                await self.holds.object(referral_id, agency, message.recipient, at=self.at)
            case NoObjectionClear():
                await self.holds.object(referral_id, agency, message.recipient, at=self.at)
            case _:
                pass

    async def _place(self, message: Received, clear: HoldPlacedClear, planned: Sequence[PlannedEdge]) -> None:
        hold = Hold(
            hold_id=clear.act,
            referral_id=clear.referral_id,
            agency=message.sender,
            party=message.recipient,
            scope=clear.scope.value,
            basis=clear.basis.value,
            placed_at=self.at,
            not_after=clear.not_after,
            state=ACTIVE if planned else TOO_LATE,
            exercise=message.exercise,
        )
        await self.holds.place(hold)
        placed = HoldAct("placed" if planned else TOO_LATE, self.at, hold.not_after, hold.basis)
        await self.holds.note_act(hold, placed)
        if planned:
            await self.holds.object(hold.referral_id, hold.agency, hold.party, at=None)
            await self.holds.send(await self._activated(hold, planned))
            return
        issued_at = (await self.holds.issued(hold.referral_id)).last_at
        named = {"referral_id": hold.referral_id, "revision": _REVISION, "hold": hold.hold_id}
        late = HoldTooLateClear.model_validate(named | {"issued_at": issued_at})
        await self.holds.send(self._tell(HOLD_TOO_LATE, late, hold))

    async def _activated(self, hold: Hold, planned: Sequence[PlannedEdge]) -> list[Draft]:
        words = {"scope": hold.scope, "basis": hold.basis, "not_after": hold.not_after}
        counts = {"held": len(planned), "issued": (await self.holds.issued(hold.referral_id)).notices}
        named = {"referral_id": hold.referral_id, "revision": _REVISION, "hold": hold.hold_id}
        return self._tell(HOLD_ACTIVATED, HoldActivatedClear.model_validate(named | words | counts), hold)

    async def _active(self, referral_id: UUID, agency: str, hold_id: UUID) -> list[Hold]:
        active = (await self.holds.active([referral_id])).get(referral_id, ())
        return [hold for hold in active if (hold.agency, hold.hold_id) == (agency, hold_id)]

    async def _end_of_closed(self, referral_id: UUID, planned: dict[UUID, Sequence[PlannedEdge]]) -> None:
        """Whoever has declined the case, closed it or passed it on holds nothing any more."""
        active = (await self.holds.active([referral_id])).get(referral_id, ())
        told = await self.holds.told(referral_id) if active else {}
        over = [hold for hold in active if told.get(hold.agency, AnswerState.NONE) not in MAY_HOLD]
        gone = [hold for hold in over if told[hold.agency] == AnswerState.REFERRED]
        await self.end([hold for hold in over if hold not in gone], HoldEnd.RELEASED)
        await self._pass_on(gone, planned)

    async def _pass_on(self, holds: Sequence[Hold], planned: dict[UUID, Sequence[PlannedEdge]]) -> None:
        """End holds of agencies that have passed the case on; what was held is left to the next one as its window.

        So long as the hold would have lasted, and no longer than a window of the notice's rules that begins now.
        """
        await self.end(holds, HoldEnd.RELEASED)
        rules = {rule["id"]: rule for rule in self.documents().policy.document["rules"]}
        for hold in holds:
            left = []
            for each in planned.get(hold.referral_id, ()):
                hours = max((rules.get(name, {}).get("hold_window_h") or 0 for name in each.rules), default=0)
                ends = min(hold.not_after, self.documents().hours.ends(self.at, hours))
                left.append(each._replace(window_ends=max(each.window_ends, ends)))
            planned[hold.referral_id] = left
            await self.holds.leave_to({each.edge_id: each.window_ends for each in left})

    def _is_agency(self, name: str) -> bool:
        party = self.documents().directory.party(name)
        return party is not None and party.kind == PartyKind.LAW_ENFORCEMENT

    def _tell(self, message: MessageType, said: Contract, hold: Hold) -> list[Draft]:
        letters = Letters(self.documents().directory, self.instance, self.at)
        return letters.tell(
            message, said, of=hold.referral_id, sender=hold.party, to=hold.agency, exercise=hold.exercise
        )


async def propose_override(referral_id: UUID, said: Overriding, acting: Acting) -> Overridden:
    """Say that a hold should end, and why; a second person confirms it. Raises as `confirm_override`."""
    hold, _ = await _found(referral_id, said.hold, PROPOSE, acting=acting)
    act = HoldAct("override_proposed", acting.at, basis=said.basis.value, actor=acting.actor)
    await acting.holds.note_act(hold, act)
    return Overridden(referral_id=referral_id, hold=hold.hold_id, state="proposed")


async def confirm_override(referral_id: UUID, said: Confirming, acting: Acting) -> Overridden:
    """End a hold that another person has proposed to override.

    Raises `Refused`: `forbidden`, `not_found`, `hold_not_active`, `override_not_proposed`, and
    `second_person_needed` for whoever proposed it.
    """
    hold, planned = await _found(referral_id, said.hold, CONFIRM, acting=acting)
    proposed = await acting.holds.proposed_by(hold)
    if not proposed:
        raise Refused("override_not_proposed", "another person proposes it first", status=409)
    require_another(acting.actor, proposed)
    holding = Holding.of(acting)
    await holding.end([hold], HoldEnd.OVERRIDDEN, by=acting.actor)
    # Whoever overrides has looked: of what nobody else holds, the rest of the window is not waited for.
    await acting.holds.object(referral_id, hold.agency, acting.party, at=acting.at)
    await holding.plan(referral_id, planned)
    return Overridden(referral_id=referral_id, hold=hold.hold_id, state=HoldEnd.OVERRIDDEN)


async def _found(referral_id: UUID, hold_id: UUID, act: Act, *, acting: Acting) -> tuple[Hold, Sequence[PlannedEdge]]:
    acting.require(act.name)
    planned = (await acting.holds.lock([referral_id])).get(referral_id, ())
    known = await acting.holds.find(referral_id, hold_id)
    if known is None:
        raise not_found()
    if known.state != ACTIVE:
        raise Refused("hold_not_active", "it has ended, or came too late", status=409)
    return known, planned


def of_agencies(messages: Iterable[Received]) -> list[Received]:
    """Those that may change what is held: acts of agencies on their cases."""
    return [each for each in messages if isinstance(each.clear, OF_HOLDS) or each.message.name in _CLOSING]


_CLOSING: Final = frozenset({"case_declined", "case_referred", "case_came_back", "outcome_reported"})
