"""What is heard of delivery itself reaches the books, and what is not held any more is answered as gone."""

from __future__ import annotations

import json

import pytest

from shared.contracts.delivery import (
    GoneClear,
    GoneNumbers,
    SentMark,
    TakenMark,
    WantedClear,
)
from shared.contracts.registry import GONE, MARKS, READS_ANNOUNCED, WANTED
from shared.exchange.reads import own_reads
from shared.kernel.ids import uuid7
from shared.runtime.post.peers import HOLES_A_MINUTE, MARKS_A_MINUTE, WANTS_A_MINUTE
from shared.runtime.post.ports import Settlement
from shared.vocabulary.answers import ReceiptOutcome
from tests.support.exchange_world import World, move, world
from tests.support.talking import EPOCH, PAIR, Desk, marks


@pytest.fixture(scope="module")
def here() -> World:
    return world()


@pytest.fixture
def desk(here: World) -> Desk:
    return Desk(here)


async def test_what_a_peer_reads_is_kept(desk: Desk) -> None:
    await desk.hear(READS_ANNOUNCED, own_reads())
    assert desk.books.read == {"law_enforcement": own_reads()}


async def test_marks_reach_both_books_and_what_is_not_held_is_answered(desk: Desk) -> None:
    desk.books.sent = [SentMark(**PAIR, last=9, held=0)]
    desk.books.not_held = [GoneNumbers(**PAIR, spans=((4, 5),))]
    told = SentMark(sender="police-nl.example", recipient="hotline-nl.example", epoch=EPOCH, last=3, held=2)
    taken = TakenMark(**PAIR, through=3, holes=((4, 5), (7, 7)))
    await desk.hear(MARKS, marks(sent=(told,), taken=(taken,)))
    assert desk.books.asked == [
        ("know", ("law_enforcement", (told,))),
        ("take_marks", ("law_enforcement", (taken,))),
    ]
    assert desk.books.named == [taken], "what was given is looked at for what the mark names, and no more"
    (gone,) = desk.books.outgoing
    assert (gone.message, gone.recipient) == (GONE, "law_enforcement")
    assert json.loads(gone.body)["clear"]["numbers"][0]["spans"] == [[4, 5]]


@pytest.mark.parametrize(("by", "owed"), [("law_enforcement", True), ("audit", False)])
async def test_whom_numbers_are_given_up_to_is_told_what_is_held_but_not_audit(
    desk: Desk, *, by: str, owed: bool
) -> None:
    desk.books.sent = [SentMark(**PAIR, last=9, held=0)]
    desk.books.not_held = [GoneNumbers(**PAIR, spans=((4, 5),))]
    await desk.hear(MARKS, marks(taken=(TakenMark(**PAIR, through=3, holes=((4, 5),)),)), by=by)
    assert [each.recipient for each in desk.books.outgoing] == [by]
    assert (by in desk.books.stands_to) == owed


async def test_marks_older_than_the_newest_taken_count_no_more(desk: Desk) -> None:
    taken = TakenMark(**PAIR, through=3)
    older = desk.heard(MARKS, marks(taken=(taken,)), by="law_enforcement", late=10)
    await desk.hear(MARKS, marks(), late=20)
    desk.books.asked.clear()
    await desk.talk.heard(desk.books, [older])  # type: ignore[arg-type]
    assert desk.books.asked == []
    await desk.hear(MARKS, marks(taken=(taken,)), late=30)
    assert desk.books.asked != []


async def test_numbers_that_we_never_gave_end_their_epoch(desk: Desk) -> None:
    desk.books.sent = [SentMark(**PAIR, last=9, held=0)]
    taken = TakenMark(**PAIR, through=12)
    await desk.hear(MARKS, marks(taken=(taken,)))
    assert ("forgotten", ("law_enforcement", (taken,))) in desk.books.asked


async def test_numbers_that_audit_alone_was_told_of_end_their_epoch_where_they_go_to(desk: Desk) -> None:
    """We were restored, and what had them is lost: nobody else would ever ask for them, and audit always."""
    told = TakenMark(**PAIR, through=0, holes=((1, 3),))
    own = TakenMark(sender="hotline", recipient="audit", epoch=uuid7(), through=2)
    other = TakenMark(sender="police-nl.example", recipient="hotline-nl.example", epoch=EPOCH, through=2)
    await desk.hear(MARKS, marks(taken=(told, own, other)), by="audit")
    assert desk.books.asked[1:-1] == [
        ("forgotten", ("law_enforcement", (told,))),
        ("forgotten", ("audit", (own,))),
    ]


@pytest.mark.parametrize("side", ["sender", "recipient"])
async def test_numbers_from_before_a_party_moved_end_their_epoch(side: str) -> None:
    """We were restored, and the party has left us, or its place there: the number would be missing for ever."""
    moved = world()
    move(moved, str(PAIR[side]))
    desk, told = Desk(moved), TakenMark(**PAIR, through=0, holes=((1, 1),))
    await desk.hear(MARKS, marks(taken=(told,)))
    assert ("forgotten", ("law_enforcement", (told,))) in desk.books.asked


async def test_of_who_has_moved_audit_does_not_say_where_numbers_went() -> None:
    """To where its party is, or to where it was: that, either of these says itself."""
    moved = world()
    move(moved, str(PAIR["recipient"]))
    desk, told = Desk(moved), TakenMark(**PAIR, through=0, holes=((1, 1),))
    await desk.hear(MARKS, marks(taken=(told,)), by="audit")
    assert desk.books.asked[1:-1] == [("forgotten", ("audit", (told,)))]


