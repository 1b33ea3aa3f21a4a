"""What the examples of contact between agencies say: accepted values, and refusals that change one thing in them."""

from __future__ import annotations

from typing import Any, Final

from deploy.artifacts import example_world as world
from deploy.artifacts.example_refusal import GONE, Refusal

_OTHER: Final = "019b2d3c-4400-7000-8000-0000000000a2"
_CONTACT: Final = {"agency": "police-de.example", "ground": "same_location", "their_referral_id": _OTHER}

ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "contact_suggested.v1": {
        "another-agency": {"referral_id": str(world.REFERRAL_ID), "revision": 1},
    },
    "contact_suggested.v1.sealed": {"same-location": _CONTACT},
}
REFUSED: Final[dict[str, tuple[Refusal, ...]]] = {
    "contact_suggested.v1": (Refusal("revision-zero", "/revision", 0),),
    "contact_suggested.v1.sealed": (
        Refusal("agency-malformed", "/agency", "Police DE"),
        Refusal("ground-unlisted", "/ground", "a hunch"),
        Refusal("without-their-referral", "/their_referral_id", GONE),
    ),
}
