"""The world of one seed: three instances and audit, partitions, documents, a clock, and faults."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from shared.core.ids import uuid_of
from shared.messaging.acks import Ack
from shared.messaging.exceptions import NamedMessage
from shared.messaging.ports import MessageDraft, PlacedRecord
from shared.messaging.reception import ArrivedMessage
from shared.messaging.segments import NewMessages, OutgoingMessage, RecordBytes, Segment
from shared.messaging.streams import CONTROL_ROLES, LANES, Lane, Pair, WireRole
from tests.simulation.streams import idle
from tests.simulation.streams.auditor import Auditor
from tests.simulation.streams.node import Node
from tests.simulation.streams.partitions import AUDIT, Copy, MemoryLog, Partition
from tests.simulation.streams.toy import Body

PEERS = {"H": ("R", "R2"), "R": ("H",), "R2": ("H",)}
START = datetime(2026, 1, 1, tzinfo=UTC)
#: Seconds for which a decision by the document before still holds.
GRACE_S = 60
MOODS = ("any", "restore", "tail", "version", "erasure", "hostile", "late")


@dataclass(slots=True)
class Subject:
    """A subject in the world's memory, even if all instances lose it."""

    owner: str
    party: str
    is_p0: bool
    created_s: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was composed."""

    pair: Pair
    outgoing: OutgoingMessage
    named: NamedMessage
    body: object


class World:
    """One run. `given`: the effect of each feed number. `where`: the places that an id, a content or an act had."""

    def __init__(self, seed: int, mood: str = "any") -> None:
        self.rng, self.mood = Random(seed), mood
        self.seconds, self.last_id = 1000, 0
        self.log = MemoryLog(self)
        self.count: Counter[str] = Counter()
        self.sent_to: Counter[str] = Counter()
        self.wrong: list[tuple[object, ...]] = []
        self.subjects: dict[UUID, Subject] = {}
        self.messages: dict[UUID, Message] = {}
        self.bodies: dict[bytes, Any] = {}
        self.by_record: dict[bytes, Message] = {}
        self.where: dict[object, set[tuple[Pair, Lane, UUID, int]]] = defaultdict(set)
        self.given: dict[object, object] = {}
        self.opened: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        self.answered: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.restored: set[str] = set()
        self.liar: str | None = None
        self.life = 0
        self.snapshots: dict[str, list[Any]] = defaultdict(list)
        topics = [Pair(writer, reader) for writer, readers in PEERS.items() for reader in (*readers, AUDIT)]
        topics += [Pair(AUDIT, writer) for writer in PEERS]
        self.partitions = {(topic, lane): Partition(self.new_id()) for topic in topics for lane in LANES}
        self._draw()
        self.nodes = {name: Node(self, name, peers) for name, peers in PEERS.items()}
        self.auditor = Auditor(self, PEERS)

    def _draw(self) -> None:
        rng = self.rng
        self.document_at = sorted(rng.randint(1000, 2200) for _ in range(rng.randint(0, 3)))
        self.moved_by = rng.randint(1, len(self.document_at)) if self.document_at and rng.random() < 0.6 else 99
        self.fault_chance, self.snapshot_chance = rng.choice((0.03, 0.08, 0.15)), rng.choice((0.03, 0.06))
        start = rng.randint(1000, 2000)
        self.dark = start, start + rng.choice((0, 300, 900))
        if self.mood != "any":
            self.fault_chance, self.snapshot_chance = 0.15, 0.06
        self.erase_chance = 0.05 if self.mood == "erasure" else 0.01
        if self.mood == "erasure" and rng.random() < 0.6:
            self.life = rng.choice((500, 1000, 2000))
        if self.mood == "hostile":
            self.liar = rng.choice(("R", "R2"))
            self.restored |= {"H", self.liar}
            self.fault_chance = rng.choice((0, 0.08))

    # Time, ids and documents.
    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    @property
    def document_count(self) -> int:
        return len(self.document_at)

    def new_id(self) -> UUID:
        self.last_id += 1
        return uuid_of(self.last_id)

    def active_document(self, at: datetime, *, grace: bool = False) -> int:
        seconds = (at - START).total_seconds() - (GRACE_S if grace else 0)
        return sum(each <= seconds for each in self.document_at)

    def place(self, party: str, document: int) -> str:
        if party == "h":
            return "H"
        return "R" if party == "Q" or document < self.moved_by else "R2"

    # Subjects.
    def add_subject(self, owner: str, party: str, *, is_p0: bool) -> UUID:
        subject = self.new_id()
        self.subjects[subject] = Subject(owner, party, is_p0, self.seconds)
        return subject

    def day_of(self, subject: UUID) -> date:
        return date.fromordinal(730000 + self.subjects[subject].created_s // 300)

    def is_closed(self, subject: UUID) -> bool:
        return bool(self.life) and self.seconds >= self.subjects[subject].created_s + self.life

    def check_effect(self, node: Node, key: tuple[str, UUID], *, revision: object, content: object) -> None:
        """An erased subject never has an effect again, and a feed number means one effect for ever."""
        if key in node.journal or self.is_closed(key[1]):
            self.wrong.append(("resurrected", node.name, key, revision, content))
        state = node.db.tables["state"]
        epoch, number = state["feed"]
        state["feed"] = epoch, number + 1
        if self.given.setdefault((node.name, epoch, number), (key, revision, content)) != (key, revision, content):
            self.wrong.append(("feed number twice", node.name))

    # Messages.
    def compose(self, pair: Pair, lanes: Mapping[Lane, Sequence[MessageDraft]]) -> list[NewMessages]:
        return [
            NewMessages(pair, lane, tuple(self._seal(pair, draft) for draft in drafts), b"")
            for lane, drafts in lanes.items()
        ]

    def _seal(self, pair: Pair, draft: MessageDraft) -> OutgoingMessage:
        body = draft.body
        named = body.named if isinstance(body, Body) else NamedMessage(self.new_id(), draft.role, draft.kind)
        value = named.message_id.bytes
        digest, record = hashlib.sha256(value).digest(), RecordBytes(b"", (), value)
        outgoing = OutgoingMessage(named.message_id, draft.role, draft.kind, draft.subject, digest, record, draft.is_p0)
        self.bodies[value] = body
        self.messages[named.message_id] = self.by_record[value] = Message(pair, outgoing, named, body)
        self._note_draft(pair, draft)
        return outgoing

    def _note_draft(self, pair: Pair, draft: MessageDraft) -> None:
        self.count[draft.role.value] += 1
        if draft.role is WireRole.HOLDINGS and getattr(draft.body, "exceptions", None) is not None:
            self.answered[pair].append(self.seconds)

    def note_segments(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            key = segment.pair, segment.lane, segment.incarnation
            for number, message in enumerate(segment.messages, segment.first):
                named = self.messages[message.message_id].named
                for item in (message.message_id, named.content, *named.acts):
                    self.where[item].add((*key, number))

    def arrive(self, placed: PlacedRecord) -> ArrivedMessage:
        """Return the message of a record, as a consumer reads it."""
        message = self.by_record[placed.record.value]
        body: Any = message.body if message.outgoing.role in CONTROL_ROLES else None
        return ArrivedMessage(
            placed.place, message.outgoing.digest, message.named, placed.record.value, message.outgoing.is_p0, body
        )

    def count_append(self, topic: Pair, content: ArrivedMessage | Ack | Copy) -> None:
        self.count["appends"] += 1
        if isinstance(content, Ack):
            self.count["acks"] += 1
        else:
            self.sent_to[topic.addressee] += 1
            self.count["copies"] += isinstance(content, Copy)

    # One step of the run.
    def step(self) -> None:
        rng = self.rng
        self.seconds += rng.randint(1, 20)
        node = self.nodes[rng.choice("HHHR" if rng.random() < 0.8 else ["R2"])]
        peer = rng.choice(PEERS[node.name])
        self._do_work(node, peer, rng.random())
        if rng.random() < self.erase_chance:
            self.erase(node)
        if self.liar is not None and rng.random() < 0.05:
            self.nodes[self.liar].ask("H")
        if rng.random() < self.snapshot_chance:
            self.snapshots[node.name] = [*self.snapshots[node.name], node.db.snapshot()][-4:]
        if rng.random() < 0.02:
            self.snapshots[AUDIT].append(self.auditor.db.snapshot())
        if rng.random() < self.fault_chance:
            self.fault(node, peer)

    def _do_work(self, node: Node, peer: str, draw: float) -> None:
        rng = self.rng
        if draw < 0.20:
            node.act()
        elif draw < 0.42:
            node.relay(rng.choice((peer, peer, peer, AUDIT)), rng.choice(LANES), is_crash=rng.random() < 0.1)
        elif draw < 0.64:
            node.consume(peer, rng.choice(LANES), rng.randint(1, 5))
        elif draw < 0.74:
            node.ack(rng.choice((peer, peer, peer, AUDIT)))
            node.consume(AUDIT, Lane.URGENT)
        elif draw < 0.80:
            node.tend()
        elif draw < 0.84:
            node.learn()
        elif draw < 0.88:
            if not self.dark[0] <= self.seconds < self.dark[1]:
                self.auditor.read(Pair(node.name, peer), is_acking=rng.random() < 0.8)
                self.auditor.read(Pair(node.name, AUDIT), is_acking=rng.random() < 0.8)
        elif draw < 0.885 or (draw < 0.93 and self.mood == "version"):
            with node.transaction() as toy:
                toy.put("state", "version", rng.choice((1, 2)))
            node.retry()

    def erase(self, node: Node) -> None:
        """A retention class ends, or a person erases: an own subject or a held one, on this side only."""
        keys = [(node.name, subject) for subject in node.db.tables["own"]] + list(node.db.tables["held"])
        keys = [key for key in keys if key not in node.journal and not self.is_closed(key[1])]
        if keys:
            self.count["erasures"] += 1
            node.erase(*self.rng.choice(keys))

    def fault(self, node: Node, peer: str) -> None:
        rng = self.rng
        topic, lane = rng.choice(
            (
                (Pair(node.name, peer), Lane.URGENT),
                (Pair(node.name, peer), Lane.URGENT),
                (Pair(node.name, peer), Lane.ORDINARY),
                (Pair(node.name, peer), Lane.ORDINARY),
                (Pair(node.name, AUDIT), rng.choice(LANES)),
                (Pair(AUDIT, node.name), Lane.URGENT),
            )
        )
        partition = self.partitions[topic, lane]
        draw = {"tail": 0.35, "restore": 2.6}.get(self.mood, 1) * rng.random()
        if draw < 0.35:
            partition.lose_tail(rng.randint(1, 4))
        elif draw < 0.42:
            partition.renew(self.new_id())
        elif draw < 0.62:
            partition.expire(rng.randint(0, len(partition.records)))
        elif draw < 0.66:
            node.start_session()
            node.start()
        elif draw < 0.69:
            if partition.past:
                self.log.put(topic, lane, [rng.choice(partition.past)])
        elif draw < 0.72:
            if self.snapshots[AUDIT]:
                self.auditor.db.restore(rng.choice(self.snapshots[AUDIT]))
                self.restored.add(AUDIT)
        elif self.snapshots[node.name]:
            self.restore(node)
            if rng.random() < 0.3 and self.snapshots[peer]:
                self.restore(self.nodes[peer])

    def restore(self, node: Node) -> None:
        """Load an older dump. Sometimes the log is blind, and sometimes no probe is sent."""
        rng, dumps = self.rng, self.snapshots[node.name]
        node.db.restore(dumps[-1] if rng.random() < 0.6 else rng.choice(dumps))
        self.restored.add(node.name)
        self.count["restores"] += 1
        node.start_session(is_blind=rng.random() < 0.3)
        if rng.random() < 0.5:
            node.start()

    def drain(self, *, is_healing: bool) -> bool:
        """Run without faults and acts until nothing is appended for a while; return whether it became quiet.

        Without repairs, instances stay outdated: exceptions wait silently. Quiet means more than the hour of rule 16.
        At rest the clock runs faster.
        """
        quiet = 0
        for _ in range(500):
            before = self.count["appends"]
            self.drain_step(is_healing=is_healing, step_s=60 if quiet else 15)
            quiet = quiet + 1 if self.count["appends"] == before else 0
            if quiet > 6:
                return True
        return False

    def drain_step(self, *, is_healing: bool, step_s: int = 15) -> None:
        self.seconds += step_s
        for node in self.nodes.values():
            if is_healing:
                node.learn()
                with node.transaction() as toy:
                    toy.put("state", "version", 2)
            for peer in node.everyone:
                for lane in LANES:
                    while idle.has_unsent(node, peer, lane) and node.relay(peer, lane):
                        pass
                pair = Pair(peer, node.name)
                for lane in LANES if self.rng.random() < 0.5 else reversed(LANES):
                    while idle.has_unread(self, node.db, pair, lane=lane) and node.consume(peer, lane, 50):
                        pass
                if idle.owes_ack(self, node.db, pair, own=node.db.tables["outgoing"].get(peer)):
                    node.ack(peer)
            node.tend(is_idle=True)
            if is_healing:
                node.retry(is_discard=True)
        for pair in self.auditor.pairs:
            if any(idle.has_unread(self, self.auditor.db, pair, lane=lane) for lane in LANES):
                self.auditor.read(pair)
            elif idle.owes_ack(self, self.auditor.db, pair, own=None):
                self.auditor.ack(pair)
