"""Working days by the calendars of the policy. Pure, standard library only.

A day is in the calendar's own standard time, with the same offset from UTC all the year. So no external table of time
zones decides the end of a term. In summer time a day ends an hour later than on local clocks, never earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

_DAY = timedelta(days=1)


class _CalendarSpan(NamedTuple):
    """The data of one calendar, from its first day until before `after`."""

    first: date
    after: date
    weekdays: frozenset[int]
    holidays: frozenset[date]
    offset: timedelta


class Calendars:
    """The calendars of one policy; `entries` are their JSON, valid by the contract."""

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        self._spans: dict[str, list[_CalendarSpan]] = {}
        for entry in entries:
            self._spans.setdefault(entry["jurisdiction"], []).append(_span(entry))

    def end_of(
        self,
        days: int,
        jurisdiction: str,
        started_at: datetime,
        *,
        stands: Iterable[tuple[datetime, datetime | None]] = (),
    ) -> datetime | None:
        """Return the end of the last of `days` working days after the day of `started_at`.

        This follows Regulation 1182/71, Article 3. A day does not count if the clock is stopped at its end. None if the
        calendars end before.
        """
        stood = tuple(stands)
        spans, at = self._spans.get(jurisdiction, ()), started_at.astimezone(UTC)
        begun = ((span, (at + span.offset).date()) for span in spans)
        day = next((day for span, day in begun if span.first <= day < span.after), None)
        while day is not None and days:
            day += _DAY
            span = next((each for each in spans if each.first <= day < each.after), None)
            if span is None:
                return None
            end = datetime.combine(day + _DAY, time(), UTC) - span.offset
            worked = day.isoweekday() in span.weekdays and day not in span.holidays
            if worked and not any(begin < end and (until is None or end <= until) for begin, until in stood):
                days -= 1
                if not days:
                    return end
        return None


def _span(entry: Mapping[str, Any]) -> _CalendarSpan:
    return _CalendarSpan(
        date.fromisoformat(entry["valid_from"]),
        date.fromisoformat(entry["valid_to"]),
        frozenset(entry["working_weekdays"]),
        frozenset(map(date.fromisoformat, entry["holidays"])),
        timedelta(minutes=entry.get("utc_offset_min") or 0),
    )
