"""The sample policy: routing law as data. Real instruments, sample wording; not legal advice."""

from __future__ import annotations

from pathlib import Path

from shared.core.contracts.policy import Policy

SAMPLE = Path(__file__).with_name("sample.json")


def sample_policy() -> Policy:
    """Return the sample policy of `sample.json`."""
    return Policy.model_validate_json(SAMPLE.read_bytes())
