"""The desk where documents are looked at before they are published: stricter than those who read them.

Readers ignore what they do not know, for the sake of documents to come; whoever publishes must not, or a misspelt
member would mean nothing and nobody would notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from shared.contracts.base import Contract, error_locations
from shared.contracts.directory import Directory
from shared.contracts.policy import Calendar, Clock, Policy
from shared.kernel.errors import Refused
from shared.routing.shelf import read_directory, read_policy


@dataclass(frozen=True, slots=True)
class Objection:
    """One thing that the desk does not let pass: its code, and the field."""

    code: str
    field: str


def check_directory(body: bytes) -> Directory:
    """The directory in `body`. Raises `Refused`, with the field, where it must not be published."""
    _strictly(Directory, body)
    read_directory(body)
    return Directory.model_validate_json(body)


def check_policy(body: bytes) -> Policy:
    """The policy in `body`. Raises `Refused`, with the field of the first objection."""
    _strictly(Policy, body)
    read_policy(body)
    policy = Policy.model_validate_json(body)
    for objection in objections(policy):
        raise Refused(objection.code, field=objection.field)
    return policy


def objections(policy: Policy) -> Iterator[Objection]:
    """What is wrong with a valid policy, as far as a machine can say."""
    listed = {entry.id for entry in policy.instruments}
    for at, entry in enumerate(policy.instruments):
        if entry.id in {other.id for other in policy.instruments[:at]}:
            yield Objection("instrument_repeated", f"/instruments/{at}/id")
        if entry.succeeded_by is not None and entry.succeeded_by not in listed:
            yield Objection("instrument_not_listed", f"/instruments/{at}/succeeded_by")
        if entry.reviewed_on > policy.issued_on:
            yield Objection("reviewed_after_issue", f"/instruments/{at}/reviewed_on")
    for at, rule in enumerate(policy.rules):
        if rule.basis.instrument not in listed:
            yield Objection("instrument_not_listed", f"/rules/{at}/basis/instrument")
        if rule.effect == "prohibit" and rule.valid_to is None and rule.review_by is None:
            # It would go on to forbid what a later law permits, and nobody would be asked to look.
            yield Objection("prohibition_without_end", f"/rules/{at}")
        if rule.hold_window_h is not None and rule.effect == "prohibit":
            yield Objection("hold_of_nothing", f"/rules/{at}/hold_window_h")
    for at, clock in enumerate(policy.clocks):
        if clock.basis.instrument not in listed:
            yield Objection("instrument_not_listed", f"/clocks/{at}/basis/instrument")
        yield from _of_clock(clock, policy.calendars, f"/clocks/{at}")
    for at, calendar in enumerate(policy.calendars):
        yield from _of_calendar(calendar, f"/calendars/{at}")


def _of_clock(clock: Clock, calendars: tuple[Calendar, ...], field: str) -> Iterator[Objection]:
    terms = (clock.duration_h, clock.working_days, clock.promptness)
    if sum(term is not None for term in terms) != 1:
        yield Objection("clock_term_not_one", field)
    if clock.repeats and clock.duration_h is None:
        yield Objection("clock_repeats_nothing", f"{field}/repeats")
    if clock.working_days is not None and clock.basis.jurisdiction not in {each.jurisdiction for each in calendars}:
        yield Objection("calendar_missing", f"{field}/basis/jurisdiction")


def _of_calendar(calendar: Calendar, field: str) -> Iterator[Objection]:
    holidays = calendar.holidays
    if list(holidays) != sorted(set(holidays)):
        yield Objection("holidays_unsorted", f"{field}/holidays")
    if not all(calendar.valid_from <= day < calendar.valid_to for day in holidays):
        yield Objection("holiday_outside_span", f"{field}/holidays")
    if not calendar.working_weekdays:
        yield Objection("calendar_without_work", f"{field}/working_weekdays")


def _strictly(contract: type[Contract], body: bytes) -> None:
    """Raises `Refused("document_invalid")` also for a member that nobody knows."""
    try:
        contract.model_validate_json(body)
    except ValidationError as error:
        where = error_locations(error.errors(include_url=False, include_context=False, include_input=False))[0]
    else:
        return
    # A name that nobody knows came from outside and is not said again.
    unknown = where["rule"] == "extra_forbidden"
    field = where["field"].rpartition("/")[0] if unknown else where["field"]
    raise Refused("document_invalid", where["rule"], field=field)
