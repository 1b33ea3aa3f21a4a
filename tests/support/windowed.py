"""A policy whose notices can be held: every rule that sends notices to providers has a window."""

from __future__ import annotations

from typing import Any

from shared.core.contracts.policy import Policy


def windowed(policy: Policy, hours: int, **changes: Any) -> Policy:
    """Return the policy with a window of this many hours in each rule that sends notices to providers."""
    rules = tuple(
        rule.model_copy(update={"hold_window_h": hours})
        if rule.select is not None and rule.select.kind == "industry"
        else rule
        for rule in policy.rules
    )
    return policy.model_copy(update={"rules": rules} | changes)
