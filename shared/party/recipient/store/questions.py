"""What recipients have asked and contested, beside their items: kept as they act, and as origins answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared.contracts.questions import (
    AnsweredClear,
    AskedClear,
    DisputedClear,
    LapsedClear,
    RepliedClear,
)
from shared.exchange.message import Received
from shared.exchange.questions import about
from shared.party.questions.domain import Between, NewQuestion
from shared.party.questions.store import PostgresQuestions
from shared.party.recipient.domain import Item
from shared.party.recipient.records import ItemAct
from shared.vocabulary.questions import QuestionKind, QuestionState


async def acted(questions: PostgresQuestions, acts: Sequence[ItemAct], at: datetime) -> None:
    """Keep what acts raise, or that it lapses. Whatever they were, what had been answered before is seen."""
    await questions.seen([_between(each.item) for each in acts if not isinstance(each.clear, LapsedClear)])
    for each in acts:
        if isinstance(each.clear, LapsedClear):
            assert each.clear.question is not None
            await questions.over(_between(each.item), each.clear.question, QuestionState.LAPSED, said={}, at=at)
        elif isinstance(each.clear, AskedClear | DisputedClear):
            await questions.add([_new(each.item, each.clear, at)])


def _between(item: Item) -> Between:
    return Between(item.party, item.subject_id, item.sender, own=True)


async def heard(questions: PostgresQuestions, messages: Sequence[Received]) -> None:
    """Keep what origins have answered."""
    for message in messages:
        if not isinstance(message.clear, AnsweredClear):
            continue
        between = Between(message.recipient, UUID(message.subject), message.sender, own=True)
        said = message.clear.model_dump(mode="json", include={"replied", "decided"})
        number = _number(message.clear)
        await questions.over(between, number, QuestionState.ANSWERED, said=said, at=message.sent_at)


def _number(clear: AnsweredClear) -> int:
    return clear.question if isinstance(clear, RepliedClear) else clear.dispute


def _new(item: Item, clear: AskedClear | DisputedClear, at: datetime) -> NewQuestion:
    kind = QuestionKind.QUESTION if isinstance(clear, AskedClear) else QuestionKind.DISPUTE
    return NewQuestion(
        question_id=clear.act,
        party=item.party,
        told_by=item.subject_id,
        counterpart=item.sender,
        own=True,
        number=clear.number,
        kind=kind.value,
        subject=item.subject_id,
        about=about(clear),
        said=clear.model_dump(mode="json", include={"needs", "disputed"}, exclude_none=True),
        revision=item.revision,
        raised_at=at,
        due=clear.due,
    )
