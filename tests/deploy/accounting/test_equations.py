"""The equations over books that a test writes itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from deploy.accounting.messages import INBOX, SETTLED, Compacted
from deploy.accounting.spans import Spans
from shared.contracts.registry import NOTICE_ACKNOWLEDGED, RECORD_REVEALED, REFERRAL_OFFERED
from shared.kernel.ids import uuid7
from tests.support.accounts import Books, Line, Pair, reconcile

PAIR = ("hotline-be.example", "police-nl.example", uuid7())


def two_edges(second: UUID) -> Books:
    """Two edges of one referral to one agency: the first sent and not receipted yet, the second known to its edge."""
    first = uuid7()
    return Books(
        last_sequence={PAIR: 1},
        in_outbox={first: Line(first, PAIR, 1, "0" * 64, REFERRAL_OFFERED.type)},
        edges={first: "emitted", second: "emitted"},
        edge_ids={first: first, second: second},
        links={first, second},
    )


def test_an_edge_whose_message_is_nowhere_is_named() -> None:
    second = uuid7()
    found = reconcile(two_edges(second))
    assert [(each.equation, each.what, each.where) for each in found.differences] == [
        ("III", "an edge without a message", str(second))
    ]


def test_edges_that_wait_or_were_given_up_are_terms_of_their_own() -> None:
    sent = uuid7()
    books = Books(
        last_sequence={PAIR: 1},
        in_outbox={sent: Line(sent, PAIR, 1, "0" * 64, REFERRAL_OFFERED.type)},
        edges={sent: "emitted"},
        edge_ids={sent: sent},
        links={sent},
        unsent={uuid7(): "waiting", uuid7(): "waiting", uuid7(): "dropped", uuid7(): "superseded"},
    )
    found = reconcile(books)
    assert found.differences == ()
    assert found.edges == {"edges": 4, "messages": 1, "waiting": 2, "dropped": 1, "retired": 1}


def test_an_edge_that_neither_waits_nor_has_a_message_is_named() -> None:
    lost = uuid7()
    (found,) = reconcile(Books(unsent={lost: "emitted"})).differences
    assert (found.equation, found.what) == ("III", "1 edges that neither wait nor have a message")
    assert str(lost) in found.where


def forgotten(*, closed: bool) -> Books:
    """Three messages were applied; their sender was restored from a backup that knew of two."""
    received = {
        id_: Line(id_, PAIR, number, "0" * 64, NOTICE_ACKNOWLEDGED.type, "applied")
        for number, id_ in enumerate((uuid7(), uuid7(), uuid7()), 1)
    }
    return Books(last_sequence={PAIR: 2}, closed={PAIR} if closed else set(), received=received)


def test_of_an_epoch_that_ended_the_recipients_word_counts_for_what_its_sender_forgot() -> None:
    found = reconcile(forgotten(closed=True))
    assert found.differences == ()
    assert [note.endswith(": forgotten by its sender, in an epoch that has ended") for note in found.notes] == [
        True
    ] * 3
    assert found.messages["emitted"] == found.messages["applied"] == 3


def test_of_an_epoch_that_goes_on_the_same_is_a_difference() -> None:
    found = reconcile(forgotten(closed=False)).differences
    assert sorted((each.what, each.where.rpartition("#")[2]) for each in found) == [
        ("in an inbox, unknown to its sender", str(number)) for number in (1, 2, 3)
    ]


def test_each_epoch_of_a_pair_has_an_account_of_its_own() -> None:
    books, following, id_ = forgotten(closed=True), (*PAIR[:2], uuid7()), uuid7()
    books.last_sequence[following] = 2
    books.received[id_] = Line(id_, following, 1, "0" * 64, NOTICE_ACKNOWLEDGED.type, "applied")
    books.receipted[id_] = books.received[id_]
    (found,) = reconcile(books).differences
    assert found.where.endswith(f"epoch {following[2]}, sequences 2")


ELSEWHERE = "an epoch does not end where its successor says"


def test_an_epoch_that_ends_where_its_successor_says_is_no_difference() -> None:
    books = forgotten(closed=True)
    books.ends[PAIR] = [3]
    assert reconcile(books).differences == ()


@pytest.mark.parametrize("stated", [2, 4], ids=["it goes on behind that", "its tail is cut"])
def test_an_epoch_that_ends_elsewhere_than_its_successor_says_is_named(stated: int) -> None:
    books = forgotten(closed=True)
    books.ends[PAIR] = [stated]
    (found,) = reconcile(books).differences
    assert (found.equation, found.what, found.parties) == ("II", ELSEWHERE, PAIR[:2])
    assert found.where.endswith(f"epoch {PAIR[2]}, #3 and by its successor #{stated}")


def test_two_successors_that_say_otherwise_are_not_both_right() -> None:
    books = forgotten(closed=True)
    books.ends[PAIR] = [3, 2]
    assert [each.what for each in reconcile(books).differences] == [ELSEWHERE]


def test_an_epoch_that_nobody_has_and_its_successor_names_is_named() -> None:
    books, before = delivered(), (*PAIR[:2], uuid7())
    books.ends[before] = [7]
    (found,) = reconcile(books).differences
    assert found.where.endswith(f"epoch {before[2]}, #0 and by its successor #7")


def test_numbers_that_were_given_up_are_before_the_end() -> None:
    books = forgotten(closed=True)
    books.gone[PAIR], books.ends[PAIR] = Spans([(4, 5)]), [5]
    assert reconcile(books).differences == ()


def delivered(**changes: Any) -> Books:
    """One message that everybody has alike."""
    id_ = uuid7()
    line = Line(id_, PAIR, 1, "0" * 64, NOTICE_ACKNOWLEDGED.type, "applied")
    books = Books(
        last_sequence={PAIR: 1}, receipted={id_: line}, received={id_: line}, audited={id_: replace(line, outcome="")}
    )
    for name, change in changes.items():
        setattr(books, name, {id_: replace(line, **change)} if change is not None else {})
    return books


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({}, []),
        ({"received": None}, ["emitted is not the sum of its fates", "receipted, but in no inbox"]),
        ({"receipted": None}, ["in an inbox, unknown to its sender"]),
        ({"receipted": {"outcome": "refused"}}, ["receipted as refused, kept as applied"]),
        ({"audited": None}, ["delivered, not in audit's log"]),
        ({"audited": {"digest": "1" * 64}}, ["audit has another message under this number"]),
        ({"audited": {"message_id": uuid7()}}, ["audit has another message under this number"]),
        (
            {"received": {"digest": "1" * 64}},
            [
                "receipted as applied, kept as applied",
                "sender and recipient have other messages under one number",
            ],
        ),
    ],
    ids=["nothing", "no inbox", "no outbox", "a flipped receipt", "not audited", "bytes", "an id", "inbox"],
)
def test_books_that_differ_by_identity_are_named(changes: dict[str, Any], what: list[str]) -> None:
    found = reconcile(delivered(**changes)).differences
    assert sorted({each.what for each in found}) == what
    assert all(str(PAIR[2]) in each.where or "#1" in each.where for each in found)


@pytest.mark.parametrize("pair", [("industry", "audit", uuid7()), (*PAIR[:2], uuid7())], ids=["a fact", "an answer"])
def test_an_entry_that_nobody_sent_is_named(pair: Pair) -> None:
    """Invented under a number that was never given, or in an epoch that nobody has opened."""
    books, id_ = delivered(), uuid7()
    assert books.audited is not None
    books.audited[id_] = Line(id_, pair, 7, "ab" * 32, RECORD_REVEALED.type)
    assert [each.what for each in reconcile(books).differences] == ["audit has a number that its sender never gave"]


@pytest.mark.parametrize("outcome", ["deferred", "waiting", "parked"])
def test_what_is_not_settled_yet_is_a_term_of_its_own(outcome: str) -> None:
    id_ = uuid7()
    line = Line(id_, PAIR, 1, "0" * 64, NOTICE_ACKNOWLEDGED.type)
    books = Books(last_sequence={PAIR: 1}, in_outbox={id_: line}, received={id_: replace(line, outcome=outcome)})
    found = reconcile(books)
    assert found.differences == ()
    assert {name: count for name, count in found.messages.items() if count} == {"emitted": 1, outcome: 1}


def test_what_its_sender_alone_knows_of_is_its_word() -> None:
    id_ = uuid7()
    line = Line(id_, PAIR, 1, "0" * 64, NOTICE_ACKNOWLEDGED.type, "moved")
    found = reconcile(Books(last_sequence={PAIR: 1}, receipted={id_: line}))
    assert (found.differences, found.messages["moved"]) == ((), 1)


def test_what_a_recipient_calls_gone_has_no_fate() -> None:
    """Only its sender gives a number up: a recipient that says so has dropped the message, and is named."""
    id_ = uuid7()
    line = Line(id_, PAIR, 1, "0" * 64, NOTICE_ACKNOWLEDGED.type, "gone")
    found = reconcile(Books(last_sequence={PAIR: 1}, receipted={id_: line}))
    what = {each.what for each in found.differences}
    assert what == {"emitted is not the sum of its fates", "receipted, but in no inbox"}


def test_what_its_sender_gave_up_is_a_term_of_its_own() -> None:
    books = Books(last_sequence={PAIR: 3}, gone={PAIR: Spans([(1, 2)])})
    id_ = uuid7()
    books.received[id_] = Line(id_, PAIR, 2, "0" * 64, NOTICE_ACKNOWLEDGED.type, "applied")
    terms = reconcile(books).messages
    assert (terms["emitted"], terms["applied"], terms["gone"]) == (3, 1, 1), "what came all the same was applied"


def compacted(*books_of: str, altered: bool = False, audited: int = 3) -> Books:
    """Three applied messages whose rows are kept no longer by these books; `altered`: one of them was another there."""
    ids = [uuid7() for _ in range(3)]
    lines = {
        id_: Line(id_, PAIR, n, f"{n:015x}".ljust(64, "f"), NOTICE_ACKNOWLEDGED.type, "applied")
        for n, id_ in enumerate(ids, 1)
    }
    books = Books(last_sequence={PAIR: 3}, receipted=dict(lines), received=dict(lines))
    books.audited = {id_: replace(line, outcome="") for id_, line in list(lines.items())[:audited]}
    digests = 1 + 2 + 3 + altered
    for book in books_of:
        (books.received if book == INBOX else books.receipted).clear()
        books.compacted[book, PAIR] = Compacted(Spans([(1, 3)]), digests)
    return books


@pytest.mark.parametrize("books_of", [(INBOX,), (SETTLED,), (INBOX, SETTLED)])
def test_what_was_compacted_counts_as_it_was(books_of: tuple[str, ...]) -> None:
    found = reconcile(compacted(*books_of))
    assert found.differences == ()
    assert found.messages["emitted"] == found.messages["applied"] == 3


@pytest.mark.parametrize("book", [INBOX, SETTLED])
def test_what_was_compacted_and_is_not_what_audit_has_read_is_named(book: str) -> None:
    (found,) = reconcile(compacted(book, altered=True)).differences
    assert found.what == f"what {book} compacted is not what audit has read"
    assert str(PAIR[2]) in found.where


def test_a_compacted_number_that_audit_has_not_is_named() -> None:
    found = {each.what for each in reconcile(compacted(INBOX, SETTLED, audited=2)).differences}
    assert "emitted is not the sum of its fates" in found


def test_rows_that_are_gone_and_were_not_compacted_are_a_difference() -> None:
    """Negative control: the same books without what was compacted."""
    books = compacted(INBOX, SETTLED)
    books.compacted.clear()
    assert reconcile(books).differences != ()
