"""Builds submissions for guard tests: say what matters, the rest has a sensible value."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from shared.contracts.referral import ReferralSubmission
from shared.guard import ALL_STAGES, Stage, inspect
from shared.kernel.errors import Refused
from tests.guard_report.positions import BASE


def record(**members: Any) -> ReferralSubmission:
    return ReferralSubmission.model_validate(copy.deepcopy(BASE) | members)


def located(*values: str, kind: str = "url") -> ReferralSubmission:
    """A submission with one item per value."""
    return record(items=[{"locator": {"kind": kind, "value": value}} for value in values])


def refusal(submission: ReferralSubmission, stages: frozenset[Stage] = ALL_STAGES) -> tuple[str, str | None]:
    """Code and pointer with which `submission` is refused."""
    with pytest.raises(Refused) as caught:
        inspect(submission, stages=stages)
    return caught.value.code, caught.value.field
