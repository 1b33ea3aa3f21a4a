"""What the examples of questions and disputes say: accepted values, and refusals that change one thing in one."""

from __future__ import annotations

from typing import Any, Final

from deploy.artifacts import example_world as world
from deploy.artifacts.example_refusal import GONE, Refusal

_ACT = "2c3d4e5f-6071-4b8c-9d0e-1f2a3b4c5d6e"
_REFERRAL: Final = {"referral_id": str(world.REFERRAL_ID), "revision": 1, "act": _ACT}
_NOTICE: Final = {"notice_id": str(world.NOTICE_ID), "act": _ACT}
_ASKED: Final = {"number": 2, "about": [1, 2], "needs": ["location"], "due": "2026-05-18T12:00:00.000Z"}
_LAPSED: Final = {"number": 3, "question": 2}
_DISPUTED: Final = {
    "number": 2,
    "disputed": [
        {"n": 1, "reason": "content_lawful", "basis": "adult_pornography"},
        {"n": 2, "reason": "false_positive"},
    ],
}
_REPLIED: Final = {"question": 2, "replied": [{"n": 1, "reply": "as_stated"}, {"n": 2, "reply": "not_known"}]}
_DECIDED: Final = {"dispute": 2, "decided": [{"n": 1, "verdict": "conceded"}, {"n": 2, "verdict": "upheld"}]}


def _said(notice: bool, words: dict[str, Any]) -> dict[str, Any]:
    return (_NOTICE if notice else _REFERRAL) | words


def _accepted(notice: bool) -> dict[str, dict[str, Any]]:
    before = "notice_" if notice else ""
    asked = _ASKED | ({"revision": 1} if notice else {})
    return {
        f"{before}question_asked.v1": {"where-it-is": _said(notice, asked)},
        f"{before}question_lapsed.v1": {"nobody-answered": _said(notice, _LAPSED)},
        f"{before}question_replied.v1": {"in-part-unknown": _said(notice, _REPLIED)},
        f"{before}dispute_raised.v1": {"lawful-and-false": _said(notice, _DISPUTED)},
        f"{before}dispute_answered.v1": {"in-part": _said(notice, _DECIDED)},
    }


def _refused(notice: bool) -> dict[str, tuple[Refusal, ...]]:
    before = "notice_" if notice else ""
    return {
        f"{before}question_asked.v1": (
            Refusal("prose", "/needs/0", "where is it?"),
            Refusal("item-twice", "/about/1", 1, by="model"),
            Refusal("without-end", "/due", GONE),
        ),
        f"{before}question_lapsed.v1": (Refusal("number-zero", "/question", 0),),
        f"{before}question_replied.v1": (Refusal("item-twice", "/replied/1/n", 1, by="model"),),
        f"{before}dispute_raised.v1": (
            Refusal("no-basis", "/disputed/0/basis", GONE, by="model"),
            Refusal("reason-unlisted", "/disputed/1/reason", "unfair"),
        ),
        f"{before}dispute_answered.v1": (Refusal("verdict-unlisted", "/decided/0/verdict", "perhaps"),),
    }


ACCEPTED: Final[dict[str, dict[str, Any]]] = _accepted(False) | _accepted(True)
REFUSED: Final[dict[str, tuple[Refusal, ...]]] = _refused(False) | _refused(True)
