"""Account IV: the effects of applied messages, by place, and the states that messages determine.

Each message that audit has and its recipient applied is an act on a track, or a withdrawal. Its recipient and its
writer both hold the act, unless the track is a tombstone, was erased, or is of a closed day. An answer also has its
result at the origin. Conversely, a message at audit states each act and each withdrawal of a track. If nothing of a
subject is in transit or refused, its item at the recipient and its edges at the origin have the same revision, acts and
answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from deploy.accounting import views
from deploy.accounting.book import Difference, Snapshot
from deploy.accounting.streams import AuditRow, Sides, Stream
from deploy.site.settings import keeps, keeps_referrals
from shared.catalog import CATALOG
from shared.core.acts.act import Offering, Subject, Track
from shared.core.acts.states import TrackState, shown
from shared.core.acts.table import ACTS as ROWS
from shared.core.contracts.registry import WITHDRAWALS, Family, MessageType, name_of
from shared.delivery.tracks import TrackSide
from shared.messaging.exceptions import OutcomeKind
from shared.messaging.streams import LANES, WireRole
from shared.messaging.tracks import key_of, parties_of, role_of

#: The terms: acts and withdrawals with their effect, effects that ended with a subject, and messages without any.
ACTS, WITHDRAWN, ENDED, NO_EFFECT = "acts", "withdrawals", "ended", "no_effect"
TERMS: Final = (ACTS, WITHDRAWN, ENDED, NO_EFFECT)
#: Tracks in one question to a database.
PAGE: Final = 500
_TAKEN: Final = {
    WireRole.STATE: TrackSide.HELD,
    WireRole.ANSWER: TrackSide.ANSWERS,
    WireRole.WITHDRAWAL: TrackSide.HELD,
}
_SENT: Final = {WireRole.STATE: TrackSide.OWN, WireRole.ANSWER: TrackSide.GIVEN, WireRole.WITHDRAWAL: TrackSide.OWN}
_ITEMS: Final = frozenset({Subject.OFFER, Subject.CASE, Subject.NOTICE})
#: The state of the origin's track after each of its messages. The states follow in this order.
_OFFERINGS: Final = tuple(Offering)
_OFFERED: Final = {
    row.message.name: Offering(row.moves[0].to)
    for row in ROWS
    if row.subject in _ITEMS and row.track is Track.OFFER and not row.stays and row.message is not None
}
_WITHDRAWING: Final = [message.type for message in CATALOG.messages if message in WITHDRAWALS]
#: The answers that each message can state, unless its act leaves the answer as it is.
_ANSWERS: Final = {
    each.message: frozenset(move.to for row in ROWS if row.message is each.message for move in row.moves)
    for each in ROWS
    if each.track is Track.ANSWER and not each.stays and each.message is not None
}


class _Effect(NamedTuple):
    """An applied message of a track."""

    row: AuditRow
    message: MessageType
    role: WireRole
    subject: UUID
    track: UUID


def _effect_of(row: AuditRow) -> _Effect | None:
    """Return the effect that an applied message must have; None for one that has none by its type."""
    name = name_of(row.type)
    message = CATALOG.by_type.get(row.type) or (CATALOG.newest(name) if CATALOG.knows(name) else None)
    if message is None or (role := role_of(message)) is WireRole.FACT:
        return None
    subject = UUID(row.subject)
    return _Effect(row, message, role, subject, key_of(*parties_of(role, row.sender, row.recipient), subject=subject))


@dataclass(slots=True)
class EffectCheck:
    """The comparison of effects, in pages. `services`: the databases by the name of their instance.

    Messages on subjects before `oldest` have no effect: their day is closed.
    """

    services: Mapping[str, Snapshot]
    audits: Sequence[Snapshot]
    oldest: UUID
    terms: Counter[str] = field(default_factory=Counter)

    # By place: from audit to both sides.
    async def compare(self, stream: Stream, applied: Sequence[AuditRow]) -> list[Difference]:
        """Compare applied messages of one stream with the tracks of both sides."""
        known = [_effect_of(row) for row in applied]
        effects = [each for each in known if each is not None and each.track >= self.oldest]
        self.terms[NO_EFFECT] += len(applied) - len(effects)
        taken, sent = f"applied, and not held by {stream.addressee}", f"applied, and lost by its writer {stream.writer}"
        differences = [
            _difference(stream, each, what)
            for what, at, sides in ((taken, stream.addressee, _TAKEN), (sent, stream.writer, _SENT))
            for each in await self._missing(stream, effects, at=at, sides=sides)
        ]
        return differences + await self._unanswered(stream, effects)

    async def _missing(
        self, stream: Stream, effects: Sequence[_Effect], *, at: str, sides: Mapping[WireRole, TrackSide]
    ) -> list[_Effect]:
        """Return the effects that the tracks of one side lack. The operator's list has others."""
        book = self.services.get(at)
        if book is None or not effects:
            return []
        peer = stream.writer if at == stream.addressee else stream.addressee
        keys = sorted({(sides[each.role], each.track) for each in effects})
        rows = await book.fetch(views.TRACKS, peer, [side for side, _ in keys], [track for _, track in keys])
        tracks = {(row["side"], row["track"]): row for row in rows}
        missing = []
        for each in effects:
            term = _held(each, tracks.get((sides[each.role], each.track)))
            if term is None:
                missing.append(each)
            elif at == stream.addressee:
                self.terms[term] += 1
        if not missing:
            return []
        closed = {tuple(row) for row in await book.fetch(views.LOST_LINES, peer, [each.track for each in missing])}
        return [each for each in missing if closed.isdisjoint({(each.track, each.row.act), (each.track, None)})]

    async def _unanswered(self, stream: Stream, effects: Sequence[_Effect]) -> list[Difference]:
        """Compare applied answers with their results at the origin."""
        book = self.services.get(stream.addressee)
        if book is None or not keeps_referrals(book.kind):
            return []
        answers = [
            each for each in effects if each.role is WireRole.ANSWER and each.message.family is not Family.PRESERVATION
        ]
        columns = (
            [each.subject for each in answers],
            [each.row.sender for each in answers],
            [e.row.act for e in answers],
        )
        rows = await book.fetch(views.ANSWERS, *columns) if answers else []
        found = {(row["subject"], row["sender"], row["act"]): row["answer"] for row in rows}
        differences = []
        for each in answers:
            answer = found.get((each.subject, each.row.sender, each.row.act), "")
            may_be = _ANSWERS.get(each.message, frozenset())
            if answer == "":
                differences.append(_difference(stream, each, f"an applied answer without its result at {book.name}"))
            elif answer is not None and may_be and answer not in may_be:
                differences.append(_difference(stream, each, f"an answer that {book.name} has as {answer}"))
        return differences

    # By subject: from both sides to audit, and between both sides.
    async def walk(self, sides: Sides, first: UUID) -> AsyncIterator[Difference]:
        """Compare the tracks of all subjects from the id `first` on with audit's messages, and with each other."""
        for book in self.services.values():
            for peer in self.services:
                for side in TrackSide:
                    after = UUID(int=max(0, first.int - 1))
                    while rows := await book.fetch(views.TRACK_PAGE, peer, side, after, PAGE):
                        after = rows[-1]["track"]
                        said = _Statements(sides)
                        for audit in self.audits:
                            subjects = [str(row["subject"]) for row in rows]
                            async for row in audit.rows(views.STATED_ACTS, subjects, _WITHDRAWING):
                                said.add(row)
                        for each in _uncaused(rows, said, at=book.name, peer=peer):
                            yield each
                        if side is TrackSide.HELD:
                            for each in await self._states(book, self.services[peer], rows, said=said):
                                yield each

    async def _states(
        self, book: Snapshot, origin: Snapshot, tracks: Sequence[asyncpg.Record], *, said: _Statements
    ) -> list[Difference]:
        """Compare the items of a recipient with the edges of their origin, or preservations at both sides."""
        settled = {(row["subject"], row["recipient"]): row for row in tracks if said.is_settled(row)}
        subjects = sorted({subject for subject, _ in settled})
        if not subjects or not keeps_referrals(origin.kind):
            return await _preservations(book, origin, subjects)
        edges: dict[tuple[UUID, str], list[asyncpg.Record]] = {}
        for row in await origin.fetch(views.EDGE_STATES, subjects, book.name):
            edges.setdefault((row["subject"], row["recipient"]), []).append(row)
        differences = []
        for item in await book.fetch(views.ITEMS, subjects):
            key = item["subject"], item["party"]
            if key in settled:
                parties = item["sender"], item["party"]
                where = f"{item['subject']} {origin.name} → {book.name}"
                found = _differing(item, edges.get(key, []), said.offering(settled[key]))
                differences += [Difference("IV", what, where, parties) for what in found]
        return differences


