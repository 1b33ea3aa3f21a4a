"""Times that a zone can express but UTC cannot are refused when they are read, not when they are written."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.core.contracts.items import ItemOutcome


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_utc_cannot_write_is_refused_by_its_rule(time: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ItemOutcome.model_validate({"action": "removed", "effective_at": time})
    assert [error["type"] for error in refused.value.errors()] == ["instant_range"]


@pytest.mark.parametrize("time", ["0001-01-01T14:00:00+14:00", "9999-12-31T09:59:59-14:00"])
def test_the_first_and_the_last_time_there_is_can_be_written_again(time: str) -> None:
    report = ItemOutcome.model_validate({"action": "removed", "effective_at": time})
    assert ItemOutcome.model_validate_json(report.model_dump_json()) == report


def test_when_something_happened_is_kept_to_the_second() -> None:
    said = ItemOutcome.model_validate({"action": "removed", "effective_at": "2026-05-04T13:30:41.987Z"})
    assert said.model_dump(mode="json")["effective_at"] == "2026-05-04T13:30:41.000Z"
