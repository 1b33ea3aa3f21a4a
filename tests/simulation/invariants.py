"""What must hold when everything has come to rest, whatever happened before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from uuid import UUID

from shared.contracts.registry import CASE_ACCEPTED, REFERRAL_OFFERED, STATED_BY_INSTANCES
from shared.exchange.message import Received
from shared.exchange.record_table import SIGN_AGAIN
from shared.exchange.topics import AUDIT
from shared.vocabulary.answers import ReceiptOutcome
from tests.simulation.equations import accounts, books_of, last_numbers
from tests.simulation.instance import Instance
from tests.simulation.places import HOTLINE
from tests.simulation.world import World
from tests.simulation.writing import Answered, Edge, Offered, Said
from tests.support.accounts import Pair, reconcile
from tests.support.memory_arrivals import WITHDRAWING
from tests.support.memory_outbox import Held
from tests.support.memory_stores import State


def violations(world: World) -> list[str]:
    """Every promise that is broken, in words; empty when all are kept."""
    found = list(world.broken)
    for name, instance in world.instances.items():
        state = instance.database.state
        own = (
            *_rest(instance),
            *_once(state, instance.behind_gone()),
            *_ordered(state),
            *_dense(instance),
            *_decided(instance, state),
        )
        found += [f"{name}: {each}" for each in own]
    found += _referrals(world)
    found += _judged(world)
    found += _holes(world)
    found += _gone(world)
    found += _reopened(world)
    found += [f"{id_}: other bytes at another sending" for id_, sent in world.log.bytes_of.items() if len(sent) > 1]
    restored = {name for name, each in world.instances.items() if each.restored}
    return [*found, *_written(world), *_strays(world), *_receipts(world, restored), *accounts(world, restored)]


def _strays(world: World) -> Iterator[str]:
    """What the hotline has forgotten and an agency holds is listed."""
    effects = world.instances[HOTLINE].database.state.effects
    known = {edge.edge_id for key, edge in effects.items() if key[0] == "edge"}
    for name, instance in world.instances.items():
        for key in instance.database.state.effects:
            if key[0] == "holds" and key[1] not in known and ("stray", key[1]) not in effects:
                yield f"{name}: holds {key[1]}, which its origin has forgotten and not listed"


def _written(world: World) -> Iterator[str]:
    """Each revision that took effect was written by a person: none is raised by itself."""
    written = world.instances[HOTLINE].desk.written
    for instance in world.instances.values():
        for message in _seen(instance.database.state):
            offer = message.clear
            if isinstance(offer, Offered) and (offer.edge_id, offer.revision) not in written:
                yield f"{message.message_id}: revision {offer.revision} of {offer.edge_id}, which nobody wrote"


def _rest(instance: Instance) -> Iterator[str]:
    """Nothing is lost on the way: every message was answered and marked, every record consumed."""
    given_up = instance.world.behind_gone()
    for row in [row for id_, row in instance.database.state.outbox.items() if id_ not in given_up]:
        draft = row.message.draft
        yield f"still held: {draft.message.name} {draft.message_id} {row.outcome} aside={row.aside}"
    if instance.lag():
        yield f"{instance.lag()} records never consumed"


def _holes(world: World) -> Iterator[str]:
    """No number is missing for ever: it was taken, or is gone. And nothing is gone where nobody has forgotten any."""
    for name, instance in world.instances.items():
        for of, numbers in instance.database.state.pairs.items():
            if numbers.holes:
                yield f"{name}: {sorted(numbers.holes)} of {of} are missing"
        if instance.database.state.gone and not any(each.forgotten for each in world.instances.values()):
            yield f"{name}: {list(instance.database.state.gone)[:3]} are gone, and nobody has forgotten any"
    for of, seen in world.auditor.books.pairs.items():
        if seen.open:
            yield f"audit: {sorted(set(range(1, seen.known + 1)) - seen.taken - seen.gone)} of {of} are missing"


def _gone(world: World) -> Iterator[str]:
    """Nobody is told that a number is gone where nobody has forgotten any: of audit, where audit has not."""
    if world.log.marks_late or any(each.forgotten for each in world.instances.values()):
        return
    for to in sorted(world.log.told_gone - ({AUDIT} if world.auditor.restored else set())):
        yield f"{to} was told that numbers are gone, and nobody has forgotten any"


def _reopened(world: World) -> Iterator[str]:
    """What its sender takes for applied, its recipient has not refused: whichever of them was restored.

    Where both were, its sender to before it heard of that, and the receipt is in no topic any more, nobody can tell it:
    what has settled is not held, so it is not asked for again. That receipts are gone is listed then, and accounts name
    the message; whether its edge is as it must be is looked at as ever.
    """
    for name, instance in world.instances.items():
        state = instance.database.state
        for id_, sent in (state.settled | state.outbox).items():
            if sent.outcome is not ReceiptOutcome.APPLIED or sent.lane not in world.instances:
                continue
            there = world.instances[sent.lane]
            row = there.database.state.inbox.get(id_)
            if row is not None and row.outcome is ReceiptOutcome.REFUSED:
                both = instance.restored and there.restored and id_ in state.settled
                lost = any(pair[:2] == (there.name, name) for pair in state.gone)
                if not (both and lost and _named(world, id_)):
                    yield f"{name}: {id_} is taken for applied, and was refused as {row.code}"


def _named(world: World, message_id: UUID) -> bool:
    return any(str(message_id) in each.where for each in reconcile(books_of(world)).differences)


def _once(state: State, behind_gone: Set[UUID]) -> Iterator[str]:
    """Each message took effect at most once, and exactly those that the inbox calls applied or refused.

    Nothing is open in the end, but what is behind an act that is gone.
    """
    seen = [message.message_id for message in _seen(state)]
    if len(seen) != len(set(seen)):
        yield "a message took effect twice"
    taken_back = [_told(state, id_) for id_ in seen if state.inbox[id_].arrival.type in WITHDRAWING]
    if len(taken_back) != len(set(taken_back)):
        yield "a subject was taken back twice"
    handed = {
        id_
        for id_, row in state.inbox.items()
        if row.code not in ("document_lapsed", "subject_withdrawn", "revision_not_above", "recipient_moved")
        and id_ not in behind_gone
    }
    # What was told before, and comes again under another id, has its outcome and no second effect.
    if not set(seen) <= handed or {_told(state, id_) for id_ in handed} - {_told(state, id_) for id_ in seen}:
        yield "the inbox names other messages than those that took effect"


def _told(state: State, message_id: UUID) -> object:
    """What a message tells, which another may tell as well.

    That a subject is taken back is told again, under another id, to who was restored to before it: by then it may have
    read the first withdrawal again. Only one of them takes effect, whichever it is.
    """
    arrival = state.inbox[message_id].arrival
    if arrival.type in WITHDRAWING:
        return arrival.sender, arrival.recipient, arrival.subject
    return (arrival.said, arrival.content) if arrival.said is not None else message_id


def _ordered(state: State) -> Iterator[str]:
    """Revisions only rise, acts that add come in the order of their track, and nothing follows a withdrawal.

    Acts that change nothing have no order: those of a place that a party has left, once its new place has answered.
    One of them may have waited for another until then.
    """
    newest: dict[UUID, int] = {}
    tracks: dict[tuple[UUID, str, str], list[int]] = {}
    ended: set[tuple[UUID, str]] = set()
    effects = state.effects
    for message in _seen(state):
        match message.clear:
            case Offered() as offer:
                again = offer.again is not None and offer.revision == newest.get(offer.edge_id)
                if offer.revision <= newest.get(offer.edge_id, 0) and not again:
                    yield f"{message.message_id}: revision {offer.revision} after {newest[offer.edge_id]}"
                newest[offer.edge_id] = offer.revision
                if (offer.referral_id, message.recipient) in ended:
                    yield f"{message.message_id}: offered after it was withdrawn"
            case Answered() as answer if not _refused(state, message) and ("late", message.message_id) not in effects:
                track = (answer.referral_id, message.sender, message.sender_instance)
                tracks.setdefault(track, []).append(answer.number)
            case Said() as withdrawal:
                ended.add((withdrawal.referral_id, message.recipient))
    for (referral_id, agency, _), numbers in tracks.items():
        # Of a place that took it up from another, from where that was.
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            yield f"{referral_id}: the acts of {agency} came as {numbers}"


def _refused(state: State, message: Received) -> bool:
    row = state.inbox.get(message.message_id)
    return row is not None and row.outcome is ReceiptOutcome.REFUSED


def _dense(instance: Instance) -> Iterator[str]:
    """The sequence of each pair has no gap in any epoch, and no repeat that its recipient could have told.

    Where a counter was set back, as its database cannot tell, numbers are given again; who has taken them refuses that,
    and the epoch ends. Where its recipient was restored as well, and has forgotten what it took, audit alone can tell.
    """
    state = instance.database.state
    by_pair: dict[Pair, dict[int, list[Held]]] = {}
    for row in (*state.settled.values(), *state.outbox.values()):
        by_pair.setdefault(row.of, {}).setdefault(row.message.sequence, []).append(row)
    last = last_numbers(state)
    for pair, given in by_pair.items():
        known = max(given) if pair[2] in instance.forgotten else last.get(pair, 0)
        if sorted(given) != list(range(1, known + 1)):
            yield f"sequences of {pair} are not dense"
        for number, same in given.items():
            if len(same) > 1 and not _audit_alone_tells(instance, same):
                yield f"{number} of {pair} was given {len(same)} times"


def _audit_alone_tells(instance: Instance, same: Sequence[Held]) -> bool:
    """Whether only audit knows that these have one number: it has read all of them.

    Their recipient has forgotten what it took, or has one of them under another number: it had told, and who sent that
    anew was restored to before it.
    """
    auditor, to = instance.world.auditor, instance.world.instances.get(same[0].lane)
    if to is None or not (to.restored or instance.restored) or same[0].message.epoch not in instance.set_back:
        return False
    if any(row.code == SIGN_AGAIN for row in same):
        return False  # its recipient has told
    there = [to.database.state.inbox.get(row.message.draft.message_id) for row in same]
    number = (same[0].message.epoch, same[0].message.sequence)
    taken = [row for row in there if row is not None and (row.arrival.epoch, row.arrival.sequence) == number]
    read = [(*row.of, row.message.sequence, row.message.digest) for row in same]
    return len(taken) < 2 and all(key in auditor.books.lines or key in auditor.ever_kept for key in read)


def _decided(instance: Instance, state: State) -> Iterator[str]:
    """No decision took effect whose law was not in force when the broker took it, give or take five minutes."""
    for message in _seen(state):
        offer = message.clear
        if isinstance(offer, Offered) and not instance.knowledge.holds(offer, message.record.broker_time):
            yield f"{message.message_id}: a lapsed decision took effect"


def _receipts(world: World, restored: Set[str]) -> Iterator[str]:
    """What a sender knows of a message is what its recipient did with it, unless one of them was restored."""
    here = {
        id_: row
        for name, instance in world.instances.items()
        for id_, row in instance.database.state.inbox.items()
        if not restored & {name, row.arrival.sender_instance}
    }
    sent = {
        id_: row
        for name, instance in world.instances.items()
        for id_, row in (instance.database.state.settled | instance.database.state.outbox).items()
        if row.message.draft.message.family not in STATED_BY_INSTANCES and not restored & {name, row.lane}
    }
    for id_, row in sent.items():
        if id_ not in here:
            yield f"{id_}: receipted, but in no inbox"
        elif (here[id_].arrival.digest, here[id_].outcome) != (row.message.digest, row.outcome):
            yield f"{id_}: receipted otherwise than kept"
    for id_ in here.keys() - sent.keys():
        yield f"{id_}: in an inbox, but known to no sender"


def _referrals(world: World) -> Iterator[str]:
    """A withdrawn referral is open nowhere; one that is not has reached everyone that its edges name."""
    hotline = world.instances[HOTLINE].database.state
    for key, edge in hotline.effects.items():
        if key[0] != "edge" or edge.state != "emitted":
            continue
        of = (edge.referral_id, edge.agency)
        if hotline.effects["referral", edge.referral_id] == "withdrawn":
            for name, instance in world.instances.items():
                if instance.database.state.effects.get(("case", *of)) == "offered":
                    yield f"{edge.referral_id}: withdrawn, but open for {edge.agency} at {name}"
        else:
            yield from _reached(world, edge)


def _reached(world: World, edge: Edge) -> Iterator[str]:
    """An open edge lies where its recipient is, as it is, and both sides know the same answers."""
    instance = world.instances[HOTLINE].directory().instance_of(edge.agency)
    assert instance is not None
    if edge.place != instance.id:
        yield f"{edge.edge_id}: left behind at {edge.place}"
        return
    there = world.instances[edge.place].database.state.effects
    of = (edge.referral_id, edge.agency)
    if ("work", edge.referral_id) in world.instances[HOTLINE].database.state.effects:
        return
    if there.get(("held", *of)) != edge.revision:
        yield f"{edge.referral_id}: revision {edge.revision} never reached {edge.agency}"
    elif (given := there.get(("track", *of))) != edge.taken:
        yield f"{edge.referral_id}: {given} answers of {edge.agency}, of which {edge.taken} are known"


def _judged(world: World) -> Iterator[str]:
    """A receipt names the copy that was judged: by its time audit comes to the same."""
    offers = {
        message.message_id: (instance, message.clear)
        for instance in world.instances.values()
        for message in _seen(instance.database.state)
        if isinstance(message.clear, Offered)
    }
    for message_id, code, broker_time in world.auditor.books.judged:
        if code is None and message_id in offers:
            instance, offer = offers[message_id]
            if not instance.knowledge.holds(offer, broker_time):
                yield f"{message_id}: applied, but its receipt names a copy that was too late"


def _seen(state: State) -> list[Received]:
    return [message for key, message in state.effects.items() if key[0] == "seen"]


def counts_of(world: World) -> dict[str, int]:
    """How much happened: the more of each, the more the run is worth."""
    states = [instance.database.state for instance in world.instances.values()]
    outcomes = [row.outcome for state in states for row in state.inbox.values()]
    return {
        "messages": len(outcomes),
        "offers": sum(row.arrival.type == REFERRAL_OFFERED.type for state in states for row in state.inbox.values()),
        "answers": sum(row.arrival.type == CASE_ACCEPTED.type for state in states for row in state.inbox.values()),
        "refused": outcomes.count(ReceiptOutcome.REFUSED),
        "moved": outcomes.count(ReceiptOutcome.MOVED),
        "restored": sum(instance.restored for instance in world.instances.values()),
        # By the end all of these have been taken: how many were asked for is left of them.
        "parked": sum(each.reason == "handler_defect" for state in states for each, _ in state.quarantine.values()),
        "awaited": sum(row.wanted_times > 0 for state in states for row in state.inbox.values()),
    }
