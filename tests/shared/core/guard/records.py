"""Build submissions for guard tests. All fields have default values."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.guard import inspect
from tests.guard_report.positions import BASE


def record(**members: Any) -> ReferralSubmission:
    return ReferralSubmission.model_validate(copy.deepcopy(BASE) | members)


def located(*values: str, kind: str = "url") -> ReferralSubmission:
    """Return a submission with one item per value."""
    return record(items=[{"locator": {"kind": kind, "value": value}} for value in values])


def refusal(submission: ReferralSubmission) -> tuple[str, str | None]:
    """Return code and pointer with which `submission` is refused."""
    with pytest.raises(Refused) as caught:
        inspect(submission)
    return caught.value.code, caught.value.field
