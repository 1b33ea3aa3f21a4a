"""The examples of what agencies and providers tell each other about a preservation."""

from __future__ import annotations

from typing import Any, Final

from deploy.artifacts.example_refusal import GONE, Refusal

_ACT: Final = "2c5e8d1f-7a3b-4e6c-9d0f-1b2a3c4d5e6f"
_ON: Final = {"preservation_id": "019b2d3c-4400-7000-8000-000000000501", "act": _ACT, "number": 1}
_NEXT: Final = _ON | {"number": 2}
_ORDER: Final = {"kind": "preserve", "instrument": "eu_2023_1543", "term": "eu_60d"}


def _clear(**members: Any) -> dict[str, Any]:
    return members


ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "preservation_requested.v1": {
        "sixty-days": _clear(**_ON, **_ORDER),
        "until-a-day": _clear(**_ON, kind="produce", instrument="budapest", until="2026-08-02"),
    },
    "preservation_requested.v1.sealed": {
        "one-location": {
            "locations": [{"kind": "url", "value": "https://images.example/gallery/17"}],
            "order_reference": "PL-2026/00317",
        }
    },
    "preservation_extension_requested.v1": {"thirty-days-more": _clear(**_NEXT, until="2026-08-02")},
    "preservation_withdrawn.v1": {"no-longer-necessary": _clear(**_NEXT, reason="no_longer_necessary")},
    "preservation_answered.v1": {
        "preserved": _clear(**_ON, answer="preserved", until="2026-07-03"),
        "refused": _clear(**_ON, answer="refused", reason="manifest_error"),
        "not-possible": _clear(**_ON, answer="not_possible", impossible="never_stored"),
        "too-late": _clear(**_ON, answer="too_late", removed_at="2026-05-04T11:30:00.000Z"),
    },
    "preservation_corrected.v1": {
        "kept-after-all": _clear(**_NEXT, answer="preserved", until="2026-07-03"),
        "not-possible": _clear(**_NEXT, answer="not_possible", impossible="never_stored"),
    },
    "preservation_extension_answered.v1": {
        "extended": _clear(**_NEXT, answer="extended"),
        "refused": _clear(**_NEXT, answer="extension_refused", reason="conflicting_law"),
    },
    "preservation_ended.v1": {"term-over": _clear(**_NEXT, reason="term_over")},
    "preservation_withdrawal_acknowledged.v1": {"noted": _clear(**_NEXT)},
}
REFUSED: Final[dict[str, tuple[Refusal, ...]]] = {
    "preservation_requested.v1": (
        Refusal("term-and-until", "/until", "2026-08-02", by="model"),
        Refusal("neither-term-nor-until", "/term", GONE, by="model"),
    ),
    "preservation_requested.v1.sealed": (Refusal("no-location", "/locations", []),),
    "preservation_extension_requested.v1": (Refusal("until-is-no-day", "/until", "soon"),),
    "preservation_answered.v1": (
        Refusal("preserved-without-until", "/until", GONE, by="model"),
        Refusal("preserved-with-a-reason", "/reason", "manifest_error", by="model"),
        Refusal("no-first-answer", "/answer", "ended", by="model"),
    ),
    "preservation_corrected.v1": (
        Refusal("preserved-without-until", "/until", GONE, by="model"),
        Refusal("no-first-answer", "/answer", "ended", by="model"),
    ),
    "preservation_extension_answered.v1": (Refusal("extended-with-a-reason", "/reason", "manifest_error", by="model"),),
}
