"""The two services of the simulation: a hotline that files and withdraws, agencies that take up. As small as can be.

They keep to what the real ones keep to: effects and outgoing messages in the transaction they are given, refusals by
code, lapsed decisions made again, what has moved issued anew. What they do is in `State.effects`, under these keys:

    ("referral", id)        open or withdrawn, at the hotline
    ("count", name)         how many were submitted and accepted there
    ("edge", message id)    emitted, superseded or dropped, at the hotline; with what it says, to say it again
    ("messages", id)        those that carried the referral's edges, in their order, at the hotline
    ("case", id, agency)    offered, withdrawn, or withdrawn before it ever came, at the agencies' instances
    ("held", id, agency)    the newest revision that was taken there
    ("track", id, agency)   how many answers were given there, or are known from elsewhere
    ("told", id, agency)    how many of these are known from elsewhere
    ("missing", edge id, place), ("work", id), ("stray", edge id)     what a standing has shown, at the hotline
    ("holds", edge id)      whose it is and from where, and the digest of the message, at the agencies' instances
    ("late", message id)    an act that changed nothing, from where its party is no longer, at the hotline
    ("seen", n)             the n-th message that was handed over, at any
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast
from uuid import UUID

from shared.contracts.delivery import HeldEdge, StandingClear
from shared.contracts.registry import REFERRAL_OFFERED, REFERRAL_WITHDRAWN
from shared.exchange.message import Received
from shared.exchange.record_table import DECIDE_AGAIN, SUBJECT_WITHDRAWN
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.post.ports import Settlement, Unit
from shared.runtime.post.standing import NothingHeld
from shared.vocabulary.answers import ReceiptOutcome
from tests.simulation.writing import Answered, Edge, Offered, Said, Writer, read_clear
from tests.support.memory_stores import MemoryDatabase, State


class Desk(NothingHeld):
    """The handler of one instance. A message that is `cursed` makes it fail, until its code is mended."""

    mended = False
    tells_state_first = True
    takes_up_forgotten = True
    withdraws_everywhere = True

    def __init__(
        self,
        database: MemoryDatabase,
        writer: Writer,
        *,
        directory: Callable[[], DirectoryIndex],
        release: Callable[[], int],
    ) -> None:
        """`release` is what the next answer takes to be read."""
        self._database = database
        self._writer = writer
        self._directory = directory
        self._release = release
        #: Edges and revisions that a person wrote here, also what the database has forgotten since.
        self.written: set[tuple[UUID, int]] = set()

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        state: State = unit.connection
        refusals: dict[UUID, str] = {}
        for message in messages:
            if isinstance(message.clear, Offered) and message.clear.cursed and not self.mended:
                raise ValueError("cursed")
            try:
                self._apply(state, message)
            except Refused as error:
                refusals[message.message_id] = error.code
        return refusals

    def _apply(self, state: State, message: Received) -> None:
        match message.clear:
            case Answered() as clear:
                self.answered(state, message, clear)
            case Offered() as clear:
                self._see(state, message)
                self._offered(state, message, clear)
            case Said() as clear:
                self._see(state, message)
                # Also of what is not here yet: it is refused when it comes.
                case = ("case", clear.referral_id, message.recipient)
                state.effects[case] = "withdrawn" if case in state.effects else "never came"

    def _see(self, state: State, message: Received) -> None:
        number = state.effects["last seen",] = state.effects.get(("last seen",), 0) + 1
        state.effects["seen", number] = message

    # -- the hotline ------------------------------------------------------------------------------------------

    def answered(self, state: State, message: Received, clear: Answered) -> None:
        """An act that adds: in the order of its track, each once, as long as its party writes it from one place."""
        edge = next((e for e in self._newest(state, clear.referral_id) if e.agency == message.sender), None)
        if edge is None or message.sender_instance not in edge.places:
            self._see(state, message)
            raise Refused("answer_unmatched")
        if message.sender_instance == edge.place and edge.told:
            if clear.number - 1 not in edge.told:
                if clear.number <= edge.taken:
                    self._see(state, message)
                raise Refused("act_awaited" if clear.number > edge.taken else "answer_repeated")
            self._see(state, message)
            self._change(state, replace(edge, taken=clear.number, told=()))
            return
        withdrawn = state.effects["referral", clear.referral_id] == "withdrawn"
        if message.sender_instance != edge.place and (withdrawn or not edge.told):
            self._see(state, message)
            state.effects["late", message.message_id] = True
            return  # taken back, or its new place has answered: its word alone counts
        if clear.number > edge.taken + 1:
            raise Refused("act_awaited")
        self._see(state, message)
        if clear.number <= edge.taken:
            raise Refused("answer_out_of_order")
        edge = replace(edge, taken=clear.number)
        if message.sender_instance == edge.place:
            self._change(state, edge)
        else:
            self._supersede(state, [replace(edge, told=(*edge.told, clear.number))])

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """What was refused as stale is decided again; what is elsewhere now is issued anew.

        What was taken back, and is open here, is listed.
        """
        state: State = unit.connection
        for edge in [state.effects.get(("edge", e.message_id)) for e in settlements if e.code == SUBJECT_WITHDRAWN]:
            if edge is not None and edge.state == "emitted" and state.effects["referral", edge.referral_id] == "open":
                state.effects["work", edge.referral_id] = "recipient_ahead"
        for each in settlements:
            if each.outcome is ReceiptOutcome.APPLIED:
                self._taken_late(state, each.message_id, each.by)
        self.decide_again(state, [each.message_id for each in settlements if each.code in DECIDE_AGAIN])
        if any(each.outcome is ReceiptOutcome.MOVED for each in settlements):
            self.follow(state)

    def _taken_late(self, state: State, message_id: UUID, by: str) -> None:
        """Taken after its withdrawal, which its recipient has forgotten since: it is taken back once more.

        Whatever message of the edge that is: an earlier one may have been parked.
        """
        edge = state.effects.get(("edge", message_id))
        if edge is None or state.effects["referral", edge.referral_id] != "withdrawn":
            return
        if edge.edge_id not in {each.edge_id for each in self._all_emitted(state)}:
            return
        of = (REFERRAL_WITHDRAWN, str(edge.referral_id), edge.agency)
        under_way = [row.message.draft for row in state.outbox.values() if not row.done]
        if of not in [(draft.message, draft.subject, draft.recipient) for draft in under_way]:
            state.effects["missing", edge.edge_id, by] = True

    def decide_again(self, state: State, message_ids: Sequence[UUID]) -> None:
        for message_id in message_ids:
            edge = state.effects.get(("edge", message_id))
            if edge is None or edge.state != "emitted":
                continue
            if state.effects["referral", edge.referral_id] == "withdrawn":
                state.effects["edge", message_id] = replace(edge, state="dropped")
            else:
                self._supersede(state, [edge])

    def follow(self, state: State) -> None:
        """Issue anew what lies where its recipient is no longer."""
        for key, edge in list(state.effects.items()):
            open_ = key[0] == "edge" and edge.state == "emitted"
            if open_ and state.effects["referral", edge.referral_id] == "open" and edge.place != self._place(edge):
                self._supersede(state, [edge])

    def file(self, state: State, referral_id: UUID, edges: Sequence[Edge]) -> None:
        """Take a referral in, once; filing it again is the client's repetition."""
        if ("referral", referral_id) not in state.effects:
            self.count(state)
            self.written |= {(edge.edge_id, edge.revision) for edge in edges}
            state.effects["referral", referral_id] = "open"
            self.emit(state, referral_id, edges)

    def count(self, state: State) -> None:
        """One more was submitted, and accepted."""
        for name in ("submitted", "accepted"):
            state.effects["count", name] = state.effects.get(("count", name), 0) + 1

    def withdraw(self, state: State, referral_id: UUID) -> None:
        """Take a referral back and tell everyone who was ever sent it."""
        if state.effects.get(("referral", referral_id)) != "open":
            return
        state.effects["referral", referral_id] = "withdrawn"
        self._database.enqueue(
            state,
            [
                self._writer.withdrawal(edge, place)
                for edge in self._newest(state, referral_id)
                for place in (edge.places if self.withdraws_everywhere else (edge.place,))
            ],
        )

    def amend(self, state: State, referral_id: UUID, document: int) -> None:
        """Send everyone who was sent it the next revision, which replaces what came before."""
        if state.effects.get(("referral", referral_id)) == "open":
            after = [
                replace(edge, revision=edge.revision + 1, document=document)
                for edge in self._newest(state, referral_id)
            ]
            self.written |= {(edge.edge_id, edge.revision) for edge in after}
            self._supersede(state, after)

    def emit(self, state: State, referral_id: UUID, edges: Sequence[Edge], *, restored: bool = False) -> None:
        offers = []
        for edge in edges:
            place = self._place(edge)
            moved = edge.place not in ("", place)
            if moved and self.tells_state_first:
                edge = replace(edge, told=edge.told or (edge.taken,))
            edge = replace(edge, state="emitted", place=place, places=tuple(dict.fromkeys((*edge.places, place))))
            offer = self._writer.offer(edge, moved=moved, restored=restored)
            state.effects["edge", offer.message_id] = edge
            offers.append(offer)
        ids = [offer.message_id for offer in offers]
        state.effects["messages", referral_id] = (*state.effects.get(("messages", referral_id), ()), *ids)
        fact = self._writer.decided(referral_id, ids)
        self._database.enqueue(state, [*offers, fact])

    async def compare(self, unit: Unit, by: str, standing: StandingClear) -> None:
        """What `by` lacks of our edges is missing; what it has beyond that is listed. As the real origin does."""
        state: State = unit.connection
        held = {each.edge_id: each for each in standing.held}
        of = {key[1]: edge for key, edge in state.effects.items() if key[0] == "edge" and edge.state == "emitted"}
        for message_id, edge in of.items():
            if edge.place != by and edge.edge_id in held:
                self._holds_still(state, edge, held[edge.edge_id], by)
            if edge.place == by and _within(standing, edge.edge_id):
                if not _under_way(state, message_id):
                    self._lacks(state, message_id, edge, held.get(edge.edge_id))
                elif state.effects["referral", edge.referral_id] == "open":
                    self._forgets(state, message_id, edge, held.get(edge.edge_id))
                if edge.edge_id in held:
                    self._ahead(state, edge, held[edge.edge_id])
        known = {edge.edge_id for key, edge in state.effects.items() if key[0] == "edge"}
        state.effects |= {("stray", edge_id): by for edge_id in held.keys() - known}

    def _lacks(self, state: State, message_id: UUID, edge: Edge, held: HeldEdge | None) -> None:
        if state.effects["referral", edge.referral_id] == "withdrawn":
            missing = held is not None and not held.withdrawn
        else:
            row = state.settled.get(message_id) or state.outbox.get(message_id)
            refused = row is not None and row.outcome is ReceiptOutcome.REFUSED
            missing = not refused
            if held is not None:
                missing = held.track < edge.taken or (held.revision or 0) < edge.revision
        if missing:
            state.effects["missing", edge.edge_id, edge.place] = True

    def _forgets(self, state: State, message_id: UUID, edge: Edge, held: HeldEdge | None) -> None:
        """What is under way tells fewer acts than are known: where they are forgotten, it would begin from there."""
        clear = read_clear(REFERRAL_OFFERED, state.outbox[message_id].message.draft.body)
        told = cast(Offered, clear).again or 0
        if edge.taken > max(told, held.track if held is not None else 0):
            state.effects["missing", edge.edge_id, edge.place] = True

    def _holds_still(self, state: State, edge: Edge, held: HeldEdge, by: str) -> None:
        """Elsewhere, too, nothing stays open that was taken back: where it was, or is by what is forgotten here."""
        if state.effects["referral", edge.referral_id] == "withdrawn" and not held.withdrawn:
            state.effects["missing", edge.edge_id, by] = True

    def _ahead(self, state: State, edge: Edge, held: HeldEdge) -> None:
        """Another digest than those of all messages that carried the edge is one that was sent and is forgotten."""
        open_ = state.effects["referral", edge.referral_id] == "open"
        carried = [key[1] for key, e in state.effects.items() if key[0] == "edge" and e.edge_id == edge.edge_id]
        rows = [state.settled.get(id_) or state.outbox[id_] for id_ in carried]
        unknown = held.digest not in {row.message.digest for row in rows}
        if open_ and (held.withdrawn or held.track > edge.taken or unknown):
            state.effects["work", edge.referral_id] = "recipient_ahead"

    def issue_missing(self, state: State) -> None:
        """Issue anew what its recipient lacks, with what was answered so far; take back what it holds still."""
        for key in [key for key in state.effects if key[0] == "missing"]:
            del state.effects[key]
            edge = next((each for each in self._all_emitted(state) if each.edge_id == key[1]), None)
            if edge is None:
                continue
            if state.effects["referral", edge.referral_id] == "withdrawn":
                self._database.enqueue(state, [self._writer.withdrawal(edge, key[2])])
            else:
                self._change(state, replace(edge, state="superseded"))
                self.emit(state, edge.referral_id, [edge], restored=True)

    def _supersede(self, state: State, edges: Sequence[Edge]) -> None:
        """Send these, each in place of the message that carried it last."""
        for edge in edges:
            self._change(state, replace(edge, state="superseded"))
            self.emit(state, edge.referral_id, [edge])

    def _change(self, state: State, edge: Edge) -> None:
        for message_id in state.effects["messages", edge.referral_id]:
            before = state.effects["edge", message_id]
            if before.edge_id == edge.edge_id and before.state == "emitted":
                state.effects["edge", message_id] = edge
                return

    def _newest(self, state: State, referral_id: UUID) -> list[Edge]:
        """The newest of each edge of a referral."""
        edges = [state.effects["edge", id_] for id_ in state.effects.get(("messages", referral_id), ())]
        return [edge for edge in edges if edge.state == "emitted"]

    def _all_emitted(self, state: State) -> list[Edge]:
        return [each for key, each in state.effects.items() if key[0] == "edge" and each.state == "emitted"]

    def _place(self, edge: Edge) -> str:
        instance = self._directory().instance_of(edge.agency)
        assert instance is not None
        return instance.id

    # -- the agencies -----------------------------------------------------------------------------------------

    def _offered(self, state: State, message: Received, clear: Offered) -> None:
        of = (clear.referral_id, message.recipient)
        if state.effects.get(("case", *of), "offered") != "offered":
            raise Refused("subject_withdrawn")
        state.effects |= {("case", *of): "offered", ("held", *of): clear.revision}
        state.effects["holds", clear.edge_id] = (*of, message.sender_instance, message.digest)
        if clear.again is None:
            self.answer(state, clear.referral_id, message.recipient)
            return
        if clear.restored and not self.takes_up_forgotten:
            return
        acts, told = (state.effects.get((each, *of), 0) for each in ("track", "told"))
        forgotten = clear.restored and clear.again > acts
        if clear.again >= acts and (clear.moved or acts == told or forgotten):
            state.effects |= {("track", *of): clear.again, ("told", *of): clear.again}

    async def held(self, unit: Unit, of: str, *, above: UUID, limit: int) -> list[HeldEdge]:
        effects = cast(State, unit.connection).effects
        found = {
            key[1]: each for key, each in effects.items() if key[0] == "holds" and each[2] == of and key[1] > above
        }
        return [
            HeldEdge.model_construct(
                edge_id=edge_id,
                revision=effects["held", referral_id, agency],
                digest=digest,
                track=effects.get(("track", referral_id, agency), 0),
                withdrawn=effects["case", referral_id, agency] == "withdrawn",
            )
            for edge_id, (referral_id, agency, _, digest) in sorted(found.items())[:limit]
        ]

    def answer(self, state: State, referral_id: UUID, agency: str) -> None:
        """The agency's next answer, of a case that it has here and now."""
        of = (referral_id, agency)
        place = self._directory().instance_of(agency)
        here = place is not None and place.id == self._database.instance
        if not here or state.effects.get(("case", *of)) != "offered":
            return
        number = state.effects.get(("track", *of), 0) + 1
        state.effects["track", *of] = number
        answer = self._writer.answer(
            referral_id, number, agency=agency, by=self._database.instance, release=self._release()
        )
        self._database.enqueue(state, [answer])


def _within(standing: StandingClear, edge_id: UUID) -> bool:
    above = standing.above is None or edge_id > standing.above
    return above and (standing.upto is None or edge_id <= standing.upto)


def _under_way(state: State, message_id: UUID) -> bool:
    return message_id in state.outbox and not state.outbox[message_id].done
