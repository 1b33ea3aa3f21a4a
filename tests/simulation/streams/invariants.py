"""The promises of the stream protocol, at rest: each violation is a tuple that begins with its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from uuid import UUID

from shared.messaging.exceptions import OPEN, OutcomeKind
from shared.messaging.ports import OperatorKind
from shared.messaging.streams import LANES, SUBJECT_ROLES, Incoming, Lane, Outgoing, Pair, StreamPlace, WireRole
from tests.simulation.streams.node import FULL, Node
from tests.simulation.streams.partitions import AUDIT
from tests.simulation.streams.subjects import HeldSubject
from tests.simulation.streams.toy import Own
from tests.simulation.streams.world import World

#: The pause of rule 16 in the simulation.
HOUR_S = 300
Violation = tuple[object, ...]
ABOUT_SUBJECTS = SUBJECT_ROLES | {WireRole.WITHDRAWAL}


def is_even(own: Outgoing, read: Incoming | None) -> bool:
    """Return whether a reader has taken everything, with the writer's chain."""
    if read is None or read.incarnation != own.incarnation:
        return False
    return all(
        (there.through, there.chain) == (here.last, here.chain)
        for there, here in zip(read.lanes, own.lanes, strict=True)
    )


def find_fates(world: World, node: Node, peer: Node, *, lane: Lane) -> list[OutcomeKind | None]:
    """Return the outcomes, at the addressee, of all messages of the present incarnation about subjects."""
    own: Outgoing = node.db.tables["outgoing"][peer.name]
    placed = node.db.tables["placed"]
    fates: list[OutcomeKind | None] = []
    for number in range(1, own.lanes[lane].last + 1):
        message_id = placed[peer.name, StreamPlace(own.incarnation, lane, number)]
        if world.messages[message_id].outgoing.role in ABOUT_SUBJECTS:
            row = peer.db.tables["exceptions"].get((node.name, message_id))
            fate = peer.db.tables["fate"].get(message_id)
            ended = OutcomeKind.REFUSED if fate in OPEN else fate
            fates.append(row.outcome.kind if row is not None else ended)
    return fates


def check_waiting(world: World) -> Iterator[Violation]:
    """At rest with open exceptions: each writer knows those of its messages, and no others."""
    for node in world.nodes.values():
        for name in node.peers:
            peer = world.nodes[name]
            rows = list(peer.db.tables["exceptions"].values())
            for lane in LANES:
                if sum(row.taken.writer == node.name and row.taken.place.lane is lane for row in rows) > FULL:
                    yield "exceptions without bound", name
            for row in rows:
                subject = row.taken.named.subject
                if not world.is_closed(subject) and any(
                    (owner, subject) in peer.journal for owner in (row.taken.writer, name)
                ):
                    yield "kept bytes of an erased subject", name
                if row.taken.named.role is WireRole.WITHDRAWAL:
                    yield "withdrawal waits", name
            yield from _check_counts(world, node, peer)


def _check_counts(world: World, node: Node, peer: Node) -> Iterator[Violation]:
    """Placed = applied + refused + moved + open; the writer's view of exceptions is the reader's."""
    own: Outgoing | None = node.db.tables["outgoing"].get(peer.name)
    read: Incoming | None = peer.db.tables["incoming"].get(Pair(node.name, peer.name))
    if own is None or read is None:
        return
    fates: list[OutcomeKind | None] = []
    for lane in LANES:
        there, here = read.lanes[lane], own.lanes[lane]
        if (read.incarnation, there.through, there.chain) == (own.incarnation, here.last, here.chain):
            fates += find_fates(world, node, peer, lane=lane)
    rows = {
        message_id: row.outcome.kind
        for (writer, message_id), row in peer.db.tables["exceptions"].items()
        if writer == node.name
    }
    if None in fates or sum(fate in OPEN for fate in fates) > len(rows):
        yield "counts", node.name, peer.name, Counter(fates)
    back: Outgoing | None = peer.db.tables["outgoing"].get(node.name)
    if back is not None and is_even(own, read) and is_even(back, node.db.tables["incoming"].get(back.pair)):
        known = {
            message_id: row.kind
            for (name, message_id), row in node.db.tables["open_outcomes"].items()
            if name == peer.name
        }
        if known != rows:
            yield "open exceptions differ", node.name, peer.name, known, rows


