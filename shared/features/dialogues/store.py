"""Questions and disputes in PostgreSQL: the same table at the party that raises them and at the party that answers.

Trust: a process that can write this table can hide a question from its party or misstate the answer. The messages and
the table of the other side show the truth.

A question's number is the number of the act that raised it, in the track of the party that did. `told_by` is the id by
which messages name the subject. For a notice it is the notice's id, also at the origin, which knows the referral.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
from pydantic import JsonValue
from pydantic_core import to_json

from shared.core.contracts import questions
from shared.core.contracts.answers import TrackNumber
from shared.core.contracts.base import Contract, ErrorCode, EventTime, Flag, Instant, NextCursor, PartyId, Uuid
from shared.core.contracts.items import ItemNumber
from shared.core.contracts.referral import Revision
from shared.core.protocol.questions import BEFORE, RaisedQuestion, about
from shared.core.vocabulary.questions import NeedsInfo, QuestionKind, QuestionState
from shared.platform.database.columns import Columns, Statement, insert, pairs
from shared.platform.database.pages import place_cursor, read_place


class QuestionKey(NamedTuple):
    """The party, subject and counterpart of questions. With `own`, `party` has raised them."""

    party: str
    told_by: UUID
    counterpart: str
    own: bool


class RefusedQuestion(NamedTuple):
    """A question or dispute that its origin's instance has refused, with the time at which it was raised."""

    between: QuestionKey
    kind: QuestionKind
    number: int
    raised_at: datetime


@dataclass(frozen=True, slots=True)
class NewQuestion:
    """A question or dispute to store. `subject` is the id by which its party knows the referral, case or notice.

    `details` are its words and `item_numbers` its items, both with the item numbers of this party. `revision` is the
    revision that it is about. It lapses at `due`.
    """

    question_id: UUID
    party: str
    message_subject: UUID
    counterpart: str
    is_own: bool
    number: int
    kind: str
    subject: UUID
    item_numbers: Sequence[int]
    details: Mapping[str, JsonValue]
    revision: int
    raised_at: datetime
    due: datetime | None

    @classmethod
    def of(
        cls,
        clear: questions.AskedClear | questions.DisputedClear,
        content: questions.DueQuestion | questions.DisputedItems,
        between: QuestionKey,
        *,
        subject: UUID,
        revision: int,
        at: datetime,
    ) -> NewQuestion:
        """Return the row of an act that raises one; `content` names items as the row's party does."""
        kind = QuestionKind.QUESTION if isinstance(clear, questions.AskedClear) else QuestionKind.DISPUTE
        details = content.model_dump(mode="json", include={"needs", "disputed"}, exclude_none=True)
        numbers = sorted(about(content))
        return cls(clear.act, *between, clear.number, kind, subject, numbers, details, revision, at, clear.due)


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question at its origin, with its row locked. `items` are all items that its edge ever had.

    `revision` is the current revision of the edge.
    """

    question_id: UUID
    told_by: UUID
    kind: QuestionKind
    state: QuestionState
    about: tuple[int, ...]
    asked_revision: int
    instance: str
    items: tuple[int, ...]
    revision: int
    of_notice: bool


class ShownQuestion(Contract):
    """A question or dispute: your own (`own`) or one that you must answer. `subject` is your id of its subject.

    `needs` lists the information that is requested about all items in `about`; `disputed` lists the challenge to each
    item. `replied` or `decided` is the answer. `code` is the reason if the origin's instance refused it. A question
    lapses at `due`.
    """

    kind: QuestionKind
    own: Flag
    subject: Uuid
    party: PartyId
    number: TrackNumber
    revision: Revision
    state: QuestionState
    raised_at: Instant
    due: EventTime | None
    about: tuple[ItemNumber, ...]
    needs: tuple[NeedsInfo, ...] | None = None
    disputed: tuple[ShownContest, ...] | None = None
    replied: tuple[questions.RepliedItem, ...] | None = None
    decided: tuple[questions.DecidedItem, ...] | None = None
    code: ErrorCode | None = None
    over_at: Instant | None


class ShownContest(questions.ItemContest):
    """The challenge to one item."""

    n: ItemNumber


class QuestionPage(Contract):
    """The party's questions and disputes, newest first."""

    items: tuple[ShownQuestion, ...]
    next: NextCursor


ShownQuestion.model_rebuild()


_RAISED: Final = """
SELECT q.party, q.message_subject, q.counterpart, q.is_own, q.kind, q.number, q.state, q.item_numbers FROM question AS q
JOIN unnest($1::text[], $2::uuid[], $3::text[], $4::boolean[]) AS k (party, message_subject, counterpart, is_own)
  USING (party, message_subject, counterpart, is_own) ORDER BY q.number
"""
_NEW: Final = Columns.of(NewQuestion, item_numbers="smallint[]", details="jsonb")


