"""The stored answers of a party about a subject, and the answers that outweigh a withdrawal. Pure.

Both sides get the same result. An attacker with an origin's key must not be able to erase a police case, or a record
that may still be the subject of a complaint. The service does not erase such a record, and does not allow its erasure,
before the day on which the retention ends.

A reported outcome stays recorded: no later act removes the answers of an earlier act, in particular not the
acknowledgement of a withdrawal. The timeline also shows each act as it was sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from shared.core.acts.act import Subject
from shared.core.contracts.answers import ClaimGrantedClear, RetentionStatement, TransferCodes, TransferOfferedClear
from shared.core.protocol import findings, items
from shared.core.protocol.items import ItemLog
from shared.core.vocabulary.answers import AnswerState, ItemsFold, KeptBasis, NoticeAction, OfferFold, YesNoUnknown
from shared.core.vocabulary.judgement import KEPT_DAYS, RetentionClass

Words = Mapping[str, object]

#: Fields of an act about itself. Only those of the newest act are stored.
_OF_THE_ACT: Final = frozenset({"revision", "act", "number", "question", "due", "code", "stands"})
#: Facts that are never revoked once known.
_EVER: Final = ("child_identified", "child_safeguarded")
_SURER: Final = {None: 0, YesNoUnknown.UNKNOWN.value: 1, YesNoUnknown.NO.value: 2, YesNoUnknown.YES.value: 3}
#: States that result from the answers to a notice's items.
_FOLDED: Final = frozenset({AnswerState.IN_PART, *(AnswerState(fold.value) for fold in ItemsFold)})
#: States that result from the findings about an offer's items.
_ASSESSED: Final = frozenset(AnswerState(fold.value) for fold in OfferFold)


def folded(before: Words, said: Words) -> dict[str, object]:
    """Return all answers by field name, in JSON. `said` are the answers of the newest act.

    Statements about items accumulate. For `child_identified` and `child_safeguarded`, `yes` is final, and `unknown`
    does not replace an earlier value. In every other field the newest value replaces the earlier one.
    """
    kept = {name: word for name, word in before.items() if name not in _OF_THE_ACT}
    adds = findings.kept((*findings.found_in(before), *findings.found_in(said)))
    ever = {name: _surer(kept[name], said[name]) for name in _EVER if name in kept and name in said}
    return kept | dict(said) | ever | adds | (ItemLog.kept(before) + ItemLog.kept(said)).words()


def after_amendment(answer: AnswerState, said: Mapping[str, object], *, numbers: Collection[int]) -> AnswerState:
    """Return the state of an answer after an amendment of the content that it answered.

    A declined referral is open again, because the decline was about the old content. For a notice, or an assessed
    offer, the state is computed from the statements about its current items `numbers`. Other states stay.
    """
    if answer is AnswerState.DECLINED:
        return AnswerState.NONE
    if (assessed := findings.found_in(said)) and answer in _ASSESSED:
        return AnswerState(findings.fold_offer(numbers, assessed).items.value)
    if not numbers or answer not in _FOLDED:
        return answer
    return AnswerState(items.fold(numbers, ItemLog.kept(said)).items.value)


def _surer(before: object, said: object) -> object:
    return max(said, before, key=lambda word: _SURER.get(word if isinstance(word, str) else None, 0))


def handed(clear: TransferOfferedClear | ClaimGrantedClear) -> dict[str, object]:
    """Return the transfer fields of the message in JSON, named as in `TransferCodes`."""
    if isinstance(clear, ClaimGrantedClear):
        words = TransferCodes(done=clear.done)
    else:
        words = TransferCodes(transfer=clear.reason)
    return words.model_dump(mode="json", exclude_none=True)


#: At least six months, Regulation (EU) 2022/2065, Article 20(1).
COMPLAINT_DAYS: Final = 184
#: One year, 18 USC 2258A(h)(1).
PRESERVED_DAYS: Final = 365
_RESTRICTS: Final = frozenset({NoticeAction.REMOVED, NoticeAction.GEO_DISABLED, NoticeAction.ACCOUNT_SUSPENDED})


def reason_to_keep(
    subject: Subject, said: Mapping[str, object], *, retention: RetentionClass | None, at: datetime
) -> RetentionStatement | None:
    """Return the retention grounds of a record that is withdrawn at `at`, or None if there are none.

    Offers at hotlines have no grounds. Of several grounds, the one that lasts longest is returned.
    """
    kept_as = retention or RetentionClass.MINIMAL
    if subject is Subject.CASE:
        if not said.keys() & {"accepted_at", "outcome"}:
            return None
        return _until(at, KEPT_DAYS[kept_as], KeptBasis.ACCEPTED_CASE, retention=kept_as)
    if subject is not Subject.NOTICE:
        return None
    reasons = []
    for each in ItemLog.kept(said).answers:
        since = min(each.effective_at or at, at)  # a future time, as stated, must not prolong retention
        if each.action is NoticeAction.PRESERVED:
            reasons.append(_until(since, PRESERVED_DAYS, KeptBasis.PRESERVATION, retention=kept_as))
        elif each.action in _RESTRICTS:
            reasons.append(_until(since, COMPLAINT_DAYS, KeptBasis.OPEN_COMPLAINT, retention=kept_as))
    return max((each for each in reasons if each.until >= at.date()), key=lambda each: each.until, default=None)


def _until(since: datetime, days: int, basis: KeptBasis, *, retention: RetentionClass) -> RetentionStatement:
    return RetentionStatement(retention=retention, basis=basis, until=(since + timedelta(days=days)).date())
