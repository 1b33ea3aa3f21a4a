"""The accounts of a run: the equations of `causeway audit reconcile` over the books of its instances and of audit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence, Set
from typing import Final
from uuid import UUID

from deploy.accounting.differences import Difference
from deploy.accounting.messages import counted
from deploy.accounting.spans import Spans
from shared.exchange.topics import AUDIT
from tests.simulation.places import AGENCIES, AGENCIES_TWO, AGENCY_NAMES, HOTLINE, ORIGIN
from tests.simulation.world import World
from tests.support.accounts import Books, Line, Pair, reconcile
from tests.support.memory_stores import State

#: What audit misses where it has lost a fact, and what an origin misses where it has forgotten a referral.
_OF_FACTS: Final = ("stated to audit", "that audit was not told of", "numbers audit never saw")
_OF_ANOTHERS_BOOK: Final = ("stated to audit", "a message without an edge")


def accounts(world: World, restored: Set[str]) -> Iterator[str]:
    """Equations (I) to (III) hold, but for what a restored database has forgotten and others' books have still.

    What audit has lost with its own database is named, or gone.
    """
    books = world.auditor.books
    lost = [line for key, line in world.auditor.ever_kept.items() if key not in books.lines]
    lost_fact = not all(counted(line.type) for line in lost) or _gives_up_facts(world)
    named: set[str] = set()
    for each in reconcile(books_of(world)).differences:
        message_id = next((str(line.message_id) for line in lost if str(line.message_id) in each.where), None)
        of_facts = lost_fact and any(what in each.what for what in _OF_FACTS)
        if message_id is None and not of_facts and not _forgotten(each, restored):
            yield f"{each.equation}: {each.what}: {each.where}"
        named.add(message_id or "")
    for line in lost:
        if _places(line.pair[:2]) & restored:
            continue
        gone = books.pairs[line.pair].gone if line.pair in books.pairs else set()
        if counted(line.type) and str(line.message_id) not in named and line.sequence not in gone:
            yield f"{line.message_id}: lost by audit, and named nowhere"


def _gives_up_facts(world: World) -> bool:
    """Whether audit was told that facts are gone which their origin has: of two dumps the newer was loaded last.

    What is between parties is sent again until it is receipted. Of facts audit keeps that their numbers are gone, and
    the edges that it was not told of are named.
    """
    sent, audited = world.instances[HOTLINE].database.state, world.auditor.books.pairs
    facts = [row for row in (*sent.settled.values(), *sent.outbox.values()) if row.lane == AUDIT]
    return any(row.of in audited and row.message.sequence in audited[row.of].gone for row in facts)


def _forgotten(difference: Difference, restored: Set[str]) -> bool:
    """Whether it may be of what a restored database knows no longer."""
    if difference.equation == "II":
        return bool(_places(difference.parties) & restored)
    return HOTLINE in restored and difference.what.endswith(_OF_ANOTHERS_BOOK)


def _places(names: Sequence[str]) -> set[str]:
    """The instances that these parties are, or were, served by; an instance stands for itself."""
    places = {ORIGIN: (HOTLINE,), AGENCY_NAMES[0]: (AGENCIES, AGENCIES_TWO), AGENCY_NAMES[1]: (AGENCIES,)}
    return {place for name in names for place in places.get(name, (name,))}


def books_of(world: World) -> Books:
    """The books as `causeway audit reconcile` reads them, for its own equations."""
    books = Books()
    for instance in world.instances.values():
        state = instance.database.state
        books.last_sequence |= last_numbers(state)
        books.closed |= {pair for pair in books.last_sequence if pair[2] in instance.forgotten}
        for id_, held in (state.settled | state.outbox).items():
            message, outcome = held.message, "" if held.outcome is None else held.outcome.value
            books.receipted[id_] = Line(
                id_, held.of, message.sequence, message.digest, message.draft.message.type, outcome
            )
        for id_, row in state.inbox.items():
            arrival = row.arrival
            pair = (arrival.sender, arrival.recipient, arrival.epoch)
            at = (arrival.topic, arrival.partition, arrival.offset)
            books.received[id_] = Line(id_, pair, arrival.sequence, arrival.digest, arrival.type, row.outcome.value, at)
    books.audited = world.auditor.books.lines
    books.gone = {of: Spans([(n, n) for n in sorted(seen.gone)]) for of, seen in world.auditor.books.pairs.items()}
    hotline = world.instances[HOTLINE].database.state
    books.intake = {(ORIGIN, key[1]): count for key, count in hotline.effects.items() if key[0] == "count"}
    books.referrals = {(ORIGIN, "routed"): sum(key[0] == "referral" for key in hotline.effects)}
    books.edges = {key[1]: edge.state for key, edge in hotline.effects.items() if key[0] == "edge"}
    books.edge_ids = {message_id: message_id for message_id in books.edges}
    decided: set[str] = set()
    for body in filter(None, world.auditor.books.facts.values()):
        clear = json.loads(body)["clear"]
        decided.add(clear["referral_id"])
        books.links |= {UUID(link) for link in clear["links"]}
    books.decided_facts = {(ORIGIN, "routed"): len(decided)}
    return books


def last_numbers(state: State) -> dict[Pair, int]:
    """The last number of each pair and epoch, as the database knows it; of ended ones too, for it kept those."""
    return state.closed | {(*pair[:2], counter.epoch): counter.last for pair, counter in state.counters.items()}
