"""Inbound messages of an instance of parties: `messaging.scope.Inbound` over its features.

    unpack ─▶ accept ─▶ judge by tracks ─▶ features ─▶ tracks ─▶ outcomes

A message that breaks the features becomes a dead letter; the others are not affected. A batch of any size takes few
statements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeVar
from uuid import UUID

from shared.core.contracts.directory import ReadsAnnouncedClear
from shared.core.contracts.registry import Family
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Defect, Refused, Unavailable
from shared.core.protocol.accept import ReadingInstance, accept_batch
from shared.core.protocol.message import Received, Record
from shared.core.protocol.record_table import DECIDE_AGAIN, SUBJECT_WITHDRAWN, row_for
from shared.delivery.arriving import encrypt_kept, open_kept, pack
from shared.delivery.gate import SenderDays
from shared.delivery.judgement import (
    ACCEPT_DEFECT,
    ACT_AWAITED,
    HANDLER_DEFECT,
    REVISION_NOT_ABOVE,
    Arrival,
    Judgement,
    KnownOutcome,
    decide,
    kind_of,
    list_awaiting_edges,
    list_begun_tracks,
    read_edge,
)
from shared.delivery.sending import OUTCOMES, Handler, Settlement, Unit, move_gathered, note_reads
from shared.delivery.tracks import TrackKey, TrackSide, forget_acts, list_told_once, load_tracks, note_tracks
from shared.messaging.exceptions import OPEN, NamedMessage, Outcome, OutcomeKind, RefusalCode, TakenMessage
from shared.messaging.ports import OperatorKind, OperatorLine
from shared.messaging.reactions import RESENT
from shared.messaging.scope import Scope
from shared.messaging.streams import SUBJECT_ROLES, WireRole
from shared.messaging.tracks import named_of
from shared.messaging.upkeep import try_again
from shared.platform.database.transactions import Session
from shared.platform.observability.logs import Fields, log
from shared.platform.observability.metrics import MESSAGES

#: Codes of features that say that the subject of a message is not known here.
SUBJECT_UNKNOWN: Final = frozenset({"case_unknown", "notice_unknown", "offer_unknown", "preservation_unknown"})
#: The codes of messaging for codes of the exchange. A recipient's outcome has the latter.
_WORDS: Final[Mapping[str, RefusalCode]] = {
    SUBJECT_WITHDRAWN: RefusalCode.WITHDRAWN,
    REVISION_NOT_ABOVE: RefusalCode.BEHIND,
    **dict.fromkeys(DECIDE_AGAIN, RefusalCode.LAW),
    **dict.fromkeys(SUBJECT_UNKNOWN, RefusalCode.UNKNOWN),
}
#: The refusals after which the acts of a message stay on its track: the peer no longer has the subject, or they are
#: sent again.
_STATE_STAYS: Final = frozenset({RefusalCode.WITHDRAWN, RefusalCode.ERASED})
_FINAL: Final = frozenset({OutcomeKind.APPLIED, OutcomeKind.REFUSED, OutcomeKind.MOVED})
_Item = TypeVar("_Item")
_ANSWER_STAYS: Final = _STATE_STAYS | {RefusalCode.UNKNOWN, RefusalCode.GAP, RefusalCode.DEAD}


class PartyInbound:
    """`Inbound` within one transaction, whose row scope is that of all parties of the instance."""

    def __init__(self, session: Session, handler: Handler, reader: ReadingInstance, *, kek: KeyEncryptionKey) -> None:
        """`kek`: encrypts the records of exceptions."""
        self._session = session
        self._driver = session.driver
        self._unit = Unit(session)
        self._handler = handler
        self._reader = reader
        self._kek = kek
        #: The messages that are tried now: their exceptions end after them.
        self._trying: frozenset[UUID] = frozenset()

    async def apply(self, scope: Scope, taken: Sequence[TakenMessage]) -> list[Outcome]:
        """See `Inbound`. Raises `Unavailable` while this instance has no directory."""
        accepted = _accept(taken, [self._open(each) for each in taken], self._reader)
        arrivals = await self._hold_answers(scope, accepted)
        keys = {each.key for each in arrivals}
        tracks = await load_tracks(self._driver, {key for key in keys if key is not None})
        self._unit = Unit(self._session, are_new=not tracks and not scope.is_careful)
        judgement = Judgement(tracks, is_day_closed=scope.subjects.is_day_closed)
        stored = {each.named.message_id for each in arrivals if isinstance(each.taken.record, bytes)}
        directory = self._reader.shelf.directories.active(self._reader.clock.now())
        days = SenderDays(self._driver, directory, scope, stored=stored)
        decided = await self._decide(arrivals, judgement, days, is_careful=scope.is_careful)
        outcomes = await self._await_edges(scope, arrivals, decided)
        pairs = list(zip(arrivals, outcomes, strict=True))
        changes = judgement.list_changes(pairs)
        await note_tracks(self._driver, changes, are_new=all(each.key not in tracks for each in changes))
        await days.close({each.named.message_id for each in outcomes if each.kind is OutcomeKind.APPLIED})
        await self._note_reads(pairs)
        await move_gathered(scope, self._driver)
        await self._try_behind(scope, pairs)
        for kind, count in Counter(each.kind for each in outcomes).items():
            MESSAGES.labels(kind.value).inc(count)
        return outcomes

    def bytes_to_keep(self, taken: TakenMessage, outcome: Outcome) -> bytes:
        """See `Inbound`. The record is encrypted.

        A dead letter that did not pass signature and guard is stored without its headers and value, because a peer
        could have put content there. Its place, salt and proof stay.
        """
        if outcome.kind is not OutcomeKind.DEAD or row_for(outcome.code or "").keeps_body:
            return encrypt_kept(taken, self._kek)
        return pack(replace(open_kept(taken, self._kek), key=None, headers=(), value=None, wrap=b""))

    def _open(self, taken: TakenMessage) -> Record | None:
        """Return the record of a message, or None with an alarm if the stored bytes cannot be read."""
        try:
            return open_kept(taken, self._kek)
        except Defect as error:
            message_id = str(taken.named.message_id)
            log("record_alarm", code=HANDLER_DEFECT, error=error.code, peer=taken.writer, message_id=message_id)
            return None

    async def heard(self, scope: Scope, peer: str, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """See `Inbound`: the features get the last outcome of each message."""
        last = {each.named.message_id: each for each in outcomes if _is_of_features(each)}
        if last:
            await self._list_lost(scope, peer, last.values())
            await forget_acts(self._driver, _list_refused(peer, last.values()))
            parties = self._reader.shelf.directories.active(self._reader.clock.now()).reached_at(peer)
            await self._settle([_settlement(each, peer, parties) for each in last.values()])
            await move_gathered(scope, self._driver)
        return [translate(each) for each in outcomes]

    async def _list_lost(self, scope: Scope, peer: str, outcomes: Iterable[Outcome]) -> None:
        """Put acts on the operator's list if the peer lacks their subject and no state repeats them."""
        states = [
            each.named for each in map(translate, outcomes) if each.code in RESENT and each.named.role is WireRole.STATE
        ]
        acts: dict[TrackKey, set[UUID]] = {}
        for named in states:
            if named.subject is not None and (once := list_told_once(named.acts)):
                acts.setdefault(TrackKey(peer, TrackSide.OWN, named.subject), set()).update(once)
        rows = await load_tracks(self._driver, acts)
        lines = [
            OperatorLine(OperatorKind.ACT, peer, key.subject, act)
            for key, row in rows.items()
            for act in row.acts
            if act in acts[key]
        ]
        await scope.tx.add_operator_lines(lines)

    async def _decide(
        self, arrivals: Sequence[Arrival], judgement: Judgement, days: SenderDays, *, is_careful: bool
    ) -> list[Outcome]:
        """Pass fresh messages to the features.

        Messages that followed a refused one, or came before their edge, are passed again.
        """
        hand_over = self._hand_over if is_careful else self._apply
        known: dict[int, KnownOutcome | None] = {}
        refusals: dict[UUID, str] = {}
        planned = list(range(len(arrivals)))
        while planned:
            known |= {at: judgement.judge(arrivals[at]) for at in planned}
            fresh = [each for at in planned if known[at] is None and (each := arrivals[at].received) is not None]
            of_features = [each for each in fresh if each.message.family is not Family.FACT]
            refusals |= (over := await days.admit(of_features))
            of_features = [each for each in of_features if each.message_id not in over]
            refusals |= await hand_over(of_features) if of_features else {}
            judgement.forget(refusals)
            received = [each.received for each in arrivals if each.received is not None]
            behind = list_awaiting_edges(received, of_features, refusals)
            refusals = {each: code for each, code in refusals.items() if each not in behind}
            planned = [
                at
                for at, each in enumerate(arrivals)
                if _is_unblocked(known[at], refusals) or each.named.message_id in behind
            ]
        return [decide(each, known[at], refusals) for at, each in enumerate(arrivals)]

    async def _hold_answers(self, scope: Scope, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Make an answer wait for an exception of its track: without that, the features would judge it for good."""
        answers = {_track_of(arrival) for arrival in arrivals if arrival.named.role is WireRole.ANSWER}
        tried = self._trying | {arrival.named.message_id for arrival in arrivals}
        kept: set[tuple[str, UUID] | None] = {*await _find_kept(scope, answers, without=tried)}
        held = []
        for arrival in arrivals:
            track = _track_of(arrival)
            if arrival.received is None and kind_of(arrival.code) in OPEN:
                kept.add(track)
            elif arrival.named.role is WireRole.ANSWER and track in kept:
                arrival = replace(arrival, received=None, code=ACT_AWAITED)
            held.append(arrival)
        return held

    async def _await_edges(
        self, scope: Scope, arrivals: Sequence[Arrival], outcomes: Sequence[Outcome]
    ) -> list[Outcome]:
        """Let acts of an unknown subject wait while an edge of their track is stored as an exception."""
        pairs = list(zip(map(_track_of, arrivals), outcomes, strict=True))
        kept = {track for track, outcome in pairs if outcome.kind in OPEN and outcome.code != ACT_AWAITED}
        lost = {track for track, outcome in pairs if track is not None and _is_lost(outcome)}
        kept |= await _find_kept(scope, lost)
        return [
            replace(outcome, kind=OutcomeKind.WAITING, code=ACT_AWAITED)
            if _is_lost(outcome) and track in kept
            else outcome
            for track, outcome in pairs
        ]

    async def _apply(self, messages: Sequence[Received]) -> dict[UUID, str]:
        return dict(await self._handler.apply(self._unit, messages))

    async def _hand_over(self, messages: Sequence[Received]) -> dict[UUID, str]:
        """Have the features apply messages; return the codes of messages that they refuse, or that break them."""
        refusals: dict[UUID, str] = {}

        async def apply(some: Sequence[Received]) -> None:
            refusals.update(await self._apply(some))

        for message, error in await self._try_each(messages, apply):
            _alarm(message.record, HANDLER_DEFECT, error)
            refusals[message.message_id] = HANDLER_DEFECT
        return refusals

    async def _settle(self, settlements: Sequence[Settlement]) -> None:
        """Pass outcomes to the features. An outcome that breaks them is skipped."""
        for _, error in await self._try_each(settlements, partial(self._handler.settled, self._unit)):
            log("record_alarm", code=HANDLER_DEFECT, error=type(error).__name__, count=1)

    async def _try_each(
        self, items: Sequence[_Item], do: Callable[[Sequence[_Item]], Awaitable[None]]
    ) -> list[tuple[_Item, Exception]]:
        """Process items together, or one by one if that breaks the features; return the items that break them."""
        try:
            async with self._session.savepoint():
                await do(items)
                return []
        except Unavailable:
            raise
        except Exception as error:  # the code of the service failed: find the item that breaks it
            log("record_alarm", code=HANDLER_DEFECT, error=type(error).__name__, count=len(items))
        broken = []
        for item in items:
            try:
                async with self._session.savepoint():
                    await do([item])
            except Unavailable:
                raise
            except Exception as error:
                broken.append((item, error))
        return broken

    async def _note_reads(self, pairs: Sequence[tuple[Arrival, Outcome]]) -> None:
        for arrival, outcome in pairs:
            received = arrival.received
            if received is None or outcome.kind is not OutcomeKind.APPLIED:
                continue
            if isinstance(received.clear, ReadsAnnouncedClear):
                await note_reads(
                    self._session, received.sender_instance, received.clear, at=received.record.broker_time
                )

    async def _try_behind(self, scope: Scope, pairs: Sequence[tuple[Arrival, Outcome]]) -> None:
        """Try waiting messages again whose act or edge these messages have brought."""
        settled: dict[str | None, set[UUID]] = {}
        applied = [each.received for each, outcome in pairs if outcome.kind is OutcomeKind.APPLIED and each.received]
        for each, outcome in pairs:
            subject = each.named.subject
            if each.named.role in SUBJECT_ROLES and subject is not None and outcome.kind in _FINAL:
                settled.setdefault(each.taken.writer, set()).add(subject)
        before = self._trying
        self._trying = before | {each.named.message_id for each, _ in pairs}
        if begun := list_begun_tracks(applied):
            settled[None] = begun
        for writer, subjects in settled.items():
            rows = await scope.tx.list_exceptions(writer=writer, subjects=sorted(subjects), kinds={OutcomeKind.WAITING})
            awaiting = [row for row in rows if row.outcome.code == ACT_AWAITED]
            waiting = [row for row in awaiting if row.taken.named.message_id not in self._trying]
            if waiting:
                await try_again(scope, waiting)
        self._trying = before


def translate(outcome: Outcome) -> Outcome:
    """Return the outcome of an own message, with the code of `RefusalCode` that has the same meaning if any."""
    word = _WORDS.get(outcome.code or "") if outcome.kind is OutcomeKind.REFUSED else None
    if word is None:
        return outcome
    if word is RefusalCode.UNKNOWN and outcome.named.role not in SUBJECT_ROLES:
        return outcome
    return replace(outcome, code=word)


def _accept(taken: Sequence[TakenMessage], records: Sequence[Record | None], reader: ReadingInstance) -> list[Arrival]:
    """Return messages after `accept`. One without a readable record stays unchanged, for a person."""
    accepted = iter(accept_batch([record for record in records if record is not None], reader))
    return [
        Arrival(each, each.named, code=HANDLER_DEFECT) if record is None else _arrive(each, record, next(accepted))
        for each, record in zip(taken, records, strict=True)
    ]


def _arrive(taken: TakenMessage, record: Record, accepted: Received | Exception) -> Arrival:
    """Return a message after `accept`, with an alarm if something about it is wrong. Raises `Unavailable`."""
    match accepted:
        case Received():
            return Arrival(taken, _name(taken.named, accepted), accepted, edge=read_edge(accepted))
        case Unavailable():
            raise accepted
        case Refused():
            if row_for(accepted.code).alarm:
                _alarm(record, accepted.code)
            return Arrival(taken, taken.named, code=accepted.code)
        case _:  # fail closed: the record has no effect, and the others are not affected
            _alarm(record, ACCEPT_DEFECT, accepted)
            return Arrival(taken, taken.named, code=ACCEPT_DEFECT)


def _name(named: NamedMessage, received: Received) -> NamedMessage:
    """Return the name of a message. A release that could not read its type has named it without a track."""
    if named.role is not WireRole.FACT or received.message.family is Family.FACT:
        return named
    return named_of(
        received.message_id,
        received.message,
        sender=received.sender,
        recipient=received.recipient,
        subject=received.subject_id,
        clear=received.clear.model_dump(mode="json"),
    )


def _alarm(record: Record, code: str, error: Exception | None = None) -> None:
    """Report a wrong record by its coordinates, and an error by its name only."""
    line: Fields = {"code": code, "topic": record.topic, "partition": record.partition, "offset": record.offset}
    if error is not None:
        line["error"] = type(error).__name__
    log("record_alarm", **line)


async def _find_kept(
    scope: Scope, tracks: Iterable[tuple[str, UUID] | None], *, without: Container[UUID] = frozenset()
) -> set[tuple[str, UUID]]:
    """Return those of the tracks of which a message is an exception, other than one that waits for an act."""
    kept = set()
    for writer, of_writer in groupby(sorted(filter(None, tracks)), key=itemgetter(0)):
        for row in await scope.tx.list_exceptions(writer=writer, subjects=[subject for _, subject in of_writer]):
            named = row.taken.named
            if named.subject is not None and row.outcome.code != ACT_AWAITED and named.message_id not in without:
                kept.add((writer, named.subject))
    return kept


def _track_of(each: Arrival) -> tuple[str, UUID] | None:
    return None if each.named.subject is None else (each.taken.writer, each.named.subject)


def _is_lost(outcome: Outcome) -> bool:
    """Return whether an act on the writer's own subject is refused because the subject is not known here."""
    return outcome.named.role is WireRole.STATE and outcome.named.revision is None and outcome.code in SUBJECT_UNKNOWN


def _is_unblocked(known: KnownOutcome | None, refused: Mapping[UUID, str]) -> bool:
    """Return whether the features refused the message that blocked this one, so it is judged again."""
    return known is not None and known.below is not None and known.below in refused


def _is_of_features(outcome: Outcome) -> bool:
    named = outcome.named
    return named.subject is not None and (named.role in SUBJECT_ROLES or named.role is WireRole.WITHDRAWAL)


def _settlement(outcome: Outcome, peer: str, parties: Collection[str]) -> Settlement:
    code = SUBJECT_WITHDRAWN if outcome.code == RefusalCode.WITHDRAWN else outcome.code
    return Settlement(outcome.named.message_id, OUTCOMES[outcome.kind], code, peer, parties)


def _list_refused(peer: str, outcomes: Iterable[Outcome]) -> dict[TrackKey, set[UUID]]:
    """Return the acts that a peer has refused for good, by track: the peer does not hold them."""
    acts: dict[TrackKey, set[UUID]] = {}
    for outcome in map(translate, outcomes):
        named = outcome.named
        if outcome.kind is not OutcomeKind.REFUSED or named.subject is None or named.role not in SUBJECT_ROLES:
            continue
        is_answer = named.role is WireRole.ANSWER
        # With a revision that is held, the act is held, too: only its content is another.
        stays = outcome.code in (_ANSWER_STAYS if is_answer else _STATE_STAYS) or outcome.held is not None
        if not stays:
            side = TrackSide.GIVEN if is_answer else TrackSide.OWN
            acts.setdefault(TrackKey(peer, side, named.subject), set()).update(named.acts)
    return acts
