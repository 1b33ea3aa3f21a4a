"""Times: what a zone can write and UTC cannot is refused where it is read, not where it is written again."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from shared.contracts.answers import NoticeActionReport


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_utc_cannot_write_is_refused_by_its_rule(time: str) -> None:
    with pytest.raises(ValidationError) as refused:
        NoticeActionReport.model_validate({"actions": ["removed"], "effective_at": time})
    assert [error["type"] for error in refused.value.errors()] == ["instant_range"]


@pytest.mark.parametrize("time", ["0001-01-01T14:00:00+14:00", "9999-12-31T09:59:59-14:00"])
def test_the_first_and_the_last_time_there_is_can_be_written_again(time: str) -> None:
    report = NoticeActionReport.model_validate({"actions": ["removed"], "effective_at": time})
    assert NoticeActionReport.model_validate_json(report.model_dump_json()) == report
