"""What the examples of cases that go from one agency to another say: accepted values, and refusals."""

from __future__ import annotations

from typing import Any, Final

from deploy.artifacts import example_world as world
from deploy.artifacts.example_refusal import GONE, Refusal

_ACT: Final = "1b2c3d4e-5f60-4a7b-8c9d-0e1f2a3b4c5d"
_EDGE: Final = "3d4e5f60-7182-4c9d-8e0f-1a2b3c4d5e6f"
_NAMED: Final = {"referral_id": str(world.REFERRAL_ID), "revision": 1, "act": _ACT}

_CAME_BACK: Final = {
    "agency": "police-de.example",
    "edge_id": _EDGE,
    "code": "agency_not_entitled",
    "stands": "accepted",
    "times": 1,
}


def _sealed() -> dict[str, Any]:
    """The sealed part to the first agency, with what that has made of the case."""
    first = world.sealed_to(world.AGENCY)
    history = [{"number": 1, "answer": "accepted", "at": "2026-05-04T12:00:00.000Z"}]
    told = {"reason": "suspect_elsewhere", "history": history}
    return {"decision": first["decision"], **told, **{name: first[name] for name in ("edge", "salt", "record")}}


ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "case_referred.v1": {
        "suspect-elsewhere": _NAMED
        | {"number": 2, "agency": "police-de.example", "reason": "suspect_elsewhere"}
        | {"from_edge_id": str(world.EDGE_IDS[world.AGENCY]), "edge_id": _EDGE}
    },
    "case_came_back.v1": {
        "law-is-newer": _NAMED | {"number": 3} | _CAME_BACK,
    },
    "referral_passed_on.v1": {
        "to-another-agency": _NAMED | {"edge_id": _EDGE},
    },
    "referral_passed_on.v1.sealed": {"with-its-history": _sealed()},
}
REFUSED: Final[dict[str, tuple[Refusal, ...]]] = {
    "case_referred.v1": (
        Refusal("agency-malformed", "/agency", "Police DE"),
        Refusal("reason-unlisted", "/reason", "elsewhere"),
        Refusal("without-edge", "/edge_id", GONE),
    ),
    "case_came_back.v1": (
        Refusal("code-malformed", "/code", "It is not ours."),
        Refusal("stands-closed", "/stands", "closed", by="model"),
        Refusal("never", "/times", 0),
    ),
    "referral_passed_on.v1": (Refusal("revision-zero", "/revision", 0),),
    "referral_passed_on.v1.sealed": (
        Refusal("answer-unlisted", "/history/0/answer", "perhaps"),
        Refusal("no-record", "/record", GONE),
    ),
}