@dataclass(slots=True)
class _Statements:
    """The messages at audit on the subjects of one page.

    `acts`: by subject, sender and recipient, the acts that they state; None for a withdrawal.
    """

    sides: Sides
    acts: dict[tuple[UUID, str, str], set[UUID | None]] = field(default_factory=dict)
    _offered: dict[tuple[UUID, str, str], Offering] = field(default_factory=dict)
    _open: dict[UUID, tuple[UUID, str, str]] = field(default_factory=dict)
    _applied: set[UUID] = field(default_factory=set)

    def add(self, row: asyncpg.Record) -> None:
        type_text, subject, sender, recipient, act, message_id, outcome, number, *of = row
        stream = Stream(*of)
        key = UUID(subject), sender, recipient
        self.acts.setdefault(key, set()).add(act)
        offered = self._offered.get(key, Offering.OPEN), _OFFERED.get(name_of(type_text), Offering.OPEN)
        self._offered[key] = max(offered, key=_OFFERINGS.index)
        taken = self.sides.taken.get(stream)
        is_held = (stream.writer, stream.addressee, message_id) in self.sides.held
        is_applied = taken is not None and number <= taken.number and not is_held
        if is_applied and outcome in (None, OutcomeKind.APPLIED.value):
            self._applied.add(message_id)
        self._open[message_id] = key

    def is_settled(self, track: Mapping[str, object]) -> bool:
        """Return whether each message on a track was applied, in both directions."""
        ways = [(track["owner"], track["recipient"]), (track["recipient"], track["owner"])]
        keys = [(track["subject"], *way) for way in ways]
        return all(each in self._applied for each, key in self._open.items() if key in keys)

    def offering(self, track: Mapping[str, object]) -> Offering:
        """Return the state of the origin's track that its messages determine."""
        owner, other = str(track["owner"]), str(track["recipient"])
        return self._offered.get((UUID(str(track["subject"])), owner, other), Offering.OPEN)

    def is_read(self, writer: str, addressee: str) -> bool:
        """Return whether audit has read all messages of a pair."""
        sent = [(of, end) for of, end in self.sides.sent.items() if (of.writer, of.addressee) == (writer, addressee)]
        read = self.sides.read
        return len(sent) == len(LANES) and all(end.number <= (read[of].number if of in read else 0) for of, end in sent)


