"""Equation (III): every edge of a routed referral has its message, and audit was told of it by whoever filed it. Pure.

edges = messages + waiting + dropped
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from deploy.accounting.differences import Difference

EDGE, MESSAGE = "edge", "message"
#: The states of edges that count: its message is on its way or has arrived; it waits and has none; it was given up.
#: Any other edge was replaced, and is retired.
_EMITTED, _WAITING, _PLANNED, _DROPPED = "emitted", "waiting", "planned", "dropped"
TERMS: Final = ("edges", "messages", _WAITING, _DROPPED, "retired")


class Carrier(NamedTuple):
    """One row about a message that carries an edge. `state`, `edge_id` and `party` are those of an origin's edge."""

    message_id: UUID
    type: str | None
    state: str | None
    edge_id: UUID | None
    party: str | None
    book: str


@dataclass(slots=True)
class Edges:
    """The account of all edges, fed with the rows of one message after the other."""

    #: Of edges with a message; of those without one, as they are now: no day of theirs is ever sealed.
    terms: Counter[str] = field(default_factory=Counter)
    unsent: Counter[str] = field(default_factory=Counter)
    #: Emitted edges of which it is still to be asked whether audit was told: who filed each, and its message.
    untold: dict[UUID, tuple[str, UUID]] = field(default_factory=dict)

    def add(self, rows: Sequence[Carrier]) -> Iterator[Difference]:
        """Take everything that any book has of one message."""
        edges = [row for row in rows if row.book == EDGE]
        sent = any(row.book == MESSAGE for row in rows)
        for edge in edges:
            if edge.state == _DROPPED:
                self.terms["edges"] += 1
                self.terms[_DROPPED] += 1
                continue
            if edge.state != _EMITTED:
                self.terms["retired"] += 1
                continue
            self.terms["edges"] += 1
            self.terms["messages"] += sent
            if not sent:
                yield Difference("III", "an edge without a message", str(edge.message_id), _of(edge.party))
            if edge.edge_id is not None:
                self.untold[edge.edge_id] = edge.party or "", edge.message_id
        if not edges and sent:
            self.terms["messages"] += 1
            yield Difference("III", "a message without an edge", str(rows[0].message_id))

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
        """Compare with what audit was told, by edge: another's word does not say that its own origin has told it."""
        for edge_id, (party, message_id) in self.untold.items():
            if party not in links.get(edge_id, set()):
                yield Difference("III", "an edge that audit was not told of", str(message_id), _of(party))
        self.untold.clear()

    def totals(self, sealed: Mapping[str, int]) -> dict[str, int]:
        """The terms of all edges: those of the sealed days among them."""
        carried = self.sealable(sealed)
        return {name: carried[name] + self.unsent[name] for name in TERMS}

    def sealable(self, sealed: Mapping[str, int]) -> dict[str, int]:
        """The terms of edges with a message, with those that were sealed before."""
        return {name: sealed.get(name, 0) + self.terms[name] for name in TERMS}


def _of(party: str | None) -> tuple[str, ...]:
    return (party,) if party else ()
