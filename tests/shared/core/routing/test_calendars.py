"""Working days follow the policy's calendars alone, and equal a count by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.policy import sample_policy
from shared.core.routing.calendars import Calendars

CALENDARS = [each.model_dump(mode="json", exclude_none=True) for each in sample_policy().calendars]
SAMPLE = Calendars(CALENDARS)
PLACES = sorted(entry["jurisdiction"] for entry in CALENDARS)
MINUTES = st.integers(0, 3 * 365 * 24 * 60)
BEGIN = datetime(2026, 1, 2, tzinfo=UTC)
NL = "NL"
Record = Any


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("started", "days", "ends"),
    [
        ("2026-05-04T08:00", 1, "2026-05-05T23:00"),  # Monday; Tuesday is no holiday of the national list
        ("2026-05-01T08:00", 1, "2026-05-04T23:00"),  # Friday to Monday
        ("2026-05-13T08:00", 1, "2026-05-15T23:00"),  # Ascension lies between
        ("2026-12-24T22:59", 2, "2026-12-29T23:00"),  # Thursday: Christmas, Boxing Day, weekend
        ("2026-12-24T23:00", 1, "2026-12-28T23:00"),  # already Friday there
    ],
)
def test_the_day_of_the_start_is_not_counted_and_the_last_counts_to_its_end(started: str, days: int, ends: str) -> None:
    assert SAMPLE.end_of(days, NL, at(started)) == at(ends)


def test_nothing_is_counted_beyond_the_calendar_nor_without_one() -> None:
    assert SAMPLE.end_of(2, NL, at("2028-12-27T12:00")) == at("2028-12-29T23:00")
    assert SAMPLE.end_of(3, NL, at("2028-12-27T12:00")) is None
    assert SAMPLE.end_of(1, NL, at("2025-12-30T12:00")) is None
    assert SAMPLE.end_of(1, "XX", at("2026-05-04T12:00")) is None


def test_a_day_at_whose_end_the_clock_stands_is_not_counted() -> None:
    started, monday = at("2026-05-01T08:00"), at("2026-05-04T10:00")
    assert SAMPLE.end_of(1, NL, started, stands=[(monday, at("2026-05-04T22:00"))]) == at("2026-05-04T23:00")
    assert SAMPLE.end_of(1, NL, started, stands=[(monday, at("2026-05-05T09:00"))]) == at("2026-05-05T23:00")
    assert SAMPLE.end_of(1, NL, started, stands=[(monday, None)]) is None


@given(place=st.sampled_from(PLACES), minutes=MINUTES, days=st.integers(1, 30))
def test_the_term_has_as_many_working_days_as_it_says(place: str, minutes: int, days: int) -> None:
    """Counted again from the end: day by day, by the hours of that place."""
    (entry,) = [each for each in CALENDARS if each["jurisdiction"] == place]
    offset, started = timedelta(minutes=entry.get("utc_offset_min", 0)), BEGIN + timedelta(minutes=minutes)
    end = SAMPLE.end_of(days, place, started)
    if end is None:
        assert started + timedelta(days=days * 2 + 20) > datetime(2028, 12, 1, tzinfo=UTC)
        return
    first, last = (started + offset).date(), (end + offset).date() - timedelta(days=1)
    between = [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
    working = [day for day in between if day.isoweekday() <= 5 and day.isoformat() not in entry["holidays"]]
    assert len(working) == days
    assert working[-1] == last


@given(place=st.sampled_from(PLACES), minutes=MINUTES, days=st.integers(1, 10), stood=st.integers(0, 20_000))
def test_a_pause_never_brings_the_end_nearer(place: str, minutes: int, days: int, stood: int) -> None:
    started = BEGIN + timedelta(minutes=minutes)
    without = SAMPLE.end_of(days, place, started)
    pause = (started + timedelta(minutes=17), started + timedelta(minutes=17 + stood))
    within = SAMPLE.end_of(days, place, started, stands=[pause])
    assert within is None or (without is not None and within >= without)


def weekdays(days: Iterable[date]) -> set[date]:
    """Return the days that a calendar of working days can exclude. In some places every Sunday is a legal holiday."""
    return {day for day in days if day.isoweekday() <= 5}


@pytest.mark.parametrize("place", PLACES)
def test_the_package_of_holidays_is_compared_and_its_differences_listed(place: str, record_property: Record) -> None:
    """The releases of this oracle disagree with each other. A person reads the differences; they are no failure."""
    (entry,) = [each for each in CALENDARS if each["jurisdiction"] == place]
    country, subdivision = ("GB", "ENG") if place == "GB-EAW" else (place, None)
    theirs = weekdays(holidays.country_holidays(country, subdiv=subdivision, years=(2026, 2027, 2028)))
    ours = weekdays(map(date.fromisoformat, entry["holidays"]))
    record_property(f"only_package_{place}", sorted(map(str, theirs - ours)))
    record_property(f"only_policy_{place}", sorted(map(str, ours - theirs)))
    # Check that the comparison is useful: most days are equal.
    assert len(theirs & ours) > 2 * len(theirs ^ ours)
