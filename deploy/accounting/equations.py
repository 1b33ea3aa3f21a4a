"""The three equations over the books, pure. Every difference names its coordinates.

(I)   referrals: submitted = refused + accepted;  accepted = routed + unroutable + orphaned + unknown_code
(II)  per ordered pair of parties and epoch, messages: emitted = applied + refused + moved + parked + in flight
(III) edges of routed referrals = messages for them, those that still wait for their number among them
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.accounting.books import Books, Coordinate, Line, Pair, counted
from shared.contracts.registry import ALL
from shared.vocabulary.routing import Disposition


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing that does not add up: which equation, what is wrong, and where to look."""

    equation: str
    what: str
    where: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Both sides of each equation, and every difference. `differences` empty means that the counts add up."""

    referrals: dict[str, int]
    messages: dict[str, int]
    edges: dict[str, int]
    notes: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return {
            "I": self.referrals | {"difference": self._count("I")},
            "II": self.messages | {"difference": self._count("II")},
            "III": self.edges | {"difference": self._count("III")},
            "notes": list(self.notes),
            "differences": [
                {"equation": each.equation, "what": each.what, "where": each.where} for each in self.differences
            ],
        }

    def _count(self, equation: str) -> int:
        return sum(each.equation == equation for each in self.differences)


def reconcile(books: Books) -> Reconciliation:
    """Compare the books."""
    first, referrals = _referrals(books)
    second, messages = _messages(books)
    third, edges = _edges(books)
    notes = [
        f"{topic}: {count} generations; what a lost one held and audit had not read is a gap"
        for topic, count in sorted(books.audit_generations.items())
        if count > 1
    ]
    if notes:
        notes += [
            f"gap: audit has no entry of {pair[0]} → {pair[1]}, epoch {pair[2]}, sequences {', '.join(_spans(missing))}"
            for pair, missing in gaps(books)
        ]
    notes += [f"{_place(at)}: {what}" for at, what in sorted(books.not_entitled.items())]
    differences = tuple(sorted({*first, *second, *third, *_audit(books)}))
    return Reconciliation(referrals, messages, edges, tuple(notes), differences)


def gaps(books: Books) -> Iterator[tuple[Pair, list[int]]]:
    """The sequences that a sender gave out and audit never saw, by pair and epoch: what was given out has no holes."""
    for pair, last in sorted(books.last_sequence.items()):
        on_its_way = {line.sequence for line in books.in_outbox.values() if line.pair == pair}
        missing = set(range(1, last + 1)) - books.audited_sequences.get(pair, set()) - on_its_way
        if missing:
            yield pair, sorted(missing)


def _spans(numbers: Sequence[int]) -> Iterator[str]:
    """Ascending numbers as `1-3`, `7`."""
    first = last = numbers[0]
    for number in [*numbers[1:], -1]:
        if number == last + 1:
            last = number
            continue
        yield str(first) if first == last else f"{first}-{last}"
        first = last = number


def _referrals(books: Books) -> tuple[list[Difference], dict[str, int]]:
    differences = []
    parties = {party for party, _ in books.intake} | {party for party, _ in books.decided_facts}
    totals: Counter[str] = Counter()
    for party in sorted(parties):
        fate = {name: books.intake.get((party, name), 0) for name in ("submitted", "refused", "accepted")}
        stored = {each.value: books.referrals.get((party, each.value), 0) for each in Disposition}
        stated = {each.value: books.decided_facts.get((party, each.value), 0) for each in Disposition}
        totals.update(fate)
        totals.update(stored)
        if fate["submitted"] != fate["refused"] + fate["accepted"]:
            differences.append(Difference("I", "submitted is not refused + accepted", party))
        if fate["accepted"] != sum(stored.values()):
            differences.append(Difference("I", "accepted is not the sum of its dispositions", party))
        differences += [
            Difference("I", f"{name}: {stored[name]} kept by the origin, {stated[name]} stated to audit", party)
            for name in stored
            if stored[name] != stated[name]
        ]
        if fate["refused"] != books.refused_facts.get(party, 0):
            differences.append(Difference("I", "refusals counted by the origin are not those stated to audit", party))
    return differences, dict(totals)


def _messages(books: Books) -> tuple[list[Difference], dict[str, int]]:
    differences = list(_line_differences(books))
    totals: Counter[str] = Counter()
    received: dict[Pair, Counter[str]] = {}
    for line in books.received.values():
        received.setdefault(line.pair, Counter())[line.outcome] += 1
    in_flight = Counter(line.pair for id_, line in books.in_outbox.items() if id_ not in books.received)
    for pair, known_last in sorted(books.last_sequence.items()):
        if not _between_parties(pair):
            continue
        outcomes = received.get(pair, Counter())
        # An epoch ends where its sender may have forgotten what it gave out last: then its recipient's word counts.
        emitted = max(known_last, sum(outcomes.values())) if pair in books.closed else known_last
        totals.update({"emitted": emitted, "in_flight": in_flight[pair]} | outcomes)
        if emitted != sum(outcomes.values()) + in_flight[pair]:
            known = {line.sequence for line in books.received.values() if line.pair == pair}
            known |= {line.sequence for line in books.in_outbox.values() if line.pair == pair}
            missing = sorted(set(range(1, emitted + 1)) - known)
            where = f"{pair[0]} → {pair[1]}, epoch {pair[2]}, sequences {missing[:10]}"
            differences.append(Difference("II", "emitted is not applied + refused + moved + parked + in flight", where))
    return differences, {
        name: totals[name] for name in ("emitted", "applied", "refused", "moved", "parked", "in_flight")
    }


def _line_differences(books: Books) -> Iterator[Difference]:
    for message_id, lines in books.in_kafka.items():
        if not counted(lines[0].type):
            continue
        if message_id not in books.received and message_id not in books.in_outbox:
            yield Difference("II", "in Kafka, in no inbox and no outbox", f"{_place(lines[0].at)} {message_id}")
    for message_id, line in books.received.items():
        copies = books.in_kafka.get(message_id, [])
        if copies and all(copy.digest != line.digest for copy in copies):
            yield Difference("II", "the inbox has another digest than Kafka", f"{_place(line.at)} {message_id}")
    for message_id, line in books.receipted.items():
        kept = books.received.get(message_id)
        if kept is None:
            yield Difference("II", "receipted, but in no inbox", _where(line, books))
        elif (kept.outcome, kept.digest) != (line.outcome, line.digest):
            yield Difference("II", f"receipted as {line.outcome}, kept as {kept.outcome}", _where(line, books))


def _edges(books: Books) -> tuple[list[Difference], dict[str, int]]:
    carrying = {message.type for message in ALL if message.edge}
    known = books.in_outbox | books.receipted | books.received
    messages = {id_ for id_, line in known.items() if line.type in carrying}
    messages |= {id_ for id_, lines in books.in_kafka.items() if lines[0].type in carrying}
    emitted = {id_ for id_, state in books.edges.items() if state == "emitted"}
    retired = books.edges.keys() - emitted
    differences = [Difference("III", "an edge without a message", str(id_)) for id_ in emitted - messages]
    differences += [
        Difference("III", "a message without an edge", _where(known[id_], books) if id_ in known else str(id_))
        for id_ in messages - books.edges.keys()
    ]
    untold = [id_ for id_ in emitted if books.edge_ids.get(id_) not in books.links]
    differences += [Difference("III", "an edge that audit was not told of", str(id_)) for id_ in untold]
    differences += [
        Difference("III", "a decision that does not derive from its facts", _place(at)) for at in books.underived
    ]
    waiting = books.edges_waiting
    terms = {"edges": len(emitted) + waiting, "messages": len(messages - retired), "waiting": waiting}
    return differences, terms | {"retired": len(retired)}


def _audit(books: Books) -> Iterator[Difference]:
    for at in sorted(books.kafka_records - books.audited.keys()):
        yield Difference("II", "in Kafka, not in audit's log", _place(at))
    for (topic, partition, offset), previous in books.audited.items():
        if previous is not None and (topic, partition, previous) not in books.audited:
            yield Difference(
                "II", f"audit's entry names {previous} before it, which it lacks", f"{topic}/{partition}/{offset}"
            )
        elif previous is not None and previous != offset - 1:
            yield Difference("II", "audit skipped offsets before this entry", f"{topic}/{partition}/{offset}")


def _between_parties(pair: Pair) -> bool:
    """Parties have dots in their names, instances do not; receipts and facts are not counted."""
    return all("." in name for name in pair[:2])


def _where(line: Line, books: Books) -> str:
    copies = books.in_kafka.get(line.message_id, [])
    place = _place(copies[0].at) if copies else "not in Kafka"
    return f"{place} {line.message_id} {line.pair[0]} → {line.pair[1]} #{line.sequence}"


def _place(at: Coordinate | None) -> str:
    return "/".join(map(str, at)) if at else "nowhere"
