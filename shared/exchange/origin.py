"""What an origin does with its referrals, pure: states, permits, and how an answer moves an edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from shared.contracts.answers import Answer, NoticeAnsweredClear, NoticeNotOursClear, OnReferral
from shared.contracts.base import Contract
from shared.contracts.items import AnsweredSoFar
from shared.contracts.registry import MessageType
from shared.exchange import items
from shared.exchange.act import ASKED_BY_AGENCIES, Offered, Subject, Track
from shared.exchange.acts import ACTS
from shared.exchange.changes_acts import after_amendment
from shared.exchange.hold_acts import STAYING
from shared.exchange.items import Folded, Said
from shared.exchange.states import answer_follows, permits
from shared.exchange.words import folded
from shared.kernel.authority import Permit
from shared.kernel.errors import Refused
from shared.vocabulary.answers import AnswerState, ItemsFold
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
    row.message
    for row in ACTS
    if row.message is not None and row.track is Track.ANSWER and row.subject not in ASKED_BY_AGENCIES
)


#: The answers after which an offer that stands may still be answered.
UNFINISHED: Final[frozenset[AnswerState]] = frozenset(
    {AnswerState.NONE}
    | {
        AnswerState(state)
        for row in ACTS
        if row.track is Track.ANSWER and row.subject not in ASKED_BY_AGENCIES and Offered.OPEN.value in row.needs
        for move in row.moves
        for state in move.before
    }
)


@dataclass(frozen=True, slots=True)
class Answered:
    """An edge's answer so far; `detail` holds its codes and times as JSON, no ids of subjects.

    `acts` is the number of the newest act in the recipient's track; those of receipts refused leave gaps.
    """

    state: AnswerState
    detail: Mapping[str, object] = field(default_factory=dict)
    acts: int = 0


class Amendments(NamedTuple):
    """What amendments have made of an edge: the revision that was sent last, and the items that it has no more."""

    revision: int
    gone: frozenset[int]

    def standing(self, own: Sequence[int]) -> Sequence[int]:
        return [n for n in own if n not in self.gone]


NEVER_AMENDED: Final = Amendments(1, frozenset())
#: What the items of a notice have come to.
_BY_ITEMS: Final = frozenset({AnswerState.ACTIONED, AnswerState.REJECTED, AnswerState.NOT_OURS})


def answered_so_far(present: Answered, *, own: Sequence[int]) -> AnsweredSoFar:
    """What the recipient's next instance is told; items by the notice's numbers, `own` as `answer_edge` takes them."""
    said = items.told(Said.kept(present.detail), own)
    return AnsweredSoFar(answer=present.state, number=present.acts, items=said.answers, disowned=said.disowned)


def answer_edge(
    present: Answered,
    message: MessageType,
    clear: Contract,
    *,
    withdrawn: bool,
    own: Sequence[int],
    amended: Amendments = NEVER_AMENDED,
) -> Answered:
    """Apply an answer to an edge of a referral that its origin has `withdrawn` or not.

    `own` are the origin's own numbers of a notice's items, also of those that it has no more: it keeps the answer by
    these. An answer may have crossed an amendment on the way: it is one to what its recipient had, and is kept as that;
    what it means to what stands now is what it means where it comes from. Raises `Refused`: `answer_out_of_order` for
    every transition that no row of `acts` lists and for the acknowledgement of a withdrawal that has not been;
    `answer_repeated` for a number that is not above the newest; and what may not be said of an item.
    """
    offered = Offered.WITHDRAWN if withdrawn else Offered.OPEN
    if isinstance(clear, Answer) and clear.number <= present.acts:
        raise Refused("answer_repeated")
    deciding: Contract = clear
    means: AnswerState | None = None
    state = present.state
    if isinstance(clear, NoticeAnsweredClear | NoticeNotOursClear):
        before, stated = Said.kept(present.detail), items.renumbered(_said(clear), own)
        items.check(stated, own, before)
        deciding = items.fold(amended.standing(own), before + stated)
        if amended.revision > 1:
            # Its recipient may have had other items, of which something was left to be said.
            state = AnswerState.IN_PART if state in _BY_ITEMS else state
            means, deciding = AnswerState(deciding.items.value), Folded(items=ItemsFold.IN_PART)
    following = answer_follows(message, state, deciding, offered=offered)
    if following is None:
        raise Refused("answer_out_of_order")
    following = means or following
    if isinstance(clear, OnReferral) and clear.revision < amended.revision:
        following = after_amendment(following, {}, numbers=())
    # What is asked of notices is no word of the case.
    detail = present.detail if message in STAYING else folded(present.detail, said_in(clear, own=own))
    return Answered(following, detail, clear.number if isinstance(clear, Answer) else present.acts)


def said_in(clear: Contract, *, own: Sequence[int]) -> dict[str, object]:
    """The words of one answer as its origin keeps them: no ids of subjects, items by its own numbers."""
    words = clear.model_dump(mode="json", exclude={"referral_id", "notice_id"}, exclude_none=True)
    if isinstance(clear, NoticeAnsweredClear | NoticeNotOursClear):
        words |= items.renumbered(_said(clear), own).words()
    return words


def _said(clear: NoticeAnsweredClear | NoticeNotOursClear) -> Said:
    return Said(answers=clear.items) if isinstance(clear, NoticeAnsweredClear) else Said(disowned=clear.disowned)
