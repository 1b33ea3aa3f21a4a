"""What is refused of holds."""

from __future__ import annotations

from typing import Final

from shared.kernel.codes.why import Why

WHYS: Final = {
    "hold_beyond_bound": Why(
        "the hold would end later than the policy lets one act ask for",
        "name an earlier end, and extend the hold before it comes",
    ),
    "hold_not_active": Why(
        "the hold has ended, or came too late",
        "causeway referral show ID says what became of it",
    ),
    "hold_not_longer": Why(
        "the hold stands until then already", "name an end later than the present one: causeway hold list shows it"
    ),
    "hold_open": Why("the case has an open hold already", "causeway hold extend or release it"),
    "hold_over": Why("the end of the hold has passed already", "name an end in the future"),
    "instant_form": Why(
        "a time is not written as RFC 3339 wants it", "write it with its offset, as 2026-05-11T12:00:00Z"
    ),
    "no_hold_open": Why(
        "the case has no hold that could be extended or released", "causeway hold list shows what became of yours"
    ),
    "override_not_proposed": Why(
        "nobody has proposed to override the hold", "one person proposes it with a basis, another confirms it"
    ),
    "override_unclear": Why(
        "neither a basis was given nor a confirmation, or both", "propose with --basis, confirm with --confirm"
    ),
}
