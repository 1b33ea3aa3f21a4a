"""States that seeds hardly reach, each as a function that returns the names of the violations in it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from shared.messaging import incarnations, sending
from shared.messaging.streams import LANES, Lane, Pair
from tests.simulation.streams import controls
from tests.simulation.streams.invariants import check_end, check_waiting
from tests.simulation.streams.node import Node, drive
from tests.simulation.streams.partitions import AUDIT
from tests.simulation.streams.run import expire_all
from tests.simulation.streams.toy import POISON, Own
from tests.simulation.streams.world import World


def new_world() -> World:
    """Return a world without documents, in which nothing happens by chance."""
    world = World(1)
    world.document_at, world.moved_by = [], 99
    return world


def settled() -> tuple[World, Node, Node, UUID]:
    """Return a world at rest, its writer, its reader, and the one subject that both hold."""
    world = new_world()
    home, reader = world.nodes["H"], world.nodes["R"]
    subject = file(home)
    world.drain(is_healing=True)
    return world, home, reader, subject


def relay(node: Node, peer: str) -> None:
    for lane in LANES:
        while node.relay(peer, lane):
            pass


def read(node: Node, writer: str = "H") -> None:
    for lane in LANES:
        while node.consume(writer, lane, 50):
            pass


def file(node: Node, party: str = "Q", *, is_p0: bool = False) -> UUID:
    with node.transaction() as toy:
        subject = node.file(toy, party, is_p0=is_p0)
        drive(sending.finish(toy.scope))
    return subject


def withdraw(node: Node, subject: UUID, *, only: str | None = None) -> None:
    with node.transaction() as toy:
        toy.put("own", subject, controls.replace(toy.table("own")[subject], is_withdrawn=True))
        if only is None:
            toy.withdraw(subject)
        else:
            drive(toy.send_withdrawal(subject, only))
        drive(sending.finish(toy.scope))


def open_incarnation(node: Node, peer: str) -> None:
    with node.transaction() as toy:
        old = drive(toy.scope.tx.load_outgoing([peer], lock=True)).get(peer)
        drive(toy.scope.save([drive(incarnations.open_incarnation(toy.scope, peer, old))]))


def restore(node: Node, dump: Any) -> None:
    node.db.restore(dump)
    node.world.restored.add(node.name)


def names_after_settling(world: World, *started: str) -> set[object]:
    """Start these instances, or all, and return the names of violations at rest."""
    for name in started or world.nodes:
        world.nodes[name].start()
    is_quiet = world.drain(is_healing=False)
    waiting = [*check_waiting(world)]
    return {each[0] for each in (*waiting, *check_end(world, rests=(is_quiet, world.drain(is_healing=True))))}


def holds(node: Node, subject: UUID, owner: str = "H") -> bool:
    return (owner, subject) in node.db.tables["held"]


def closed_incarnation() -> set[object]:
    """The writer is restored to an incarnation that its reader has left, and the log does not show it."""
    world = new_world()
    home, reader = world.nodes["H"], world.nodes["R"]
    file(home)
    first = home.db.snapshot()
    open_incarnation(home, "R")
    second = home.db.snapshot()
    relay(home, "R")
    read(reader)
    home.db.restore(first)
    relay(home, "R")
    read(reader)
    restore(home, second)
    file(home)
    return names_after_settling(world)


def forgotten_withdrawal() -> set[object]:
    """The owner loses a subject completely. R2 got the withdrawal, and R did not."""
    world = new_world()
    world.document_at, world.moved_by = [1005], 1
    home, old, new = (world.nodes[name] for name in ("H", "R", "R2"))
    empty = home.db.snapshot()
    subject = file(home, "P")
    relay(home, "R")
    read(old)
    world.seconds = 1100
    home.learn()
    new.learn()
    withdraw(home, subject, only="R2")
    relay(home, "R2")
    read(new)
    restore(home, empty)
    return names_after_settling(world)


def silent_restore() -> set[object]:
    """The writer is restored to a moment when all was acknowledged. Kafka is empty and no party acts."""
    world, home, _, _ = settled()
    dump = home.db.snapshot()
    file(home)
    world.drain(is_healing=True)
    expire_all(world)
    world.auditor.read = lambda *_, **__: None  # type: ignore[method-assign]
    world.auditor.ack = lambda *_: None  # type: ignore[method-assign]
    restore(home, dump)
    return names_after_settling(world) & {"forgotten subject on no list"}


def erased_withdrawal() -> set[object]:
    """R erases a withdrawn subject; then H and R are restored to before the withdrawal, and Kafka is empty."""
    world, home, reader, subject = settled()
    dumps = home.db.snapshot(), reader.db.snapshot()
    withdraw(home, subject)
    world.drain(is_healing=True)
    reader.erase("H", subject)
    world.drain(is_healing=True)
    expire_all(world)
    restore(home, dumps[0])
    restore(reader, dumps[1])
    for node in world.nodes.values():
        node.start_session()
    return names_after_settling(world)


def accepted_after_restore(home: Node, reader: Node, dump: Any) -> set[object]:
    """Restore the writer, and return a violation if the reader does not hold its next message."""
    restore(home, dump)
    home.start_session()
    subject = file(home)
    relay(home, "R")
    read(reader)
    return set() if holds(reader, subject) else {"accepted under dropped numbers"}


def snapshot_before_two(world: World) -> Any:
    """Submit two subjects to the writer and let them arrive. Return what the writer had before."""
    home = world.nodes["H"]
    dump = home.db.snapshot()
    file(home)
    file(home)
    world.drain(is_healing=True)
    return dump


def dropped_numbers() -> set[object]:
    """The writer is restored and the log is complete: a new message must not get a number that readers drop."""
    world, home, reader, _ = settled()
    dump = snapshot_before_two(world)
    return accepted_after_restore(home, reader, dump)


def dropped_numbers_behind_an_ack() -> set[object]:
    """As before, but the last record of the partition is an acknowledgement, and the other one is empty."""
    world, home, reader, _ = settled()
    dump = snapshot_before_two(world)
    file(reader, "h", is_p0=True)
    world.drain(is_healing=True)
    partition = world.partitions[Pair("H", "R"), Lane.ORDINARY]
    partition.expire(len(partition.records))
    return accepted_after_restore(home, reader, dump)


def copies_for_audit() -> set[object]:
    """Only audit lacks messages of an incarnation that it reads: R must not read its stream again."""
    world = new_world()
    file(world.nodes["H"])
    world.drain(is_healing=True)
    seen, again = expire_unread_by_audit(world, count=9)
    assert seen == 10
    return {"records again in R's stream"} if again else set()


def entry_for_audit() -> set[object]:
    """Only audit lacks a whole incarnation. It takes no copy of it, so R's stream has the messages again."""
    seen, _ = expire_unread_by_audit(new_world(), count=10)
    return set() if seen == 10 else {"audit lacks numbers"}


