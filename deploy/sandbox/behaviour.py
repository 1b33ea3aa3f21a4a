"""What a sample party does with what it is sent: drawn from the seed, the party and the id, never from a clock.

The proportions in `shares.json` are invented so that every answer occurs; README.md says where they differ from
published figures. An act is a line of a batch: the name of its row, and what is said by it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from pydantic import JsonValue

from shared.contracts.answers import Keeping, WithdrawalAnswer
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Defect
from shared.vocabulary.answers import HotlineAssessment, KeptBasis, WithdrawalFate
from shared.vocabulary.judgement import RetentionClass

ChoiceT = TypeVar("ChoiceT")
_DRAWN: Final = json.loads(Path(__file__).with_name("shares.json").read_bytes())
#: By what is drawn: each choice with its percentage. Every hotline answers, for what is offered waits for nobody else.
SHARES: Final[Mapping[str, Mapping[str, int]]] = _DRAWN["shares"]
#: The findings that need a reason, and which there are.
REASONS: Final[Mapping[str, Sequence[str]]] = _DRAWN["reasons"]


class Deed(NamedTuple):
    """One act: the name of its row, and what it takes."""

    act: str
    said: Mapping[str, JsonValue]


class Draw:
    """Decides by hashing: one seed, party and id always give the same answer, in any order and after any restart."""

    def __init__(self, seed: str, party: str, subject: UUID) -> None:
        self._drawn_from = f"{seed}/{party}/{subject}"

    def one_of(self, what: str) -> str:
        """One of the choices, each in its share of 100."""
        left = self._number(what) % 100
        for choice, share in SHARES[what].items():
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


def hotline_acts(draw: Draw) -> Sequence[Deed]:
    """What a hotline does with what is offered to it, in order. It never stays silent."""
    drawn = draw.one_of("hotline")
    if drawn == "decline":
        return [_decline(draw)]
    return [Deed("accept", {}), *([_assess(draw)] if drawn == "assess" else [])]


def agency_acts(draw: Draw) -> Sequence[Deed]:
    """What an agency does with a referral, in order; nothing if it stays silent."""
    match draw.one_of("agency"):
        case "accept":
            return [Deed("accept", {"case_reference": draw.reference()}), *_reports(draw)]
        case "decline":
            return [_decline(draw)]
        case _:
            return []


def provider_acts(draw: Draw, others: Sequence[str], at: datetime) -> Sequence[Deed]:
    """What a provider does with a notice, in order; nothing if it stays silent.

    `others` are providers to point to, `at` is when what it did took effect.
    """
    match draw.one_of("provider"):
        case "acknowledge then action":
            return [Deed("acknowledge", {}), _action(draw, at)]
        case "action":
            return [_action(draw, at)]
        case "acknowledge":
            return [Deed("acknowledge", {})]
        case "reject":
            return [Deed("answer", {"items": [{"rejection": draw.one_of("reject")}]})]
        case "not ours":
            suggested = draw.among("suggested", others)
            return [Deed("not_ours", {"disowned": [{} if suggested is None else {"suggested": suggested}]})]
        case _:
            return []


def _decline(draw: Draw) -> Deed:
    return Deed("decline", {"reason": draw.one_of("decline")})


def _assess(draw: Draw) -> Deed:
    """What a hotline finds every item to be, and what it did; a reason goes with words that need one."""
    words = draw.one_of("findings").split(" + ")
    reason = draw.among("reason", next((REASONS[word] for word in words if word in REASONS), ()))
    why: dict[str, JsonValue] = {} if reason is None else {"reason": reason}
    judged = set(map(str, HotlineAssessment))
    return Deed("assess", {"assessed": [{"assessment" if each in judged else "action": each, **why} for each in words]})


def _action(draw: Draw, at: datetime) -> Deed:
    actions = draw.one_of("actions").split(" + ")
    return Deed("answer", {"items": [{"action": each, "effective_at": rfc3339(at)} for each in actions]})


def _reports(draw: Draw) -> Sequence[Deed]:
    """The outcomes that an agency reports of a case; the last one may close it."""
    first, last = draw.one_of("first"), draw.one_of("last")
    identified = draw.one_of("identified")
    safeguarded = draw.one_of("safeguarded") if identified == "yes" else "unknown"
    reason: dict[str, JsonValue] = {"close_reason": draw.one_of("close")} if last == "closed" else {}
    reports = [_report(first, "unknown", "unknown"), _report(last, identified, safeguarded, **reason)]
    return reports[: 0 if first == "none" else 1 if last == "none" else 2]


def _report(outcome: str, identified: str, safeguarded: str, **reason: JsonValue) -> Deed:
    children = {"child_identified": identified, "child_safeguarded": safeguarded}
    return Deed("outcome", {"outcome": outcome, **children, **reason})


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
