"""One instance of the simulation: its database, its relay and consumer, and the acts of its parties."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from shared.messaging import incarnations, reception, relay, sending, upkeep
from shared.messaging.acks import Ack
from shared.messaging.exceptions import NamedMessage, OutcomeKind
from shared.messaging.incarnations import Head
from shared.messaging.ports import MessageDraft, OperatorKind, OperatorLine
from shared.messaging.reception import ArrivedMessage
from shared.messaging.relay import Append, AppendWatch, HandedSegments
from shared.messaging.scope import Scope
from shared.messaging.segments import Segment
from shared.messaging.streams import LANES, Lane, Pair, WireRole
from tests.simulation.streams import idle
from tests.simulation.streams.lies import lie
from tests.simulation.streams.partitions import AUDIT
from tests.simulation.streams.toy import POISON, TABLES, Body, Own, Toy
from tests.support.messaging_memory import MemoryDatabase, MemoryTx

if TYPE_CHECKING:
    from tests.simulation.streams.world import World

Result = TypeVar("Result")
#: Exceptions of one stream at which reading stops: few, so that it happens.
FULL = 6


def drive(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a coroutine of the simulation waited")


class Node:
    """An instance. `journal`: its erasures, stored outside its database: by subject, whether it was withdrawn.

    `unnoted`: by stream, its relay's appends since it moved the pointer. It grows only in the mood `late`.
    """

    def __init__(self, world: World, name: str, peers: tuple[str, ...]) -> None:
        self.world, self.name, self.peers = world, name, peers
        self.db = MemoryDatabase(*TABLES)
        self.db.tables["state"] |= {"version": 1, "document": 0, "feed": (world.new_id(), 0)}
        self.journal: dict[tuple[str, UUID], bool] = {}
        self.forget_appends()

    def forget_appends(self) -> None:
        """Clear the process's memory of its appends, as its end does."""
        self.watch, self.handed = AppendWatch(), HandedSegments()
        self.unnoted: dict[tuple[str, Lane], Append] = {}

    @property
    def document(self) -> int:
        return self.db.tables["state"]["document"]

    @property
    def version(self) -> int:
        return self.db.tables["state"]["version"]

    @property
    def everyone(self) -> tuple[str, ...]:
        return (*self.peers, AUDIT)

    def place(self, party: str) -> str:
        return self.world.place(party, self.document)

    @contextmanager
    def transaction(self) -> Iterator[Toy]:
        with self.db.transaction() as tx:
            tx.on_segments = partial(self.note_segments, tx)
            toy = Toy(self)
            toy.scope = Scope(self.name, AUDIT, tx, toy, toy, self.world, self.world.new_id, self.world.now)
            yield toy
        if self.world.mood == "late":
            for segment in toy.scope.finished:
                self.handed.add(segment)

    def note_segments(self, tx: MemoryTx, segments: Sequence[Segment]) -> None:
        self.world.note_segments(segments)
        for segment in segments:
            for message_id, place in segment.places().items():
                tx.put("placed", (segment.pair.addressee, place), message_id)

    # Sessions.
    def start_session(self, *, is_blind: bool = False) -> None:
        """Begin a new database session: apply the erasure journal, and read the own topics back first.

        `is_blind`: the log has lost the records that would show a restore.
        """
        self.forget_appends()
        with self.transaction() as toy:
            for (owner, subject), is_withdrawn in list(self.journal.items()):
                drive(toy.erase_one(owner, subject, is_withdrawn=is_withdrawn))
            drive(sending.finish(toy.scope))
        with self.transaction() as toy:
            found = drive(toy.scope.tx.load_outgoing(self.everyone, lock=True))
            changed = []
            for peer in self.everyone:
                heads = [] if is_blind else self.read_heads(peer)
                before = found.get(peer)
                changed.append(drive(incarnations.read_back(toy.scope, peer, before, heads=heads)))
                self.world.count["read_back"] += before is not None and changed[-1] is not before
            drive(toy.scope.save(changed))
            toy.put("state", "feed", (self.world.new_id(), 0))

    def read_heads(self, peer: str) -> list[Head]:
        heads = []
        for lane in LANES:
            records = self.world.partitions[Pair(self.name, peer), lane].records
            content = records[-1][0] if records else None
            if isinstance(content, ArrivedMessage):
                place = content.place
                heads.append(Head(place.incarnation, place.lane, place.number, digest=content.digest))
            elif isinstance(content, Ack) and content.own_incarnation is not None and content.heads is not None:
                for each, end in zip(LANES, content.heads, strict=True):
                    heads.append(Head(content.own_incarnation, each, end.number, chain=end.chain))
        return heads

    def start(self) -> None:
        """Probe every peer until it answers."""
        with self.transaction() as toy:
            found = drive(toy.scope.tx.load_outgoing(self.everyone, lock=True))
            changed = []
            for peer in self.everyone:
                outgoing = found.get(peer) or drive(incarnations.open_incarnation(toy.scope, peer, None))
                incarnations.await_reply(outgoing, self.world.now)
                changed.append(outgoing)
            drive(toy.scope.save(changed))

    # The log.
    def relay(self, peer: str, lane: Lane, *, is_crash: bool = False) -> bool:
        """Append the next records of a stream. `is_crash`: a part is appended and not recorded."""
        batch = self.handed.take(peer, lane, self.world.now)
        is_handed = batch is not None
        if batch is None:
            if not self.note_appended(peer, lane):
                return True
            with self.db.transaction() as tx:
                batch = drive(relay.load_next(tx, peer, lane))
        if batch is None:
            return False
        if is_crash:
            kept = batch.records[: self.world.rng.randint(0, len(batch.records))]
            if kept:
                drive(self.world.log.append(batch.topic, lane, kept))
            self.handed, self.unnoted = HandedSegments(), {}
            return True
        has_lost = drive(relay.append(self.world.log, self.watch, batch))
        before = self.unnoted.get((peer, lane), batch)
        self.unnoted[peer, lane] = batch._replace(sent_before=before.sent_before, since=before.since)
        if self.world.mood == "late":
            self.handed.appended[peer, lane] = batch.records[-1].place
        if has_lost or not is_handed or self.world.rng.random() < 0.3:
            self.note_appended(peer, lane, has_lost=has_lost)
        return True

    def note_appended(self, peer: str, lane: Lane, *, has_lost: bool = False) -> bool:
        """Move the pointer of a stream after its appended records; return False if the tables disagree."""
        batch = self.unnoted.pop((peer, lane), None)
        if batch is None:
            return True
        with self.db.transaction() as tx:
            is_moved = drive(relay.note_appended(tx, batch, has_lost=has_lost, now=self.world.now))
        if not is_moved:
            self.handed.forget(peer, lane)
        return is_moved

    def copy(self, peer: str) -> None:
        """Append the copies that audit lacks."""
        for lane in LANES:
            with self.db.transaction() as tx:
                batch = drive(relay.load_copies(tx, peer, lane, audit=AUDIT))
            if batch is not None:
                if batch.records:
                    drive(relay.append(self.world.log, self.watch, batch))
                with self.db.transaction() as tx:
                    drive(relay.note_copied(tx, peer, lane, batch=batch))

    def consume(self, writer: str, lane: Lane, count: int = 4) -> bool:
        """Take one batch in one transaction; return whether a record was read."""
        pair = Pair(writer, self.name)
        partition = self.world.partitions[pair, lane]
        with self.transaction() as toy:
            incoming = drive(toy.scope.tx.load_incoming(pair, lock=False))
            was_stopped = incoming.lanes[lane].is_stopped
            offset = incoming.seek(lane, partition.topic_id, first=partition.first, end=partition.end)
            records = partition.read(offset, count)
            if not records and not was_stopped:
                return False
            read = drive(reception.receive_batch(toy.scope, pair, lane, records=records, exceptions_max=FULL))
        after = self.db.tables["incoming"][pair].lanes[lane]
        self.note_openings()
        self.world.count["stops"] += after.is_stopped and not was_stopped
        return read > 0

    def note_openings(self) -> None:
        """Record which readers caused an incarnation just now."""
        for peer, outgoing in self.db.tables["outgoing"].items():
            for reader, at in outgoing.opened_at.items():
                times = self.world.opened[self.name, peer, reader.value]
                if at == self.world.now and times[-1:] != [self.world.seconds]:
                    times.append(self.world.seconds)
                    self.world.count["incarnations"] += 1

    def ack(self, peer: str) -> None:
        """Append the acknowledgement that is due to a peer. For a reader it is lost if the process dies before."""
        topic = Pair(self.name, peer)
        with self.transaction() as toy:
            ack = drive(upkeep.give_ack(toy.scope, Pair(peer, self.name)))
        if ack is None:
            return
        if self.world.liar == self.name and peer != AUDIT and self.world.rng.random() < 0.7:
            ack = lie(self.world, ack)
        at = self.world.log.put(topic, Lane.URGENT, [ack])
        if self.watch.note(topic, Lane.URGENT, at):
            with self.db.transaction() as tx:
                drive(relay.note_lost_end(tx, peer, Lane.URGENT))

    # Timers.
    def tend(self, *, is_idle: bool = False) -> None:
        """Do the periodic turn: decisions by the present law, upkeep of each pair, copies, closed days, exceptions.

        `is_idle`: pairs without due work are skipped.
        """
        self.decide()
        for peer in self.everyone:
            if is_idle and not idle.needs_tending(self, peer):
                continue
            with self.transaction() as toy:
                drive(upkeep.tend_pair(toy.scope, peer))
            self.copy(peer)
        if self.world.life:
            with self.transaction() as toy:
                drive(toy.close_days())
                drive(sending.finish(toy.scope))
        self.retry()

    def decide(self) -> None:
        due = self.db.tables["decide"]
        if not due or self.document != self.world.active_document(self.world.now):
            return
        with self.transaction() as toy:
            for subject in list(due):
                toy.remove("decide", subject)
                own: Own = toy.table("own")[subject]
                if own.is_withdrawn:
                    continue
                toy.put("own", subject, replace(own, tries=own.tries + 1))
                if own.tries >= 3 + self.world.document_count:
                    line = OperatorLine(OperatorKind.UNDECIDABLE, self.place(own.party), subject)
                    drive(toy.scope.tx.add_operator_lines([line]))
                else:
                    drive(toy.send_state(subject))
            drive(sending.finish(toy.scope))

    def retry(self, *, is_discard: bool = False) -> None:
        """Retry exceptions. `is_discard`: a person ends the dead letters."""
        exceptions = self.db.tables["exceptions"]
        if not exceptions:
            return
        with self.transaction() as toy:
            rows = drive(toy.scope.tx.list_exceptions(kinds=upkeep.RETRIED))
            if rows:
                drive(upkeep.retry_exceptions(toy.scope, rows))
        if is_discard:
            dead = [key for key, row in exceptions.items() if row.outcome.kind is OutcomeKind.DEAD]
            for writer, message_id in dead:
                with self.transaction() as toy:
                    drive(upkeep.discard_dead(toy.scope, writer, [message_id]))

    def learn(self) -> None:
        """Take the newest document. If it moves a party, its open subjects go to the new place."""
        world, before = self.world, self.document
        after = max(before, world.active_document(world.now))
        if after == before:
            return
        with self.transaction() as toy:
            toy.put("state", "document", after)
            if before < world.moved_by <= after and self.name == "H":
                for subject, own in list(toy.table("own").items()):
                    is_due = own.is_withdrawn or not own.is_finished or "R2" in own.sent
                    if own.party == "P" and is_due and not world.is_closed(subject):
                        drive(toy.send_state(subject))
            drive(sending.finish(toy.scope))

    def ask(self, peer: str) -> None:
        """Begin a resync, as the nightly check does."""
        with self.transaction() as toy:
            drive(upkeep.check_pair(toy.scope, peer))

    def erase(self, owner: str, subject: UUID) -> None:
        with self.transaction() as toy:
            drive(toy.erase_one(owner, subject))
            drive(sending.finish(toy.scope))

    # Acts of parties.
    def act(self) -> None:
        """Do one act of a party: a new subject, a revision, an act, an answer, a withdrawal, or the end of work."""
        rng = self.world.rng
        self.world.count["acts"] += 1
        version = rng.choice((1, 1, 1, 1, 2, 2, 2, 2, 2, POISON)) if rng.random() < 0.6 else 1
        with self.transaction() as toy:
            if rng.random() < 0.2:
                self.file_fact(toy)
            self._act(toy, rng.random(), version)
            drive(sending.finish(toy.scope))

    def file_fact(self, toy: Toy) -> None:
        named = NamedMessage(toy.scope.new_id(), WireRole.FACT, "fact")
        toy.scope.send(MessageDraft(AUDIT, WireRole.FACT, "fact", None, Body(named, AUDIT)))
        toy.put("facts", named.message_id, True)

    def _act(self, toy: Toy, draw: float, version: int) -> None:
        world, rng = self.world, self.world.rng
        live = [
            subject
            for subject, own in toy.table("own").items()
            if not own.is_withdrawn and not own.is_erased and not world.is_closed(subject)
        ]
        received = [
            key
            for key, held in toy.table("held").items()
            if held.revision
            and not held.is_erased
            and not world.is_closed(key[1])
            and (self.name != "R" or self.place(world.subjects[key[1]].party) == "R")
        ]
        if received and draw < 0.2:
            self._answer(toy, *rng.choice(received), version=version)
        elif not live or draw < 0.45:
            party = rng.choice("PPQ") if self.name == "H" else "h"
            self.file(toy, party, version, is_p0=rng.random() < 0.25)
        else:
            self._change(toy, rng.choice(live), draw, version=version)

    def _answer(self, toy: Toy, owner: str, subject: UUID, *, version: int) -> None:
        acts = toy.table("given").get(subject, ())
        act = toy.scope.new_id()
        toy.put("given", subject, (*acts, act))
        named = toy.name(WireRole.ANSWER, subject, acts=(act,), after=acts[-1] if acts else None)
        toy.send(owner, Body(named, self.world.subjects[subject].party, version, self.document))

    def file(self, toy: Toy, party: str, version: int = 1, *, is_p0: bool = False) -> UUID:
        subject = self.world.add_subject(self.name, party, is_p0=is_p0)
        toy.put("own", subject, Own(party, 1, 2 * self.world.new_id().bytes, version=version))
        toy.send_content(subject, (), version=version)
        self._heal(toy, subject)
        return subject

    def _change(self, toy: Toy, subject: UUID, draw: float, *, version: int) -> None:
        world = self.world
        own: Own = toy.table("own")[subject]
        if world.rng.random() < 0.15:
            world.subjects[subject].is_p0 = True
        last = own.acts[-1] if own.acts else None
        if draw < 0.62:
            content = 2 * world.new_id().bytes
            changed = replace(own, revision=own.revision + 1, content=content, version=version, is_finished=False)
            toy.put("own", subject, changed)
            toy.send_content(subject, (), version=version, after=last)
            self._heal(toy, subject)
        elif draw < 0.8:
            act = toy.scope.new_id()
            act_version = 2 if version == 2 else own.act_version
            changed = replace(own, acts=(*own.acts, act), act_version=act_version, is_finished=False)
            toy.put("own", subject, changed)
            toy.send_there(subject, toy.name(WireRole.STATE, subject, acts=(act,), after=last), version)
        elif draw < 0.93:
            toy.put("own", subject, replace(own, is_withdrawn=True))
            toy.withdraw(subject)
        else:
            toy.put("own", subject, replace(own, is_finished=True))

    @staticmethod
    def _heal(toy: Toy, subject: UUID) -> None:
        """A record may be poisoned; the subject itself never is."""
        own = toy.table("own")[subject]
        if own.version == POISON:
            toy.put("own", subject, replace(own, version=1))
