"""Equations (I) and (III): all submissions are accounted for; edges have a message and a fact at audit.

submitted = refused + accepted;  accepted = routed + unroutable + orphaned + unknown_code
edges = messages + waiting + dropped

Data compared without a difference is sealed, and read again only with `--all`. The seal of a stream is the number up
to which all messages have a final fate, the chain there, and the fates. Of edges, the seal covers the days whose
messages audit has read and whose streams are settled. The file is next to the site's own (`accounts.json`). A person
who can write it can hide a change of the sealed part until `--all` reads everything again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter

from deploy.accounting.book import Difference, SumTerms
from deploy.accounting.streams import SealedStream, Sides, Stream, is_party
from deploy.site.endpoints import write_private
from shared.core.errors import Refused
from shared.core.ids import first_uuid7
from shared.core.vocabulary.routing import Disposition

FILE: Final = "accounts.json"
#: The content of the file: the last day; the end and fates of each stream; the terms of edges; the log.
_Stream = tuple[Stream, int, str, list[tuple[tuple[str, str, str], int]]]
_STORED: Final = TypeAdapter(tuple[Literal[3], date | None, list[_Stream], dict[str, int], dict[str, tuple[str, int]]])


@dataclass(slots=True)
class SealedDays:
    """The sealed part. `until`: the first day whose edges are read; None if no day is sealed.

    `edges`: the terms of the sealed days. `log`: per topic and partition, the topic's id and the offset up to which
    audit's entries were compared with Kafka.
    """

    until: date | None = None
    streams: dict[Stream, SealedStream] = field(default_factory=dict)
    edges: dict[str, int] = field(default_factory=dict)
    log: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def first(self) -> UUID:
        """Return the lowest message id of an edge that must be read."""
        return id_at(self.until) if self.until is not None else UUID(int=0)

    def counts(self) -> Counter[tuple[str, ...]]:
        """Return how many messages of each sender and recipient are sealed."""
        counts: Counter[tuple[str, ...]] = Counter()
        for stream in self.streams.values():
            for (sender, recipient, _), count in stream.fates.items():
                if is_party(sender) and is_party(recipient):
                    counts[sender, recipient] += count
        return counts


def day_of(message_id: UUID) -> date:
    """Return the day in a message's id (RFC 9562 §5.7: milliseconds in the first 48 bits), UTC."""
    try:
        return datetime.fromtimestamp((message_id.int >> 80) / 1000, UTC).date()
    except (OverflowError, ValueError, OSError):
        return date.max


def id_at(day: date) -> UUID:
    """Return the lowest id that a message of this day can have."""
    return first_uuid7(datetime(day.year, day.month, day.day, tzinfo=UTC))


def sealable(now: datetime, *oldest: UUID | None) -> date:
    """Return the day before which edges can be sealed. `oldest`: messages without a final fate."""
    return min(((now - timedelta(days=1)).date(), *(day_of(each) for each in oldest if each is not None)))


def read_sealed(folder: Path) -> SealedDays:
    """Return the sealed part; an empty one without a file. Raises `Refused("accounts_malformed")`."""
    file = folder / FILE
    if not file.exists():
        return SealedDays()
    try:
        _, until, streams, edges, log = _STORED.validate_json(file.read_bytes())
        kept = {
            stream: SealedStream(number, bytes.fromhex(chain), Counter(dict(fates)))
            for stream, number, chain, fates in streams
        }
    except ValueError:
        raise Refused("accounts_malformed", f"remove {FILE}: the next reconciliation reads everything") from None
    return SealedDays(until, kept, edges, log)


def write_sealed(folder: Path, sealed: SealedDays) -> None:
    """Store the sealed part."""
    streams = [
        (stream, found.number, found.chain.hex(), sorted(found.fates.items()))
        for stream, found in sorted(sealed.streams.items())
    ]
    write_private(folder / FILE, _STORED.dump_json((3, sealed.until, streams, sealed.edges, sealed.log)).decode())


