"""Resync: one instance asks a peer for its holdings, and sends the states that the peer lacks.

A procedure has two steps. The peer first states digests by day and its open exceptions. The asker compares the digests
with those of its own subjects and asks for the rows of the days that differ. Answers come in pages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from shared.messaging.acks import is_over
from shared.messaging.exceptions import Outcome
from shared.messaging.ports import DayDigest, OperatorKind, OwnTrack, PeerResync, Side, SubjectHolding
from shared.messaging.reactions import Actions
from shared.messaging.streams import LaneEnd

#: Each peer gets at most one answer in this time; the second step belongs to the first.
HOLDINGS_PAUSE: Final = timedelta(hours=1)
#: Bytes of the list in one message, as `exception_bytes` and `holding_bytes` count them.
PAGE_BYTES: Final = 512 * 1024
#: The first day that a subject's id can have.
FIRST_DAY: Final = date(1970, 1, 1)
#: The limit of acts in a row, which keeps it smaller than half a page. The peer sends the state again if others are
#: missing.
STATED_ACTS_MAX: Final = 5000
#: Days, of both sides, whose digests are stated. A day that is not stated differs: its rows are asked for.
DIGESTS_MAX: Final = 8000
#: An upper bound of the bytes of a day's digest.
DIGEST_BYTES: Final = 128

_Item = TypeVar("_Item")
_Row = TypeVar("_Row", SubjectHolding, OwnTrack)


class SideDay(NamedTuple):
    """The subjects of one day, of one side."""

    side: Side
    day: date


class ClosedIncarnation(NamedTuple):
    """An incarnation of the asker that was left, with the end of each lane there. Audit reads it."""

    incarnation: UUID
    lanes: tuple[LaneEnd, LaneEnd]


@dataclass(frozen=True, slots=True)
class ResyncRequest:
    """A request for holdings.

    `exceptions`: the asker's open exceptions of the peer's messages, which replace the peer's view; page 0 begins the
    list. `is_first`: the peer asks in its turn. `of` and `days`: the second step, the rows of these days. It has the
    nonce of the first step.
    """

    nonce: UUID
    is_first: bool = False
    exceptions: tuple[Outcome, ...] = ()
    page: int = 0
    is_last: bool = True
    of: UUID | None = None
    days: tuple[SideDay, ...] = ()


@dataclass(frozen=True, slots=True)
class HoldingsPart:
    """Rows of one day, complete for the subjects above `above` up to `through` (no bound where None)."""

    of: SideDay
    rows: tuple[SubjectHolding, ...]
    above: UUID | None = None
    through: UUID | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """One page of the answer to a request.

    First step: `exceptions` of the asker's messages; the last page adds `digests` and `closed`. Second step: `parts`.
    """

    nonce: UUID
    is_last: bool
    page: int = 0
    exceptions: tuple[Outcome, ...] | None = None
    digests: tuple[tuple[Side, DayDigest], ...] = ()
    closed: tuple[ClosedIncarnation, ...] = ()
    parts: tuple[HoldingsPart, ...] = ()


def digest_days(rows: Iterable[SubjectHolding], day_of: Callable[[UUID], date]) -> list[DayDigest]:
    """Return the digest of each day: SHA-256 over its rows, sorted by subject."""
    days = sorted(group_by_day(rows, day_of).items())
    return [DayDigest(day, len(of_day), _digest_rows(of_day)) for day, of_day in days]


def group_by_day(rows: Iterable[_Row], day_of: Callable[[UUID], date]) -> dict[date, list[_Row]]:
    """Return the rows of each day."""
    days: dict[date, list[_Row]] = {}
    for row in rows:
        days.setdefault(day_of(row.subject), []).append(row)
    return days


def _digest_rows(rows: list[SubjectHolding]) -> bytes:
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda each: each.subject):
        content = row.content or b""
        flags = row.is_withdrawn + 2 * row.is_erased
        digest.update(row.subject.bytes + row.revision.to_bytes(8, "big") + bytes((flags, len(content))) + content)
        digest.update(len(row.acts).to_bytes(4, "big") + b"".join(sorted(act.bytes for act in row.acts)))
    return digest.digest()


def expect_holding(own: OwnTrack) -> SubjectHolding | None:
    """Return the row that the peer states if it lacks nothing of this track, or None if none is due there.

    A subject that is due there and was never sent makes a row that no peer states: its day differs.
    """
    if own.is_withdrawn:
        return SubjectHolding(own.subject, 0, None, is_withdrawn=True) if own.was_sent else None
    if own.was_sent:
        return SubjectHolding(own.subject, own.revision, own.content, own.acts, is_erased=own.is_erased)
    is_due = own.is_placed and not own.is_finished and not own.is_erased
    return SubjectHolding(own.subject, 0, None) if is_due else None


def find_differing_days(
    own: Mapping[Side, Sequence[DayDigest]], stated: Iterable[tuple[Side, DayDigest]]
) -> tuple[SideDay, ...]:
    """Return the days whose digests differ, or that only one of the two has."""
    here = {SideDay(side, digest.day): digest for side, digests in own.items() for digest in digests}
    there = {SideDay(side, digest.day): digest for side, digest in stated}
    return tuple(sorted(of for of in here.keys() | there.keys() if here.get(of) != there.get(of)))


def compare_part(actions: Actions, part: HoldingsPart, own: Iterable[OwnTrack]) -> None:
    """Compare rows of the peer with the own tracks of that day, and add the actions."""
    tracks = {track.subject: track for track in own if _is_within(part, track.subject)}
    rows = {row.subject: row for row in part.rows}
    is_subject = part.of.side is Side.HELD
    for row in part.rows:
        track = tracks.get(row.subject)
        if is_subject:
            _compare_subject(actions, row, track)
        elif not row.is_erased and not (track is not None and track.is_erased):
            _list_acts(actions, row, track)
    for track in tracks.values():
        row_there = rows.get(track.subject)
        if is_subject:
            _send_subject(actions, track, row_there)
        elif _lacks_answers(track, row_there):
            actions.answers[track.subject] = None


def _is_within(part: HoldingsPart, subject: UUID) -> bool:
    return (part.above is None or subject > part.above) and (part.through is None or subject <= part.through)


def _compare_subject(actions: Actions, row: SubjectHolding, track: OwnTrack | None) -> None:
    if track is not None and not track.was_sent:
        actions.sent[row.subject] = None
    if row.is_withdrawn:
        actions.adopt(row.subject, track)
    elif row.is_erased:
        # Erased there: never sent again, and on no list.
        if track is not None:
            actions.erased[row.subject] = None
    elif track is None:
        actions.list_subject(OperatorKind.UNKNOWN, row.subject)
    elif not track.is_erased:
        is_other = (row.revision, row.content) != (track.revision, track.content)
        if is_other and not track.is_withdrawn and row.revision >= track.revision:
            actions.list_subject(OperatorKind.BEHIND, row.subject)
        _list_acts(actions, row, track)


def _list_acts(actions: Actions, row: SubjectHolding, track: OwnTrack | None) -> None:
    known = set() if track is None else set(track.acts)
    for act in row.acts:
        if act not in known:
            actions.list_subject(OperatorKind.ACT, row.subject, act)


def _send_subject(actions: Actions, track: OwnTrack, row: SubjectHolding | None) -> None:
    if row is not None and row.is_withdrawn:
        return
    if track.is_withdrawn:
        if track.was_sent or row is not None:
            actions.withdrawals[track.subject] = None
        return
    if track.is_erased or (row is not None and row.is_erased) or not track.is_placed:
        return
    if track.is_finished and not track.was_sent and row is None:
        return
    lacking = set(track.acts).difference(() if row is None else row.acts)
    if row is None or row.revision < track.revision or lacking - track.told_once:
        actions.states[track.subject] = None
    elif lacking:
        # A person sends them again.
        for act in sorted(lacking):
            actions.list_subject(OperatorKind.ACT, track.subject, act)


def _lacks_answers(track: OwnTrack, row: SubjectHolding | None) -> bool:
    """Return whether the own answers go to the peer again. Answers on a withdrawn or erased subject do not."""
    if track.is_withdrawn or track.is_erased or (row is not None and row.is_erased):
        return False
    return bool(set(track.acts).difference(() if row is None else row.acts))


def note_request(resync: PeerResync, request: ResyncRequest) -> PeerResync:
    """Return the peer's row with its latest request of the first step. An earlier wish to be asked stays."""
    is_first = request.is_first or (resync.nonce is not None and resync.is_first)
    return replace(resync, nonce=request.nonce, is_first=is_first)


