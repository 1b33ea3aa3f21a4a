"""What the examples say of answers per item: offers that are assessed, items that are checked and reinstated."""

from __future__ import annotations

from typing import Any

from deploy.artifacts import example_world as world
from deploy.artifacts.example_refusal import GONE, Refusal

_ACT = "7f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f"
_ON_REFERRAL = {"referral_id": str(world.REFERRAL_ID), "revision": 1, "act": _ACT, "number": 1}
_NOT_ILLEGAL = {"n": 2, "assessment": "not_illegal", "reason": "adult_pornography"}


def _clear(**members: Any) -> dict[str, Any]:
    return members


_ON_NOTICE = {"notice_id": str(world.NOTICE_ID), "act": _ACT, "number": 3}
_CHECKED = {"n": 1, "round": 1, "found": "gone", "by": "person", "at": "2026-05-06T09:00:00.000Z"}
_REINSTATED = {"n": 1, "round": 1, "reason": "complaint_upheld"}


ACCEPTED: dict[str, dict[str, Any]] = {
    "items_checked.v1": {
        "gone-and-reappeared": _clear(
            notice_id=str(world.NOTICE_ID),
            act=_ACT,
            checked=[_CHECKED, _CHECKED | {"n": 2, "found": "reappeared", "by": "tool"}],
        ),
    },
    "notice_reinstated.v1": {"after-a-complaint": _clear(**_ON_NOTICE, reinstated=[_REINSTATED])},
    "offer_accepted.v1": {"taken-up": _clear(**_ON_REFERRAL)},
    "offer_declined.v1": {"no-capacity": _clear(**_ON_REFERRAL, reason="no_capacity")},
    "offer_assessed.v1": {
        "baseline-and-reported": _clear(
            **_ON_REFERRAL | {"number": 2},
            assessed=[{"n": 1, "assessment": "baseline"}, {"n": 1, "action": "reported_to_police"}],
        ),
        "nothing-left": _clear(
            **_ON_REFERRAL | {"number": 3},
            assessed=[{"n": 1, "action": "unavailable", "reason": "error_404"}, _NOT_ILLEGAL],
        ),
    },
}
REFUSED: dict[str, tuple[Refusal, ...]] = {
    "items_checked.v1": (
        Refusal("found-unlisted", "/checked/0/found", "perhaps"),
        Refusal("item-twice", "/checked/1/n", 1, by="model"),
        Refusal("no-time", "/checked/0/at", GONE),
    ),
    "notice_reinstated.v1": (
        Refusal("reason-unlisted", "/reinstated/0/reason", "because"),
        Refusal("no-items", "/reinstated", []),
    ),
    "offer_accepted.v1": (Refusal("number-zero", "/number", 0),),
    "offer_declined.v1": (Refusal("reason-unlisted", "/reason", "because"),),
    "offer_assessed.v1": (
        Refusal("no-items", "/assessed", []),
        Refusal("assessment-unlisted", "/assessed/0/assessment", "doubtful"),
        Refusal("reason-missing", "/assessed/0/reason", GONE, by="model", of="nothing-left"),
        Refusal("reason-without-need", "/assessed/0/reason", "other", by="model"),
        Refusal("assessed-and-acted", "/assessed/0/action", "removed", by="model"),
    ),
}
