"""Times and ids cut to 10 s: the time of writing that a message reveals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from shared.core.clock import coarse
from shared.core.ids import coarse_uuid7, is_uuid7

AT = datetime(2026, 5, 4, 12, 30, 19, 987_654, tzinfo=UTC)


def test_a_time_is_cut_to_ten_seconds_and_keeps_its_offset() -> None:
    assert coarse(AT) == datetime(2026, 5, 4, 12, 30, 10, tzinfo=UTC)
    assert coarse(coarse(AT)) == coarse(AT)
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert coarse(elsewhere) == coarse(AT)
    assert coarse(elsewhere).utcoffset() == timedelta(hours=5, minutes=30)


def test_an_id_tells_no_more_of_the_time_and_is_no_other_ones() -> None:
    ids = {coarse_uuid7(AT + timedelta(milliseconds=number)) for number in range(12)}
    assert len(ids) == 12
    assert all(map(is_uuid7, ids))
    assert {datetime.fromtimestamp((each.int >> 80) / 1000, UTC) for each in ids} == {coarse(AT)}
