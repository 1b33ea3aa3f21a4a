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
        edge_ids={first: first, second: second},
        links={first, second},
    )


def test_an_edge_whose_message_is_nowhere_is_named() -> None:
    second = uuid7()
    found = reconcile(two_edges(second))
    assert [(each.equation, each.what, each.where) for each in found.differences] == [
        ("III", "an edge without a message", str(second))
    ]


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
    assert found.messages["emitted"] == found.messages["applied"] == 3


def test_of_an_epoch_that_goes_on_the_same_is_a_difference() -> None:
    (found,) = reconcile(forgotten(closed=False)).differences
    assert (found.equation, found.where) == ("II", f"{PAIR[0]} → {PAIR[1]}, epoch {PAIR[2]}, sequences []")


def test_each_epoch_of_a_pair_has_an_account_of_its_own() -> None:
    books, following, id_ = forgotten(closed=True), (*PAIR[:2], uuid7()), uuid7()
    books.last_sequence[following] = 2
    books.received[id_] = Line(id_, following, 1, "0" * 64, NOTICE_ACKNOWLEDGED.type, "applied")
    (found,) = reconcile(books).differences
    assert found.where.endswith(f"epoch {following[2]}, sequences [2]")