def is_answer_due(resync: PeerResync, now: datetime) -> bool:
    """Return whether the peer's request is answered now: at most one answer an hour."""
    return resync.nonce is not None and is_over(HOLDINGS_PAUSE, since=resync.answered_at, now=now)


def paginate(items: Sequence[_Item], measure: Callable[[_Item], int]) -> list[tuple[_Item, ...]]:
    """Split items into pages of at most `PAGE_BYTES`; there is always one page."""
    pages: list[list[_Item]] = [[]]
    size = 0
    for item in items:
        size += measure(item)
        if size > PAGE_BYTES and pages[-1]:
            pages.append([])
            size = measure(item)
        pages[-1].append(item)
    return [tuple(page) for page in pages]


def exception_bytes(outcome: Outcome) -> int:
    """Return an upper bound of the bytes of an exception in a list."""
    return 640 + 48 * len(outcome.named.acts)


def holding_bytes(row: SubjectHolding) -> int:
    """Return an upper bound of the bytes of a holding."""
    return 256 + 48 * len(row.acts)


def split_rows(of: SideDay, rows: Iterable[SubjectHolding]) -> list[HoldingsPart]:
    """Return the rows of one day in parts of at most `PAGE_BYTES`, each complete for its range of subjects."""
    stated = [replace(row, acts=row.acts[:STATED_ACTS_MAX]) for row in rows]
    pages = paginate(sorted(stated, key=lambda row: row.subject), holding_bytes)
    ends = [None, *(page[-1].subject for page in pages[:-1]), None]
    return [
        HoldingsPart(of, page, above, through) for page, above, through in zip(pages, ends[:-1], ends[1:], strict=True)
    ]


class Span(NamedTuple):
    """The beginning and end of a part of an answer, as texts that sort in the order of the answer."""

    begin: str
    end: str


def day_key(of: SideDay) -> str:
    """Return a day as a text that sorts in the order of an answer."""
    return f"{list(Side).index(of.side)} {of.day.isoformat()} "


def span_of(part: HoldingsPart) -> Span:
    """Return the position of a part in the order of an answer: side, day, subject."""
    day = day_key(part.of)
    end = "~" if part.through is None else part.through.hex
    return Span(day + ("" if part.above is None else part.above.hex), day + end)


def select_parts(parts: Iterable[HoldingsPart], taken_through: str) -> tuple[list[HoldingsPart], str]:
    """Return the parts that continue an answer, and the end of the last of them.

    So each subject is compared once per answer, whatever the peer states. A part that does not end its day belongs to a
    large day and has at least half a page of rows.
    """
    selected = []
    for part in parts:
        span = span_of(part)
        is_whole = part.through is None or 2 * sum(map(holding_bytes, part.rows)) >= PAGE_BYTES
        if taken_through <= span.begin < span.end and is_whole:
            selected.append(part)
            taken_through = span.end
    return selected, taken_through
