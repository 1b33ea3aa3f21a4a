"""Lists of received subjects in PostgreSQL, and the attention items of those that wait for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from shared.core.acts.act import Subject
from shared.core.clock import EPOCH
from shared.core.contracts.base import Contract
from shared.core.contracts.questions import AnsweredClear, AskedClear, DisputedClear, LapsedClear, RepliedClear
from shared.core.protocol.message import Received
from shared.core.vocabulary.questions import QuestionState
from shared.features.attention.rules import P0_OPEN, AttentionRow, ListPlace, next_act, waits_of
from shared.features.dialogues.store import NewQuestion, PostgresQuestions, QuestionKey
from shared.features.received.rules import HeldItem, ItemAct, ItemQuery
from shared.platform.database.columns import Statement, decompress
from shared.platform.database.pages import read_row, row_cursor


async def store_questions(questions: PostgresQuestions, acts: Sequence[ItemAct], at: datetime) -> None:
    """Store the questions that acts raise or let lapse. All acts except lapses mark earlier answers as seen."""
    await questions.seen([_between(act.item) for act in acts if not isinstance(act.clear, LapsedClear)])
    for act in acts:
        if isinstance(act.clear, LapsedClear):
            assert act.clear.question is not None
            await questions.over(_between(act.item), act.clear.question, QuestionState.LAPSED, said={}, at=at)
        elif isinstance(act.clear, AskedClear | DisputedClear):
            of, raised, between = act.item, act.clear, _between(act.item)
            new = NewQuestion.of(raised, raised, between, subject=of.subject_id, revision=of.revision, at=at)
            await questions.add([new])


def _between(item: HeldItem) -> QuestionKey:
    return QuestionKey(item.party, item.subject_id, item.sender, own=True)


async def add_replies(questions: PostgresQuestions, messages: Sequence[Received]) -> None:
    """Store the answers of origins."""
    for message in messages:
        if not isinstance(message.clear, AnsweredClear):
            continue
        between = QuestionKey(message.recipient, message.subject_id, message.sender, own=True)
        details = message.clear.model_dump(mode="json", include={"replied", "decided"})
        number = message.clear.question if isinstance(message.clear, RepliedClear) else message.clear.dispute
        await questions.over(between, number, QuestionState.ANSWERED, said=details, at=message.sent_at)


#: The place of an open row with a child at risk is this plus its time, so it is above all others.
AT_RISK: Final = 2**62
#: The columns of a list. The names of the parties' own words are those of their views.
SHOWN: Final = """subject, subject AS referral_id, subject AS notice_id, sender AS origin, sender AS notifier, party,
purpose, exercise, state, edge, item_numbers AS numbers, received_at, priority, revision, answers, language, sort_key"""
_TAKEN: Final = {
    "party": "text",
    "state": "text",
    "below": "bigint",
    "beside": "uuid",
    "low": "bigint",
    "high": "bigint",
    "most": "bigint",
    "level": "text",
    "sender": "text",
    "subjects": "uuid[]",
    "claimed_by": "text",
}
_MICROSECOND: Final = timedelta(microseconds=1)


def list_statement(*, more: str = "", claimed: str = "false") -> Statement:
    """Return the statement of a page. `more` are further columns, `claimed` selects rows that a person has claimed."""

    # It names the party, although row-level security does too, so that an index has the rows in their order.
    def band(above: int) -> str:
        return (
            f"(SELECT {SHOWN}{more} FROM received WHERE party = {{party}} "
            # One upper bound, at which the index walk begins for any page.
            f"AND sort_key >= {{low}} + {above} AND sort_key <= least({{high}} - 1 + {above}, {{below}}) "
            "AND (sort_key, subject) < ({below}, {beside}) "
            "AND ({state} IS NULL OR state = {state}) "
            "AND ({level} IS NULL OR priority = {level}) AND ({sender} IS NULL OR sender = {sender}) "
            "AND ({subjects} IS NULL OR subject = ANY({subjects})) "
            f"AND ({{claimed_by}} IS NULL OR {claimed}) ORDER BY sort_key DESC, subject DESC LIMIT {{most}})"
        )

    # Rows with a child at risk are above all others, in the order of their times.
    both = f"{band(AT_RISK)} UNION ALL {band(0)} ORDER BY sort_key DESC, subject DESC LIMIT {{most}}"
    return Statement(both, **_TAKEN)


async def read_page(
    driver: asyncpg.Connection, party: str, page: ItemQuery, *, statement: Statement, named: Sequence[UUID] | None
) -> tuple[list[asyncpg.Record], str | None]:
    """Return the rows of a page and the cursor of the next. `named`: the subjects that match the sought reference.

    Raises `Refused("cursor_invalid")`.
    """
    below, beside = (2**63 - 1, UUID(int=0)) if page.cursor is None else read_row(page.cursor)
    sought = page.sought
    arguments = statement.bind(
        party=party,
        state=page.state,
        below=below,
        beside=beside,
        low=0 if sought.since is None else _microseconds(sought.since),
        high=AT_RISK // 2 if sought.until is None else _microseconds(sought.until),
        most=page.limit + 1,
        level=sought.priority,
        sender=sought.party,
        subjects=named,
        claimed_by=page.claimed_by,
    )
    rows: list[asyncpg.Record] = await driver.fetch(*arguments)
    shown = rows[: page.limit]
    return shown, None if len(rows) <= page.limit else row_cursor(shown[-1])


def _microseconds(at: datetime) -> int:
    return (at - EPOCH) // _MICROSECOND


ViewT = TypeVar("ViewT", bound=Contract)


def words(clear: Contract) -> dict[str, object]:
    """Return the clear words of an act as they are stored: without its names, and without unset fields."""
    return clear.model_dump(mode="json", exclude_none=True, exclude=_NAMING)


#: The fields that name the subject of an act and its place in the track. They are not part of its words.
_NAMING: Final = {"referral_id", "notice_id", "revision", "act", "number"}


def view(kind: type[ViewT], row: asyncpg.Record, **more: object) -> ViewT:
    """Return a view of a row. A field comes from `more`, else its columns, else the party's words; else it is None."""
    words: Mapping[str, object] = row.get("answers") or row.get("details", {})
    known = dict(row) | more
    if "edge" in row:
        known["edge"] = from_json(decompress(row["edge"]))
    return kind.model_validate({name: known[name] if name in known else words.get(name) for name in kind.model_fields})


#: With a child at risk, the place is `AT_RISK` plus the microseconds of `received_at`. The walk begins at one bound.
_WAITING: Final = f"""
SELECT subject, sender, state, priority, received_at AS since FROM received WHERE party = $1 AND (sort_key, subject) > (
    {AT_RISK} + greatest((extract(epoch FROM $2::timestamptz) * 1000000)::bigint, 0), $3)
ORDER BY sort_key, subject LIMIT $4
"""


async def items_waiting(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, subject: Subject, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return open rows with a child at risk, the oldest first: the first `limit` after `above`."""
    if above.rank > 0:
        return []
    return [_waits(subject, row) for row in await driver.fetch(_WAITING, party, above.since, above.id, limit)]


def _waits(subject: Subject, row: asyncpg.Record) -> AttentionRow:
    columns = dict(row) | {"id": row["subject"], "party": row["sender"], "rank": 0}
    return waits_of(columns, P0_OPEN, kind=subject, mend=next_act(subject, row["state"]))
