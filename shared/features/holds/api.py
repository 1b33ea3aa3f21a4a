"""HTTP routes by which two people of an origin override a hold."""

from __future__ import annotations

from typing import Final

from shared.core.contracts.holds import HoldOverride, OverrideApproval
from shared.features.filing.api.act_handlers import ActRoute, feature_of
from shared.features.holds.ports import OverrideResult
from shared.features.holds.service import CONFIRM, PROPOSE, confirm_override, follow_edges, propose_override

_PROPOSE: Final = "Propose to override a hold, with the reason. It takes effect when another person confirms it."
_CONFIRM: Final = "End a hold that another person has proposed to override."

HOLDS: Final = feature_of(
    ActRoute(PROPOSE, OverrideResult, _PROPOSE, HoldOverride, propose_override),
    ActRoute(CONFIRM, OverrideResult, _CONFIRM, OverrideApproval, confirm_override),
)._replace(edges_changed=follow_edges)
