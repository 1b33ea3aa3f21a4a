"""Questions and disputes of recipients about items, and the origin's answers to them.

They contain codes and item numbers only. Each has the number of its act in the track of the party that raised it. The
body of an HTTP request lacks the identifiers of the subject; the clear parts extend it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, Final, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from shared.core.contracts.answers import NoticeAnswer, ReferralAnswer, TrackNumber
from shared.core.contracts.base import Contract, EventTime, PartyId, Uuid
from shared.core.contracts.items import ITEMS_MAX, NUMBERED_ONCE, ItemNumber
from shared.core.contracts.referral import AboutReferral, Revision
from shared.core.vocabulary.answers import ActionReason
from shared.core.vocabulary.questions import DisputeReason, DisputeVerdict, NeedsInfo, QuestionReply

#: Maximum different kinds of information that one question asks for.
NEEDS_MAX: Final = 4
#: Reasons that need a basis. The other reasons explain themselves.
WITH_BASIS: Final = frozenset({DisputeReason.CONTENT_LAWFUL, DisputeReason.NOT_FOUND})

_HashableT = TypeVar("_HashableT", bound=Hashable)


def _once(values: tuple[_HashableT, ...]) -> tuple[_HashableT, ...]:
    """Return the values. Raises `ValueError` if a value is repeated."""
    if len(set(values)) != len(values):
        raise ValueError("said_twice")
    return values


ItemNumbers = Annotated[tuple[ItemNumber, ...], Field(min_length=1, max_length=ITEMS_MAX), AfterValidator(_once)]


class _Needing(Contract):
    needs: Annotated[tuple[NeedsInfo, ...], Field(min_length=1, max_length=NEEDS_MAX), AfterValidator(_once)]


class Question(_Needing):
    """The information that a recipient needs before it can act on items. Without items: on every item.

    No prose.
    """

    about: ItemNumbers | None = None


class DueQuestion(_Needing):
    """The information that a recipient needs about these items, and the time when the question lapses."""

    about: ItemNumbers
    due: EventTime


class ItemContest(Contract):
    """A dispute about an item.

    The basis is required with `content_lawful` and `not_found`, else not allowed.
    """

    reason: DisputeReason
    basis: ActionReason | None = None


class DisputeStatement(ItemContest):
    """A recipient's dispute of item `n`. Without `n`: of every item that it has not disputed yet."""

    n: ItemNumber | None = None


class Dispute(Contract):
    """A recipient's dispute of the referral or notice, item by item. Each item is disputed once."""

    disputed: Annotated[tuple[DisputeStatement, ...], Field(min_length=1, max_length=ITEMS_MAX)]


class DisputedItem(ItemContest):
    """A dispute about one item."""

    n: ItemNumber

    @model_validator(mode="after")
    def _basis_where_it_needs_one(self) -> Self:
        if (self.reason in WITH_BASIS) != (self.basis is not None):
            raise ValueError("dispute_needs_basis")
        return self


class DisputedItems(Contract):
    """A recipient's dispute, item by item."""

    disputed: Annotated[tuple[DisputedItem, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class ReplyStatement(Contract):
    """An origin's reply about its own item `n`. Without `n`: about every item of the question."""

    n: ItemNumber | None = None
    reply: QuestionReply


class Reply(Contract):
    """The reply to question number `question` of `party`, with a statement for each item of the question."""

    party: PartyId
    question: TrackNumber
    replied: Annotated[tuple[ReplyStatement, ...], Field(min_length=1, max_length=ITEMS_MAX)]


class VerdictStatement(Contract):
    """An origin's verdict on its own item `n`. Without `n`: on every disputed item."""

    n: ItemNumber | None = None
    verdict: DisputeVerdict


class Ruling(Contract):
    """The verdict on dispute number `dispute` of `party`. It may differ from item to item."""

    party: PartyId
    dispute: TrackNumber
    decided: Annotated[tuple[VerdictStatement, ...], Field(min_length=1, max_length=ITEMS_MAX)]


class RepliedItem(Contract):
    """The reply about one item of a question."""

    n: ItemNumber
    reply: QuestionReply


class DecidedItem(Contract):
    """The verdict on one disputed item."""

    n: ItemNumber
    verdict: DisputeVerdict


class RepliedItems(Contract):
    """The origin's reply to the question of this number, item by item."""

    question: TrackNumber
    replied: Annotated[tuple[RepliedItem, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class DecidedItems(Contract):
    """The origin's verdict on the dispute of this number, item by item."""

    dispute: TrackNumber
    decided: Annotated[tuple[DecidedItem, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class QuestionCodes(Contract):
    """A recipient's question or dispute, as stored."""

    about: ItemNumbers | None = None
    needs: tuple[NeedsInfo, ...] | None = None
    disputed: tuple[DisputedItem, ...] | None = None


class LapsedQuestion(Contract):
    """The question of this number was not answered before its deadline."""

    question: TrackNumber


class _ToProvider(Contract):
    notice_id: Uuid
    act: Uuid


class _ToRecipient(AboutReferral):
    act: Uuid


class QuestionAskedClear(DueQuestion, ReferralAnswer):
    """The recipient asks the origin about items of the referral. `number` is the number of the question."""


class NoticeQuestionAskedClear(DueQuestion, NoticeAnswer):
    """The provider asks the notifier about items of the notice, under the notice's own `revision`."""

    revision: Revision


class QuestionLapsedClear(LapsedQuestion, ReferralAnswer):
    """The recipient's question was not answered before its deadline. The question is closed."""


class NoticeQuestionLapsedClear(LapsedQuestion, NoticeAnswer):
    """The provider's question was not answered before its deadline. The question is closed."""


class DisputeRaisedClear(DisputedItems, ReferralAnswer):
    """The recipient disputes items of the referral. `number` is the number of the dispute."""


class NoticeDisputeRaisedClear(DisputedItems, NoticeAnswer):
    """The provider disputes items of the notice. `number` is the number of the dispute."""


class QuestionRepliedClear(RepliedItems, _ToRecipient):
    """The origin answers a question of the recipient."""


class NoticeQuestionRepliedClear(RepliedItems, _ToProvider):
    """The notifier answers a question of the provider, with the item numbers of the notice."""


class DisputeAnsweredClear(DecidedItems, _ToRecipient):
    """The origin upholds or concedes each item that the recipient disputes."""


class NoticeDisputeAnsweredClear(DecidedItems, _ToProvider):
    """The notifier upholds or concedes each item that the provider disputes, by the notice's item numbers."""


AskedClear = QuestionAskedClear | NoticeQuestionAskedClear
LapsedClear = QuestionLapsedClear | NoticeQuestionLapsedClear
DisputedClear = DisputeRaisedClear | NoticeDisputeRaisedClear
RepliedClear = QuestionRepliedClear | NoticeQuestionRepliedClear
DecidedClear = DisputeAnsweredClear | NoticeDisputeAnsweredClear
#: Messages of a recipient, and messages of its origin.
RaisedClear = AskedClear | LapsedClear | DisputedClear
AnsweredClear = RepliedClear | DecidedClear
