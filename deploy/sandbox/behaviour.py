"""What a sample party does with what it is sent: drawn from the seed, the party and the id, never from a clock.

The proportions are invented so that every answer occurs; README.md says where they differ from published figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from shared.kernel.errors import Defect
from shared.vocabulary.answers import (
    ActionReason,
    CaseDeclineReason,
    CaseOutcome,
    CloseReason,
    HotlineAction,
    HotlineAssessment,
    NoticeAction,
    NoticeRejection,
    YesNoUnknown,
)

ChoiceT = TypeVar("ChoiceT")

#: Percentages; each table adds up to 100.
AGENCY = {"accept": 40, "decline": 25, "silent": 35}
DECLINE = {
    CaseDeclineReason.NOT_OUR_JURISDICTION: 20,
    CaseDeclineReason.INSUFFICIENT_INFORMATION: 35,
    CaseDeclineReason.STALE_INFORMATION: 15,
    CaseDeclineReason.NO_CRIME: 10,
    CaseDeclineReason.ALREADY_KNOWN: 10,
    CaseDeclineReason.NO_CAPACITY: 10,
}
FIRST_OUTCOME: dict[CaseOutcome | None, int] = {
    CaseOutcome.ONGOING_INVESTIGATION: 40,
    CaseOutcome.REFERRED: 15,
    CaseOutcome.ARREST: 5,
    None: 40,
}
LAST_OUTCOME: dict[CaseOutcome | None, int] = {CaseOutcome.CLOSED: 45, CaseOutcome.CONVICTION: 5, None: 50}
CLOSE = {
    CloseReason.SUBJECT_NOT_LOCATED: 25,
    CloseReason.ESP_RESPONSE_LACKS_INFORMATION: 25,
    CloseReason.NO_CRIME: 10,
    CloseReason.NO_PROSECUTORIAL_MERIT: 10,
    CloseReason.ALLEGED_CHILD_IS_ADULT: 10,
    CloseReason.AGE_NOT_DETERMINED: 10,
    CloseReason.UNFOUNDED: 5,
    CloseReason.OTHER: 5,
}

#: Every hotline answers: what is offered to one waits for nobody else.
HOTLINE = {"assess": 60, "accept": 20, "decline": 20}
FINDINGS: dict[tuple[HotlineAssessment | HotlineAction, ...], int] = {
    (HotlineAssessment.BASELINE, HotlineAction.REMOVED): 35,
    (HotlineAssessment.BASELINE, HotlineAction.REPORTED_TO_POLICE): 20,
    (HotlineAssessment.NATIONAL, HotlineAction.REMOVED): 15,
    (HotlineAction.UNAVAILABLE,): 20,
    (HotlineAssessment.NOT_ILLEGAL,): 10,
}
#: What they need a reason for, and which there are.
REASONS: Mapping[HotlineAssessment | HotlineAction, Sequence[ActionReason]] = {
    HotlineAction.UNAVAILABLE: (
        ActionReason.CONTENT_NOT_FOUND,
        ActionReason.ERROR_404,
        ActionReason.REMOVED_BEFORE_ASSESSMENT,
    ),
    HotlineAssessment.NOT_ILLEGAL: (
        ActionReason.AGE_OVER_NATIONAL_THRESHOLD,
        ActionReason.BELOW_THRESHOLD,
        ActionReason.VIRTUAL_MATERIAL,
    ),
}
CHILD_IDENTIFIED = {YesNoUnknown.YES: 20, YesNoUnknown.NO: 50, YesNoUnknown.UNKNOWN: 30}
CHILD_SAFEGUARDED = {YesNoUnknown.YES: 60, YesNoUnknown.NO: 20, YesNoUnknown.UNKNOWN: 20}

PROVIDER = {
    "acknowledge then action": 35,
    "action": 25,
    "acknowledge": 10,
    "reject": 8,
    "not ours": 7,
    "silent": 15,
}
ACTIONS: dict[tuple[NoticeAction, ...], int] = {
    (NoticeAction.REMOVED,): 60,
    (NoticeAction.REMOVED, NoticeAction.PRESERVED): 10,
    (NoticeAction.REMOVED, NoticeAction.ACCOUNT_SUSPENDED): 8,
    (NoticeAction.GEO_DISABLED,): 7,
    (NoticeAction.ALREADY_GONE,): 15,
}
REJECT = {
    NoticeRejection.NOT_FOUND: 40,
    NoticeRejection.INSUFFICIENT_DETAIL: 25,
    NoticeRejection.DISPUTED_LEGALITY: 10,
    NoticeRejection.JURISDICTION: 10,
    NoticeRejection.TECHNICAL: 10,
    NoticeRejection.AUTHENTICATION_FAILED: 5,
}


@dataclass(frozen=True, slots=True)
class Accept:
    """Take a case up, under the agency's own reference."""

    case_reference: str


