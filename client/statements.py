"""What is said at the prompt, as it is said over HTTP: words about items, and why a record is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from client.words import numbered, read, some
from shared.contracts.answers import DisowningStatement, ItemStatement, Keeping
from shared.contracts.checks import ItemChecks, Reinstatement
from shared.contracts.items import ItemOutcome
from shared.contracts.offers import FindingStatement, OfferFindings
from shared.kernel.errors import Refused
from shared.vocabulary.answers import (
    CheckedBy,
    HotlineAction,
    HotlineAssessment,
    ItemFound,
    NoticeAction,
    NoticeRejection,
    ReinstateReason,
)

_REASONED = frozenset({HotlineAssessment.NOT_ILLEGAL.value, HotlineAction.UNAVAILABLE.value})


def statements(words: Sequence[str], at: datetime) -> list[ItemStatement]:
    """`removed` is said of every item that nothing was said of, `3=removed` of the third. `at` is when it took effect.

    Raises `Refused`: `answer_missing`, `answer_malformed`.
    """
    some(words)
    return [_statement(word, at) for word in words]


def outcomes(words: Sequence[str], at: datetime | None) -> dict[str, object]:
    """What is said of a location, whatever the numbers of its items. Raises `Refused`: `answer_missing`, …"""
    some(words)
    said = [{"action" if word in set(NoticeAction) else "rejection": word} for word in words]
    timed = [each | ({"effective_at": at} if at and "action" in each else {}) for each in said]
    read_each = [read(ItemOutcome, each, "a word, without a number", NoticeAction, NoticeRejection) for each in timed]
    return {"outcomes": [each.model_dump(mode="json", exclude_none=True) for each in read_each]}


def disowning(items: Sequence[int], suggested: str | None) -> list[DisowningStatement]:
    """The items that are disowned, every one that nothing was said of if none is named; `suggested` hosts them.

    Raises `Refused("answer_malformed")`.
    """
    wanted = "an item's number, and a party's id"
    return [read(DisowningStatement, {"n": n, "suggested": suggested}, wanted) for n in items or (None,)]


def findings(words: Sequence[str], reason: str | None) -> OfferFindings:
    """`baseline` is said of every item, `3=baseline` of the third. `reason` goes with the words that need one.

    Raises `Refused`: `answer_missing`, `answer_malformed`.
    """
    some(words)
    return OfferFindings(assessed=tuple(_finding(word, reason) for word in words))


def checks(words: Sequence[str], by: CheckedBy, at: datetime | None) -> ItemChecks:
    """`3=gone` of the referral's third item. Raises `Refused`: `answer_missing`, `answer_malformed`."""
    some(words)
    numbers = [word.partition("=")[::2] for word in words]
    said = [{"n": int(n) if n.isdecimal() else n, "found": found, "by": by, "at": at} for n, found in numbers]
    return read(ItemChecks, {"checked": said}, "an item's number, = and what was found, each once", ItemFound)


def reinstating(items: Sequence[int], reason: ReinstateReason) -> Reinstatement:
    """The items that are available again, every one that was acted on if none is named.

    Raises `Refused("answer_malformed")`.
    """
    said = [{"n": n, "reason": reason} for n in items or (None,)]
    return read(Reinstatement, {"reinstated": said}, "an item's number")


def keeping(retention: str | None, basis: str | None, until: date | None) -> Keeping | None:
    """Why a record is kept, if it is. Raises `Refused("keeping_malformed")` unless all is said, or nothing."""
    said = {"retention": retention, "basis": basis, "until": until}
    if all(word is None for word in said.values()):
        return None
    try:
        return Keeping.model_validate(said)
    except ValueError:
        raise Refused("keeping_malformed", "say its class, what entitles to it, and until when", status=400) from None


def _finding(word: str, reason: str | None) -> FindingStatement:
    said, code = numbered(word)
    said |= {"assessment" if code in set(HotlineAssessment) else "action": code}
    said |= {"reason": reason} if code in _REASONED else {}
    wanted = "a finding, or a number, = and one; its reason is one of docs/answers.md"
    return read(FindingStatement, said, wanted, HotlineAssessment, HotlineAction)


def _statement(word: str, at: datetime) -> ItemStatement:
    said, code = numbered(word)
    said |= {"action": code, "effective_at": at} if code in set(NoticeAction) else {"rejection": code}
    return read(ItemStatement, said, "a word, or an item's number, = and one", NoticeAction, NoticeRejection)
