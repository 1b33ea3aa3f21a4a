"""The rows of an origin's edges: a sent edge is inserted once, with the place of the message that carries it.

Also the acts on edges, in PostgreSQL: acts of recipients with their results, and rechecks of the origin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.core.clock import coarse
from shared.core.envelope.datakeys import RowRef
from shared.core.errors import Defect
from shared.core.protocol.clocks import EdgeClock
from shared.core.protocol.origin import EdgeAnswer, ReferralState
from shared.core.protocol.prepare import Prepared, Redecision, law_of
from shared.core.routing.clocks import LawAt
from shared.core.vocabulary.answers import AnswerState
from shared.delivery.tracks import TrackSide
from shared.features.events.store import ActCodes
from shared.features.filing.ports import ActResult, AnswerAct, IssuedEdge, Recheck
from shared.features.record_access.store import PartyStore
from shared.messaging.streams import StreamPlace
from shared.messaging.tracks import edge_act, key_of
from shared.platform.database.columns import BoundRows, Columns, Json, Statement, insert
from shared.platform.database.transactions import gather_part, gather_placed, take_placed
from shared.platform.timers.store import OF_EDGE, columns_of_edge
from shared.platform.timers.timers import new_rows

_NO_TRACK: Final = UUID(int=0)


# Not frozen, as a draft is not.
@dataclass(slots=True)
class EdgeRow:
    """An edge as it is stored with its referral. An edge that waits or is planned has no message."""

    edge_id: UUID
    instance: str
    referral_id: UUID
    party: str
    recipient: str
    purpose: str
    reason: str
    rules: Sequence[str]
    document_digests: str
    decided_at: datetime
    message_id: UUID | None = None
    notice_id: UUID | None = None
    items: Sequence[str] = ()
    state: str = "emitted"
    dropped_items: Sequence[str] | None = None
    revision: int = 1
    hold_window_ends_at: datetime | None = None
    issue_due_at: datetime | None = None
    # The track, in the row of its first edge.
    peer: str = ""
    side: int = TrackSide.OWN
    track: UUID = _NO_TRACK
    owner: str | None = None
    track_acts: Sequence[str] | None = None
    track_edges: Json | None = None


_PLACE: Final = {"incarnation": "uuid", "lane": "smallint", "number": "bigint"}
_TRACK: Final = ("peer", "side", "track", "owner", "track_acts", "track_edges")
EDGE = Columns.of(EdgeRow, without=_TRACK, items="smallint[]", dropped_items="smallint[]")
_TYPES: Final = {"items": "smallint[]", "dropped_items": "smallint[]", "side": "smallint", "track_acts": "uuid[]"}
_SENT_EDGE = Columns.of(EdgeRow, without=("rules",), **_TYPES, **OF_EDGE)


class MessagePlace(NamedTuple):
    """A message of this instance to a peer, with its place."""

    message_id: UUID
    peer: str
    incarnation: UUID
    lane: int
    number: int


PLACE: Final = Columns.of(MessagePlace, lane="smallint")
_PLACED_EDGE: Final = Columns[EdgeRow](_SENT_EDGE.sql_types | _PLACE)
# A row without its referral has no rank and fails. A plain join would omit it silently.
_INSERT: Final = Statement(
    """
INSERT INTO edge ({rows.names}, priority_rank)
SELECT {rows.values}, r.priority_rank FROM {rows} LEFT JOIN referral AS r USING (referral_id)
""",
    rows=_PLACED_EDGE,
)


class UnplacedEdges(NamedTuple):
    """Sent edges, by their messages. Their columns are bound before any stream is locked."""

    message_ids: Sequence[UUID]
    rows: BoundRows[EdgeRow]


def edge_rows(decided: Iterable[Prepared | Redecision]) -> list[EdgeRow]:
    """Return the edges of these decisions: sent, waiting and planned ones."""
    return [row for each in decided for row in (*_list_sent(each), *_list_unsent(each))]


def unsent_rows(decided: Iterable[Prepared | Redecision]) -> list[EdgeRow]:
    """Return the edges of these decisions that wait or are planned: no message carries them."""
    return [row for each in decided for row in _list_unsent(each)]


def bind_sent(decided: Sequence[Prepared], law_at: LawAt | None) -> UnplacedEdges:
    """Bind the sent edges of these decisions. They are their referrals' first ones, so no track exists yet."""
    rows = [row for each in decided for row in _with_tracks(_list_sent(each))]
    begun = {row.edge.edge_id: row for row in new_rows(clocked_of(decided), law_at)}
    deadlines = columns_of_edge([begun[row.edge_id] for row in rows])
    bound = _SENT_EDGE.rows(rows, **deadlines)
    return UnplacedEdges([row.message_id for row in rows if row.message_id is not None], bound)


