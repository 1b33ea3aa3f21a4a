"""Questions and disputes: what may be raised about items, what may be answered, and what it means to clocks. Pure.

The recipient asks before it says something, its origin before it believes it: the same rules on both sides. What has
become of one is a fold of its acts, whose order does not count: an answer wins over a lapse that crossed it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from shared.contracts.base import Contract
from shared.contracts.items import ItemNumber
from shared.contracts.questions import (
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
from shared.kernel.clock import coarse
from shared.kernel.errors import Refused
from shared.routing.clocks import Did, Step
from shared.vocabulary.law import ClockDue, ClockEvent, StopCause
from shared.vocabulary.questions import QuestionKind, QuestionReply, QuestionState

#: How long an origin has to answer before a question lapses.
LAPSES_AFTER: Final = timedelta(days=14)
#: By how much the clocks of a recipient and an origin may differ.
TOLERANCE: Final = timedelta(minutes=5)
#: Questions about one subject, answered ones too. Disputes are bounded by its items: each is contested once.
QUESTIONS_MAX: Final = 9
#: What may become of a question or dispute from where it stands, whichever act comes first.
BEFORE: Final[Mapping[QuestionState, frozenset[str]]] = {
    QuestionState.ANSWERED: frozenset({QuestionState.OPEN.value, QuestionState.LAPSED.value}),
    QuestionState.LAPSED: frozenset({QuestionState.OPEN.value}),
    QuestionState.REFUSED: frozenset({QuestionState.OPEN.value}),
}
_StatementT = TypeVar("_StatementT", ReplyStatement, VerdictStatement)


class Raised(NamedTuple):
    """A question or dispute as the rules look at it: its number, what has become of it, and its items."""

    kind: QuestionKind
    number: int
    state: QuestionState
    about: frozenset[int]


def raised(
    said: Question | Dispute, numbers: Sequence[int], before: Sequence[Raised], *, at: datetime
) -> DueQuestion | DisputedItems:
    """What is raised, as it is told. `numbers` are the subject's items; none where its party keeps none in the clear.

    Raises `Refused`: `items_unnamed`, `item_unknown`, `question_open`, `questions_exhausted`, `dispute_open`,
    `item_disputed`, `dispute_needs_basis`.
    """
    if isinstance(said, Question):
        named = said.about or tuple(numbers)
        if not named:
            raise Refused("items_unnamed", "say which items it is about", field="/about")
        told: DueQuestion | DisputedItems = DueQuestion(about=named, needs=said.needs, due=at + LAPSES_AFTER)
    else:
        told = DisputedItems(disputed=_spread(said, numbers, before))
    check_raised(told, numbers, before)
    return told


def check_numbers(said: Question | Dispute, numbers: Collection[int]) -> None:
    """Raises `Refused`: `item_unknown` for one that names an item that is none of `numbers`."""
    if isinstance(said, Question):
        named = {f"/about/{place}": n for place, n in enumerate(said.about or ())}
    else:
        named = {f"/disputed/{place}/n": each.n for place, each in enumerate(said.disputed) if each.n is not None}
    for field, n in named.items():
        if n not in numbers:
            raise Refused("item_unknown", "no such item", field=field)


def check_raised(told: DueQuestion | DisputedItems, numbers: Collection[int], before: Sequence[Raised]) -> None:
    """Let pass what may be raised after `before`. Raises `Refused` as `raised`."""
    kind = QuestionKind.QUESTION if isinstance(told, DueQuestion) else QuestionKind.DISPUTE
    at = "/about" if isinstance(told, DueQuestion) else "/disputed"
    for place, n in enumerate(about(told)):
        if numbers and n not in numbers:
            raise Refused("item_unknown", "no such item", field=f"{at}/{place}")
    own = [each for each in before if each.kind is kind and each.state is not QuestionState.REFUSED]
    if any(each.state is QuestionState.OPEN for each in own):
        code = "question_open" if kind is QuestionKind.QUESTION else "dispute_open"
        raise Refused(code, "the last one is not answered yet", status=409)
    if kind is QuestionKind.QUESTION and len(own) >= QUESTIONS_MAX:
        raise Refused("questions_exhausted", f"at most {QUESTIONS_MAX} about one subject", status=409)
    contested = frozenset[int]().union(*(each.about for each in own)) if kind is QuestionKind.DISPUTE else frozenset()
    for place, n in enumerate(about(told)):
        if n in contested:
            raise Refused("item_disputed", "an item is contested once", field=f"{at}/{place}", status=409)


def check_told(
    clear: AskedClear | DisputedClear,
    own: Sequence[int],
    before: Sequence[Raised],
    *,
    by_place: bool,
    sent_at: datetime,
) -> DueQuestion | DisputedItems:
    """What an origin asks before it believes what a recipient raises; the same by its own numbers, which are `own`.

    `by_place`: its subject is a notice, which calls the first of them 1. Raises `Refused`: as `raised`, and
    `question_due_unbounded`.
    """
    if isinstance(clear, AskedClear) and clear.due > sent_at + LAPSES_AFTER + TOLERANCE:
        raise Refused("question_due_unbounded", "it lapses later than any may", field="/due")
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
    """The items that it is about."""
    return told.about if isinstance(told, DueQuestion) else tuple(each.n for each in told.disputed)


def replied(statements: Sequence[ReplyStatement], about: Collection[int], *, amended: bool) -> tuple[RepliedItem, ...]:
    """What is said of each item that was asked about. `amended`: its content was, since it was asked about.

    Raises `Refused`: `item_not_asked`, `reply_incomplete`, `reply_not_amended`.
    """
    said = _by_item(statements, about, at="/replied")
    for place, each in enumerate(statements):
        if each.reply is QuestionReply.AMENDED and not amended:
            detail = "nothing was amended since it was asked"
            raise Refused("reply_not_amended", detail, field=f"/replied/{place}", status=409)
    return tuple(RepliedItem(n=n, reply=each.reply) for n, each in said.items())


def decided(statements: Sequence[VerdictStatement], about: Collection[int]) -> tuple[DecidedItem, ...]:
    """What is said of each item that is contested. Raises `Refused`: `item_not_asked`, `reply_incomplete`."""
    said = _by_item(statements, about, at="/decided")
    return tuple(DecidedItem(n=n, verdict=each.verdict) for n, each in said.items())


def steps(clear: Contract, number: int, at: datetime) -> tuple[Step, ...]:
    """What it means to clocks, alike at both ends: `number` is that of the act which raises it.

    That something stops is for the law to say: only a clock that lists the cause stands still.
    """
    at = coarse(at)
    if isinstance(clear, AskedClear):
        return Step(at, Did.STARTS, ClockEvent.INFORMATION_REQUESTED), Step(at, Did.STOPS, StopCause.NEEDS_INFO, number)
    if isinstance(clear, RepliedClear | LapsedClear):
        resumes = Step(at, Did.RESUMES, StopCause.NEEDS_INFO, clear.question or 0)
        return resumes, Step(at, Did.DOES, ClockDue.INFORMATION)
    if isinstance(clear, DisputedClear):
        return Step(at, Did.STARTS, ClockEvent.DISPUTE_RAISED), Step(at, Did.STOPS, StopCause.DISPUTED, number)
    if isinstance(clear, DecidedClear):
        resumes = Step(at, Did.RESUMES, StopCause.DISPUTED, clear.dispute)
        return resumes, Step(at, Did.DOES, ClockDue.VERDICT)
    return ()


def refused_steps(kind: QuestionKind, number: int, raised_at: datetime) -> tuple[Step, ...]:
    """What it means to the clocks of whoever raised it that its origin refused it.

    Nothing was asked there, and no clock has stood: so it is over here in the instant in which it was raised.
    """
    of_question = kind is QuestionKind.QUESTION
    cause, due = (StopCause.NEEDS_INFO, ClockDue.INFORMATION) if of_question else (StopCause.DISPUTED, ClockDue.VERDICT)
    at = coarse(raised_at)
    return Step(at, Did.RESUMES, cause, number), Step(at, Did.DOES, due)


def _spread(said: Dispute, numbers: Sequence[int], before: Sequence[Raised]) -> tuple[DisputedItem, ...]:
    """Each item with what is contested of it. Raises `Refused`: `dispute_needs_basis`, `item_disputed`."""
    disputes = [each for each in before if each.kind is QuestionKind.DISPUTE]
    contested = {n for each in disputes if each.state is not QuestionState.REFUSED for n in each.about}
    named = {each.n for each in said.disputed} | contested
    found: dict[int, DisputedItem] = {}
    for place, each in enumerate(said.disputed):
        here = f"/disputed/{place}"
        if (each.reason in WITH_BASIS) != (each.basis is not None):
            detail = "content_lawful and not_found have a basis, no other has"
            raise Refused("dispute_needs_basis", detail, field=f"{here}/basis")
        if each.n is None and not numbers:
            raise Refused("items_unnamed", "say which items it is about", field=f"{here}/n")
        spread = [n for n in numbers if n not in named] if each.n is None else [each.n]
        if not spread or found.keys() & {*spread}:
            raise Refused("item_disputed", "an item is contested once", field=here, status=409)
        found |= {n: DisputedItem(n=n, reason=each.reason, basis=each.basis) for n in spread}
    return tuple(found.values())


def _by_item(statements: Sequence[_StatementT], about: Collection[int], *, at: str) -> dict[int, _StatementT]:
    """What is said of each item, those without a number of every other. Raises `Refused`."""
    named = {each.n for each in statements}
    said: dict[int, _StatementT] = {}
    for place, each in enumerate(statements):
        spread = {n for n in about if n not in named} if each.n is None else {each.n}
        if not spread or spread - {*about} or said.keys() & spread:
            raise Refused("item_not_asked", "each item that it is about, once", field=f"{at}/{place}")
        said |= dict.fromkeys(sorted(spread), each)
    if said.keys() != {*about}:
        raise Refused("reply_incomplete", "say something of each item that it is about", field=at)
    return said
