"""Ageing of a policy's law: instruments that ended, were not reviewed, or will end or begin soon.

Pure, standard library only. It reads a policy's JSON, valid by its contract. It lists entries that a person must
review, and has no effect on decisions: the engine handles missing law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from shared.core.vocabulary.law import Confirmation, InstrumentState

#: A policy, or one of its entries, as JSON.
_Entry = Mapping[str, Any]
#: An instrument without a review for more days than this is aged.
REVIEW_DAYS: Final = 90
#: An end or a beginning raises an alarm for this many days before it.
AHEAD_DAYS: Final = 90
AHEAD: Final = ("ending", "beginning")
REASONS: Final = ("ended", "succeeded", "unreviewed", *AHEAD)


@dataclass(frozen=True, slots=True)
class Review:
    """The review state of one instrument on a day.

    `cited_by` are all rules and clocks that cite it, `live` those of them that are in force then or will be.
    `review_by` is the last day for its review, including its live rules. `reasons` are the reasons for a review now, if
    any. `ending` and `beginning`: the instrument, or a live rule or clock of it, ends or begins within 90 days. An
    ended instrument without live rules or clocks needs no review, but stays listed.
    """

    instrument: str
    title: str
    state: str
    confirmation: str
    valid_to: date | None
    succeeded_by: str | None
    reviewed_on: date
    review_by: date
    reviewer_role: str
    reading: str
    source: str
    cited_by: tuple[str, ...]
    live: tuple[str, ...]
    reasons: tuple[str, ...]


def review(policy: _Entry, on: date) -> list[Review]:
    """Return every instrument of the policy, the next to be reviewed first."""
    citing: dict[str, list[_Entry]] = {}
    for each in (*policy["rules"], *(policy.get("clocks") or ())):
        citing.setdefault(each["basis"]["instrument"], []).append(each)
    entries = {entry["id"]: entry for entry in policy.get("instruments") or ()}
    found = [_review(entry, citing.get(name, []), entries, on=on) for name, entry in entries.items()]
    return sorted(found, key=lambda each: (each.review_by, each.instrument))


def aged(policy: _Entry, on: date) -> list[tuple[str, str]]:
    """Return (instrument, reason) of each entry that a person must review, sorted.

    A calendar is named by its place. A calendar that has ended is listed until the policy has a later one for its
    jurisdiction. Without one, working-day clocks of that place have no due time.
    """
    last: dict[str, str] = {}
    for each in policy.get("calendars") or ():
        last[each["jurisdiction"]] = max(each["valid_to"], last.get(each["jurisdiction"], ""))
    calendars = [
        (f"calendar {jurisdiction}", "ended" if str(ends) <= on.isoformat() else "ending")
        for jurisdiction, ends in last.items()
        if str(ends) <= on.isoformat() or _is_ahead(ends, on)
    ]
    return sorted([*((each.instrument, reason) for each in review(policy, on) for reason in each.reasons), *calendars])


def state_of(entry: _Entry, on: date) -> InstrumentState:
    """Return the state of an instrument on a day, whether it is confirmed or not."""
    begins, ends = _day(entry.get("valid_from")), _day(entry.get("valid_to"))
    if begins is None or on < begins:
        return InstrumentState.PENDING
    return InstrumentState.ENDED if ends is not None and ends <= on else InstrumentState.IN_FORCE


def is_in_force(entry: _Entry, on: date) -> bool:
    """Return whether an instrument is confirmed and in force on a day."""
    return entry["confirmation"] == Confirmation.CONFIRMED and state_of(entry, on) is InstrumentState.IN_FORCE


def _review(entry: _Entry, citing: Sequence[_Entry], entries: _Entry, *, on: date) -> Review:
    standing = [each for each in citing if (end := _day(each.get("valid_to"))) is None or on < end]
    live = tuple(sorted(each["id"] for each in standing))
    valid_to, reviewed_on = _day(entry.get("valid_to")), date.fromisoformat(entry["reviewed_on"])
    over = valid_to is not None and valid_to <= on
    # Once its confirmed successor is in force, no rule should cite it.
    succeeded_by = entry.get("succeeded_by")
    succeeded = succeeded_by is not None and succeeded_by in entries and is_in_force(entries[succeeded_by], on)
    # A rule may require an earlier review than its instrument. After that day, only a new version changes it.
    asked = [day for each in standing if (day := _day(each.get("review_by")))]
    looked = [reviewed_on, *(day for each in standing if (day := _day(each.get("reviewed_on"))))]
    review_by = min(min(looked) + timedelta(days=REVIEW_DAYS), *asked, date.max)
    dated = [entry, *standing]
    ahead = (any(_is_ahead(each.get(name), on) for each in dated) for name in ("valid_to", "valid_from"))
    stands = (over and bool(live), succeeded and bool(live))
    unreviewed = on > review_by and (bool(live) or not over)
    return Review(
        instrument=entry["id"],
        title=entry["title"],
        state=state_of(entry, on).value,
        confirmation=entry["confirmation"],
        valid_to=valid_to,
        succeeded_by=succeeded_by,
        reviewed_on=reviewed_on,
        review_by=review_by,
        reviewer_role=entry["reviewer_role"],
        reading=entry["reading"],
        source=entry["source"],
        cited_by=tuple(sorted(each["id"] for each in citing)),
        live=live,
        reasons=tuple(reason for reason, holds in zip(REASONS, (*stands, unreviewed, *ahead), strict=True) if holds),
    )


def _is_ahead(day: str | None, on: date) -> bool:
    return day is not None and on < date.fromisoformat(day) <= on + timedelta(days=AHEAD_DAYS)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