def _held(each: _Effect, track: asyncpg.Record | None) -> str | None:
    """Return the term under which the effect counts; None if the track does not have it."""
    if track is None:
        return None
    if each.role is WireRole.WITHDRAWAL:
        return WITHDRAWN if track["is_withdrawn"] else None
    if each.row.act in track["track_acts"]:
        return ACTS
    is_tombstone = track["is_withdrawn"] and track["side"] == TrackSide.HELD
    return ENDED if track["is_erased"] or is_tombstone else None


def _difference(stream: Stream, each: _Effect, what: str) -> Difference:
    row = each.row
    where = f"{row.place} {row.message_id} {stream} #{row.number} {each.subject}"
    return Difference("IV", what, where, (row.sender, row.recipient))


async def _preservations(book: Snapshot, agency: Snapshot, subjects: Sequence[UUID]) -> list[Difference]:
    """Compare the states of preservations at an agency with those at their provider."""
    if not subjects or not all(keeps(each.kind, "preservation") for each in (book, agency)):
        return []
    ours, theirs = [
        {row["preservation_id"]: row["state"] for row in await each.fetch(views.PRESERVATIONS, subjects)}
        for each in (book, agency)
    ]
    return [
        Difference(
            "IV", f"{ours.get(of, 'missing')}, and {theirs.get(of, 'missing')} at its agency", f"{of} {book.name}"
        )
        for of in sorted(ours.keys() | theirs.keys())
        if ours.get(of) != theirs.get(of)
    ]


def _uncaused(tracks: Sequence[asyncpg.Record], said: _Statements, *, at: str, peer: str) -> Iterator[Difference]:
    """Yield acts and withdrawals of tracks that no message at audit states, if audit has read all messages."""
    side = TrackSide(tracks[0]["side"])
    if not said.is_read(*((peer, at) if side in (TrackSide.HELD, TrackSide.ANSWERS) else (at, peer))):
        return
    for row in tracks:
        way = row["owner"], row["recipient"]
        if side in (TrackSide.ANSWERS, TrackSide.GIVEN):
            way = way[::-1]
        stated = said.acts.get((row["subject"], *way), set())
        where = f"{row['subject']} at {at}, with {peer}"
        for act in row["track_acts"]:
            if act not in stated:
                yield Difference("IV", f"an act that no message states: {act}", where, way)
        if row["is_withdrawn"] and side in (TrackSide.HELD, TrackSide.OWN) and None not in stated:
            yield Difference("IV", "a withdrawal that no message states", where, way)


def _differing(item: asyncpg.Record, edges: Sequence[asyncpg.Record], offering: Offering) -> Iterator[str]:
    """Yield what differs between an item of a recipient and its edges at their origin.

    `offering`: the state of the origin's track.
    """
    revisions = from_json(item["edges"])
    for edge in edges:
        held = revisions.get(str(edge["edge_id"]))
        if held != edge["revision"]:
            yield f"revision {held or 'none'} of an edge, and {edge['revision']} at its origin"
        if item["act_count"] != edge["acts"]:
            yield f"{item['act_count']} acts, and {edge['acts']} at its origin"
        if item["state"] != shown(Subject(item["kind"]), TrackState(offering, edge["answer"])):
            yield f"{item['state']}, and {edge['answer']} at its origin"
        if edge["last_answer"] not in (None, edge["answer"]):
            yield f"{edge['last_answer']} by its last act, and {edge['answer']} at its origin"
        if (edge["last_number"] or 0, edge["result_count"]) != (edge["acts"], edge["acts"]):
            yield f"results of {edge['result_count']} acts, up to {edge['last_number'] or 0}, and {edge['acts']} acts"
