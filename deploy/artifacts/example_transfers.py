"""What the examples of transfers say: accepted values, and refusals that change one thing in one of them."""

from __future__ import annotations

from typing import Any, Final

from deploy.artifacts import example_world as world
from deploy.artifacts.example_refusal import GONE, Refusal

_CLAIM: Final = "7f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f"
_ACT: Final = "1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d"
_NAMED: Final = {"referral_id": str(world.REFERRAL_ID), "revision": 1}


def _said(**words: Any) -> dict[str, Any]:
    return _NAMED | words


ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "transfer_offered.v1": {"no-mandate": _said(act=_ACT, reason="no_mandate")},
    "offer_claimed.v1": {"claimed": _said(act=_CLAIM, number=1)},
    "claim_granted.v1": {"one-notice-issued": _said(claim=_CLAIM, done=[{"n": 1, "issued": 1, "actioned": 0}])},
    "claim_gone.v1": {"another-has-it": _said()},
}
REFUSED: Final[dict[str, tuple[Refusal, ...]]] = {
    "transfer_offered.v1": (Refusal("reason-unlisted", "/reason", "because"),),
    "offer_claimed.v1": (Refusal("number-zero", "/number", 0),),
    "claim_granted.v1": (
        Refusal("claim-not-named", "/claim", GONE),
        Refusal("counted-below-none", "/done/0/issued", -1),
    ),
    "claim_gone.v1": (Refusal("revision-zero", "/revision", 0),),
}