def check_end(world: World, *, rests: tuple[bool, bool]) -> Iterator[Violation]:
    """After everything was repaired: all converged, and nothing happened twice or out of order."""
    for name, is_quiet in zip(("restless while waiting", "not at rest"), rests, strict=True):
        if not is_quiet:
            yield (name,)
    for node in world.nodes.values():
        for peer in node.everyone:
            node.tend()
            yield from check_stream(world, node, peer)
        yield from check_effects(world, node)
        yield from check_erased(world, node)
        yield from check_held(world, node)
        yield from check_own(world, node)
        yield from check_answers(world, node)
        if node.db.tables["exceptions"]:
            yield "exception for ever", node.name, len(node.db.tables["exceptions"])
        if node.db.tables["open_outcomes"]:
            yield "exception unknown to be over", node.name, dict(node.db.tables["open_outcomes"])
    yield from check_lists(world)
    yield from world.wrong


def check_stream(world: World, node: Node, peer: str) -> Iterator[Violation]:
    own: Outgoing | None = node.db.tables["outgoing"].get(peer)
    if own is None:
        return
    kept = [key for key, segments in node.db.tables["segments"].items() if key[0] == peer and segments]
    if kept:
        yield "segment kept for ever", node.name, peer, kept, own
    readers = {"audit": world.auditor.db}
    if peer != AUDIT:
        readers["peer"] = world.nodes[peer].db
        for lane in LANES:
            if not {*find_fates(world, node, world.nodes[peer], lane=lane)} <= {*OutcomeKind} - OPEN:
                yield "counts", node.name, peer
    for name, db in readers.items():
        if not is_even(own, db.tables["incoming"].get(own.pair)):
            yield "stream not even", node.name, peer, name, own, db.tables["incoming"].get(own.pair)


def check_effects(world: World, node: Node) -> Iterator[Violation]:
    """Each effect once; revisions rise; nothing after a withdrawal; audit has seen each effect or names its loss."""
    seen, last = set(), {}
    for _, (key, revision, content) in sorted(node.db.tables["effects"].items()):
        effect = key, revision, content if revision == "act" else None
        if effect in seen:
            yield "effect twice", node.name, *effect
        seen.add(effect)
        if last.get(key) == -1:
            yield "effect after withdrawal", node.name, key, revision
        if (
            revision != -1
            and content not in world.auditor.db.tables["seen"]
            and not any(world.auditor.names_loss(where) for where in world.where[content])
        ):
            yield "audit never saw", node.name, key, revision
        if revision != "act":
            if revision != -1 and revision <= last.get(key, 0):
                yield "order", node.name, key, revision
            last[key] = revision


def check_erased(world: World, node: Node) -> Iterator[Violation]:
    """Content and acts of an erased subject are gone, and a withdrawn one stays withdrawn."""
    for (owner, subject), is_withdrawn in node.journal.items():
        if world.is_closed(subject):
            continue
        own: Own | None = world.nodes[owner].db.tables["own"].get(subject)
        if is_withdrawn and own is not None and not own.is_withdrawn:
            yield "withdrawal lost", "journal", node.name, subject
        here = (
            node.db.tables["own"].get(subject) if owner == node.name else node.db.tables["held"].get((owner, subject))
        )
        if here is None or not here.is_erased or here.content is not None or here.acts:
            yield "content of an erased subject", node.name, subject, here
        if any(row.taken.named.subject == subject for row in node.db.tables["exceptions"].values()):
            yield "kept bytes of an erased subject", node.name, subject


def has_line(node: Node, kind: OperatorKind, subject: UUID, *, act: UUID | None = None) -> bool:
    return any((line.kind, line.subject, line.act) == (kind, subject, act) for line in node.db.tables["lines"])


def check_held(world: World, node: Node) -> Iterator[Violation]:
    """Each held subject is known to its owner or on the owner's list, and a withdrawal is everywhere."""
    for (owner, subject), held in node.db.tables["held"].items():
        if world.is_closed(subject):
            continue
        at_owner = world.nodes[owner]
        own: Own | None = at_owner.db.tables["own"].get(subject)
        if own is None and not held.is_erased and not has_line(at_owner, OperatorKind.UNKNOWN, subject):
            yield "forgotten subject on no list", owner, subject, node.name
        others = [each.db.tables["held"].get((owner, subject)) for each in world.nodes.values()]
        withdrawn = [other.is_withdrawn for other in others if other is not None]
        if any(withdrawn) and (not all(withdrawn) or (own is not None and not own.is_withdrawn)):
            yield "withdrawal lost", owner, subject, node.name, held, others


