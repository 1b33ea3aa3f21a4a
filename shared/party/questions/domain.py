"""Questions and disputes as a party has them: raised by it, or to be answered by it.

A number is that of the act that raised it, in the track of who did; `told_by` is the id by which messages name the
subject: of a notice its own, also at the origin, which knows the referral.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from pydantic import JsonValue

from shared.contracts.answers import TrackNumber
from shared.contracts.base import Contract, ErrorCode, EventTime, Flag, Instant, NextCursor, PartyId, Uuid
from shared.contracts.items import ItemNumber
from shared.contracts.questions import Contested, DecidedItem, RepliedItem
from shared.contracts.referral import Revision
from shared.vocabulary.questions import NeedsInfo, QuestionKind, QuestionState


class Between(NamedTuple):
    """Whose question it is, on what, and with whom: `own` where `party` has raised it."""

    party: str
    told_by: UUID
    counterpart: str
    own: bool


class NotRaised(NamedTuple):
    """A question or dispute that its origin's instance has refused, and when it was raised."""

    between: Between
    kind: QuestionKind
    number: int
    raised_at: datetime


@dataclass(frozen=True, slots=True)
class NewQuestion:
    """A question or dispute that was raised. `subject` is the id by which its party knows what it is about.

    `said` are its words, `about` its items, both by this party's own numbers; `revision` is the one that it is about,
    `due` when it lapses.
    """

    question_id: UUID
    party: str
    told_by: UUID
    counterpart: str
    own: bool
    number: int
    kind: str
    subject: UUID
    about: Sequence[int]
    said: Mapping[str, JsonValue]
    revision: int
    raised_at: datetime
    due: datetime | None


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """One that its origin has found, locked. `items` are all that its edge ever had, `revision` what it is at now."""

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
    """A question or dispute, yours (`own`) or one that you are to answer. `subject` is the id by which you know it.

    `needs` is what is asked of all items that it is `about`, `disputed` what is contested of each. `replied` or
    `decided` is what was answered, `code` why its origin's instance refused it. A question lapses at `due`.
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
    replied: tuple[RepliedItem, ...] | None = None
    decided: tuple[DecidedItem, ...] | None = None
    code: ErrorCode | None = None
    over_at: Instant | None


class ShownContest(Contested):
    """What is contested of one item."""

    n: ItemNumber


class QuestionPage(Contract):
    """The party's questions and disputes, newest first."""

    items: tuple[ShownQuestion, ...]
    next: NextCursor


ShownQuestion.model_rebuild()
