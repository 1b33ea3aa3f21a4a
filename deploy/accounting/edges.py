"""Equation (III): each edge of a routed referral has a message, and its origin stated it to audit.

edges = messages + waiting + dropped

All functions are pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID

from deploy.accounting.differences import Difference
from deploy.accounting.sealed import day_of
from deploy.accounting.streams import Sides, Stream

EDGE, MESSAGE = "edge", "message"
#: The states of edges that count: its message is on its way or has arrived; it waits and has none; it was given up.
#: Any other edge was replaced, and is retired.
_EMITTED, _WAITING, _PLANNED, _DROPPED = "emitted", "waiting", "planned", "dropped"
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
        """The stream in which the edge's message was sent."""
        if self.instance is None or self.incarnation is None or self.lane is None:
            return None
        return Stream(self.writer, self.instance, self.incarnation, self.lane)


@dataclass(slots=True)
class Edges:
    """The account of all edges, fed with the rows of one message after the other."""

    sides: Sides
    #: Edges with a message, by the day of the message. Edges without one are counted as they are now and never sealed.
    terms: dict[date, Counter[str]] = field(default_factory=dict)
    unsent: Counter[str] = field(default_factory=Counter)
    #: The lowest id of a message that audit has not read yet: no day from there on is sealed.
    oldest_unread: UUID | None = None
    #: Emitted edges that are not yet compared with audit: the party that filed each, and its message.
    untold: dict[UUID, tuple[str, UUID]] = field(default_factory=dict)

    def add(self, rows: Sequence[Carrier]) -> Iterator[Difference]:
        """Take all rows of all databases about one message."""
        edges = [row for row in rows if row.book == EDGE]
        sent = any(row.book == MESSAGE for row in rows)
        terms = self.terms.setdefault(day_of(rows[0].message_id), Counter())
        for edge in edges:
            if edge.state == _DROPPED:
                terms["edges"] += 1
                terms[_DROPPED] += 1
                continue
            if edge.state != _EMITTED:
                terms["retired"] += 1
                continue
            terms["edges"] += 1
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
        return taken is not None and edge.number is not None and edge.number <= taken.through

    def _is_unread(self, edge: Carrier) -> bool:
        """Return whether the edge's message was sent and audit has not read up to its number yet."""
        stream, number = edge.stream, edge.number
        sent = self.sides.sent.get(stream) if stream is not None else None
        if stream is None or number is None or sent is None or number > sent.last:
            return False
        read = self.sides.read.get(stream)
        return read is None or number > read.through

    def add_unsent(self, state: str, count: int, example: UUID) -> Iterator[Difference]:
        """Take edges that no message ever carried, all of one state; `example` is one of them."""
        if state in (_WAITING, _PLANNED, _DROPPED):
            self.unsent["edges"] += count
            self.unsent[_WAITING if state == _PLANNED else state] += count
        elif state == _EMITTED:
            self.unsent["edges"] += count
            yield Difference(
                "III", f"{count} edges that neither wait nor have a message", f"edge {example}, among them"
            )
        else:
            self.unsent["retired"] += count

    def told(self, links: Mapping[UUID, set[str]]) -> Iterator[Difference]:
        """Compare with the statements to audit, by edge. Only a statement of the edge's own origin counts."""
        for edge_id, (party, message_id) in self.untold.items():
            if party not in links.get(edge_id, set()):
                yield Difference("III", "an edge that audit was not told of", str(message_id), _of(party))
        self.untold.clear()

    def totals(self, sealed: Mapping[str, int]) -> dict[str, int]:
        """The terms of all edges: those of the sealed days among them."""
        carried = self.sealable(sealed, until=date.max)
        return {name: carried[name] + self.unsent[name] for name in TERMS}

    def sealable(self, sealed: Mapping[str, int], *, until: date) -> dict[str, int]:
        """The terms of edges with a message of the days before `until`, with those that were sealed before."""
        days = [terms for day, terms in self.terms.items() if day < until]
        return {name: sealed.get(name, 0) + sum(terms[name] for terms in days) for name in TERMS}


def _of(party: str | None) -> tuple[str, ...]:
    return (party,) if party else ()
