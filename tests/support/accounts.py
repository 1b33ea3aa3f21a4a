"""Books that a test writes itself, and the equations over them: the accounts without a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from uuid import UUID

from deploy.accounting.messages import Compacted, Emitted, Messages

from deploy.accounting import edges, messages
from deploy.accounting.books import CARRYING
from deploy.accounting.differences import Difference, Reconciliation
from deploy.accounting.edges import Carrier, Edges
from deploy.accounting.referrals import Referrals
from deploy.accounting.spans import Spans
from deploy.accounting.streams import Line as BookLine
from deploy.accounting.streams import Pair

__all__ = ["Books", "Line", "Pair", "reconcile"]

Coordinate = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One message as one book has it. `outcome` is empty where the book does not say."""

    message_id: UUID
    pair: Pair
    sequence: int
    digest: str
    type: str
    outcome: str = ""
    at: Coordinate | None = None


@dataclass(slots=True)
class Books:
    """Everything that is compared. Each dictionary is by message id unless said otherwise."""

    last_sequence: dict[Pair, int] = field(default_factory=dict)
    closed: set[Pair] = field(default_factory=set)
    in_outbox: dict[UUID, Line] = field(default_factory=dict)
    receipted: dict[UUID, Line] = field(default_factory=dict)
    received: dict[UUID, Line] = field(default_factory=dict)
    #: What audit has read, by any key; None: whatever any other book has.
    audited: Mapping[object, Line] | None = None
    #: Numbers that nobody has any more, as their sender has told audit.
    gone: dict[Pair, Spans] = field(default_factory=dict)
    #: Numbers that a book has compacted, and what it added their digests up to.
    compacted: dict[tuple[str, Pair], Compacted] = field(default_factory=dict)
    #: The last numbers of epochs, by what came behind them.
    ends: dict[Pair, list[int]] = field(default_factory=dict)
    intake: dict[tuple[str, str], int] = field(default_factory=dict)
    referrals: dict[tuple[str, str], int] = field(default_factory=dict)
    decided_facts: dict[tuple[str, str], int] = field(default_factory=dict)
    refused_facts: dict[str, int] = field(default_factory=dict)
    #: State and id of each edge, by the message that carries it.
    edges: dict[UUID, str] = field(default_factory=dict)
    #: States of edges that no message carries, by their ids.
    unsent: dict[UUID, str] = field(default_factory=dict)
    edge_ids: dict[UUID, UUID] = field(default_factory=dict)
    #: Edges that audit was told of by who filed them, by their ids.
    links: set[UUID] = field(default_factory=set)


def reconcile(books: Books) -> Reconciliation:
    """Compare the books."""
    emitted = {pair: Emitted(last, pair in books.closed) for pair, last in books.last_sequence.items()}
    account, carried = Messages(emitted, books.gone, compacted=books.compacted, ends=books.ends), Edges()
    found: list[Difference] = []
    for _, group in groupby(sorted(_lines(books), key=lambda line: line[:5]), key=lambda line: line[:4]):
        found += account.add(list(group))
    found += account.missing()
    found += account.ended_elsewhere()
    found += account.altered()
    for _, rows in groupby(sorted(_carriers(books), key=lambda row: row.message_id), key=lambda row: row.message_id):
        found += carried.add(list(rows))
    for edge_id, state in books.unsent.items():
        found += carried.add_unsent(state, 1, edge_id)
    found += carried.told({edge_id: {""} for edge_id in books.links})
    first = Referrals(
        Counter(books.intake), Counter(books.referrals), Counter(books.decided_facts), Counter(books.refused_facts)
    )
    found += first.differences()
    notes = tuple(account.notes)
    return Reconciliation(first.totals(), account.totals(), carried.totals({}), notes, tuple(sorted(set(found))))


def _lines(books: Books) -> Iterator[BookLine]:
    named: dict[str, Mapping[Any, Line]] = {
        messages.OUTBOX: books.in_outbox,
        messages.SETTLED: books.receipted,
        messages.INBOX: books.received,
        messages.AUDITED: books.audited
        if books.audited is not None
        else books.in_outbox | books.receipted | books.received,
    }
    for book, lines in named.items():
        for each in lines.values():
            outcome = None if book == messages.AUDITED else each.outcome or None
            place = "/".join(map(str, each.at or ()))
            yield BookLine(
                *each.pair, each.sequence, each.message_id, each.digest, each.type, outcome, place=place, book=book
            )


def _carriers(books: Books) -> Iterator[Carrier]:
    for id_, line in (books.in_outbox | books.receipted | books.received).items():
        if line.type in CARRYING:
            yield Carrier(id_, line.type, None, None, None, edges.MESSAGE)
    for id_, state in books.edges.items():
        yield Carrier(id_, None, state, books.edge_ids.get(id_), "", edges.EDGE)
