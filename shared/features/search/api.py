"""The filters of a party's lists, read from a query or a form."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Depends, Query
from pydantic import ValidationError, validate_call

from shared.core.contracts.base import PartyId
from shared.features.search.rules import ListFilter, OnlyP0
from shared.platform.console.forms import PageInput
from shared.platform.http.problems import broken_places, invalid_parameters


def filters_of(request: PageInput) -> dict[str, object]:
    """Return the filter values for the form (`filters`) and the start of the next page's query string (`keep`)."""
    filters = {name: request.query(name) or "" for name in ("state", "claimed", *FILTERS)}
    keep = urlencode({name: value for name, value in filters.items() if value})
    return {"said": filters, "keep": keep and f"{keep}&"}


FILTERS: Final = ("party", "reference", "priority", "since", "until")
#: The pattern of a party's own references. Ids match it, too.
Reference = Annotated[
    str | None, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,47}$", description="A reference of your own, or an id.")
]
OtherParty = Annotated[PartyId | None, Query(description="The party on the other side.")]
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
) -> ListFilter:
    """Return the filter from the query parameters of any list of subjects."""
    days = {name: read_day(text, name) for name, text in (("since", since), ("until", until))}
    return ListFilter.of(party=party, reference=reference, priority=priority, **days)


def sought_in(read_field: Callable[[str], str | None]) -> ListFilter:
    """Return the filter from the query of a console page. Raises `InvalidFields` (`parameter_invalid`), `Refused`."""
    try:
        return validate_call(_sought)(**{name: read_field(name) for name in FILTERS})  # type: ignore[arg-type]
    except ValidationError as error:
        broken = [
            each | {"loc": ("query", *each["loc"])} for each in error.errors(include_url=False, include_input=False)
        ]
    raise invalid_parameters(broken_places(broken))


#: The filter of a list, from a route's query parameters.
Finding = Annotated[ListFilter, Depends(_sought)]


def read_day(text: str | None, name: str) -> date | None:
    """Parse an optional day of a parameter. Raises as `read_date` does."""
    return None if text is None else read_date(text, name)


def read_date(text: str, name: str) -> date:
    """Parse the day of a parameter. Raises `InvalidFields` (`parameter_invalid`) for a day that does not exist."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass  # the error is raised below, so that its cause does not carry the value
    wrong = {"field": f"/query/{name}", "rule": "date_parsing", "expected": "a day such as 2026-05-04"}
    raise invalid_parameters([wrong])
