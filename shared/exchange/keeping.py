"""What wins over a withdrawal, by what a recipient has said of a subject so far. Pure; it binds whoever asks.

Whoever got hold of an origin's key must not wipe a police case, nor what somebody may still complain about: so the
service itself neither erases such a record nor lets it be erased, before the day on which the reason ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from shared.contracts.answers import Keeping
from shared.exchange.act import Subject
from shared.exchange.items import Said
from shared.vocabulary.answers import KeptBasis, NoticeAction
from shared.vocabulary.judgement import KEPT_DAYS, RetentionClass

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
