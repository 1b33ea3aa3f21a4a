"""When marks are said, what they say, and that two who talk fall silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.delivery import HOLES_MAX, ROWS_MAX, GoneNumbers, MarksClear, SentMark, TakenMark
from shared.kernel.ids import uuid7
from shared.runtime.post.peers import Word
from shared.runtime.post.turns import (
    TalkSettings,
    Turn,
    View,
    ahead,
    gone_statements,
    next_marks,
    note_said,
)
from tests.support.builders import AT

EPOCH, OTHER = uuid7(), uuid7()
SETTINGS = TalkSettings()


def sent(last: int, held: int = 0, *, epoch: UUID = EPOCH, sender: str = "hotline-nl.example") -> SentMark:
    return SentMark(sender=sender, recipient="police-nl.example", epoch=epoch, last=last, held=held)


def taken(through: int, *holes: tuple[int, int], epoch: UUID = EPOCH) -> TakenMark:
    return TakenMark(
        sender="police-nl.example", recipient="hotline-nl.example", epoch=epoch, through=through, holes=holes
    )


def view(*rows: SentMark | TakenMark) -> View:
    return View(
        frozenset(row for row in rows if isinstance(row, SentMark)),
        frozenset(row for row in rows if isinstance(row, TakenMark)),
    )


@dataclass
class Side:
    """One side of a talk, over a clock of its own."""

    view: View = field(default_factory=View)
    turn: Turn = field(default_factory=lambda: Turn(uuid7()))
    word: Word = field(default_factory=Word)

    def at(self, second: float) -> list[MarksClear]:
        now = AT + timedelta(seconds=second)
        said = next_marks(self.turn, self.view, self.word, now=now, settings=SETTINGS)
        if said:
            note_said(self.turn, self.view, said, now=now)
            self.word = Word(None, self.word.answered)
        return said

    def hear(self, marks: MarksClear) -> None:
        self.word = Word(
            marks.nonce if marks.asking else self.word.owes, marks.answers if marks.answers else self.word.answered
        )

    @classmethod
    def answered(cls, present: View) -> Side:
        """One that has said what there is and whose nonce was named."""
        turn = Turn(uuid7(), said=present, said_at=AT - timedelta(hours=1), asked_at=AT - timedelta(hours=1))
        return cls(present, turn, Word(None, turn.nonce))


def test_a_start_asks_even_where_nothing_was_ever_sent() -> None:
    (marks,) = Side().at(0)
    assert (marks.sent, marks.taken, marks.asking) == ((), (), True)


def test_where_all_is_said_and_marked_nothing_is() -> None:
    assert Side.answered(view(sent(9), taken(4))).at(0) == []


def test_news_is_said_once_and_at_most_every_ten_seconds() -> None:
    side = Side.answered(view(sent(9)))
    side.view = view(sent(10, held=10))
    (marks,) = side.at(0)
    assert (marks.sent, marks.asking) == ((sent(10, held=10),), True)
    side.view = view(sent(11, held=10))
    assert side.at(9) == []
    (marks,) = side.at(10)
    assert (marks.sent, marks.asking) == ((sent(11, held=10),), False), "asked within the minute"


def test_only_what_changed_is_said_but_to_whom_asks_and_with_the_asking_bit_all_of_it() -> None:
    side = Side.answered(view(sent(9), sent(3, epoch=OTHER), taken(1)))
    side.view = view(sent(9), sent(3, epoch=OTHER), taken(2))
    assert side.at(0)[0].sent == ()
    side.word = Word(EPOCH, side.word.answered)
    (marks,) = side.at(10)
    assert (set(marks.sent), marks.taken, marks.answers) == ({sent(9), sent(3, epoch=OTHER)}, (taken(2),), EPOCH)
    side.view = view(sent(9), sent(3, epoch=OTHER), taken(2, (4, 4)))
    assert side.at(70)[0].sent == marks.sent


@pytest.mark.parametrize("present", [view(sent(3, held=2)), view(taken(3, (5, 6)))], ids=["held", "hole"])
def test_while_anything_is_open_it_is_said_again_every_minute(present: View) -> None:
    side = Side.answered(present)
    said = [second for second in range(301) if side.at(second)]
    assert said == [0, 60, 120, 180, 240, 300]


def test_a_clock_that_is_set_back_silences_nobody() -> None:
    side = Side.answered(view(sent(9, held=9)))
    assert side.at(360)
    side.turn.looked_at = AT + timedelta(seconds=360)
    assert side.turn.look_due(side.word, AT, SETTINGS)
    (marks,) = side.at(0)
    assert marks.asking
    assert side.at(9) == []


def test_a_nonce_is_asked_until_it_is_named() -> None:
    side = Side()
    assert [second for second in range(121) if side.at(second)] == [0, 60, 120]
    side.word = Word(None, side.turn.nonce)
    assert [second for second in range(121, 400) if side.at(second)] == []


@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(0, 5)), max_size=30),
    st.booleans(),
    st.booleans(),
)
def test_two_that_talk_never_say_more_than_they_may_and_fall_silent(
    events: list[tuple[int, bool, int]], lossy: bool, open_at_both: bool
) -> None:
    """Whatever happens at either side: each says marks at most every 10 s, and once nothing is open, none."""
    sides, said = (Side(), Side()), ([], [])  # type: tuple[Side, Side], tuple[list[int], list[int]]
    changes = {second: (first, number) for second, first, number in events}
    held = 1 if open_at_both else 0
    for second in range(400):
        if second in changes:
            first, number = changes[second]
            side = sides[0] if first else sides[1]
            side.view = view(sent(number + second, held=held))
        if second == 200:
            for side in sides:
                side.view = view(*(sent(mark.last) for mark in side.view.sent))
        for index, side in enumerate(sides):
            for marks in side.at(second):
                said[index].append(second)
                if not (lossy and second % 3 == 0 and second < 200):
                    sides[1 - index].hear(marks)
    for seconds in said:
        assert all(later - earlier >= SETTINGS.news_s for earlier, later in pairwise(seconds))
        assert not [second for second in seconds if second > 300]
    if open_at_both and events:
        # Each asks once a minute, and answers: no more than that, though both have something open.
        assert all(len([s for s in seconds if 60 <= s < 180]) <= 6 for seconds in said)


def test_what_does_not_fit_goes_into_another_statement() -> None:
    side = Side()
    rows = tuple(sent(1, sender=f"hotline-{number}.example") for number in range(ROWS_MAX + 1))
    side.view = view(*rows)
    said = side.at(0)
    assert [len(marks.sent) for marks in said] == [ROWS_MAX, 1]
    assert {row for marks in said for row in marks.sent} == set(rows)
    assert [marks.asking for marks in said] == [False, True]


def test_what_is_gone_is_stated_in_bounded_rows() -> None:
    spans = tuple((number, number) for number in range(1, 2 * HOLES_MAX + 2, 2))
    row = GoneNumbers.model_construct(sender="a.example", recipient="b.example", epoch=EPOCH, spans=spans)
    ids = [uuid7() for _ in range(ROWS_MAX + 1)]
    statements = gone_statements([row], ids)
    assert sum(len(each.spans) for statement in statements for each in statement.numbers) == len(spans)
    assert [each for statement in statements for each in statement.ids] == ids
    assert gone_statements([], []) == []


def test_numbers_that_were_never_given_say_that_the_books_were_restored() -> None:
    known = [sent(9)]

    def mark(through: int, *holes: tuple[int, int], epoch: UUID = EPOCH) -> TakenMark:
        return TakenMark(
            sender="hotline-nl.example", recipient="police-nl.example", epoch=epoch, through=through, holes=holes
        )

    assert ahead([mark(9), mark(3, (5, 9)), mark(0, epoch=OTHER)], known, appended=20) == ([], [])
    for restored in (mark(10), mark(3, (5, 10)), mark(1, epoch=OTHER)):
        assert ahead([restored], known, appended=20) == ([restored], [])
        assert ahead([restored], known, appended=0) == ([], [restored])


def test_a_look_is_due_after_a_while_or_when_somebody_asks(  # the books are read no oftener than that
) -> None:
    now: datetime = AT
    turn = Turn(uuid7(), looked_at=now, said_at=now - timedelta(seconds=11))
    assert not turn.look_due(Word(), now + timedelta(seconds=9), SETTINGS)
    assert turn.look_due(Word(), now + timedelta(seconds=10), SETTINGS)
    assert turn.look_due(Word(owes=EPOCH), now + timedelta(seconds=1), SETTINGS)
