"""What the examples of holds say: accepted values, and refusals that change one thing in one of them."""

from __future__ import annotations

from typing import Any, Final

from deploy.artifacts import example_world as world
from deploy.artifacts.example_refusal import GONE, Refusal

_HOLD = "7f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f"
_ACT = "1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d"
_NAMED: Final = {"referral_id": str(world.REFERRAL_ID), "revision": 1}
_UNTIL: Final = {"basis": "investigation_open", "not_after": "2026-05-11T12:00:00.000Z"}


def _said(act: str, number: int, **words: Any) -> dict[str, Any]:
    return _NAMED | {"act": act, "number": number} | words


def _answered(**words: Any) -> dict[str, Any]:
    return _NAMED | {"hold": _HOLD} | words


ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "hold_placed.v1": {"removal": _said(_HOLD, 1, scope="removal", **_UNTIL)},
    "hold_extended.v1": {"court-order": _said(_ACT, 2, hold=_HOLD, **_UNTIL | {"basis": "court_order"})},
    "hold_released.v1": {"needed-no-more": _said(_ACT, 2, hold=_HOLD)},
    "no_objection.v1": {"looked-at": _said(_ACT, 1)},
    "hold_activated.v1": {"one-held": _answered(scope="removal", **_UNTIL, held=1, issued=0)},
    "hold_too_late.v1": {
        "issued": _answered(issued_at="2026-05-07T12:10:00.000Z"),
        "nothing-to-issue": _answered(),
    },
    "hold_ended.v1": {"expired": _answered(end="expired")},
}
REFUSED: Final[dict[str, tuple[Refusal, ...]]] = {
    "hold_placed.v1": (
        Refusal("scope-unlisted", "/scope", "everything"),
        Refusal("without-end", "/not_after", GONE),
    ),
    "hold_extended.v1": (Refusal("no-hold", "/hold", GONE),),
    "hold_released.v1": (Refusal("hold-malformed", "/hold", "the first"),),
    "no_objection.v1": (Refusal("number-zero", "/number", 0),),
    "hold_activated.v1": (Refusal("counted-below-none", "/held", -1),),
    "hold_too_late.v1": (Refusal("time-as-number", "/issued_at", 1_777_900_000, of="issued"),),
    "hold_ended.v1": (Refusal("end-unlisted", "/end", "forgotten"),),
}