def check_own(world: World, node: Node) -> Iterator[Violation]:
    """Each own subject is the same at its recipient as here, with all acts in order."""
    for subject, own in node.db.tables["own"].items():
        there = world.nodes[node.place(own.party)]
        if world.is_closed(subject):
            continue
        if own.is_withdrawn:
            for each in world.nodes.values():
                held = each.db.tables["held"].get((node.name, subject))
                if held is not None and not held.is_withdrawn:
                    yield "withdrawal lost", node.name, subject, each.name
            continue
        if (node.name, subject) in node.journal or (node.name, subject) in there.journal:
            continue
        held = there.db.tables["held"].get((node.name, subject)) or HeldSubject()
        is_unsent = own.is_finished and there.name not in own.sent
        is_listed = any(has_line(node, kind, subject) for kind in (OperatorKind.UNDECIDABLE, OperatorKind.BEHIND))
        if (held.revision, held.content) != (own.revision, own.content) and not is_unsent and not is_listed:
            yield "edge lost", node.name, subject, own, held
        if held.revision and not is_unsent:
            yield from check_track(node, "act", subject, log=own.acts, there=held.acts)
        if own.tries > 3 * (world.count["acts"] + 1):
            yield "endless deciding", node.name, subject


def check_track(
    writer: Node, name: str, subject: UUID, *, log: tuple[UUID, ...], there: tuple[UUID, ...]
) -> Iterator[Violation]:
    if set(log) - set(there):
        yield name + " lost", writer.name, subject, log, there
    elif tuple(act for act in there if act in log) != log:
        yield name + " order", writer.name, subject, log, there
    for act in there:
        if act not in log and not has_line(writer, OperatorKind.ACT, subject, act=act):
            yield name + " forgotten, on no list", writer.name, subject, act, log, there


def check_answers(world: World, node: Node) -> Iterator[Violation]:
    """The answers of each peer are here as the peer gave them, and each lost one is on a list."""
    for (peer, subject), acts in node.db.tables["answers"].items():
        own: Own | None = node.db.tables["own"].get(subject)
        if world.is_closed(subject) or (node.name, subject) in world.nodes[peer].journal:
            continue
        if own is not None and not own.is_withdrawn:
            log = world.nodes[peer].db.tables["given"].get(subject, ())
            yield from check_track(world.nodes[peer], "answer", subject, log=log, there=acts)
    for subject, log in node.db.tables["given"].items():
        owner = world.nodes[world.subjects[subject].owner]
        if world.is_closed(subject) or (owner.name, subject) in owner.journal:
            continue
        own = owner.db.tables["own"].get(subject)
        if own is not None and not own.is_withdrawn:
            there = owner.db.tables["answers"].get((node.name, subject), ())
            yield from check_track(node, "answer", subject, log=log, there=there)
        elif own is None and log and not has_line(node, OperatorKind.UNKNOWN, subject):
            yield "answer to a forgotten subject", node.name, subject


def check_lists(world: World) -> Iterator[Violation]:
    """Operator lists and incarnations without a reason; limits of one an hour; facts at audit."""
    for node in world.nodes.values():
        doubtful = [
            line
            for line in node.db.tables["lines"]
            if line.kind in (OperatorKind.ACT, OperatorKind.BEHIND, OperatorKind.AHEAD)
            or (line.kind is OperatorKind.UNKNOWN and line.subject and world.subjects[line.subject].owner == node.name)
        ]
        if node.name not in world.restored and doubtful:
            yield "false alarm", node.name, doubtful
        if AUDIT not in world.restored and node.name not in world.restored:
            for message_id in node.db.tables["facts"]:
                if message_id not in world.auditor.db.tables["seen"]:
                    yield "fact lost", node.name, message_id
    yield from check_limits(world)
    if not world.restored:
        if any(node.db.tables["lines"] or node.db.tables["known"] for node in world.nodes.values()):
            yield ("false alarm",)
        if world.auditor.db.tables["losses"]:
            yield ("audit lost without a restore",)


def check_limits(world: World) -> Iterator[Violation]:
    """At most one incarnation per hour and reader, and one answer per hour and peer, unless a database went back."""
    if world.count["restores"] or AUDIT in world.restored:
        return
    for key, times in (*world.opened.items(), *world.answered.items()):
        if any(after - before < HOUR_S for before, after in pairwise(times)):
            yield "more than one an hour", key, times
