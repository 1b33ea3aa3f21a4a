"""Grounds that override a withdrawal: each rule, the records it retains and those it does not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.core.acts.act import Subject
from shared.core.protocol.retention_grounds import COMPLAINT_DAYS, PRESERVED_DAYS, reason_to_keep
from shared.core.vocabulary.judgement import KEPT_DAYS, RetentionClass

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


def done(*actions: str, days_ago: int = 0) -> dict[str, Any]:
    at = (AT - timedelta(days=days_ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"items": [{"n": 1, "round": 1, "action": each, "effective_at": at} for each in actions]}


def kept(subject: Subject, said: dict[str, Any]) -> tuple[str, date] | None:
    found = reason_to_keep(subject, said, retention=None, at=AT)
    return None if found is None else (found.basis, found.until)


def in_days(days: int) -> date:
    return (AT + timedelta(days=days)).date()


@pytest.mark.parametrize(
    ("subject", "said", "expected"),
    [
        (Subject.OFFER, {}, None),
        (Subject.CASE, {"reason": "no_capacity"}, None),
        (Subject.CASE, {"accepted_at": "2026-05-01T00:00:00.000Z"}, ("accepted_case", in_days(90))),
        (Subject.CASE, {"outcome": "closed"}, ("accepted_case", in_days(90))),
        (Subject.NOTICE, {}, None),
        (Subject.NOTICE, {"items": [{"n": 1, "round": 1, "rejection": "not_found"}]}, None),
        (Subject.NOTICE, done("already_gone"), None),
        (Subject.NOTICE, done("removed"), ("open_complaint", in_days(COMPLAINT_DAYS))),
        (Subject.NOTICE, done("removed", days_ago=COMPLAINT_DAYS), ("open_complaint", in_days(0))),
        (Subject.NOTICE, done("removed", days_ago=COMPLAINT_DAYS + 1), None),
        (Subject.NOTICE, done("removed", days_ago=-2_900_000), ("open_complaint", in_days(COMPLAINT_DAYS))),
        (Subject.NOTICE, done("removed", "preserved"), ("preservation", in_days(PRESERVED_DAYS))),
        (Subject.NOTICE, {"items": [{"n": 1, "round": 1, "action": "removed"}]}, ("open_complaint", in_days(184))),
    ],
)
def test_what_wins_and_until_when(subject: Subject, said: dict[str, Any], expected: object) -> None:
    assert kept(subject, said) == expected


@pytest.mark.parametrize("each", RetentionClass)
def test_a_case_is_kept_for_the_period_of_its_class(each: RetentionClass) -> None:
    found = reason_to_keep(Subject.CASE, {"outcome": "arrest"}, retention=each, at=AT)
    assert found is not None
    assert (found.retention, found.until) == (each, in_days(KEPT_DAYS[each]))
