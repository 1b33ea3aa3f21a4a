"""The equations over books that a test writes itself."""

from __future__ import annotations

from uuid import UUID

from deploy.accounting.books import Books, Line
from deploy.accounting.equations import reconcile
from shared.contracts.registry import NOTICE_ACKNOWLEDGED, REFERRAL_OFFERED
from shared.kernel.ids import uuid7

PAIR = ("hotline-be.example", "police-nl.example", uuid7())


def two_edges(second: UUID) -> Books:
    """Two edges of one referral to one agency: the first sent and not receipted yet, the second known to its edge."""
    first = uuid7()
    return Books(
        last_sequence={PAIR: 1},
        in_outbox={first: Line(first, PAIR, 1, "0" * 64, REFERRAL_OFFERED.type)},
        edges={first: "emitted", second: "emitted"},
        links={first, second},
    )


def test_a_second_edge_that_waits_for_the_receipt_of_the_first_is_no_difference() -> None:
    second = uuid7()
    books = two_edges(second)
    books.waiting[second] = REFERRAL_OFFERED.type
    found = reconcile(books)
    assert found.differences == ()
    assert found.edges == {"edges": 2, "messages": 2, "waiting": 1, "retired": 0}
    assert found.messages["emitted"] == found.messages["in_flight"] == 1


def test_an_edge_whose_message_is_nowhere_is_named() -> None:
    second = uuid7()
    found = reconcile(two_edges(second))
    assert [(each.equation, each.what, each.where) for each in found.differences] == [
        ("III", "an edge without a message", str(second))
    ]


def test_a_waiting_answer_is_no_message_of_an_edge() -> None:
    books = Books(waiting={uuid7(): NOTICE_ACKNOWLEDGED.type})
    found = reconcile(books)
    assert (found.differences, found.edges["messages"]) == ((), 0)
