"""The origin's rules for its referrals: states, permits, and the effect of an answer on an edge. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from shared.core.acts.act import ASKED_BY_AGENCIES, Act, Offering, Subject, Track
from shared.core.acts.states import answer_follows, permits, reopens
from shared.core.acts.table import ACTS
from shared.core.authority import Permit
from shared.core.contracts import answers
from shared.core.contracts.base import Contract
from shared.core.contracts.items import AnswerTrack
from shared.core.contracts.questions import NoticeDisputeRaisedClear, NoticeQuestionAskedClear
from shared.core.errors import Refused
from shared.core.protocol import findings, items
from shared.core.protocol.findings import OfferSummary
from shared.core.protocol.items import ItemLog, NoticeSummary
from shared.core.protocol.retention_grounds import after_amendment, folded
from shared.core.vocabulary.answers import AnswerState, ItemsFold, OfferFold, WithdrawalFate
from shared.core.vocabulary.routing import Disposition


class ReferralState(StrEnum):
    """A referral at its origin: the four dispositions of a decision, and four later states."""

    ROUTED = Disposition.ROUTED.value
    UNROUTABLE = Disposition.UNROUTABLE.value
    ORPHANED = Disposition.ORPHANED.value
    UNKNOWN_CODE = Disposition.UNKNOWN_CODE.value
    UNRELEASED = Offering.UNRELEASED.value
    DROPPED = Offering.DROPPED.value
    TRANSFERRED = Offering.TRANSFERRED.value
    WITHDRAWN = Offering.WITHDRAWN.value


#: The part of every origin's authorisation table that concerns its own referrals.
PERMITS: Final[tuple[Permit, ...]] = tuple(permits(Subject.REFERRAL))
#: The answers after which an open offer may still be answered.
UNFINISHED: Final[frozenset[AnswerState]] = frozenset(
    {AnswerState.NONE}
    | {
        AnswerState(state)
        for row in ACTS
        if row.track is Track.ANSWER and row.subject not in ASKED_BY_AGENCIES and Offering.OPEN.value in row.needs
        if not reopens(row)
        for move in row.moves
        for state in move.before
    }
)


_OF_ITEMS: Final = answers.NoticeAnsweredClear | answers.NoticeNotOursClear | answers.NoticeReinstatedClear


@dataclass(frozen=True, slots=True)
class EdgeAnswer:
    """An edge's answer so far; `detail` holds its codes and times as JSON, no ids of subjects.

    `acts` is the number of the newest act in the recipient's track; those of refused answers leave gaps.
    """

    state: AnswerState
    detail: Mapping[str, object] = field(default_factory=dict)
    acts: int = 0


class EdgeAmendments(NamedTuple):
    """The effect of amendments on an edge: the revision that was sent last, and the items that it lost."""

    revision: int
    gone: frozenset[int]

    def standing(self, own: Sequence[int]) -> Sequence[int]:
        return [n for n in own if n not in self.gone]


NEVER_AMENDED: Final = EdgeAmendments(1, frozenset())
#: Final states that result from the items of a notice or offer.
_BY_ITEMS: Final = frozenset({AnswerState.ACTIONED, AnswerState.REJECTED, AnswerState.NOT_OURS, AnswerState.CLOSED})


def answered_so_far(
    present: EdgeAnswer, *, own: Sequence[int], gone: Collection[int] = (), restored: bool = False
) -> AnswerTrack:
    """Return the answers about current items, by the notice's numbers, for the recipient's next instance.

    `own` is as in `answer_edge`. `gone` are items in `own` that the edge no longer has; there may be many.
    """
    said = items.told(items.latest(ItemLog.kept(present.detail)), own, gone=gone)
    found = tuple(each for each in findings.found_in(present.detail) if each.n not in gone)
    of_items = {"items": said.answers, "disowned": said.disowned, "checked": said.checks}
    of_items |= {"reinstated": said.reinstated, "assessed": found}
    return AnswerTrack(restored=restored, answer=present.state, number=present.acts, **of_items)


def answer_edge(
    present: EdgeAnswer,
    rows: Iterable[Act],
    clear: Contract,
    *,
    withdrawn: bool,
    own: Sequence[int],
    amended: EdgeAmendments = NEVER_AMENDED,
) -> EdgeAnswer:
    """Apply an answer, by the `rows` of its message, to an edge of a referral that its origin has `withdrawn` or not.

    `own` are the origin's own numbers of the edge's items, including items that the edge no longer has. The origin
    stores the answer with these numbers, and recipients of referrals use them themselves. An answer may have crossed an
    amendment: it answers the earlier content and is stored as that. Its effect on the current content is computed as at
    the recipient. A repeated statement that the record is erased is accepted, because a restored recipient repeats it.

    Raises `Refused`: `answer_out_of_order` for every transition that no row of `acts` lists, and for acknowledging a
    withdrawal that did not happen. `answer_repeated` for a number that is not above the newest. Also the codes of
    invalid statements about items.
    """
    # The code that grants claims checks whether the offer may be claimed.
    offered = Offering.WITHDRAWN if withdrawn else Offering.CLAIMABLE
    if isinstance(clear, answers.Answer) and clear.number <= present.acts:
        if withdrawn and _says_erased(clear) and present.detail.get("fate") == WithdrawalFate.ERASED:
            return present
        raise Refused("answer_repeated")
    deciding = _deciding(present, clear, own=own, standing=amended.standing(own))
    means: AnswerState | None = None
    state = present.state
    if amended.revision > 1 and isinstance(deciding, NoticeSummary | OfferSummary):
        # The recipient may have had other items, of which some had no answer yet.
        state = AnswerState.IN_PART if state in _BY_ITEMS else state
        means, deciding = AnswerState(deciding.items.value), _left_open(clear)
    stays = all(row.stays for row in rows)
    if amended.revision > 1 and stays:
        # A question is no answer. A final answer to the current content is no reason to reject the question.
        state, means = AnswerState.IN_PART if state in _BY_ITEMS else state, state
    following = answer_follows(rows, state, deciding, offered=offered)
    if following is None:
        raise Refused("answer_out_of_order")
    following = means or following
    if isinstance(clear, answers.ReferralAnswer) and clear.revision < amended.revision:
        following = after_amendment(following, {}, numbers=())
    # A question is not part of the answer.
    detail = present.detail if stays else folded(present.detail, said_in(clear, own=own))
    return EdgeAnswer(following, detail, clear.number if isinstance(clear, answers.Answer) else present.acts)


def _says_erased(clear: Contract) -> bool:
    return isinstance(clear, answers.WithdrawalAnswer | answers.Erasure) and clear.fate is WithdrawalFate.ERASED


def _deciding(present: EdgeAnswer, clear: Contract, *, own: Sequence[int], standing: Sequence[int]) -> Contract:
    """Return the part of an answer that decides the edge's move.

    For items: the fold over `standing` items. Raises `Refused` for invalid statements about an item.
    """
    if isinstance(clear, _OF_ITEMS):
        before, stated = ItemLog.kept(present.detail), items.renumbered(_said(clear), own)
        items.check(stated, own, before)
        return items.fold(standing, before + stated)
    if isinstance(clear, answers.OfferAssessedClear):
        found = findings.found_in(present.detail)
        findings.check(clear.assessed, own, found)
        return findings.fold_offer(standing, [*found, *clear.assessed])
    return clear


def _left_open(clear: Contract) -> NoticeSummary | OfferSummary:
    """Return the fold for an answer after which some items still lack an answer."""
    if isinstance(clear, answers.OfferAssessedClear):
        return OfferSummary(items=OfferFold.IN_PART)
    return NoticeSummary(
        items=ItemsFold.REAPPEARED if isinstance(clear, answers.NoticeReinstatedClear) else ItemsFold.IN_PART
    )


def said_in(clear: Contract, *, own: Sequence[int]) -> dict[str, object]:
    """Return one answer as its origin stores it: without subject ids, with its own item numbers."""
    words = clear.model_dump(mode="json", exclude={"referral_id", "notice_id"}, exclude_none=True)
    if isinstance(clear, _OF_ITEMS):
        words |= items.renumbered(_said(clear), own).words()
    if isinstance(clear, NoticeQuestionAskedClear):
        words["about"] = [own[n - 1] for n in clear.about]
    if isinstance(clear, NoticeDisputeRaisedClear):
        words["disputed"] = [each | {"n": own[each["n"] - 1]} for each in words["disputed"]]
    return words


def _said(clear: answers.NoticeAnsweredClear | answers.NoticeNotOursClear | answers.NoticeReinstatedClear) -> ItemLog:
    match clear:
        case answers.NoticeAnsweredClear():
            return ItemLog(answers=clear.items)
        case answers.NoticeNotOursClear():
            return ItemLog(disowned=clear.disowned)
        case answers.NoticeReinstatedClear():
            return ItemLog(reinstated=clear.reinstated)
