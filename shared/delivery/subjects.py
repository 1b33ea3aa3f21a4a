"""The subjects of an instance of parties: `messaging.ports.Subjects` over the table `track`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.ids import uuid_of
from shared.delivery.tracks import TrackKey, TrackRow, TrackSide, list_told_once, load_tracks, read_row
from shared.messaging.ports import DayDigest, OperatorKind, OperatorLine, OwnTrack, Side, SubjectHolding
from shared.messaging.resync import digest_days, expect_holding
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import StreamPlace
from shared.messaging.tracks import CONTENT, REVISION
from shared.platform.database.transactions import Session

#: Days after which a subject's day is closed at both ends.
OPEN_DAYS: Final = 3653
#: Rows of tracks that are read at once.
ROWS_MAX: Final = 10_000

_EPOCH: Final = date(1970, 1, 1)
_DAY_MS: Final = 24 * 60 * 60 * 1000
_DAYS_MAX: Final = (date.max - _EPOCH).days
_LAST_ID: Final = uuid_of((1 << 128) - 1)

#: Rows of one side, each with the flags of the row that says whether its subject is withdrawn or erased. `OFFSET 0`
#: has each row looked up: without statistics, the planner would join the whole side.
_WITH_FLAGS: Final = """
SELECT t.*, coalesce(f.is_withdrawn, false) AS other_withdrawn, coalesce(f.is_erased, false) AS other_erased
FROM {rows} LEFT JOIN LATERAL (
    SELECT is_withdrawn, is_erased FROM track AS f
    WHERE (f.peer, f.side, f.track) = (t.peer, $3::smallint, t.track) OFFSET 0
) AS f ON true ORDER BY t.track
"""
_PAGE: Final = _WITH_FLAGS.format(
    rows="""(
    SELECT * FROM track WHERE peer = $1 AND side = $2 AND track > $4 ORDER BY track LIMIT $5
) AS t"""
)
_OF_DAYS: Final = _WITH_FLAGS.format(
    rows="""unnest($4::uuid[], $5::uuid[]) AS days (first, next) CROSS JOIN LATERAL (
    SELECT * FROM track AS t
    WHERE t.peer = $1 AND t.side = $2 AND t.track >= days.first AND t.track < days.next OFFSET 0
) AS t"""
)
_OF_SUBJECTS: Final = _WITH_FLAGS.format(
    rows="""unnest($4::uuid[]) AS asked (subject) CROSS JOIN LATERAL (
    SELECT * FROM track AS t WHERE t.peer = $1 AND t.side = $2 AND t.track = asked.subject OFFSET 0
) AS t"""
)
_AT_ANY_PEER: Final = """
SELECT t.* FROM unnest($3::text[]) AS peers (peer) CROSS JOIN LATERAL (
    SELECT * FROM track AS t WHERE t.peer = peers.peer AND t.side = $1 AND t.track = $2 OFFSET 0
) AS t
"""
_PEERS: Final = "SELECT peer FROM stream_pair"
_WITHDRAW: Final = """
UPDATE track SET is_withdrawn = true WHERE peer = $1 AND side = $2 AND track = ANY($3::uuid[])
"""
_NOTE_ERASED: Final = """
UPDATE track SET is_erased = true, track_acts = '{}' WHERE peer = $1 AND side = $2 AND track = ANY($3::uuid[])
"""
_ERASED: Final = """
SELECT track FROM track WHERE peer = $1 AND side = ANY($2::smallint[]) AND track = ANY($3::uuid[]) AND is_erased
"""

#: The subject of a track's messages, and the party that shares the track with its owner.
TrackItem = tuple[UUID, str]


class FeatureTracks:
    """The features that own subjects, in the transaction of the caller. An item is a subject and its recipient.

    A service without own subjects uses this class itself, whose methods do nothing.
    """

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    async def mark_missing(self, items: Sequence[TrackItem], peer: str) -> None:
        """Note that the peer lacks a part of these own subjects: their state is issued again."""

    async def mark_untold(self, items: Sequence[TrackItem], peer: str) -> None:
        """Note that the peer lacks the withdrawal of these own subjects: it is sent again."""

    async def taken_back_there(self, items: Sequence[TrackItem], peer: str) -> None:
        """List own subjects as unrouted: the peer holds a withdrawal of them that is not known here."""

    async def note_places(self, places: Mapping[str, Mapping[UUID, StreamPlace]]) -> None:
        """Write the places of own messages, by peer and message id."""


class _Track(NamedTuple):
    """A row of `track` with the flags of its counterpart."""

    row: TrackRow
    is_other_withdrawn: bool
    is_other_erased: bool


class PartySubjects:
    """`Subjects` within one transaction.

    `is_placed`: whether this instance serves a party by the directory in force: (party, instance).
    """

    def __init__(
        self,
        session: Session,
        instance: str,
        features: FeatureTracks,
        *,
        is_placed: Callable[[str, str], bool],
        now: datetime,
    ) -> None:
        self._driver = session.driver
        self._tx = PostgresMessagingTx(session, instance)
        self._features = features
        self._is_placed = is_placed
        self._today = now.astimezone(UTC).date()
        self._known: dict[TrackKey, TrackRow] = {}
        self._own_known: dict[UUID, list[TrackRow]] = {}
        self._peers: list[str] | None = None

    # Days.
    def day_of(self, subject: UUID) -> date:
        """Return the day of an id: its first 48 bits are milliseconds since 1970."""
        return _EPOCH + timedelta(days=min((subject.int >> 80) // _DAY_MS, _DAYS_MAX))

    def is_day_closed(self, subject: UUID) -> bool:
        """Return whether the subject's day is more than `OPEN_DAYS` ago."""
        return (self._today - self.day_of(subject)).days > OPEN_DAYS

    # Holdings here.
    async def list_held_days(self, side: Side, peer: str) -> list[DayDigest]:
        """See `Subjects`. One day of rows is in memory at a time."""
        return await self._digest(TrackSide.HELD if side is Side.HELD else TrackSide.ANSWERS, peer, _hold)

    async def list_held(self, side: Side, peer: str, *, days: Collection[date]) -> list[SubjectHolding]:
        """See `Subjects`."""
        of = TrackSide.HELD if side is Side.HELD else TrackSide.ANSWERS
        return [held for each in await self._list_days(of, peer, days) if (held := _hold(each)) is not None]

    # Own subjects and answers.
    async def list_own_days(self, side: Side, peer: str) -> list[DayDigest]:
        """See `Subjects`. One day of rows is in memory at a time."""
        return await self._digest(_own_side(side), peer, lambda each: expect_holding(self._own(each)))

    async def list_own(self, side: Side, peer: str, *, days: Collection[date]) -> list[OwnTrack]:
        """See `Subjects`."""
        return [self._own(each) for each in await self._list_days(_own_side(side), peer, days)]

    async def load_own(self, side: Side, peer: str, *, subjects: Collection[UUID]) -> dict[UUID, OwnTrack]:
        """See `Subjects`."""
        of = _own_side(side)
        rows = await self._driver.fetch(_OF_SUBJECTS, peer, of, _flags_of(of), list(subjects))
        return {each.row.subject: self._own(each) for each in self._read(rows)}

    # Sending: the features' own loops send marked subjects.
    async def send_state(self, subject: UUID) -> None:
        """Have the features issue an own subject again where it is placed."""
        for row in await self._find_own(subject):
            if row.is_withdrawn:
                await self._features.mark_untold([(row.item, row.other)], row.peer)
            elif not row.is_erased and self._is_placed(row.other, row.peer):
                await self._features.mark_missing([(row.item, row.other)], row.peer)

    async def send_withdrawal(self, subject: UUID, peer: str) -> None:
        """Have the features send the peer the withdrawal of an own subject once more."""
        row = await self._load_own_row(subject, peer)
        if row is not None:
            await self._features.mark_untold([(row.item, row.other)], peer)

    async def send_answers(self, subject: UUID, peer: str) -> None:
        """Put the own answers on the operator's list. They are acts of persons, so they are not sent automatically."""
        key = TrackKey(peer, TrackSide.GIVEN, subject)
        row = (await load_tracks(self._driver, [key])).get(key)
        acts = () if row is None else row.acts
        await self._tx.add_operator_lines([OperatorLine(OperatorKind.ACT, peer, subject, act) for act in acts])

    async def adopt_withdrawal(self, subject: UUID, peer: str) -> None:
        """Store the peer's tombstone, and let a person of the party decide. An unknown subject is only on the list."""
        row = await self._load_own_row(subject, peer)
        if row is not None:
            await self._driver.execute(_WITHDRAW, peer, TrackSide.OWN, [subject])
            await self._features.taken_back_there([(row.item, row.other)], peer)

    async def decide_again(self, subject: UUID) -> None:
        """Do nothing: the features decide again when they get the outcome (`Handler.settled`)."""

    # Notes.
    async def note_sent(self, subjects: Collection[UUID], peer: str) -> None:
        """Do nothing: a track has a row here from its first message on."""

    async def note_erased(self, subjects: Collection[UUID], peer: str) -> None:
        """See `Subjects`."""
        await self._driver.execute(_NOTE_ERASED, peer, TrackSide.OWN, list(subjects))

    async def note_places(self, places: Mapping[str, Mapping[UUID, StreamPlace]]) -> None:
        """See `Subjects`."""
        await self._features.note_places(places)

    async def find_erased(self, peer: str, subjects: Collection[UUID]) -> frozenset[UUID]:
        """See `Subjects`. Subjects of closed days count as erased."""
        if not subjects:
            return frozenset()
        sides = [TrackSide.HELD, TrackSide.OWN]
        rows = await self._driver.fetch(_ERASED, peer, sides, list(subjects))
        return frozenset({row["track"] for row in rows} | {each for each in subjects if self.is_day_closed(each)})

    # Rows.
    async def _digest(
        self, side: TrackSide, peer: str, holding_of: Callable[[_Track], SubjectHolding | None]
    ) -> list[DayDigest]:
        digests: list[DayDigest] = []
        day: date | None = None
        of_day: list[SubjectHolding] = []
        async for row in self._list_open(side, peer):
            held = holding_of(row)
            if held is None:
                continue
            if (its_day := self.day_of(held.subject)) != day:
                digests += digest_days(of_day, self.day_of)
                day, of_day = its_day, []
            of_day.append(held)
        return digests + digest_days(of_day, self.day_of)

    async def _list_open(self, side: TrackSide, peer: str) -> AsyncIterator[_Track]:
        """Yield the rows of one side by subject, from the first day that is not closed."""
        after = uuid_of(_first_of(max(self._today - timedelta(days=OPEN_DAYS), _EPOCH)).int - 1)
        while True:
            rows = await self._driver.fetch(_PAGE, peer, side, _flags_of(side), after, ROWS_MAX)
            for each in self._read(rows, is_kept=False):
                yield each
            if len(rows) < ROWS_MAX:
                return
            after = rows[-1]["track"]

    async def _list_days(self, side: TrackSide, peer: str, days: Collection[date]) -> list[_Track]:
        firsts = [_first_of(day) for day in days]
        nexts = [_first_of(day, days=1) for day in days]
        rows = await self._driver.fetch(_OF_DAYS, peer, side, _flags_of(side), firsts, nexts) if days else []
        return [each for each in self._read(rows) if not self.is_day_closed(each.row.subject)]

    def _read(self, rows: Iterable[Mapping[str, object]], *, is_kept: bool = True) -> list[_Track]:
        tracks = []
        for found in rows:
            key, row = read_row(found)
            if is_kept and key not in self._known:
                self._known[key] = row
                if row.side is TrackSide.OWN:
                    self._own_known.setdefault(row.subject, []).append(row)
            tracks.append(_Track(row, *(bool(found[flag]) for flag in ("other_withdrawn", "other_erased"))))
        return tracks

    def _own(self, each: _Track) -> OwnTrack:
        row = each.row
        if row.side is TrackSide.GIVEN:
            is_told = bool(row.acts) or row.is_erased
            return OwnTrack(
                row.subject,
                acts=row.acts,
                is_withdrawn=is_told and each.is_other_withdrawn,
                is_erased=row.is_erased or each.is_other_erased,
                is_finished=True,
                was_sent=is_told,
            )
        return OwnTrack(
            row.subject,
            REVISION,
            CONTENT,
            row.acts,
            row.is_withdrawn,
            row.is_erased,
            is_placed=self._is_placed(row.other, row.peer),
            is_finished=not row.acts,
            was_sent=bool(row.acts) or row.is_withdrawn or row.is_erased,
            told_once=list_told_once(row.acts),
        )

    async def _load_own_row(self, subject: UUID, peer: str) -> TrackRow | None:
        key = TrackKey(peer, TrackSide.OWN, subject)
        if key not in self._known:
            self._known |= await load_tracks(self._driver, [key])
        return self._known.get(key)

    async def _find_own(self, subject: UUID) -> list[TrackRow]:
        """Return the rows of an own subject at all peers."""
        if subject in self._own_known:
            return self._own_known[subject]
        if self._peers is None:
            self._peers = [row["peer"] for row in await self._driver.fetch(_PEERS)]
        rows = await self._driver.fetch(_AT_ANY_PEER, TrackSide.OWN, subject, self._peers)
        return [read_row(row)[1] for row in rows]


