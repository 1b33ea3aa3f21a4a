"""Questions and disputes: what a recipient asks its origin about items, what it contests, and what it is answered.

Codes and item numbers alone. Each is known by its number in the track of whoever raised it. What a party says over
HTTP is the words without what names them: the clear parts extend them.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, Final, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from shared.contracts.answers import OnNotice, OnReferral, TrackNumber
from shared.contracts.base import Contract, EventTime, PartyId, Uuid
from shared.contracts.items import ITEMS_MAX, NUMBERED_ONCE, ItemNumber
from shared.contracts.referral import AboutReferral, Revision
from shared.vocabulary.answers import ActionReason
from shared.vocabulary.questions import DisputeReason, DisputeVerdict, NeedsInfo, QuestionReply

#: Different things that one question asks.
NEEDS_MAX: Final = 4
#: Those that say why: the others say it themselves.
WITH_BASIS: Final = frozenset({DisputeReason.CONTENT_LAWFUL, DisputeReason.NOT_FOUND})

_HashableT = TypeVar("_HashableT", bound=Hashable)


def _once(values: tuple[_HashableT, ...]) -> tuple[_HashableT, ...]:
    """Raises `ValueError` where something is said twice."""
    if len(set(values)) != len(values):
        raise ValueError("said_twice")
    return values


ItemNumbers = Annotated[tuple[ItemNumber, ...], Field(min_length=1, max_length=ITEMS_MAX), AfterValidator(_once)]


class _Needing(Contract):
    needs: Annotated[tuple[NeedsInfo, ...], Field(min_length=1, max_length=NEEDS_MAX), AfterValidator(_once)]


class Question(_Needing):
    """What a recipient must know before it can act, of which items; of every one if none is named. Never prose."""

    about: ItemNumbers | None = None


class DueQuestion(_Needing):
    """What a recipient must know of these items, and when that lapses unless it is answered before."""

    about: ItemNumbers
    due: EventTime


class Contested(Contract):
    """What is contested of an item, and on which basis: with `content_lawful` and `not_found`, with nothing else."""

    reason: DisputeReason
    basis: ActionReason | None = None


class DisputeStatement(Contested):
    """What a recipient contests of item `n`; without `n`, of every item that it has not contested yet."""

    n: ItemNumber | None = None


class Dispute(Contract):
    """What a recipient contests of what it was sent, item by item. Each item is contested once."""

    disputed: Annotated[tuple[DisputeStatement, ...], Field(min_length=1, max_length=ITEMS_MAX)]


class DisputedItem(Contested):
    """What is contested of one item."""

    n: ItemNumber

    @model_validator(mode="after")
    def _basis_where_it_needs_one(self) -> Self:
        if (self.reason in WITH_BASIS) != (self.basis is not None):
            raise ValueError("dispute_needs_basis")
        return self


class DisputedItems(Contract):
    """What a recipient contests, item by item."""

    disputed: Annotated[tuple[DisputedItem, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class ReplyStatement(Contract):
    """What an origin says of its own item `n`; without `n`, of every one that it was asked about."""

    n: ItemNumber | None = None
    reply: QuestionReply


class Reply(Contract):
    """The answer to the question of this number, by `party`: something of each item that it is about."""

    party: PartyId
    question: TrackNumber
    replied: Annotated[tuple[ReplyStatement, ...], Field(min_length=1, max_length=ITEMS_MAX)]


class VerdictStatement(Contract):
    """Whether an origin stands by its own item `n`; without `n`, by every one that is contested."""

    n: ItemNumber | None = None
    verdict: DisputeVerdict


class Verdict(Contract):
    """The answer to the dispute of this number, by `party`: in part, where items differ."""

    party: PartyId
    dispute: TrackNumber
    decided: Annotated[tuple[VerdictStatement, ...], Field(min_length=1, max_length=ITEMS_MAX)]


class RepliedItem(Contract):
    """What was said of one item that was asked about."""

    n: ItemNumber
    reply: QuestionReply


class DecidedItem(Contract):
    """What was said of one item that was contested."""

    n: ItemNumber
    verdict: DisputeVerdict


class RepliedItems(Contract):
    """What its origin answers to the question of this number, item by item."""

    question: TrackNumber
    replied: Annotated[tuple[RepliedItem, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class DecidedItems(Contract):
    """What its origin answers to the dispute of this number, item by item."""

    dispute: TrackNumber
    decided: Annotated[tuple[DecidedItem, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class QuestionWords(Contract):
    """What a recipient's act has asked or contested."""

    about: ItemNumbers | None = None
    needs: tuple[NeedsInfo, ...] | None = None
    disputed: tuple[DisputedItem, ...] | None = None


class LapsedQuestion(Contract):
    """The question of this number was not answered in its time."""

    question: TrackNumber


class _ToProvider(Contract):
    notice_id: Uuid
    act: Uuid


class _ToRecipient(AboutReferral):
    act: Uuid


class QuestionAskedClear(DueQuestion, OnReferral):
    """The recipient asks the origin about items of the referral. `number` is the question's."""


class NoticeQuestionAskedClear(DueQuestion, OnNotice):
    """The provider asks the notifier about items of the notice, under the notice's own `revision`."""

    revision: Revision


class QuestionLapsedClear(LapsedQuestion, OnReferral):
    """Nobody has answered the recipient's question in its time: it asks no more."""


class NoticeQuestionLapsedClear(LapsedQuestion, OnNotice):
    """Nobody has answered the provider's question in its time: it asks no more."""


class DisputeRaisedClear(DisputedItems, OnReferral):
    """The recipient contests what it was sent. `number` is the dispute's."""


class NoticeDisputeRaisedClear(DisputedItems, OnNotice):
    """The provider contests what the notifier has said. `number` is the dispute's."""


class QuestionRepliedClear(RepliedItems, _ToRecipient):
    """The origin answers a question of the recipient."""


class NoticeQuestionRepliedClear(RepliedItems, _ToProvider):
    """The notifier answers a question of the provider, by the notice's numbers."""


class DisputeAnsweredClear(DecidedItems, _ToRecipient):
    """The origin stands by what the recipient contests, or does not, item by item."""


class NoticeDisputeAnsweredClear(DecidedItems, _ToProvider):
    """The notifier stands by what the provider contests, or does not, by the notice's numbers."""


AskedClear = QuestionAskedClear | NoticeQuestionAskedClear
LapsedClear = QuestionLapsedClear | NoticeQuestionLapsedClear
DisputedClear = DisputeRaisedClear | NoticeDisputeRaisedClear
RepliedClear = QuestionRepliedClear | NoticeQuestionRepliedClear
DecidedClear = DisputeAnsweredClear | NoticeDisputeAnsweredClear
#: What a recipient says, and what its origin does.
RaisedClear = AskedClear | LapsedClear | DisputedClear
AnsweredClear = RepliedClear | DecidedClear