@dataclass(frozen=True, slots=True)
class Decline:
    reason: CaseDeclineReason


@dataclass(frozen=True, slots=True)
class Report:
    """Report an outcome; the last one closes the case."""

    outcome: CaseOutcome
    child_identified: YesNoUnknown
    child_safeguarded: YesNoUnknown
    close_reason: CloseReason | None = None


@dataclass(frozen=True, slots=True)
class TakeUp:
    """Take an offer up: whoever has done that assesses it."""


@dataclass(frozen=True, slots=True)
class Assess:
    """What a hotline finds every item to be, and what it did; `reason` goes with words that need one."""

    words: tuple[HotlineAssessment | HotlineAction, ...]
    reason: ActionReason | None


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Have a notice in hand."""


@dataclass(frozen=True, slots=True)
class Action:
    actions: tuple[NoticeAction, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    reason: NoticeRejection


@dataclass(frozen=True, slots=True)
class NotOurs:
    """Somebody else hosts it: perhaps this party."""

    suggested: str | None


OfferAct = TakeUp | Assess | Decline
CaseAct = Accept | Decline | Report
NoticeAct = Acknowledge | Action | Reject | NotOurs


class Draw:
    """Decides by hashing: one seed, party and id always give the same answer, in any order and after any restart."""

    def __init__(self, seed: str, party: str, subject: UUID) -> None:
        self._drawn_from = f"{seed}/{party}/{subject}"

    def one_of(self, what: str, shares: Mapping[ChoiceT, int]) -> ChoiceT:
        """One of the choices, each in its share of 100."""
        left = self._number(what) % 100
        for choice, share in shares.items():
            left -= share
            if left < 0:
                return choice
        raise Defect("shares_below_100")

    def among(self, what: str, choices: Sequence[ChoiceT]) -> ChoiceT | None:
        """One of the choices, all alike; None if there are none."""
        return choices[self._number(what) % len(choices)] if choices else None

    def reference(self) -> str:
        """A case reference that looks like one."""
        return f"CASE-{self._number('reference') % 10**9:09d}"

    def _number(self, what: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{self._drawn_from}/{what}".encode()).digest()[:8], "big")


def hotline_acts(draw: Draw) -> tuple[OfferAct, ...]:
    """What a hotline does with what is offered to it, in order. It never stays silent."""
    match draw.one_of("hotline", HOTLINE):
        case "assess":
            words = draw.one_of("findings", FINDINGS)
            reasons = next((REASONS[word] for word in words if word in REASONS), ())
            return (TakeUp(), Assess(words, draw.among("reason", reasons)))
        case "accept":
            return (TakeUp(),)
        case _:
            return (Decline(draw.one_of("decline", DECLINE)),)


def agency_acts(draw: Draw) -> tuple[CaseAct, ...]:
    """What an agency does with a referral, in order; nothing if it stays silent."""
    match draw.one_of("agency", AGENCY):
        case "accept":
            return (Accept(draw.reference()), *_reports(draw))
        case "decline":
            return (Decline(draw.one_of("decline", DECLINE)),)
        case _:
            return ()


def provider_acts(draw: Draw, others: Sequence[str]) -> tuple[NoticeAct, ...]:
    """What a provider does with a notice, in order; nothing if it stays silent. `others` are providers to point to."""
    match draw.one_of("provider", PROVIDER):
        case "acknowledge then action":
            return (Acknowledge(), Action(draw.one_of("actions", ACTIONS)))
        case "action":
            return (Action(draw.one_of("actions", ACTIONS)),)
        case "acknowledge":
            return (Acknowledge(),)
        case "reject":
            return (Reject(draw.one_of("reject", REJECT)),)
        case "not ours":
            return (NotOurs(draw.among("suggested", others)),)
        case _:
            return ()


def _reports(draw: Draw) -> tuple[Report, ...]:
    first = draw.one_of("first", FIRST_OUTCOME)
    if first is None:
        return ()
    identified = draw.one_of("identified", CHILD_IDENTIFIED)
    safeguarded = (
        draw.one_of("safeguarded", CHILD_SAFEGUARDED) if identified is YesNoUnknown.YES else YesNoUnknown.UNKNOWN
    )
    reports = (Report(first, YesNoUnknown.UNKNOWN, YesNoUnknown.UNKNOWN),)
    last = draw.one_of("last", LAST_OUTCOME)
    if last is None:
        return reports
    close_reason = draw.one_of("close", CLOSE) if last is CaseOutcome.CLOSED else None
    return (*reports, Report(last, identified, safeguarded, close_reason))
