"""Equation (III): every edge of a routed referral has its message, and audit was told of it by whoever filed it. Pure.

edges = messages + waiting
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from deploy.accounting.differences import Difference

EDGE, MESSAGE = "edge", "message"
#: The state of an edge whose message is on its way or has arrived; any other edge is retired.
_EMITTED: Final = "emitted"


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

    terms: Counter[str] = field(default_factory=Counter)
    #: Emitted edges of which it is still to be asked whether audit was told: who filed each, and its message.
    untold: dict[UUID, tuple[str, UUID]] = field(default_factory=dict)

    def add(self, rows: Sequence[Carrier]) -> Iterator[Difference]:
        """Take everything that any book has of one message."""
        edges = [row for row in rows if row.book == EDGE]
        sent = any(row.book == MESSAGE for row in rows)
        for edge in edges:
            if edge.state != _EMITTED:
                self.terms["retired"] += 1
                continue
            self.terms["edges"] += 1
            self.terms["messages"] += sent
            if not sent:
                yield Difference("III", "an edge without a message", str(edge.message_id))
            if edge.edge_id is not None:
                self.untold[edge.edge_id] = edge.party or "", edge.message_id
        if not edges and sent:
            self.terms["messages"] += 1
            yield Difference("III", "a message without an edge", str(rows[0].message_id))

    def told(self, links: Mapping[UUID, set[str]]) -> Iterator[Difference]:
        """Compare with what audit was told, by edge: another's word does not say that its own origin has told it."""
        for edge_id, (party, message_id) in self.untold.items():
            if party not in links.get(edge_id, set()):
                yield Difference("III", "an edge that audit was not told of", str(message_id))
        self.untold.clear()

    def totals(self) -> dict[str, int]:
        return {name: self.terms[name] for name in ("edges", "messages", "retired")}
