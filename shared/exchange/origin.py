"""What an origin does with its referrals, pure: states, permits, and how an answer moves an edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shared.contracts.answers import Answer, NoticeAnsweredClear, NoticeNotOursClear
from shared.contracts.base import Contract
from shared.contracts.checks import NoticeReinstatedClear
from shared.contracts.items import AnsweredSoFar
from shared.contracts.offers import OfferAssessedClear
from shared.contracts.registry import MessageType
from shared.exchange import findings, items
from shared.exchange.act import Offered, Subject, Track
from shared.exchange.acts import ACTS
from shared.exchange.items import Said
from shared.exchange.states import answer_follows, permits, reopens
from shared.exchange.words import folded
from shared.kernel.authority import Permit
from shared.kernel.errors import Refused
from shared.vocabulary.answers import AnswerState
from shared.vocabulary.routing import Disposition


class ReferralState(StrEnum):
    """A referral at its origin: the four dispositions of a decision, and what are states, not buckets."""

    ROUTED = Disposition.ROUTED.value
    UNROUTABLE = Disposition.UNROUTABLE.value
    ORPHANED = Disposition.ORPHANED.value
    UNKNOWN_CODE = Disposition.UNKNOWN_CODE.value
    UNRELEASED = Offered.UNRELEASED.value
    DROPPED = Offered.DROPPED.value
    WITHDRAWN = Offered.WITHDRAWN.value


#: The part of every origin's authorisation table that concerns its own referrals.
PERMITS: Final[tuple[Permit, ...]] = tuple(permits(Subject.REFERRAL))
#: The answers an origin understands.
ANSWERS: Final[frozenset[MessageType]] = frozenset(
    row.message for row in ACTS if row.message is not None and row.track is Track.ANSWER
)


#: The answers after which an offer that stands may still be answered.
UNFINISHED: Final[frozenset[AnswerState]] = frozenset(
    {AnswerState.NONE}
    | {
        AnswerState(state)
        for row in ACTS
        if row.track is Track.ANSWER and Offered.OPEN.value in row.needs and not reopens(row)
        for move in row.moves
        for state in move.before
    }
)


_OF_ITEMS: Final = NoticeAnsweredClear | NoticeNotOursClear | NoticeReinstatedClear


@dataclass(frozen=True, slots=True)
class Answered:
    """An edge's answer so far; `detail` holds its codes and times as JSON, no ids of subjects.

    `acts` is the number of the newest act in the recipient's track; those of receipts refused leave gaps.
    """

    state: AnswerState
    detail: Mapping[str, object] = field(default_factory=dict)
    acts: int = 0


def answered_so_far(present: Answered, *, own: Sequence[int]) -> AnsweredSoFar:
    """What the recipient's next instance is told; items by the notice's numbers, `own` as `answer_edge` takes them."""
    said, found = items.told(items.latest(Said.kept(present.detail)), own), findings.found_in(present.detail)
    of_items = {"items": said.answers, "disowned": said.disowned} | ({"assessed": found} if found else {})
    of_items |= {"checked": said.checks} if said.checks else {}
    of_items |= {"reinstated": said.reinstated} if said.reinstated else {}
    return AnsweredSoFar(answer=present.state, number=present.acts, **of_items)


def answer_edge(
    present: Answered, message: MessageType, clear: Contract, *, withdrawn: bool, own: Sequence[int]
) -> Answered:
    """Apply an answer to an edge of a referral that its origin has `withdrawn` or not.

    `own` are the origin's own numbers of the edge's items: it keeps the answer by these, and recipients of referrals
    use them themselves. Raises `Refused`:
    `answer_out_of_order` for every transition that no row of `acts` lists and for the acknowledgement of a withdrawal
    that has not been; `answer_repeated` for a number that is not above the newest; and what may not be said of an item.
    """
    offered = Offered.WITHDRAWN if withdrawn else Offered.OPEN
    if isinstance(clear, Answer) and clear.number <= present.acts:
        raise Refused("answer_repeated")
    deciding: Contract = clear
    if isinstance(clear, _OF_ITEMS):
        before, stated = Said.kept(present.detail), items.renumbered(_said(clear), own)
        items.check(stated, own, before)
        deciding = items.fold(own, before + stated)
    if isinstance(clear, OfferAssessedClear):
        found = findings.found_in(present.detail)
        findings.check(clear.assessed, own, found)
        deciding = findings.fold_offer(own, [*found, *clear.assessed])
    following = answer_follows(message, present.state, deciding, offered=offered)
    if following is None:
        raise Refused("answer_out_of_order")
    detail = folded(present.detail, said_in(clear, own=own))
    return Answered(following, detail, clear.number if isinstance(clear, Answer) else present.acts)


def said_in(clear: Contract, *, own: Sequence[int]) -> dict[str, object]:
    """The words of one answer as its origin keeps them: no ids of subjects, items by its own numbers."""
    words = clear.model_dump(mode="json", exclude={"referral_id", "notice_id"}, exclude_none=True)
    if isinstance(clear, _OF_ITEMS):
        words |= items.renumbered(_said(clear), own).words()
    return words


def _said(clear: NoticeAnsweredClear | NoticeNotOursClear | NoticeReinstatedClear) -> Said:
    match clear:
        case NoticeAnsweredClear():
            return Said(answers=clear.items)
        case NoticeNotOursClear():
            return Said(disowned=clear.disowned)
        case NoticeReinstatedClear():
            return Said(reinstated=clear.reinstated)
