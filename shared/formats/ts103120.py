"""A preservation in ETSI TS 103 120 (V1.15.1): one HI-1 message, an action for each act, oldest first.

    preserve    LPTaskObject        the request creates it, every later act of either side updates it
    produce     LDTaskObject        the same; its end date is lost, because an LD task has no field for it

Tests check the mapping against ETSI's schemas. Acceptance by a receiver's national profile has not been tested. Codes
are entries of our own dictionary, because ETSI's dictionaries were not read. `docs/preservation.md` explains each
field, and `ts103120.xml.j2` is the message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from jinja2 import Environment, StrictUndefined

#: The country of a party without a known country. ISO 3166-1 reserves it for users.
NO_COUNTRY: Final = "ZZ"
_LINES: Final = Path(__file__).with_suffix(".xml.j2").read_text(encoding="utf-8").splitlines()
_MESSAGE: Final = Environment(autoescape=True, undefined=StrictUndefined).from_string("".join(map(str.strip, _LINES)))


class Hi1Endpoint(NamedTuple):
    """A party and its country (ISO 3166-1 alpha-2), or `NO_COUNTRY`."""

    party: str
    country: str


class ActionStep(NamedTuple):
    """One act: its party, the resulting state, its content as JSON, and the time of its message."""

    by: str
    state: str
    said: Mapping[str, object]
    at: datetime


class ActionFlow(NamedTuple):
    """A preservation as one of its parties stores it. `locations` are (kind, value)."""

    preservation_id: UUID
    preserves: bool
    instrument: str
    term: str | None
    until: date | None
    order_reference: str | None
    locations: Sequence[tuple[str, str]]
    agency: Hi1Endpoint
    provider: Hi1Endpoint
    steps: Sequence[ActionStep]


def written(flow: ActionFlow) -> bytes:
    """Return the whole flow as XML, UTF-8. The same flow always gives the same bytes."""
    transaction = uuid5(flow.preservation_id, str(len(flow.steps)))
    return _MESSAGE.render(flow=flow, transaction=transaction, utc=_utc).encode()


def _utc(at: datetime, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return at.astimezone(UTC).strftime(form)