def clocked_of(decided: Sequence[Prepared | Redecision]) -> list[EdgeClock]:
    """Return the deadlines' view of the edges that these decisions sent."""
    return [
        EdgeClock(
            edge_id=emitted.edge_id,
            party=each.origin,
            subject=each.referral_id,
            told_by=emitted.notice_id or each.referral_id,
            origin=each.origin,
            recipient=emitted.recipient,
            purpose=emitted.purpose,
            rules=tuple(emitted.rules),
            acknowledge_h=emitted.edge.terms.deadlines.get("acknowledge_h"),
            act_h=emitted.edge.terms.deadlines.get("act_h"),
            started_at=coarse(decided_at(each)),
        )
        for each in decided
        for emitted in each.emitted
    ]


def gather_edges(driver: asyncpg.Connection, edges: UnplacedEdges) -> None:
    """Gather edges for insertion when their messages get places. The transaction fails unless each message gets one."""
    if edges.message_ids:
        gather_placed(driver, [edges])


def list_placed(places: Mapping[str, Mapping[UUID, StreamPlace]]) -> list[MessagePlace]:
    """Return these messages, by peer and message id, with their places."""
    return [MessagePlace(key, peer, *place) for peer, of_peer in places.items() for key, place in of_peer.items()]


def insert_placed(driver: asyncpg.Connection, placed: Sequence[MessagePlace]) -> set[UUID]:
    """Insert the gathered edges with the places of their messages. Return these messages.

    Raises `Defect("gathered_unknown")` if an edge has no message among `placed`.
    """
    by_message = {each.message_id: each for each in placed}
    inserted: set[UUID] = set()
    for edges in take_placed(driver):
        if not by_message.keys() >= {*edges.message_ids}:
            raise Defect("gathered_unknown")
        found = [by_message[message_id] for message_id in edges.message_ids]
        places = [each.incarnation for each in found], [each.lane for each in found], [each.number for each in found]
        rows = BoundRows(_PLACED_EDGE, [*edges.rows.arguments, *places])
        gather_part(driver, _INSERT.part(rows=rows))
        inserted.update(edges.message_ids)
    return inserted


def _list_sent(decided: Prepared | Redecision) -> Iterator[EdgeRow]:
    for emitted in decided.emitted:
        yield EdgeRow(
            edge_id=emitted.edge_id,
            message_id=emitted.message_id,
            instance=emitted.instance,
            referral_id=decided.referral_id,
            notice_id=emitted.notice_id,
            party=decided.origin,
            recipient=emitted.recipient,
            purpose=emitted.purpose,
            reason=emitted.reason,
            rules=emitted.rules,
            items=[str(n) for n in emitted.items],
            document_digests=_law(decided),
            decided_at=decided_at(decided),
            dropped_items=[str(n) for n in emitted.gone] or None,
            revision=emitted.revision,
        )


def _with_tracks(edges: Iterable[EdgeRow]) -> list[EdgeRow]:
    """Return the edges. The first edge of each subject and recipient becomes the row of their track, too."""
    tracks: dict[tuple[UUID, str], list[EdgeRow]] = {}
    for row in edges:
        tracks.setdefault((row.notice_id or row.referral_id, row.recipient), []).append(row)
    for (subject, recipient), rows in tracks.items():
        first = rows[0]
        first.peer, first.owner = first.instance, first.party
        first.track = key_of(first.party, recipient, subject=subject)
        first.track_acts = [str(edge_act(each.edge_id, each.revision)) for each in rows]
        first.track_edges = "{}"
    return [row for rows in tracks.values() for row in rows]


def _list_unsent(decided: Prepared | Redecision) -> Iterator[EdgeRow]:
    waiting = [(each.edge, each.edge_id, "waiting", None, None) for each in decided.waiting]
    planned = [(each.edge, each.edge_id, "planned", each.window_ends, each.issue_at) for each in decided.planned]
    for edge, edge_id, state, window_ends, issue_at in [*waiting, *planned]:
        yield EdgeRow(
            edge_id=edge_id,
            instance="",
            referral_id=decided.referral_id,
            party=decided.origin,
            recipient=edge.recipient,
            purpose=edge.terms.purpose,
            reason=edge.terms.reason,
            rules=edge.terms.rules,
            document_digests=_law(decided),
            decided_at=decided_at(decided),
            state=state,
            hold_window_ends_at=window_ends,
            issue_due_at=issue_at,
        )


def decided_at(decided: Prepared | Redecision) -> datetime:
    """Return the time of a decision."""
    return decided.accepted_at if isinstance(decided, Prepared) else decided.decided_at


