"""What a party has said of a subject so far, and what of it wins over a withdrawal. Pure; the same on both sides.

Whoever got hold of an origin's key must not wipe a police case, nor what somebody may still complain about: so the
service itself neither erases such a record nor lets it be erased, before the day on which the reason ends.

An outcome that was reported stays reported: nothing that is said later, a withdrawal's acknowledgement least of all,
takes the words of an earlier act away. Each act besides stands in the timeline as it was said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.contracts.answers import ClaimGrantedClear, Keeping, TransferOfferedClear, TransferWords
from shared.exchange import findings, items
from shared.exchange.act import Subject
from shared.exchange.items import Said
from shared.vocabulary.answers import AnswerState, ItemsFold, KeptBasis, NoticeAction, OfferFold, YesNoUnknown
from shared.vocabulary.judgement import KEPT_DAYS, RetentionClass

Words = Mapping[str, object]

#: What an act says of itself: only the newest one's are of use.
_OF_THE_ACT: Final = frozenset({"revision", "act", "number", "question", "due", "code", "stands"})
#: What is said of items, one by one.
_ADD_UP: Final = ("assessed",)
#: Whether it ever was so: what is known is not unlearned.
_EVER: Final = ("child_identified", "child_safeguarded")
_SURER: Final = {None: 0, YesNoUnknown.UNKNOWN.value: 1, YesNoUnknown.NO.value: 2, YesNoUnknown.YES.value: 3}
#: What was said of a notice's items makes it.
_FOLDED: Final = frozenset({AnswerState.IN_PART, *(AnswerState(fold.value) for fold in ItemsFold)})
#: What was found of an offer's items does.
_ASSESSED: Final = frozenset(AnswerState(fold.value) for fold in OfferFold)


def folded(before: Words, said: Words) -> dict[str, object]:
    """All that was said, by the name of each word, in JSON: `said` is what the newest act says.

    What was said of items adds up. Of whether a child was identified or safeguarded `yes` stays, and `unknown` takes
    nothing back. Every other word stands for what was said before.
    """
    kept = {name: word for name, word in before.items() if name not in _OF_THE_ACT}
    adds = {name: [*_listed(kept, name), *_listed(said, name)] for name in _ADD_UP if name in kept or name in said}
    ever = {name: _surer(kept[name], said[name]) for name in _EVER if name in kept and name in said}
    return kept | dict(said) | ever | adds | (Said.kept(before) + Said.kept(said)).words()


def after_amendment(answer: AnswerState, said: Mapping[str, object], *, numbers: Collection[int]) -> AnswerState:
    """What an answer means to the content that follows the one it answered.

    A declination was of what stood before: it is open again. Of a notice, or of an offer that was assessed, whose items
    now are `numbers`, what was said of these counts, and of any that is new nothing is said yet. All else stands.
    """
    if answer is AnswerState.DECLINED:
        return AnswerState.NONE
    if (assessed := findings.found_in(said)) and answer in _ASSESSED:
        return AnswerState(findings.fold_offer(numbers, assessed).items.value)
    if not numbers or answer not in _FOLDED:
        return answer
    return AnswerState(items.fold(numbers, Said.kept(said)).items.value)


def _listed(words: Words, name: str) -> Sequence[object]:
    """The words of this name, none where there are none."""
    found = words.get(name)
    return found if isinstance(found, list | tuple) else ()


def _surer(before: object, said: object) -> object:
    return max(said, before, key=lambda word: _SURER.get(word if isinstance(word, str) else None, 0))


def handed(clear: TransferOfferedClear | ClaimGrantedClear) -> dict[str, object]:
    """The words in JSON, by the names that `TransferWords` has."""
    if isinstance(clear, ClaimGrantedClear):
        words = TransferWords(done=clear.done)
    else:
        words = TransferWords(transfer=clear.reason)
    return words.model_dump(mode="json", exclude_none=True)


#: At least six months, Regulation (EU) 2022/2065, Article 20(1).
COMPLAINT_DAYS: Final = 184
#: One year, 18 USC 2258A(h)(1).
PRESERVED_DAYS: Final = 365
_RESTRICTS: Final = frozenset({NoticeAction.REMOVED, NoticeAction.GEO_DISABLED, NoticeAction.ACCOUNT_SUSPENDED})


def reason_to_keep(
    subject: Subject, said: Mapping[str, object], *, retention: RetentionClass | None, at: datetime
) -> Keeping | None:
    """Why a record that is taken back at `at` is kept, and until which day; None where nothing wins.

    A hotline acts on nothing. Of several reasons the one that lasts longest is named.
    """
    kept_as = retention or RetentionClass.MINIMAL
    if subject is Subject.CASE:
        if not said.keys() & {"accepted_at", "outcome"}:
            return None
        return _until(at, KEPT_DAYS[kept_as], KeptBasis.ACCEPTED_CASE, retention=kept_as)
    if subject is not Subject.NOTICE:
        return None
    reasons = []
    for each in Said.kept(said).answers:
        since = min(each.effective_at or at, at)  # whatever they say: of a time to come nothing lasts longer
        if each.action is NoticeAction.PRESERVED:
            reasons.append(_until(since, PRESERVED_DAYS, KeptBasis.PRESERVATION, retention=kept_as))
        elif each.action in _RESTRICTS:
            reasons.append(_until(since, COMPLAINT_DAYS, KeptBasis.OPEN_COMPLAINT, retention=kept_as))
    return max((each for each in reasons if each.until >= at.date()), key=lambda each: each.until, default=None)


def _until(since: datetime, days: int, basis: KeptBasis, *, retention: RetentionClass) -> Keeping:
    return Keeping(retention=retention, basis=basis, until=(since + timedelta(days=days)).date())