def expire_unread_by_audit(world: World, *, count: int) -> tuple[int, int]:
    """Submit this many subjects; delete all records before audit reads them.

    Return the last number that audit has in the end, and the count of records that R's stream has again.
    """
    home, read_one = world.nodes["H"], world.auditor.read
    world.auditor.read = lambda *_, **__: None  # type: ignore[method-assign]
    lane = world.partitions[Pair("H", "R"), Lane.ORDINARY]
    for _ in range(count):
        file(home)
    for _ in range(8):
        world.drain_step(is_healing=True)
    expire_all(world)
    world.auditor.read = read_one  # type: ignore[method-assign]
    before = lane.end
    world.drain(is_healing=True)
    return world.auditor.db.tables["incoming"][Pair("H", "R")].lanes[Lane.ORDINARY].through, lane.end - before


def poison(node: Node, subject: UUID) -> None:
    """Send a revision that no reader can read, and let it arrive."""
    with node.transaction() as toy:
        own: Own = toy.table("own")[subject]
        toy.put("own", subject, controls.replace(own, revision=2, content=2 * toy.scope.new_id().bytes))
        toy.send_content(subject, (), version=POISON)
        drive(sending.finish(toy.scope))
    node.world.drain(is_healing=False)


def discarded_revision() -> set[object]:
    """A person at R discards a poisoned revision, and no resync follows."""
    world, home, _, subject = settled()
    poison(home, subject)
    return names_after_settling(world)


