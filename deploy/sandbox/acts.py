"""What sample parties do, as lines of a batch: the act by the name of its row, and what is said by it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, NamedTuple

from pydantic import JsonValue

from deploy.sandbox.behaviour import (
    Accept,
    Acknowledge,
    Action,
    Assess,
    CaseAct,
    Decline,
    NoticeAct,
    NotOurs,
    OfferAct,
    Reject,
    Report,
    TakeUp,
)
from shared.contracts.answers import Keeping, WithdrawalAnswer
from shared.kernel.clock import rfc3339
from shared.vocabulary.answers import HotlineAssessment, KeptBasis, WithdrawalFate
from shared.vocabulary.judgement import RetentionClass

Said = Mapping[str, JsonValue]


class Deed(NamedTuple):
    """One act: the name of its row, and what it takes."""

    act: str
    said: Said


def deed(act: OfferAct | CaseAct | NoticeAct, *, at: datetime) -> Deed:
    """What is said by an act; `at` is when what a provider did took effect."""
    match act:
        case TakeUp():
            return Deed("accept", {})
        case Assess(words, reason):
            return Deed("assess", {"assessed": [_finding(word, reason) for word in words]})
        case Accept(reference):
            return Deed("accept", {"case_reference": reference})
        case Decline(reason):
            return Deed("decline", {"reason": reason})
        case Report(outcome, identified, safeguarded, close_reason):
            said: Said = {"outcome": outcome, "child_identified": identified, "child_safeguarded": safeguarded}
            return Deed("outcome", said if close_reason is None else {**said, "close_reason": close_reason})
        case Acknowledge():
            return Deed("acknowledge", {})
        case Action(actions):
            return Deed("answer", {"items": [{"action": each, "effective_at": rfc3339(at)} for each in actions]})
        case Reject(reason):
            return Deed("answer", {"items": [{"rejection": reason}]})
        case NotOurs(suggested):
            return Deed("not_ours", {"disowned": [{} if suggested is None else {"suggested": suggested}]})


def _finding(word: str, reason: str | None) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {"assessment" if word in set(HotlineAssessment) else "action": word}
    return said if reason is None else said | {"reason": reason}


def _acknowledged(kept: KeptBasis | None) -> Deed:
    fate = WithdrawalFate.ERASED if kept is None else WithdrawalFate.KEPT
    keeping = kept and Keeping(retention=RetentionClass.MINIMAL, basis=kept, until=date(2099, 1, 1))
    said = WithdrawalAnswer(fate=fate, kept=keeping or None)
    return Deed("acknowledge_withdrawal", said.model_dump(mode="json", exclude_none=True))


#: What was taken back is erased, as long as its service allows that.
ERASED: Final = _acknowledged(None)
#: Why it does not, and how a sample party keeps it then: a case that was taken up, what a provider has acted on.
KEPT: Final[Mapping[str, Deed]] = {
    "case_is_kept": _acknowledged(KeptBasis.ACCEPTED_CASE),
    "notice_is_kept": _acknowledged(KeptBasis.OPEN_COMPLAINT),
}