_SINCE: Final = {"since": "rows.raised_at"}
_ONCE: Final = "ON CONFLICT DO NOTHING"
_ADD_OWN: Final = insert("question", _NEW, fixed=_SINCE | {"priority_rank": "1"}, end=_ONCE)
#: At the origin: with the rank of its referral.
_RANK: Final = "(SELECT r.priority_rank FROM referral AS r WHERE r.referral_id = rows.subject)"
_ADD_ASKED: Final = insert("question", _NEW, fixed=_SINCE | {"priority_rank": _RANK}, end=_ONCE)
_OVER: Final = Statement(
    """
UPDATE question AS q SET state = {state}, details = q.details || {said}, since = {at}, is_read = false
WHERE q.party = {party} AND q.message_subject = {told_by} AND q.counterpart = {counterpart} AND q.is_own = {own}
  AND q.number = {number} AND q.state = ANY({before})
""",
    party="text",
    told_by="uuid",
    counterpart="text",
    own="bool",
    number="int",
    state="text",
    said="jsonb",
    at="timestamptz",
    before="text[]",
)
_SEEN: Final = """
UPDATE question AS q SET is_read = true
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bool[]) AS b (party, message_subject, counterpart, is_own)
WHERE q.party = b.party AND q.message_subject = b.message_subject AND q.counterpart = b.counterpart
  AND q.is_own = b.is_own AND q.state <> 'open' AND NOT q.is_read
"""
_SENT: Final = "UPDATE question SET message_id = $2 WHERE question_id = $1 AND is_own"
_REFUSED: Final = """
UPDATE question AS q SET state = 'refused', details = q.details || jsonb_build_object('code', r.code), since = now(),
       is_read = false
FROM unnest($1::uuid[], $2::text[]) AS r (message_id, code)
WHERE q.message_id = r.message_id AND q.is_own AND q.state = 'open' AND q.counterpart = ANY($3::text[])
RETURNING q.party, q.message_subject, q.counterpart, q.kind, q.number, q.raised_at
"""
_FIND: Final = """
SELECT q.question_id, q.message_subject AS told_by, q.kind, q.state, q.item_numbers AS about,
       q.revision AS asked_revision, e.instance, e.items, e.revision, e.notice_id IS NOT NULL AS of_notice
FROM question AS q JOIN edge AS e ON e.referral_id = q.subject AND e.recipient = q.counterpart
  AND coalesce(e.notice_id, e.referral_id) = q.message_subject AND e.state IN ('emitted', 'referred')
  AND NOT e.is_retracted WHERE q.party = $1 AND q.subject = $2 AND q.counterpart = $3 AND q.number = $4 AND NOT q.is_own
ORDER BY e.edge_id LIMIT 1 FOR UPDATE
"""
_SHOWN: Final = """
SELECT question_id, kind, is_own AS own, subject, counterpart AS party, number, revision, state, raised_at, due,
       item_numbers AS about, details, CASE WHEN state <> 'open' THEN since END AS over_at
FROM question WHERE party = $1
"""
_PAGE: Final = f"""{_SHOWN} AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR kind = $3)
  AND ($4::timestamptz IS NULL OR (raised_at, question_id) < ($4, $5::uuid))
ORDER BY raised_at DESC, question_id DESC LIMIT $6
"""
_ABOUT: Final = f"{_SHOWN} AND subject = $2 ORDER BY raised_at DESC, question_id DESC"
#: A question does not lapse if its item is withdrawn or has a final answer: its party does not wait for a reply then.
_LAPSED: Final = """
SELECT q.party, q.message_subject, q.number
FROM question AS q JOIN received AS t ON t.subject = q.subject AND t.party = q.party
WHERE q.is_own AND q.state = 'open' AND q.due <= $1 AND t.state = ANY($2::text[])
  AND NOT EXISTS (SELECT FROM unnest($4::uuid[], $5::text[]) AS b (subject, party)
                  WHERE b.subject = q.message_subject AND b.party = q.party)
ORDER BY q.due LIMIT $3 FOR UPDATE OF q SKIP LOCKED
"""


