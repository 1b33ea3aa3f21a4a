"""Last days that the law fixes, and alarms before an end or a beginning."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from deploy.artifacts.pages import write_page
from deploy.policy import sample_policy
from shared.core.routing.ageing import aged
from shared.core.routing.documents import DocumentStore
from shared.core.routing.explain import explanation_text, preview
from tests.deploy.sample.samples import directory_document, index_of, policy_document, policy_of
from tests.deploy.sample.test_refreshed_law import message


def refreshed() -> DocumentStore:
    """Return the sample's documents, in force since 1 January 2026."""
    filled, since = DocumentStore(), datetime(2026, 1, 1, tzinfo=UTC)
    filled.directories.place(index_of(directory_document()), since)
    filled.policies.place(policy_of(policy_document()), since)
    return filled


@pytest.mark.parametrize(
    ("rule_id", "last_day", "holiday"),
    [("eu-2021-1232-user-agency", date(2026, 4, 3), True), ("eu-2026-1881-user-agency", date(2028, 4, 3), False)],
)
def test_a_fixed_last_day_is_included_and_its_reason_is_shown(rule_id: str, last_day: date, holiday: bool) -> None:
    """Good Friday 2026 does not move the last day: Art. 4(1) of Regulation 1182/71 excludes its Art. 3(4)."""
    easter_moved = any(
        last_day in one.holidays for one in sample_policy().calendars if one.jurisdiction in ("GB-EAW", "DE")
    )
    assert easter_moved is holiday
    after = datetime.combine(last_day + timedelta(days=1), datetime.min.time(), UTC)
    explained = preview(message(after), refreshed())
    (row,) = [each for each in explained["rules"] if each["rule"] == rule_id]
    assert (row["outcome"], row["last_day"]) == ("not_in_force", last_day.isoformat())
    assert "1182/71" in row["end_note"]
    (line,) = [each for each in explanation_text(explained).splitlines() if each.startswith(f"  rule {rule_id}:")]
    assert f"until the end of {last_day}" in line
    assert "Art. 4(3)" in line
    assert f"until the end of {last_day} (Regulation (EEC, Euratom) 1182/71" in write_page("law.md")


@pytest.mark.parametrize(
    ("day", "alarmed"),
    [(date(2028, 1, 4), False), (date(2028, 1, 5), True), (date(2028, 4, 3), True), (date(2028, 4, 4), False)],
)
def test_the_end_of_a_derogation_is_an_alarm_90_days_ahead(day: date, alarmed: bool) -> None:
    assert (("eu_2026_1881", "ending") in aged(policy_document(), day)) is alarmed


def test_an_entry_into_force_and_the_end_of_a_calendar_are_alarms_90_days_ahead() -> None:
    policy = policy_document()
    assert ("eu_2023_1543", "beginning") in aged(policy, date(2026, 8, 17))
    assert ("eu_2023_1543", "beginning") not in aged(policy, date(2026, 8, 18))
    assert ("calendar NL", "ending") in aged(policy, date(2028, 12, 31))
