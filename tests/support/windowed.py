"""A policy whose notices may be held: every rule by which providers are told has a window."""

from __future__ import annotations

from typing import Any

from shared.contracts.policy import Policy


def windowed(policy: Policy, hours: int, **changes: Any) -> Policy:
    """The policy, each rule that tells providers with a window of so many hours."""
    rules = tuple(
        rule.model_copy(update={"hold_window_h": hours})
        if rule.select is not None and rule.select.kind == "industry"
        else rule
        for rule in policy.rules
    )
    return policy.model_copy(update={"rules": rules} | changes)