def _law(decided: Prepared | Redecision) -> str:
    if isinstance(decided, Redecision):
        return decided.law
    return law_of(decided.decision["directory"], decided.decision["policy"])


@dataclass(frozen=True, slots=True)
class ActRow:
    """An act of a recipient with its result, and, if it was applied, its content and the new answer."""

    subject: UUID
    sender: str
    act: UUID
    at: datetime
    code: str | None
    number: int | None
    answer: str | None
    details: Json | None
    case_reference: bytes | None


_ACT: Final = Columns.of(ActRow)
_JUDGE: Final = insert("answer_act", _ACT)


async def keep_acts(
    driver: asyncpg.Connection,
    judged: Mapping[AnswerAct, ActResult],
    references: Mapping[AnswerAct, bytes],
    *,
    at: datetime,
) -> None:
    """Store the results of acts; `references` are the agencies' encrypted case references."""
    rows = [_act_row(act, each, references.get(act), at=at) for act, each in judged.items()]
    await driver.execute(*_JUDGE.bind(rows=_ACT.rows(rows)))


def reference_place(act: UUID, party: str) -> bytes:
    """Return the key place of an agency's reference: the act that stated it, at its origin."""
    return RowRef("answer_act", str(act), party).column("case_reference")


def _act_row(act: AnswerAct, judged: ActResult, reference: bytes | None, *, at: datetime) -> ActRow:
    said, came_to = judged.said, judged.answered
    return ActRow(
        *act,
        at,
        judged.code,
        None if came_to is None else came_to.acts,
        None if came_to is None else came_to.state.value,
        None if said is None else to_json(said).decode(),
        reference,
    )


_ISSUED: Final = """
SELECT edge_id, notice_id, recipient, instance, items, dropped_items, answer, answer_detail, acts FROM edge
WHERE referral_id = $1 AND notice_id IS NOT NULL AND state = 'emitted' AND NOT is_retracted ORDER BY edge_id FOR UPDATE
"""
_FOUND: Final = """
UPDATE edge SET answer = $2, answer_detail = $3::jsonb, answered_at = CASE WHEN answer = $2 THEN answered_at ELSE $4 END
WHERE edge_id = $1
"""
_LOOKED: Final = "INSERT INTO answer_act (subject, sender, act, details, at) VALUES ($1, $2, $3, $4::jsonb, $5)"


def read_answer(state: str, detail: Mapping[str, object] | None, acts: int) -> EdgeAnswer:
    """Return the answer from its columns."""
    return EdgeAnswer(AnswerState(state), detail or {}, acts)


class PostgresIssued(PartyStore):
    """The notices of the acting party's referrals."""

    async def issued(self, referral_id: UUID) -> list[IssuedEdge]:
        """Return the current notices of a referral, locked."""
        rows = await self._driver.fetch(_ISSUED, referral_id)
        return [
            IssuedEdge(
                **{name: row[name] for name in ("edge_id", "notice_id", "recipient", "instance", "items")},
                gone=frozenset(row["dropped_items"] or ()),
                answer=read_answer(row["answer"], row["answer_detail"], row["acts"]),
            )
            for row in rows
        ]

    async def found(self, edge: IssuedEdge, look: Recheck, answer: EdgeAnswer) -> None:
        """Store the result of a recheck, and the answer that follows from it."""
        await self._driver.execute(_FOUND, edge.edge_id, answer.state.value, dict(answer.detail), look.at)
        await self._driver.execute(_LOOKED, edge.notice_id, look.party, look.act, look.found.words(), look.at)


# Edges to one recipient for several purposes are answered together.
_WORDS: Final = """
SELECT DISTINCT a.sender, a.act, a.number, a.answer, a.details
FROM edge AS e JOIN answer_act AS a ON a.subject = coalesce(e.notice_id, e.referral_id) AND a.sender = e.recipient
WHERE e.party = $1 AND e.referral_id = $2 AND e.state IN ('emitted', 'referred') AND a.code IS NULL
  AND a.answer IS NOT NULL
ORDER BY a.number
"""

_WITHDRAWN: Final = "SELECT withdrawn_reason FROM referral WHERE party = $1 AND referral_id = $2"


async def referral_words(driver: asyncpg.Connection, party: str, referral_id: UUID) -> Sequence[ActCodes]:
    """Return the reason of a withdrawal and the content of each applied answer, each recipient's in its order."""
    rows = await driver.fetch(_WORDS, party, referral_id)
    reason = await driver.fetchval(_WITHDRAWN, party, referral_id)
    own = [] if reason is None else [ActCodes(None, ReferralState.WITHDRAWN, {"reason": reason})]
    return own + [ActCodes(row["sender"], row["answer"], row["details"] or {}) for row in rows]
