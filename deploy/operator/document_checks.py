"""Checks of documents before publication: stricter than the checks of readers.

Readers ignore unknown members, so that later documents can have more. A publisher must not ignore them, because a
misspelt member would have no effect and remain undetected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from pydantic import ValidationError

from deploy.directory.approval import valid_until
from shared.core.contracts.base import Contract, error_locations
from shared.core.contracts.directory import Directory
from shared.core.contracts.policy import Calendar, ClockRule, InstrumentEntry, Policy, Rule
from shared.core.errors import Refused
from shared.core.routing.directory_index import KEY_SUITES
from shared.core.routing.documents import read_directory, read_policy
from shared.core.vocabulary.jurisdiction import TREE
from shared.core.vocabulary.law import Confirmation
from shared.core.vocabulary.routing import Instrument

#: The latest end or review, in years from now: an end in the year 9999 would never cause a review.
END_YEARS_MAX: Final = 30
REVIEW_YEARS_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Objection:
    """One reason against publication: its code, and the field."""

    code: str
    field: str


def check_directory(body: bytes) -> Directory:
    """Return the directory in `body`. Raises `Refused`, with the field, if it must not be published."""
    _strictly(Directory, body)
    read_directory(body)
    directory = Directory.model_validate_json(body)
    for field in _keys_unread(directory):
        raise Refused("document_invalid", "no release reads such a key yet", field=field)
    for objection in _of_validity(directory):
        raise Refused(objection.code, field=objection.field)
    return directory


def _keys_unread(directory: Directory) -> Iterator[str]:
    """Yield the fields of keys that no release reads yet: readers ignore them, so they would have no effect."""
    owners = [("/beat_keys", directory.beat_keys)]
    owners += [(f"/instances/{at}/keys", each.keys) for at, each in enumerate(directory.instances)]
    owners += [(f"/parties/{at}/keys", each.keys) for at, each in enumerate(directory.parties)]
    for field, keys in owners:
        for at, key in enumerate(keys):
            if key.use not in KEY_SUITES:
                yield f"{field}/{at}/use"
            elif key.suite not in KEY_SUITES[key.use]:
                yield f"{field}/{at}/suite"


def check_policy(body: bytes) -> Policy:
    """Return the policy in `body`. Raises `Refused`, with the field of the first objection."""
    _strictly(Policy, body)
    read_policy(body)
    policy = Policy.model_validate_json(body)
    for objection in objections(policy):
        raise Refused(objection.code, field=objection.field)
    return policy


def objections(policy: Policy) -> Iterator[Objection]:
    """Yield the faults of a valid policy that a machine can find."""
    issued_on, listed = policy.issued_on, {entry.id: entry for entry in policy.instruments}
    yield from _of_validity(policy)
    for at, entry in enumerate(policy.instruments):
        field = f"/instruments/{at}"
        if entry.id in {other.id for other in policy.instruments[:at]}:
            yield Objection("instrument_repeated", f"{field}/id")
        if entry.succeeded_by is not None and (entry.succeeded_by not in listed or entry.succeeded_by == entry.id):
            yield Objection("instrument_not_listed", f"{field}/succeeded_by")
        if entry.confirmation is Confirmation.CONFIRMED and entry.valid_from is None:
            yield Objection("instrument_without_start", f"{field}/valid_from")
        successor = listed.get(entry.succeeded_by) if entry.succeeded_by else None
        if entry.valid_to and successor and successor.confirmation is Confirmation.UNCONFIRMED:
            yield Objection("ended_by_unconfirmed", f"{field}/valid_to")
        if _succeeds_itself(entry, listed):
            yield Objection("succession_cyclic", f"{field}/succeeded_by")
        yield from _of_entry(entry, entry.jurisdiction, issued_on, field=field)
    for at, rule in enumerate(policy.rules):
        field = f"/rules/{at}"
        if rule.effect == "prohibit" and rule.valid_to is None and rule.review_by is None:
            # It would still forbid edges that a later law permits, and no review would be due.
            yield Objection("prohibition_without_end", field)
        if rule.review_by is not None and rule.review_by <= issued_on:
            yield Objection("review_overdue", f"{field}/review_by")
        if rule.review_by is not None and rule.review_by > _years_after(issued_on, REVIEW_YEARS_MAX):
            yield Objection("review_too_far", f"{field}/review_by")
        if rule.valid_to is not None and rule.valid_to > _years_after(issued_on, END_YEARS_MAX):
            yield Objection("end_too_far", f"{field}/valid_to")
        if rule.hold_window_h is not None and rule.effect == "prohibit":
            yield Objection("hold_of_nothing", f"{field}/hold_window_h")
        if rule.valid_to is not None and rule.valid_to <= rule.valid_from:
            yield Objection("never_in_force", f"{field}/valid_to")
        yield from _of_basis(rule, listed.get(rule.basis.instrument), issued_on, field=field)
    for at, clock in enumerate(policy.clocks):
        field = f"/clocks/{at}"
        if clock.id in {other.id for other in policy.clocks[:at]}:
            yield Objection("clock_repeated", f"{field}/id")
        yield from _of_basis(clock, listed.get(clock.basis.instrument), issued_on, field=field)
        yield from _of_clock(clock, policy.calendars, issued_on, field=field)
        yield from _of_entry(clock, clock.basis.jurisdiction, issued_on, field=field)
    for at, calendar in enumerate(policy.calendars):
        field = f"/calendars/{at}"
        if any(_same_days(calendar, other) for other in policy.calendars[:at]):
            yield Objection("calendar_repeated", f"{field}/jurisdiction")
        yield from _of_calendar(calendar, field)
        yield from _of_entry(calendar, calendar.jurisdiction, issued_on, field=field)


def _of_entry(
    entry: InstrumentEntry | ClockRule | Calendar, jurisdiction: str, issued_on: date, *, field: str
) -> Iterator[Objection]:
    if entry.reviewed_on > issued_on:
        yield Objection("reviewed_after_issue", f"{field}/reviewed_on")
    if entry.valid_to is not None and (entry.valid_from is None or entry.valid_to <= entry.valid_from):
        yield Objection("never_in_force", f"{field}/valid_to")
    if entry.valid_to is not None and entry.valid_to > _years_after(issued_on, END_YEARS_MAX):
        yield Objection("end_too_far", f"{field}/valid_to")
    if not TREE.known(jurisdiction, issued_on):
        yield Objection("jurisdiction_unknown", field)


def _of_validity(document: Directory | Policy) -> Iterator[Objection]:
    """Object to a validity over the yearly limit: an outdated document would never raise an alarm."""
    if document.valid_until <= document.issued_on:
        yield Objection("over_at_issue", "/valid_until")
    if document.valid_until > valid_until(document.issued_on):
        yield Objection("end_too_far", "/valid_until")


def _succeeds_itself(entry: InstrumentEntry, listed: Mapping[Instrument, InstrumentEntry]) -> bool:
    """Return whether its successors lead back to it: the present instrument could then not be found."""
    seen, following = {entry.id}, entry.succeeded_by
    while following is not None and following in listed and following not in seen:
        seen.add(following)
        following = listed[following].succeeded_by
    return following == entry.id and len(seen) > 1


def _years_after(day: date, years: int) -> date:
    return day.replace(year=day.year + years, day=min(day.day, 28))


def _of_basis(
    cites: Rule | ClockRule, entry: InstrumentEntry | None, issued_on: date, *, field: str
) -> Iterator[Objection]:
    """Check the instrument of a rule or clock now.

    A later end is left to the alarm: a person may find a successor.
    """
    if entry is None:
        yield Objection("instrument_not_listed", f"{field}/basis/instrument")
        return
    if entry.valid_from is not None and cites.valid_from < entry.valid_from:
        yield Objection("instrument_not_yet_in_force", f"{field}/valid_from")
    over = entry.valid_to is not None and entry.valid_to <= issued_on
    if over and (cites.valid_to is None or issued_on < cites.valid_to):
        yield Objection("instrument_over", f"{field}/basis/instrument")


def _of_clock(clock: ClockRule, calendars: tuple[Calendar, ...], issued_on: date, *, field: str) -> Iterator[Objection]:
    if (clock.duration_h is None) == (clock.working_days is None):
        yield Objection("clock_term_not_one", field)
    if clock.repeats and clock.duration_h is None:
        yield Objection("clock_repeats_nothing", f"{field}/repeats")
    known = {each.jurisdiction for each in calendars if issued_on < each.valid_to}
    if clock.working_days is not None and clock.basis.jurisdiction not in known:
        yield Objection("calendar_missing", f"{field}/basis/jurisdiction")


def _same_days(one: Calendar, other: Calendar) -> bool:
    overlap = one.valid_from < other.valid_to and other.valid_from < one.valid_to
    return one.jurisdiction == other.jurisdiction and overlap


def _of_calendar(calendar: Calendar, field: str) -> Iterator[Objection]:
    holidays = calendar.holidays
    if list(holidays) != sorted(set(holidays)):
        yield Objection("holidays_unsorted", f"{field}/holidays")
    if not all(calendar.valid_from <= day < calendar.valid_to for day in holidays):
        yield Objection("holiday_outside_span", f"{field}/holidays")
    if not calendar.working_weekdays:
        yield Objection("calendar_without_work", f"{field}/working_weekdays")


def _strictly(contract: type[Contract], body: bytes) -> None:
    """Raise `Refused("document_invalid")` also for an unknown member."""
    try:
        contract.model_validate_json(body)
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    else:
        return
    # An unknown name is outside input and is not repeated.
    unknown = where["rule"] == "extra_forbidden"
    field = where["field"].rpartition("/")[0] if unknown else where["field"]
    raise Refused("document_invalid", where["rule"], field=field)
