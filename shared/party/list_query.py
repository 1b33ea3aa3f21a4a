"""What a list takes over HTTP of whoever looks for something in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Final

from fastapi import Depends, Query
from pydantic import ValidationError, validate_call

from shared.contracts.base import PartyId
from shared.party.list_filter import OnlyP0, Sought
from shared.runtime.http.problems import broken_places, invalid_parameters

FILTERS: Final = ("party", "reference", "priority", "since", "until")
#: As of a reference that a party gives; ids are spelt within it.
Reference = Annotated[
    str | None, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,47}$", description="A reference of your own, or an id.")
]
OtherParty = Annotated[PartyId | None, Query(description="Who is on the other side.")]
DAY: Final = r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$"
Since = Annotated[str | None, Query(pattern=DAY, description="The first day of a period, UTC.")]
Until = Annotated[str | None, Query(pattern=DAY, description="The last day of a period, UTC.")]


def _sought(
    *,
    party: OtherParty = None,
    reference: Reference = None,
    priority: OnlyP0 = None,
    since: Since = None,
    until: Until = None,
) -> Sought:
    """As all lists of subjects take it."""
    days = {name: None if said is None else read_day(said, name) for name, said in (("since", since), ("until", until))}
    return Sought.of(party=party, reference=reference, priority=priority, **days)


def sought_in(said: Callable[[str], str | None]) -> Sought:
    """What another door is asked to look for. Raises `InvalidFields` (`parameter_invalid`), `Refused`."""
    try:
        return validate_call(_sought)(**{name: said(name) for name in FILTERS})  # type: ignore[arg-type]
    except ValidationError as error:
        broken = [
            each | {"loc": ("query", *each["loc"])} for each in error.errors(include_url=False, include_input=False)
        ]
    raise invalid_parameters(broken_places(broken))


#: What a list is looked through for: a route's parameters of these names.
Finding = Annotated[Sought, Depends(_sought)]


def read_day(said: str | None, name: str) -> date | None:
    """A day that a parameter may name. Raises as `read_date` does."""
    return None if said is None else read_date(said, name)


def read_date(said: str, name: str) -> date:
    """A day that a parameter names. Raises `InvalidFields` (`parameter_invalid`) for one that no calendar has."""
    try:
        return date.fromisoformat(said)
    except ValueError:
        pass  # said below, where no cause with the value hangs on it
    wrong = {"field": f"/query/{name}", "rule": "date_parsing", "expected": "a day as 2026-05-04"}
    raise invalid_parameters([wrong])