async def test_of_numbers_that_go_to_another_a_peers_word_ends_nothing(desk: Desk) -> None:
    elsewhere = TakenMark(sender="hotline-nl.example", recipient="provider-001.example", epoch=EPOCH, through=3)
    await desk.hear(MARKS, marks(taken=(elsewhere,)))
    assert "forgotten" not in dict(desk.books.asked)


@pytest.mark.parametrize("through", [2**53 - 1, 9 + 101])
async def test_a_mark_beyond_what_a_topic_can_hold_changes_nothing_and_is_named(
    desk: Desk, capsys: pytest.CaptureFixture[str], through: int
) -> None:
    desk.books.sent = [SentMark(**PAIR, last=9, held=1)]
    lie, honest = TakenMark(**PAIR, through=through), TakenMark(**PAIR | {"epoch": uuid7()}, through=0)
    await desk.hear(MARKS, marks(taken=(lie, honest)))
    assert desk.books.asked == [("know", ("law_enforcement", ())), ("take_marks", ("law_enforcement", (honest,)))]
    assert "marks_impossible" in capsys.readouterr().err


async def test_of_a_peer_that_floods_so_many_marks_count_in_a_minute_and_fewer_holes(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.books.sent = [SentMark(**PAIR, last=9, held=0)]
    desk.books.not_held = [GoneNumbers(**PAIR, spans=((4, 5),))]
    lie = TakenMark(**PAIR, through=3, holes=((4, 5),))
    for late, count in enumerate(
        (HOLES_A_MINUTE - 1, HOLES_A_MINUTE, MARKS_A_MINUTE - 1, MARKS_A_MINUTE, MARKS_A_MINUTE + 1)
    ):
        desk.books.count = count
        await desk.hear(MARKS, marks(taken=(lie,)), late=late)
    assert sum(name == "take_marks" for name, _ in desk.books.asked) == 3
    assert len(desk.books.outgoing) == 1
    assert capsys.readouterr().err.count("marks_too_many") == 1


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("provider-001.example", "hotline-nl.example"),
        ("industry", "hotline"),
        ("hotline-nl.example", "hotline-nl.example"),
        ("police-nl.example", "provider-001.example"),
        ("police-nl.example", "law_enforcement"),
        ("nobody.example", "hotline-nl.example"),
    ],
)
async def test_numbers_that_are_not_a_peers_to_give_or_not_ours_to_take_are_not_known(
    desk: Desk, sender: str, recipient: str
) -> None:
    foreign = SentMark(sender=sender, recipient=recipient, epoch=EPOCH, last=3, held=2)
    own = SentMark(sender="law_enforcement", recipient="hotline", epoch=EPOCH, last=1, held=1)
    await desk.hear(MARKS, marks(sent=(foreign, own)))
    assert desk.books.asked == [("know", ("law_enforcement", (own,)))]


async def test_what_is_wanted_is_sent_again_or_gone(desk: Desk) -> None:
    held, lost = uuid7(), uuid7()
    desk.books.held, desk.books.count = {held}, 0
    await desk.hear(WANTED, WantedClear(ids=(held, lost)))
    assert desk.books.asked == [("send_again", ("law_enforcement", (held, lost)))]
    (gone,) = desk.books.outgoing
    assert json.loads(gone.body)["clear"]["ids"] == [str(lost)]
    assert list(desk.books.stands_to) == ["law_enforcement"]


async def test_of_a_peer_that_asks_without_end_so_much_is_answered_in_a_minute(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for late, desk.books.count in enumerate((WANTS_A_MINUTE - 1, WANTS_A_MINUTE, WANTS_A_MINUTE + 1)):
        await desk.hear(WANTED, WantedClear(ids=(uuid7(),)), late=late)
    assert len(desk.books.outgoing) == 1
    assert capsys.readouterr().err.count("wants_too_many") == 1


async def test_what_is_gone_is_passed(desk: Desk) -> None:
    gone = GoneClear(numbers=(), ids=(uuid7(),))
    await desk.hear(GONE, gone)
    assert desk.books.asked[0] == ("pass_gone", ("law_enforcement", gone))
    assert desk.books.outgoing == []
    assert list(desk.books.stands_to) == ["law_enforcement"], "its origin is told what we hold without it"


async def test_what_cannot_be_read_is_noted_of_whom_it_came(desk: Desk) -> None:
    message_id = uuid7()
    await desk.talk.unread(desk.books, {"law_enforcement": message_id})  # type: ignore[arg-type]
    assert desk.books.unread_of == {"law_enforcement": message_id}


async def test_what_is_held_without_our_knowing_is_gone_and_so_told_and_listed(desk: Desk) -> None:
    """It was forgotten here while it waited there, and has taken effect only after all that was held had been told."""
    first, second = uuid7(), uuid7()
    held = [
        Settlement(id_, "4b" * 32, ReceiptOutcome.APPLIED, None, uuid7(), by)
        for id_, by in ((first, "law_enforcement"), (second, "industry"), (first, "law_enforcement"))
    ]
    await desk.talk.unknown(desk.books, held)  # type: ignore[arg-type]
    told = {each.recipient: json.loads(each.body)["clear"]["ids"] for each in desk.books.outgoing}
    assert told == {"law_enforcement": [str(first)], "industry": [str(second)]}
    assert {each.message for each in desk.books.outgoing} == {GONE}
