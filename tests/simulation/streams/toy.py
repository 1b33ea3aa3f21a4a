"""Toy subjects: referrals with revisions, acts, answers and withdrawals, without any content."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, RefusalCode, TakenMessage
from shared.messaging.ports import DayDigest, MessageDraft, OperatorKind, OperatorLine, OwnTrack, Side, SubjectHolding
from shared.messaging.resync import digest_days, expect_holding
from shared.messaging.scope import Scope
from shared.messaging.streams import StreamPlace, WireRole
from shared.messaging.upkeep import erase_exceptions
from tests.simulation.streams.subjects import Applied, HeldSubject, apply_acts, apply_message, erase, find_final_refusal

if TYPE_CHECKING:
    from tests.simulation.streams.node import Node

POISON = 9
TABLES = ("own", "held", "answers", "given", "effects", "decide", "state", "fate", "placed", "facts")


class Body(NamedTuple):
    """The body of a message. `version` is needed to read it; `document` is the number of the directory it names."""

    named: NamedMessage
    party: str
    version: int = 1
    document: int = 0


@dataclass(frozen=True, slots=True)
class Own:
    """An own subject. `sent`: the instances that ever got it; `version` and `act_version` are needed to read it."""

    party: str
    revision: int = 0
    content: bytes | None = None
    acts: tuple[UUID, ...] = ()
    is_withdrawn: bool = False
    is_erased: bool = False
    is_finished: bool = False
    sent: frozenset[str] = frozenset()
    version: int = 1
    act_version: int = 1
    tries: int = 0


@dataclass(slots=True)
class Toy:
    """The subjects of one node within one transaction: `Subjects` and `Inbound` of messaging."""

    node: Node
    scope: Scope = field(init=False)

    def table(self, name: str) -> dict:
        return self.node.db.tables[name]

    def put(self, name: str, key: object, value: object) -> None:
        self.scope.tx.put(name, key, value)

    def remove(self, name: str, key: object) -> None:
        self.scope.tx.remove(name, key)

    # Sending.
    def send(self, peer: str, body: Body, *, is_p0: bool = False) -> None:
        named = body.named
        self.scope.send(MessageDraft(peer, named.role, named.kind, named.subject, body, is_p0))

    def name(self, role: WireRole, subject: UUID, **fields: object) -> NamedMessage:
        return NamedMessage(self.scope.new_id(), role, role.value, subject, **fields)

    async def send_state(self, subject: UUID) -> None:
        own = self.table("own")[subject]
        if own.is_withdrawn:
            self.withdraw(subject)
        elif not own.is_erased:
            self.send_content(subject, own.acts, version=max(own.version, own.act_version))

    def send_content(self, subject: UUID, acts: tuple[UUID, ...], *, version: int, after: UUID | None = None) -> None:
        own = self.table("own")[subject]
        named = self.name(WireRole.STATE, subject, revision=own.revision, content=own.content, acts=acts, after=after)
        self.send_there(subject, named, version)

    def send_there(self, subject: UUID, named: NamedMessage, version: int) -> None:
        own = self.table("own")[subject]
        peer = self.node.place(own.party)
        self.put("own", subject, replace(own, sent=own.sent | {peer}))
        body = Body(named, own.party, version, self.node.document)
        self.send(peer, body, is_p0=self.node.world.subjects[subject].is_p0)

    def withdraw(self, subject: UUID) -> None:
        own = self.table("own")[subject]
        for peer in sorted(own.sent | {self.node.place(own.party)}):
            self.send(peer, Body(self.name(WireRole.WITHDRAWAL, subject), own.party))

    async def send_withdrawal(self, subject: UUID, peer: str) -> None:
        self.send(peer, Body(self.name(WireRole.WITHDRAWAL, subject), self.table("own")[subject].party))

    async def send_answers(self, subject: UUID, peer: str) -> None:
        acts = self.table("given").get(subject, ())
        if acts:
            named = self.name(WireRole.ANSWER, subject, acts=acts)
            self.send(peer, Body(named, self.node.world.subjects[subject].party, 1, self.node.document))

    async def adopt_withdrawal(self, subject: UUID, peer: str) -> None:
        info = self.node.world.subjects[subject]
        own = self.table("own").get(subject) or Own(info.party, sent=frozenset(self.node.peers))
        if own.is_erased:
            self.node.journal[(self.node.name, subject)] = True
        self.put("own", subject, replace(own, is_withdrawn=True))
        self.withdraw(subject)

    async def decide_again(self, subject: UUID) -> None:
        self.put("decide", subject, True)

    async def note_sent(self, subjects: Collection[UUID], peer: str) -> None:
        for subject in subjects:
            own = self.table("own").get(subject)
            if own is not None:
                self.put("own", subject, replace(own, sent=own.sent | {peer}))

    async def note_erased(self, subjects: Collection[UUID], peer: str) -> None:
        pass

    async def note_places(self, places: Mapping[str, Mapping[UUID, StreamPlace]]) -> None:
        pass

    async def find_erased(self, peer: str, subjects: Collection[UUID]) -> frozenset[UUID]:
        return frozenset(subject for subject in subjects if self.is_erased(peer, subject))

    def is_erased(self, peer: str, subject: UUID) -> bool:
        if self.is_day_closed(subject):
            return True
        own, held = self.table("own").get(subject), self.table("held").get((peer, subject))
        return (own is not None and own.is_erased) or (held is not None and held.is_erased)

    # Resync.
    def day_of(self, subject: UUID) -> date:
        return self.node.world.day_of(subject)

    def is_day_closed(self, subject: UUID) -> bool:
        return self.node.world.is_closed(subject)

    def _list_held(self, side: Side, peer: str) -> list[SubjectHolding]:
        if side is Side.HELD:
            return [
                self._holding(subject, held)
                for (owner, subject), held in self.table("held").items()
                if owner == peer and not self.is_day_closed(subject)
            ]
        rows = []
        for subject, own in self.table("own").items():
            if not self.is_day_closed(subject):
                answers = self.table("answers").get((peer, subject))
                if own.is_erased:
                    rows.append(SubjectHolding(subject, 0, None, is_erased=True))
                elif answers:
                    rows.append(SubjectHolding(subject, 0, None, answers))
        return rows

    @staticmethod
    def _holding(subject: UUID, held: HeldSubject) -> SubjectHolding:
        if held.is_withdrawn:
            return SubjectHolding(subject, 0, None, is_withdrawn=True)
        return SubjectHolding(subject, held.revision, held.content, held.acts, is_erased=held.is_erased)

    async def list_held_days(self, side: Side, peer: str) -> list[DayDigest]:
        return digest_days(self._list_held(side, peer), self.day_of)

    async def list_held(self, side: Side, peer: str, *, days: Collection[date]) -> list[SubjectHolding]:
        return [row for row in self._list_held(side, peer) if self.day_of(row.subject) in days]

    def _list_own(self, side: Side, peer: str) -> list[OwnTrack]:
        if side is Side.HELD:
            names = set(self.table("own"))
        else:
            erased = {key[1] for key, held in self.table("held").items() if key[0] == peer and held.is_erased}
            names = erased.union(self.table("given"))
        tracks = [self._track(side, peer, subject) for subject in names if not self.is_day_closed(subject)]
        return [track for track in tracks if track is not None]

    def _track(self, side: Side, peer: str, subject: UUID) -> OwnTrack | None:
        if side is Side.ANSWERED:
            if self.node.world.subjects[subject].owner != peer:
                return None
            acts = self.table("given").get(subject, ())
            held = self.table("held").get((peer, subject)) or HeldSubject()
            if not acts and not held.is_erased:
                return None
            return OwnTrack(subject, acts=acts, is_withdrawn=held.is_withdrawn, is_erased=held.is_erased)
        own = self.table("own").get(subject)
        if own is None:
            return None
        return OwnTrack(
            subject,
            own.revision,
            own.content,
            own.acts,
            own.is_withdrawn,
            own.is_erased,
            self.node.place(own.party) == peer,
            own.is_finished,
            peer in own.sent,
        )

    async def list_own_days(self, side: Side, peer: str) -> list[DayDigest]:
        rows = [expect_holding(track) for track in self._list_own(side, peer)]
        return digest_days([row for row in rows if row is not None], self.day_of)

    async def list_own(self, side: Side, peer: str, *, days: Collection[date]) -> list[OwnTrack]:
        return [track for track in self._list_own(side, peer) if self.day_of(track.subject) in days]

    async def load_own(self, side: Side, peer: str, *, subjects: Collection[UUID]) -> dict[UUID, OwnTrack]:
        tracks = [self._track(side, peer, subject) for subject in subjects]
        return {track.subject: track for track in tracks if track is not None}

    # Arrivals.
    def bytes_to_keep(self, taken: TakenMessage, outcome: Outcome) -> bytes:
        return taken.record

    async def heard(self, scope: Scope, peer: str, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        return outcomes

    async def apply(self, scope: Scope, taken: Sequence[TakenMessage]) -> list[Outcome]:
        outcomes = []
        for each in taken:
            outcome = await self._apply_one(each)
            self.put("fate", each.named.message_id, outcome.kind)
            outcomes.append(outcome)
        return outcomes

    async def _apply_one(self, each: TakenMessage) -> Outcome:
        named, node, writer = each.named, self.node, each.writer
        body: Body = node.world.bodies[each.record]
        subject = named.subject
        held = self._held_for(named, writer)
        refusal = find_final_refusal(held, named.role, is_day_closed=self.is_day_closed(subject))
        if refusal is not None:
            return Outcome(named, OutcomeKind.REFUSED, refusal)
        if named.role is not WireRole.WITHDRAWAL:
            kind = self._find_wait(body)
            if kind is not None:
                return Outcome(named, kind)
        if named.role is WireRole.ANSWER:
            if held is None:
                await self.scope.tx.add_operator_lines([OperatorLine(OperatorKind.UNKNOWN, writer, subject)])
                return Outcome(named, OutcomeKind.REFUSED, RefusalCode.UNKNOWN)
            applied = apply_acts(held, named)
            self.put("answers", (writer, subject), applied.held.acts)
            self._note_effects((writer, subject), named, applied)
        else:
            is_lawful = body.document >= node.world.active_document(each.where.broker_time, grace=True)
            applied = apply_message(held, named, is_lawful=is_lawful)
            if applied.held is not None:
                self.put("held", (writer, subject), applied.held)
            if named.role is WireRole.WITHDRAWAL and held is not None and held.is_erased:
                node.journal[(writer, subject)] = True
            self._note_effects((writer, subject), named, applied)
        return Outcome(named, applied.kind, applied.code, applied.held_revision)

    def _held_for(self, named: NamedMessage, writer: str) -> HeldSubject | None:
        """The state that a message is about: the writer's subject held here, or the answers on an own subject."""
        if named.role is not WireRole.ANSWER:
            return self.table("held").get((writer, named.subject))
        own = self.table("own").get(named.subject)
        if own is None:
            return None
        acts = self.table("answers").get((writer, named.subject), ())
        return HeldSubject(own.revision, own.content, acts, own.is_withdrawn, own.is_erased)

    def _find_wait(self, body: Body) -> OutcomeKind | None:
        node = self.node
        if body.version == POISON:
            return OutcomeKind.DEAD
        if body.document > node.document:
            return OutcomeKind.WAITING
        if body.named.role is WireRole.STATE and node.place(body.party) != node.name:
            return OutcomeKind.MOVED
        return OutcomeKind.DEFERRED if body.version > node.version else None

    def _note_effects(self, key: tuple[str, UUID], named: NamedMessage, applied: Applied) -> None:
        if applied.is_withdrawal:
            self.note_effect(key, -1, None)
        if applied.raises_revision:
            self.note_effect(key, named.revision or 0, named.content)
        for act in applied.new_acts:
            self.note_effect(key, "act", act)

    def note_effect(self, key: tuple[str, UUID], revision: int | str, content: object) -> None:
        self.put("effects", len(self.table("effects")), (key, revision, content))
        self.node.world.check_effect(self.node, key, revision=revision, content=content)

    # Erasure.
    async def erase_one(self, owner: str, subject: UUID, *, is_withdrawn: bool = False) -> None:
        """Erase content and acts of a subject on this side. An unheld one gets a stub, or a tombstone."""
        node = self.node
        if self.is_day_closed(subject):
            return
        if owner == node.name:
            own = self.table("own").get(subject)
            if own is None:
                own = Own(node.world.subjects[subject].party, sent=frozenset(node.peers))
            is_late = is_withdrawn and not own.is_withdrawn
            gone = own.is_withdrawn or is_withdrawn
            self.put("own", subject, replace(own, content=None, acts=(), is_withdrawn=gone, is_erased=True))
            for key in [key for key in self.table("answers") if key[1] == subject]:
                self.remove("answers", key)
            self.remove("decide", subject)
            if is_late:
                self.withdraw(subject)
        else:
            before = self.table("held").get((owner, subject))
            after = erase(before)
            gone = after.is_withdrawn or is_withdrawn
            self.put(
                "held", (owner, subject), replace(after, is_withdrawn=gone, revision=0 if gone else after.revision)
            )
            self.remove("given", subject)
        node.journal[(owner, subject)] = gone or node.journal.get((owner, subject), False)
        await erase_exceptions(self.scope, subject)

    async def close_days(self) -> None:
        """Delete everything of subjects whose day has closed."""
        for name in ("own", "given", "decide", "held", "answers"):
            for key in list(self.table(name)):
                if self.is_day_closed(key[1] if isinstance(key, tuple) else key):
                    self.remove(name, key)
        for row in list(self.table("exceptions").values()):
            if self.is_day_closed(row.taken.named.subject):
                await erase_exceptions(self.scope, row.taken.named.subject)
