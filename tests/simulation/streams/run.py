"""One run of one seed: its violations and its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import NamedTuple
from unittest.mock import patch

from shared.messaging.ports import OperatorKind
from shared.messaging.streams import LANES, Pair
from tests.simulation.streams.invariants import HOUR_S, Violation, check_end, check_limits, check_waiting, is_even
from tests.simulation.streams.world import MOODS, World

PAUSES = (
    "shared.messaging.acks.INCARNATION_PAUSE",
    "shared.messaging.incarnations.INCARNATION_PAUSE",
    "shared.messaging.resync.HOLDINGS_PAUSE",
    "shared.messaging.resync_steps.SHARE_PAUSE",
    "shared.messaging.streams.ENTERED_PAUSE",
)


class Report(NamedTuple):
    """The end of one run. No violation means that every promise was kept."""

    seed: int
    mood: str
    violations: list[Violation]
    count: Counter[str]


@contextmanager
def short_hours() -> Iterator[None]:
    """Set the hour of rule 16 to 300 s, so that a run has many."""
    with ExitStack() as stack:
        for target in PAUSES:
            stack.enter_context(patch(target, timedelta(seconds=HOUR_S)))
        yield


def mood_of(seed: int) -> str:
    return MOODS[seed % len(MOODS)]


def simulate(seed: int, mood: str | None = None) -> Report:
    """Run one seed. Moods take turns by seed; call this within `short_hours`."""
    world = World(seed, mood or mood_of(seed))
    rng = world.rng
    for _ in range(rng.choice((110, 110, 220))):
        world.step()
    if rng.random() < 0.3 and world.drain(is_healing=False):
        # All is at rest and Kafka's retention has passed; then databases are restored.
        expire_all(world)
        for node in world.nodes.values():
            if rng.random() < 0.5 and world.snapshots[node.name]:
                world.restore(node)
    violations = list(check_liar(world)) if world.liar else []
    for node in world.nodes.values():
        node.start()
    violations += settle(world)
    return Report(seed, world.mood, violations or list(check_nightly(world)), world.count)


def expire_all(world: World) -> None:
    for partition in world.partitions.values():
        partition.expire(len(partition.records))


def settle(world: World) -> list[Violation]:
    """Let everything come to rest, without and then with repairs, and check both."""
    is_waiting_quiet = world.drain(is_healing=False)
    waiting = list(check_waiting(world))
    return waiting + list(check_end(world, rests=(is_waiting_quiet, world.drain(is_healing=True))))


def check_nightly(world: World) -> Iterator[Violation]:
    """At rest, after one-sided erasures, the nightly resync of every pair sends nothing and lists nothing."""
    nodes = world.nodes
    for _ in range(world.rng.randint(0, 8)):
        world.erase(nodes[world.rng.choice("HHR")])
    world.drain(is_healing=False)
    before = Counter(world.count)
    lists = {name: set(node.db.tables["lines"]) for name, node in nodes.items()}
    effects = {name: len(node.db.tables["effects"]) for name, node in nodes.items()}
    odd = {OperatorKind.UNDECIDABLE, OperatorKind.BEHIND, OperatorKind.UNKNOWN}
    is_odd = any(line.kind in odd for lines in lists.values() for line in lines)
    for node in nodes.values():
        for peer in node.peers:
            node.ask(peer)
    is_quiet = world.drain(is_healing=False)
    for role in ("state", "answer", "withdrawal") if not is_odd else ():
        if world.count[role] != before[role]:
            yield "nightly resync sends", role, world.count[role] - before[role]
    for name, node in nodes.items():
        if set(node.db.tables["lines"]) != lists[name]:
            yield "nightly resync lists", name, set(node.db.tables["lines"]) - lists[name]
        if len(node.db.tables["effects"]) != effects[name]:
            yield "nightly resync has effects", name
    if not is_quiet:
        yield ("nightly resync: not at rest",)
    yield from world.wrong


def check_liar(world: World) -> Iterator[Violation]:
    """A peer sends false statements for hours: the other pairs converge, and its traffic is bounded."""
    liar = world.liar or ""
    for _ in range(80):
        world.drain_step(is_healing=False, step_s=30)
    started_s, other, before = world.seconds, {"R": "R2", "R2": "R"}[liar], world.sent_to[liar]
    for _ in range(80):
        world.drain_step(is_healing=False, step_s=30)
    home, node = world.nodes["H"], world.nodes[other]
    for writer, reader in ((home, node), (node, home)):
        own = writer.db.tables["outgoing"].get(reader.name)
        read = reader.db.tables["incoming"].get(Pair(writer.name, reader.name))
        back = writer.db.tables["incoming"].get(Pair(reader.name, writer.name))
        is_stopped = any(each is not None and each.lanes[lane].is_stopped for each in (read, back) for lane in LANES)
        if own is not None and not is_even(own, read) and not is_stopped:
            yield "others do not converge", writer.name, reader.name
    segments = [each for key, each in home.db.tables["segments"].items() if key[0] == liar]
    kept = sum(len(segment.messages) for each in segments for segment in each)
    sent = world.sent_to[liar] - before
    if sent > (world.seconds - started_s) / 60 * (kept + 20) + 200:
        yield "melt-down", sent, kept
    yield from check_limits(world)
    world.liar = None