@dataclass(frozen=True, slots=True)
class PostgresQuestions:
    """Questions and disputes within one transaction, limited to the parties that it is bound to."""

    driver: asyncpg.Connection

    async def raised(self, between: Collection[QuestionKey]) -> dict[QuestionKey, list[RaisedQuestion]]:
        """Return the questions and disputes so far, in the order of their numbers. Keys without any are left out."""
        keys = sorted(between)
        columns = [list(column) for column in zip(*keys, strict=True)] if keys else [[], [], [], []]
        found: dict[QuestionKey, list[RaisedQuestion]] = {}
        for row in await self.driver.fetch(_RAISED, *columns) if keys else []:
            of = QuestionKey(row["party"], row["message_subject"], row["counterpart"], row["is_own"])
            kind, state = QuestionKind(row["kind"]), QuestionState(row["state"])
            found.setdefault(of, []).append(RaisedQuestion(kind, row["number"], state, frozenset(row["item_numbers"])))
        return found

    async def add(self, new: Sequence[NewQuestion]) -> None:
        """Store new questions and disputes. A stored one is not changed."""
        for statement, own in ((_ADD_OWN, True), (_ADD_ASKED, False)):
            rows = [each for each in new if each.is_own is own]
            about = [[str(n) for n in each.item_numbers] for each in rows]
            details = [to_json(each.details).decode() for each in rows]
            if rows:
                await self.driver.execute(*statement.bind(rows=_NEW.rows(rows, item_numbers=about, details=details)))

    async def over(
        self, between: QuestionKey, number: int, state: QuestionState, *, said: Mapping[str, JsonValue], at: datetime
    ) -> None:
        """Store the final state of a question and its answer `said`, if its present state permits that."""
        named = between._asdict() | {"number": number, "before": sorted(BEFORE[state])}
        await self.driver.execute(*_OVER.bind(**named, state=state.value, said=dict(said), at=at))

    async def sent(self, question_id: UUID, message_id: UUID) -> None:
        """Store the id of the message that carries a question to its origin."""
        await self.driver.execute(_SENT, question_id, message_id)

    async def refused(self, codes: Mapping[UUID, str], by: Collection[str]) -> list[RefusedQuestion]:
        """Mark the questions of these messages to the parties `by` as refused, and return them."""
        rows = await self.driver.fetch(_REFUSED, list(codes), list(codes.values()), list(by))
        of = [QuestionKey(row["party"], row["message_subject"], row["counterpart"], own=True) for row in rows]
        return [
            RefusedQuestion(between, QuestionKind(row["kind"]), row["number"], row["raised_at"])
            for between, row in zip(of, rows, strict=True)
        ]

    async def seen(self, between: Sequence[QuestionKey]) -> None:
        """Mark all answers so far as seen. The party has acted on the subject, so they need no attention any more."""
        if between:
            await self.driver.execute(_SEEN, *(list(column) for column in zip(*between, strict=True)))

    async def find(self, party: str, referral_id: UUID, *, counterpart: str, number: int) -> OpenQuestion | None:
        """Return a question about a referral of the party, with its edge, both locked; None if there is none."""
        row = await self.driver.fetchrow(_FIND, party, referral_id, counterpart, number)
        if row is None:
            return None
        kind, state = QuestionKind(row["kind"]), QuestionState(row["state"])
        return OpenQuestion(**dict(row) | {"kind": kind, "state": state})

    async def lapsed(
        self, at: datetime, *, open_in: Sequence[str], limit: int, but: Sequence[tuple[UUID, str]] = ()
    ) -> list[tuple[str, UUID, int]]:
        """Return party, subject and number of each overdue question without an answer, and lock their rows.

        `open_in` are the item states in which the party still waits for an answer. Items in `but` are left out.
        """
        rows = await self.driver.fetch(_LAPSED, at, list(open_in), limit, *pairs(but))
        return [(row["party"], row["message_subject"], row["number"]) for row in rows]

    async def page(
        self, party: str, *, state: str | None, kind: str | None, cursor: str | None, limit: int
    ) -> QuestionPage:
        """Return one page of the party's questions and disputes, newest first."""
        above = (None, None) if cursor is None else read_place(cursor)[1:]
        rows = await self.driver.fetch(_PAGE, party, state, kind, *above, limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        following = None if last is None else place_cursor((0, last["raised_at"], last["question_id"]))
        return QuestionPage(items=tuple(_shown(row) for row in rows[:limit]), next=following)

    async def about(self, party: str, subject: UUID) -> tuple[ShownQuestion, ...]:
        """Return the party's questions and disputes about one subject, newest first.

        The limit on each side's questions bounds the list.
        """
        return tuple(_shown(row) for row in await self.driver.fetch(_ABOUT, party, subject))


def _shown(row: asyncpg.Record) -> ShownQuestion:
    known = dict(row) | dict(row["details"])
    return ShownQuestion.model_validate({name: known.get(name) for name in ShownQuestion.model_fields})