def restored_reader() -> set[object]:
    """The reader alone is restored and starts. Kafka has nothing more, and both readers had acknowledged all."""
    world, home, reader, _ = settled()
    dump = reader.db.snapshot()
    file(home)
    world.drain(is_healing=True)
    expire_all(world)
    restore(reader, dump)
    return names_after_settling(world, "R")


def lost_outcome() -> set[object]:
    """An outcome is lost with the incarnation of the instance that sent it.

    H reads the outcome and acknowledges it, and is restored to before. R has deleted it, and opens an incarnation.
    """
    world, home, reader, subject = settled()
    poison(home, subject)
    dump = home.db.snapshot()
    reader.retry(is_discard=True)
    relay(reader, "H")
    read(home, "R")
    world.seconds += 20
    home.ack("R")
    read(reader)
    world.auditor.read(Pair("R", "H"))
    reader.consume(AUDIT, Lane.URGENT)
    reader.tend()
    expire_all(world)
    restore(home, dump)
    return names_after_settling(world, "R")


def left_incarnation() -> set[object]:
    """Audit has not read an incarnation when the writer leaves it, and Kafka loses it."""
    world = new_world()
    home, read_one = world.nodes["H"], world.auditor.read
    subject = file(home)
    world.auditor.read = lambda *_, **__: None  # type: ignore[method-assign]
    for _ in range(5):
        world.drain_step(is_healing=True)
    open_incarnation(home, "R")
    expire_all(world)
    world.auditor.read = read_one  # type: ignore[method-assign]
    world.drain(is_healing=True)
    content = home.db.tables["own"][subject].content
    return set() if content in world.auditor.db.tables["seen"] else {"audit never saw"}


def crossed_list() -> set[object]:
    """R lists a poisoned revision as open, and then it ends. H reads R's ordinary stream first."""
    world, home, reader, subject = settled()
    poison(home, subject)
    home.ask("R")
    relay(home, "R")
    read(reader)
    reader.retry(is_discard=True)
    relay(reader, "H")
    while home.consume("R", Lane.ORDINARY, 50):
        pass
    read(home, "R")
    return names_after_settling(world)


def early_ordinary() -> set[object]:
    """R reads the one ordinary record of an incarnation before it enters: it has that record within 60 s."""
    world = new_world()
    home, reader = world.nodes["H"], world.nodes["R"]
    subject, started_s = file(home), world.seconds
    relay(home, "R")
    reader.consume("H", Lane.ORDINARY)
    reader.consume("H", Lane.URGENT)
    return slow(world, subject, started_s, seconds_max=60)


def slow(world: World, subject: UUID, started_s: float, *, seconds_max: float) -> set[object]:
    """Wait until the reader holds the subject, and return a violation if it took longer."""
    while not holds(world.nodes["R"], subject) and world.seconds - started_s < 600:
        world.drain_step(is_healing=True)
    return {"slow"} if world.seconds - started_s > seconds_max else set()


def erased_exception() -> set[object]:
    """R holds a poisoned revision of a subject as an exception; R erases the subject."""
    world, home, reader, subject = settled()
    poison(home, subject)
    assert reader.db.tables["exceptions"]
    reader.erase("H", subject)
    world.drain(is_healing=False)
    return {each[0] for each in check_waiting(world)}


def hole() -> set[object]:
    """Ten records are lost in the middle, and more come: R has all of them within 45 s."""
    world, home, _, _ = settled()
    for _ in range(10):
        file(home)
    relay(home, "R")
    world.partitions[Pair("H", "R"), Lane.ORDINARY].lose_tail(10)
    home.watch.ends.clear()
    subject, started_s = file(home), world.seconds
    return slow(world, subject, started_s, seconds_max=45)


def lost_tail_below_kept() -> set[object]:
    """A restored reader states a low number, and then the writer's partition is renewed under the relay."""
    world, home, reader, _ = settled()
    dump = reader.db.snapshot()
    for _ in range(3):
        file(home)
    world.drain(is_healing=True)
    restore(reader, dump)
    reader.start_session()
    expire_all(world)
    for lane in LANES:
        world.partitions[Pair("H", "R"), lane].renew(world.new_id())
    file(home)
    return names_after_settling(world)