EDGE, MESSAGE = "edge", "message"
#: The states of edges that count: sent (in transit or arrived), waiting without a message, planned, or given up. Any
#: other edge was replaced, and is retired.
_EMITTED, _WAITING, _PLANNED, _DROPPED = "emitted", "waiting", "planned", "dropped"
OF_ORIGINS: Final = ("submitted", "refused", "accepted", *(each.value for each in Disposition))
TERMS: Final = ("edges", "messages", _WAITING, _DROPPED, "retired")


class Carrier(NamedTuple):
    """One row about a message that carries an edge.

    `state` to `number` are those of an origin's edge; `instance` is its recipient's, and `writer` the origin's own.
    """

    message_id: UUID
    type: str | None
    state: str | None
    edge_id: UUID | None
    party: str | None
    instance: str | None
    incarnation: UUID | None
    lane: int | None
    number: int | None
    writer: str
    book: str

    @property
    def stream(self) -> Stream | None:
        """Return the stream in which the edge's message was sent."""
        if self.instance is None or self.incarnation is None or self.lane is None:
            return None
        return Stream(self.writer, self.instance, self.incarnation, self.lane)


@dataclass(slots=True)
class EdgeCheck:
    """The counts of all edges, from the rows of one message after the other."""

    sides: Sides
    #: Edges with a message, by the day of the message. Edges without one are counted as they are now and never sealed.
    terms: dict[date, Counter[str]] = field(default_factory=dict)
    unsent: Counter[str] = field(default_factory=Counter)
    #: The lowest id of a message that audit has not read yet: no day from there on is sealed.
    oldest_unread: UUID | None = None
    #: Emitted edges that are not yet compared with audit: the party that filed each, and its message.
    untold: dict[UUID, tuple[str, UUID]] = field(default_factory=dict)

    def add(self, rows: Sequence[Carrier]) -> Iterator[Difference]:
        """Add all rows of all databases about one message."""
        edges = [row for row in rows if row.book == EDGE]
        sent = any(row.book == MESSAGE for row in rows)
        terms = self.terms.setdefault(day_of(rows[0].message_id), Counter())
        for edge in edges:
            if edge.state not in (_EMITTED, _DROPPED):
                terms["retired"] += 1
                continue
            terms["edges"] += 1
            if edge.state == _DROPPED:
                terms[_DROPPED] += 1
                continue
            is_unread = not sent and self._is_unread(edge)
            if is_unread:
                self.oldest_unread = min(self.oldest_unread or edge.message_id, edge.message_id)
            is_there = sent or is_unread or self._is_taken(edge)
            terms["messages"] += is_there
            if not is_there:
                yield Difference("III", "an edge without a message", str(edge.message_id), _of(edge.party))
            if edge.edge_id is not None and not is_unread:
                self.untold[edge.edge_id] = edge.party or "", edge.message_id
        if not edges and sent:
            terms["messages"] += 1
            yield Difference("III", "a message without an edge", str(rows[0].message_id))

    def _is_taken(self, edge: Carrier) -> bool:
        """Return whether the recipient took the message's number. If audit lacks it, equation (II) names it."""
        taken = self.sides.taken.get(edge.stream) if edge.stream is not None else None
        return taken is not None and edge.number is not None and edge.number <= taken.number

    def _is_unread(self, edge: Carrier) -> bool:
        """Return whether the edge's message was sent and audit has not read up to its number yet."""
        stream, number = edge.stream, edge.number
        sent = self.sides.sent.get(stream) if stream is not None else None
        if stream is None or number is None or sent is None or number > sent.number:
            return False
        read = self.sides.read.get(stream)
        return read is None or number > read.number

    def add_unsent(self, state: str, count: int, example: UUID) -> Iterator[Difference]:
        """Add edges of one state that no message ever carried; `example` is one of them."""
        is_counted = state in (_EMITTED, _WAITING, _PLANNED, _DROPPED)
        self.unsent["edges" if is_counted else "retired"] += count
        if state == _EMITTED:
            what = f"{count} edges that neither wait nor have a message"
            yield Difference("III", what, f"edge {example}, among them")
        elif is_counted:
            self.unsent[_WAITING if state == _PLANNED else state] += count

    def compare_statements(self, links: Mapping[UUID, set[str]]) -> Iterator[Difference]:
        """Compare with the statements to audit, by edge. Only a statement of the edge's own origin counts."""
        for edge_id, (party, message_id) in self.untold.items():
            if party not in links.get(edge_id, set()):
                yield Difference("III", "an edge that was not stated to audit", str(message_id), _of(party))
        self.untold.clear()

    def totals(self, sealed: Mapping[str, int]) -> dict[str, int]:
        """Return the terms of all edges, including those of the sealed days."""
        carried = self.sealable(sealed, until=date.max)
        return {name: carried[name] + self.unsent[name] for name in TERMS}

    def sealable(self, sealed: Mapping[str, int], *, until: date) -> dict[str, int]:
        """Return the terms of edges with a message of the days before `until`, including those sealed before."""
        days = [terms for day, terms in self.terms.items() if day < until]
        return {name: sealed.get(name, 0) + sum(terms[name] for terms in days) for name in TERMS}


