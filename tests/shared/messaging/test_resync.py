"""Resync: digests of days, pages, and the actions after a comparison."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import pytest

from shared.messaging.ports import DayDigest, OperatorKind, OperatorLine, OwnTrack, PeerResync, Side, SubjectHolding
from shared.messaging.reactions import Actions
from shared.messaging.resync import (
    PAGE_BYTES,
    HoldingsPart,
    ResyncRequest,
    SideDay,
    compare_part,
    digest_days,
    expect_holding,
    find_differing_days,
    is_answer_due,
    note_request,
    paginate,
    split_rows,
)

S1, S2, S3, A1, A2, NONCE, OTHER = (UUID(int=number) for number in range(1, 8))
DAY, NEXT_DAY = date(2026, 3, 1), date(2026, 3, 2)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
OLD, NEW = b"o" * 32, b"n" * 32
SUBJECTS, ANSWERS = SideDay(Side.HELD, DAY), SideDay(Side.ANSWERED, DAY)
TRACK = OwnTrack(S1, 2, NEW, (A1,))
ROW = SubjectHolding(S1, 2, NEW, (A1,))


def compare(of: SideDay, row: SubjectHolding | None, track: OwnTrack | None) -> Actions:
    actions = Actions("b.example")
    rows = () if row is None else (row,)
    compare_part(actions, HoldingsPart(of, rows), () if track is None else (track,))
    return actions


def expected(**lists: tuple[UUID, ...]) -> Actions:
    lines = dict.fromkeys(lists.pop("lines", ()))
    filled = {name: dict.fromkeys(subjects) for name, subjects in lists.items()}
    return Actions("b.example", lines=lines, **filled)  # type: ignore[arg-type]


def line(kind: OperatorKind, act: UUID | None = None) -> OperatorLine:
    return OperatorLine(kind, "b.example", S1, act)


WITHDRAWN = OwnTrack(S1, 2, NEW, (A1,), is_withdrawn=True)
ERASED = OwnTrack(S1, 2, is_erased=True)
TOMBSTONE = SubjectHolding(S1, 0, None, is_withdrawn=True)
STUB = SubjectHolding(S1, 2, None, is_erased=True)


@pytest.mark.parametrize(
    ("row", "track", "actions"),
    [
        (ROW, TRACK, expected()),
        (None, TRACK, expected(states=(S1,))),
        (replace(ROW, revision=1, content=OLD), TRACK, expected(states=(S1,))),
        (replace(ROW, acts=()), TRACK, expected(states=(S1,))),
        (None, replace(TRACK, is_placed=False), expected()),
        (None, replace(TRACK, is_finished=True), expected(states=(S1,))),
        (None, replace(TRACK, is_finished=True, was_sent=False), expected()),
        (
            replace(ROW, revision=1),
            replace(TRACK, is_finished=True, was_sent=False),
            expected(sent=(S1,), states=(S1,)),
        ),
        (ROW, replace(TRACK, was_sent=False), expected(sent=(S1,))),
        (replace(ROW, revision=3), TRACK, expected(lines=(line(OperatorKind.BEHIND),))),
        (replace(ROW, content=OLD), TRACK, expected(lines=(line(OperatorKind.BEHIND),))),
        (replace(ROW, acts=(A1, A2)), TRACK, expected(lines=(line(OperatorKind.ACT, A2),))),
        (ROW, None, expected(lines=(line(OperatorKind.UNKNOWN),))),
        (ROW, WITHDRAWN, expected(withdrawals=(S1,))),
        (None, WITHDRAWN, expected(withdrawals=(S1,))),
        (None, replace(WITHDRAWN, was_sent=False), expected()),
        (TOMBSTONE, WITHDRAWN, expected()),
        (TOMBSTONE, TRACK, expected(adoptions=(S1,), lines=(line(OperatorKind.BEHIND),))),
        (TOMBSTONE, ERASED, expected(adoptions=(S1,))),
        (TOMBSTONE, None, expected(adoptions=(S1,), lines=(line(OperatorKind.UNKNOWN), line(OperatorKind.BEHIND)))),
        (STUB, TRACK, expected(erased=(S1,))),
        (STUB, None, expected()),
        (STUB, WITHDRAWN, expected(erased=(S1,), withdrawals=(S1,))),
        (ROW, ERASED, expected()),
        (None, ERASED, expected()),
    ],
)
def test_the_comparison_of_an_own_subject(row: SubjectHolding | None, track: OwnTrack | None, actions: Actions) -> None:
    assert compare(SUBJECTS, row, track) == actions


ANSWER_TRACK = OwnTrack(S1, acts=(A1, A2))
ANSWER_ROW = SubjectHolding(S1, 0, None, (A1, A2))


@pytest.mark.parametrize(
    ("row", "track", "actions"),
    [
        (ANSWER_ROW, ANSWER_TRACK, expected()),
        (None, ANSWER_TRACK, expected(answers=(S1,))),
        (replace(ANSWER_ROW, acts=(A1,)), ANSWER_TRACK, expected(answers=(S1,))),
        (ANSWER_ROW, replace(ANSWER_TRACK, acts=(A1,)), expected(lines=(line(OperatorKind.ACT, A2),))),
        (replace(ANSWER_ROW, acts=(A1,)), None, expected(lines=(line(OperatorKind.ACT, A1),))),
        (None, replace(ANSWER_TRACK, is_withdrawn=True), expected()),
        (None, replace(ANSWER_TRACK, is_erased=True), expected()),
        (ANSWER_ROW, replace(ANSWER_TRACK, acts=(), is_erased=True), expected()),
        (SubjectHolding(S1, 0, None, is_erased=True), ANSWER_TRACK, expected()),
    ],
)
def test_the_comparison_of_own_answers(row: SubjectHolding | None, track: OwnTrack | None, actions: Actions) -> None:
    assert compare(ANSWERS, row, track) == actions


def test_a_page_of_unknown_tombstones_leads_to_500_adoptions_and_one_more_line() -> None:
    actions = Actions("b.example")
    rows = tuple(replace(TOMBSTONE, subject=UUID(int=number)) for number in range(2000))
    compare_part(actions, HoldingsPart(SUBJECTS, rows), ())
    assert len(actions.adoptions) == 500
    assert len(actions.lines) == 1001
    assert OperatorLine(OperatorKind.UNKNOWN, "b.example") in actions.lines


def test_a_part_says_nothing_of_subjects_outside_its_range() -> None:
    tracks = [replace(TRACK, subject=subject) for subject in (S1, S2, S3)]
    actions = Actions("b.example")
    compare_part(actions, HoldingsPart(SUBJECTS, (), S1, S2), tracks)
    assert list(actions.states) == [S2]


@pytest.mark.parametrize(
    ("track", "row"),
    [
        (TRACK, ROW),
        (WITHDRAWN, TOMBSTONE),
        (replace(WITHDRAWN, was_sent=False), None),
        (ERASED, STUB),
        (replace(TRACK, is_finished=True), ROW),
        (replace(TRACK, was_sent=False), SubjectHolding(S1, 0, None)),
        (replace(TRACK, was_sent=False, is_finished=True), None),
        (replace(TRACK, was_sent=False, is_placed=False), None),
        (replace(ERASED, was_sent=False), None),
    ],
)
def test_the_row_that_a_peer_states_if_it_lacks_nothing(track: OwnTrack, row: SubjectHolding | None) -> None:
    assert expect_holding(track) == row


def test_the_digest_of_a_day_does_not_depend_on_an_order() -> None:
    days = {S1: DAY, S2: DAY, S3: NEXT_DAY}
    rows = [replace(ROW, subject=subject, acts=(A1, A2)) for subject in days]
    first = digest_days(rows, days.__getitem__)
    assert [(each.day, each.holding_count) for each in first] == [(DAY, 2), (NEXT_DAY, 1)]
    turned = [replace(row, acts=(A2, A1)) for row in reversed(rows)]
    assert digest_days(turned, days.__getitem__) == first


@pytest.mark.parametrize(
    "changed",
    [
        replace(ROW, revision=3),
        replace(ROW, content=OLD),
        replace(ROW, content=None),
        replace(ROW, acts=(A2,)),
        replace(ROW, acts=()),
        replace(ROW, is_withdrawn=True),
        replace(ROW, is_erased=True),
        replace(ROW, subject=S2),
    ],
)
def test_each_field_of_a_row_is_in_the_digest(changed: SubjectHolding) -> None:
    assert digest_days([ROW], lambda _: DAY) != digest_days([changed], lambda _: DAY)


def test_the_digest_of_a_day_has_the_layout_that_its_peers_compute() -> None:
    content = S1.bytes + bytes(7) + b"\x02" + b"\x00\x20" + NEW + bytes(3) + b"\x01" + A1.bytes
    assert digest_days([ROW], lambda _: DAY) == [DayDigest(DAY, 1, sha256(content).digest())]
    for row, flags in ((TOMBSTONE, 1), (STUB, 2), (replace(STUB, is_withdrawn=True), 3)):
        content = S1.bytes + row.revision.to_bytes(8, "big") + bytes((flags, 0)) + bytes(4)
        assert digest_days([row], lambda _: DAY) == [DayDigest(DAY, 1, sha256(content).digest())]


def test_days_that_differ_or_are_on_one_side_are_asked_for() -> None:
    same, one, two = DayDigest(DAY, 1, b"1"), DayDigest(NEXT_DAY, 1, b"1"), DayDigest(NEXT_DAY, 1, b"2")
    here = {Side.HELD: [same, one], Side.ANSWERED: [same]}
    there = [(Side.HELD, same), (Side.HELD, two)]
    assert find_differing_days(here, there) == (SideDay(Side.ANSWERED, DAY), SideDay(Side.HELD, NEXT_DAY))
    assert find_differing_days({}, [(Side.HELD, same)]) == (SUBJECTS,)
    assert find_differing_days({Side.HELD: [same]}, [(Side.HELD, same)]) == ()


def test_pages_are_bounded_and_there_is_always_one() -> None:
    half = PAGE_BYTES // 2
    assert paginate([1, 2, 3], lambda _: half) == [(1, 2), (3,)]
    assert paginate([1, 2], lambda _: half + 1) == [(1,), (2,)]
    assert paginate([1, 2], lambda _: 2 * PAGE_BYTES) == [(1,), (2,)]
    assert paginate([], len) == [()]


def test_the_parts_of_a_large_day_cover_all_subjects() -> None:
    acts = tuple(UUID(int=number) for number in range(4000))
    rows = [SubjectHolding(UUID(int=number), 1, OLD, acts) for number in (5, 3, 1, 2, 4)]
    parts = split_rows(SUBJECTS, rows)
    ranges = [(part.above, part.through) for part in parts]
    assert ranges == [(None, UUID(int=2)), (UUID(int=2), UUID(int=4)), (UUID(int=4), None)]
    assert [row.subject.int for part in parts for row in part.rows] == [1, 2, 3, 4, 5]
    assert split_rows(SUBJECTS, []) == [HoldingsPart(SUBJECTS, ())]


def test_the_latest_request_is_answered_once_an_hour() -> None:
    first = note_request(PeerResync("b.example"), ResyncRequest(NONCE, is_first=True))
    assert (first.nonce, first.is_first, is_answer_due(first, NOW)) == (NONCE, True, True)
    later = note_request(first, ResyncRequest(OTHER))
    assert (later.nonce, later.is_first) == (OTHER, True)
    answered = replace(first, nonce=None, answered_at=NOW)
    assert not is_answer_due(answered, NOW + timedelta(days=1))
    again = note_request(answered, ResyncRequest(OTHER))
    assert not again.is_first
    assert not is_answer_due(again, NOW + timedelta(seconds=3599))
    assert is_answer_due(again, NOW + timedelta(seconds=3600))
    assert is_answer_due(again, NOW - timedelta(seconds=1)), "the clock was set back"
