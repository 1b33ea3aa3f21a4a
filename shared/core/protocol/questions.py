"""Rules of questions and disputes: which may be raised and answered, and their effect on clocks. Pure.

The recipient applies the rules before it sends, and the origin applies them before it accepts. The state of a question
is a fold of its acts in any order: an answer outweighs a lapse that crossed it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from shared.core.clock import coarse
from shared.core.contracts.base import Contract
from shared.core.contracts.items import ItemNumber
from shared.core.contracts.questions import (
    WITH_BASIS,
    AskedClear,
    DecidedClear,
    DecidedItem,
    Dispute,
    DisputedClear,
    DisputedItem,
    DisputedItems,
    DueQuestion,
    LapsedClear,
    Question,
    RepliedClear,
    RepliedItem,
    ReplyStatement,
    VerdictStatement,
)
from shared.core.errors import Refused
from shared.core.routing.clocks import Effect, Step
from shared.core.vocabulary.law import ClockDue, ClockEvent, StopCause
from shared.core.vocabulary.questions import QuestionKind, QuestionReply, QuestionState

#: The time that an origin has to answer before a question lapses.
LAPSES_AFTER: Final = timedelta(days=14)
#: Maximum difference between the clocks of a recipient and an origin.
TOLERANCE: Final = timedelta(minutes=5)
#: Maximum questions about one subject, including answered ones. Disputes are limited by items: one for each.
QUESTIONS_MAX: Final = 9
#: For each later state, the states that may precede it. The acts may arrive in any order.
BEFORE: Final[Mapping[QuestionState, frozenset[str]]] = {
    QuestionState.ANSWERED: frozenset({QuestionState.OPEN.value, QuestionState.LAPSED.value}),
    QuestionState.LAPSED: frozenset({QuestionState.OPEN.value}),
    QuestionState.REFUSED: frozenset({QuestionState.OPEN.value}),
}
_StatementT = TypeVar("_StatementT", ReplyStatement, VerdictStatement)


class RaisedQuestion(NamedTuple):
    """The data of a question or dispute that the rules need: its number, its state and its items."""

    kind: QuestionKind
    number: int
    state: QuestionState
    about: frozenset[int]


def raised(
    said: Question | Dispute, numbers: Sequence[int], before: Sequence[RaisedQuestion], *, at: datetime
) -> DueQuestion | DisputedItems:
    """Return the question or dispute as it is sent.

    `numbers` are the subject's items, if stored in the clear. Raises `Refused`: `items_unnamed`, `item_unknown`,
    `question_open`, `questions_exhausted`, `dispute_open`, `item_disputed`, `dispute_needs_basis`.
    """
    if isinstance(said, Question):
        named = said.about or tuple(numbers)
        if not named:
            raise Refused("items_unnamed", "name the items of the question", field="/about")
        told: DueQuestion | DisputedItems = DueQuestion(about=named, needs=said.needs, due=at + LAPSES_AFTER)
    else:
        told = DisputedItems(disputed=_spread(said, numbers, before))
    check_raised(told, numbers, before)
    return told


def check_numbers(said: Question | Dispute, numbers: Collection[int]) -> None:
    """Check that every named item is in `numbers`. Raises `Refused("item_unknown")`."""
    if isinstance(said, Question):
        named = {f"/about/{place}": n for place, n in enumerate(said.about or ())}
    else:
        named = {f"/disputed/{place}/n": each.n for place, each in enumerate(said.disputed) if each.n is not None}
    for field, n in named.items():
        if n not in numbers:
            raise Refused("item_unknown", "no such item", field=field)


def check_raised(told: DueQuestion | DisputedItems, numbers: Collection[int], before: Sequence[RaisedQuestion]) -> None:
    """Check that a question or dispute may follow `before`. Raises `Refused` as `raised`."""
    kind = QuestionKind.QUESTION if isinstance(told, DueQuestion) else QuestionKind.DISPUTE
    at = "/about" if isinstance(told, DueQuestion) else "/disputed"
    for place, n in enumerate(about(told)):
        if numbers and n not in numbers:
            raise Refused("item_unknown", "no such item", field=f"{at}/{place}")
    own = [each for each in before if each.kind is kind and each.state is not QuestionState.REFUSED]
    if any(each.state is QuestionState.OPEN for each in own):
        code = "question_open" if kind is QuestionKind.QUESTION else "dispute_open"
        raise Refused(code, "the last one has no answer yet", status=409)
    if kind is QuestionKind.QUESTION and len(own) >= QUESTIONS_MAX:
        raise Refused("questions_exhausted", f"at most {QUESTIONS_MAX} about one subject", status=409)
    contested = frozenset[int]().union(*(each.about for each in own)) if kind is QuestionKind.DISPUTE else frozenset()
    for place, n in enumerate(about(told)):
        if n in contested:
            raise Refused("item_disputed", "an item can be disputed once", field=f"{at}/{place}", status=409)


def check_told(
    clear: AskedClear | DisputedClear,
    own: Sequence[int],
    before: Sequence[RaisedQuestion],
    *,
    by_place: bool,
    sent_at: datetime,
) -> DueQuestion | DisputedItems:
    """Check a recipient's question or dispute at the origin.

    Return it with the origin's own item numbers `own`. `by_place`: the subject is a notice, which numbers its items
    from 1. Raises `Refused`: as `raised`, and `question_due_unbounded`.
    """
    if isinstance(clear, AskedClear) and clear.due > sent_at + LAPSES_AFTER + TOLERANCE:
        raise Refused("question_due_unbounded", "it lapses later than allowed", field="/due")
    numbers = dict(enumerate(own, 1)) if by_place else {n: n for n in own}
    if not numbers.keys() >= {*about(clear)}:
        raise Refused("item_unknown", "no such item")
    told: DueQuestion | DisputedItems
    if isinstance(clear, AskedClear):
        told = DueQuestion(about=tuple(numbers[n] for n in clear.about), needs=clear.needs, due=clear.due)
    else:
        told = DisputedItems(disputed=tuple(each.model_copy(update={"n": numbers[each.n]}) for each in clear.disputed))
    check_raised(told, own, before)
    return told


def about(told: DueQuestion | DisputedItems) -> tuple[ItemNumber, ...]:
    """Return the items of a question or dispute."""
    return told.about if isinstance(told, DueQuestion) else tuple(each.n for each in told.disputed)


def replied(statements: Sequence[ReplyStatement], about: Collection[int], *, amended: bool) -> tuple[RepliedItem, ...]:
    """Return the reply for each item of a question. `amended`: the content was amended after the question.

    Raises `Refused`: `item_not_asked`, `reply_incomplete`, `reply_not_amended`.
    """
    said = _by_item(statements, about, at="/replied")
    for place, each in enumerate(statements):
        if each.reply is QuestionReply.AMENDED and not amended:
            detail = "nothing was amended since the question"
            raise Refused("reply_not_amended", detail, field=f"/replied/{place}", status=409)
    return tuple(RepliedItem(n=n, reply=each.reply) for n, each in said.items())


def decided(statements: Sequence[VerdictStatement], about: Collection[int]) -> tuple[DecidedItem, ...]:
    """Return the verdict for each disputed item. Raises `Refused`: `item_not_asked`, `reply_incomplete`."""
    said = _by_item(statements, about, at="/decided")
    return tuple(DecidedItem(n=n, verdict=each.verdict) for n, each in said.items())


def steps(clear: Contract, number: int, at: datetime) -> tuple[Step, ...]:
    """Return the effect of an act on clocks, the same at both ends.

    `number` is that of the question or dispute. The law decides whether a clock stops: only clocks that list the cause
    do.
    """
    at = coarse(at)
    if isinstance(clear, AskedClear):
        return Step(at, Effect.STARTS, ClockEvent.INFORMATION_REQUESTED), Step(
            at, Effect.STOPS, StopCause.NEEDS_INFO, number
        )
    if isinstance(clear, RepliedClear | LapsedClear):
        resumes = Step(at, Effect.RESUMES, StopCause.NEEDS_INFO, clear.question or 0)
        return resumes, Step(at, Effect.DOES, ClockDue.INFORMATION)
    if isinstance(clear, DisputedClear):
        return Step(at, Effect.STARTS, ClockEvent.DISPUTE_RAISED), Step(at, Effect.STOPS, StopCause.DISPUTED, number)
    if isinstance(clear, DecidedClear):
        resumes = Step(at, Effect.RESUMES, StopCause.DISPUTED, clear.dispute)
        return resumes, Step(at, Effect.DOES, ClockDue.VERDICT)
    return ()


def refused_steps(kind: QuestionKind, number: int, raised_at: datetime) -> tuple[Step, ...]:
    """Return the clock steps at the recipient when the origin rejects its question or dispute.

    No clock of the origin has stopped, so at the recipient the stop ends at the instant in which it began.
    """
    of_question = kind is QuestionKind.QUESTION
    cause, due = (StopCause.NEEDS_INFO, ClockDue.INFORMATION) if of_question else (StopCause.DISPUTED, ClockDue.VERDICT)
    at = coarse(raised_at)
    return Step(at, Effect.RESUMES, cause, number), Step(at, Effect.DOES, due)


def _spread(said: Dispute, numbers: Sequence[int], before: Sequence[RaisedQuestion]) -> tuple[DisputedItem, ...]:
    """Return the dispute of each item. Raises `Refused`: `dispute_needs_basis`, `item_disputed`."""
    disputes = [each for each in before if each.kind is QuestionKind.DISPUTE]
    contested = {n for each in disputes if each.state is not QuestionState.REFUSED for n in each.about}
    named = {each.n for each in said.disputed} | contested
    found: dict[int, DisputedItem] = {}
    for place, each in enumerate(said.disputed):
        here = f"/disputed/{place}"
        if (each.reason in WITH_BASIS) != (each.basis is not None):
            detail = "give a basis with content_lawful and not_found only"
            raise Refused("dispute_needs_basis", detail, field=f"{here}/basis")
        if each.n is None and not numbers:
            raise Refused("items_unnamed", "name the disputed items", field=f"{here}/n")
        spread = [n for n in numbers if n not in named] if each.n is None else [each.n]
        if not spread or found.keys() & {*spread}:
            raise Refused("item_disputed", "an item can be disputed once", field=here, status=409)
        found |= {n: DisputedItem(n=n, reason=each.reason, basis=each.basis) for n in spread}
    return tuple(found.values())


def _by_item(statements: Sequence[_StatementT], about: Collection[int], *, at: str) -> dict[int, _StatementT]:
    """Return the statement for each item. One without a number covers all unnamed items. Raises `Refused`."""
    named = {each.n for each in statements}
    said: dict[int, _StatementT] = {}
    for place, each in enumerate(statements):
        spread = {n for n in about if n not in named} if each.n is None else {each.n}
        if not spread or spread - {*about} or said.keys() & spread:
            raise Refused("item_not_asked", "answer each item of the question or dispute once", field=f"{at}/{place}")
        said |= dict.fromkeys(sorted(spread), each)
    if said.keys() != {*about}:
        raise Refused("reply_incomplete", "answer every item of the question or dispute", field=at)
    return said