def _own_side(side: Side) -> TrackSide:
    return TrackSide.OWN if side is Side.HELD else TrackSide.GIVEN


def _flags_of(side: TrackSide) -> TrackSide:
    """Return the side whose row states whether the subject of these rows is withdrawn or erased."""
    return {TrackSide.ANSWERS: TrackSide.OWN, TrackSide.GIVEN: TrackSide.HELD}.get(side, side)


def _hold(each: _Track) -> SubjectHolding | None:
    """Return a row as it is stated to its peer. Answers without any act are not stated."""
    row = each.row
    if row.side is TrackSide.HELD:
        if row.is_withdrawn:
            return SubjectHolding(row.subject, 0, None, is_withdrawn=True)
        return SubjectHolding(row.subject, REVISION, CONTENT, row.acts, is_erased=row.is_erased)
    if each.is_other_withdrawn:
        return SubjectHolding(row.subject, 0, None, is_withdrawn=True)
    return SubjectHolding(row.subject, 0, None, row.acts, is_erased=row.is_erased)


def _first_of(day: date, *, days: int = 0) -> UUID:
    """Return the lowest id of a day, or of a day after it; ids have the days from 1970 on, the last one without end."""
    since = (day - _EPOCH).days + days
    return _LAST_ID if since > _DAYS_MAX else uuid_of((max(since, 0) * _DAY_MS) << 80)


_LIST: Final = """
INSERT INTO operator_line (kind, peer, subject) SELECT $1, $2, * FROM unnest($3::uuid[])
ON CONFLICT ON CONSTRAINT operator_line_once DO UPDATE SET opened_at = now(), closed_at = NULL, closed_by = NULL
WHERE operator_line.closed_at IS NOT NULL
"""


async def list_items(driver: asyncpg.Connection, items: Sequence[UUID], peer: str) -> None:
    """Add subjects to the operator's list, because a person must check their state at this peer."""
    if items:
        await driver.execute(_LIST, OperatorKind.UNDECIDABLE, peer, sorted({*items}))


class ListedTracks(FeatureTracks):
    """The tracks of a service that cannot issue its own subjects again: each goes on the operator's list."""

    async def mark_missing(self, items: Sequence[TrackItem], peer: str) -> None:
        """List subjects that the peer lacks wholly or in part."""
        await list_items(self._driver, [item for item, _ in items], peer)

    #: The peer does not know that these were withdrawn, or knows it and this database does not.
    mark_untold = taken_back_there = mark_missing