def _of(party: str | None) -> tuple[str, ...]:
    return (party,) if party else ()


@dataclass(slots=True)
class IntakeCheck:
    """The counts by party: each origin's counters and stored referrals, and its statements to audit."""

    intake: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    decided: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    #: Statements that audit could not read: decisions by the party of their referral, refusals by the instance that
    #: states them. The last table maps each party to the instance that counts its refusals.
    unread: Counter[tuple[str, str]] = field(default_factory=Counter)
    unread_refusals: Counter[str] = field(default_factory=Counter)
    counted_by: dict[str, str] = field(default_factory=dict)

    def differences(self) -> Iterator[Difference]:
        parties = {party for party, _ in self.intake} | {party for party, _ in self.decided}
        for party in sorted(parties):
            if self.intake[party, "submitted"] != self.intake[party, "refused"] + self.intake[party, "accepted"]:
                yield Difference("I", "submitted is not refused + accepted", party, (party,))
            if self.intake[party, "accepted"] != sum(self.kept[party, each.value] for each in Disposition):
                yield Difference("I", "accepted is not the sum of its dispositions", party, (party,))
            for name in (each.value for each in Disposition):
                stated = self.decided[party, name] + self.unread[party, name]
                if (kept := self.kept[party, name]) != stated:
                    what = f"{name}: {kept} kept by the origin, {stated} stated to audit"
                    yield Difference("I", what, party, (party,))
        for party in sorted(self._refused_otherwise()):
            yield Difference("I", "refusals counted by the origin are not those stated to audit", party, (party,))

    def _refused_otherwise(self) -> set[str]:
        """Return the parties whose refusals differ from those stated to audit.

        Missing refusals are no difference if the instance stated the same number that audit could not read.
        """
        parties = {party for party, _ in (*self.intake, *self.decided)}
        lacking = {party: self.intake[party, "refused"] - self.refused[party] for party in parties}
        by_instance = Counter[str]()
        for party, count in lacking.items():
            by_instance[self.counted_by.get(party, "")] += max(count, 0)
        unread = {name for name, count in by_instance.items() if count == self.unread_refusals[name]}
        return {
            party
            for party, count in lacking.items()
            if count < 0 or (count and self.counted_by.get(party) not in unread)
        }

    def by_origin(self) -> tuple[SumTerms, ...]:
        """Return the terms of the equation for each origin."""
        parties = sorted({party for party, _ in (*self.intake, *self.kept)})
        both = Counter(self.intake) + Counter(self.kept)
        return tuple(SumTerms((party,), {name: both[party, name] for name in OF_ORIGINS}) for party in parties)

    def totals(self) -> dict[str, int]:
        terms = dict.fromkeys(OF_ORIGINS, 0)
        for (_, name), count in (*self.intake.items(), *self.kept.items()):
            terms[name] = terms.get(name, 0) + count
        return terms
